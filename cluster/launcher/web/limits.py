"""What a browser may cost the launcher, each limit with its unit."""

from __future__ import annotations

from typing import Final

CONNECTIONS_MAX: Final = 64
"""Connections at a time; a browser opens six for one page."""

STREAMS_MAX: Final = 16
"""Pages that are told what happens, at a time."""

HEAD_BYTES_MAX: Final = 16 * 1024
"""The request line and all headers of one request."""

BODY_BYTES_MAX: Final = 64 * 1024
"""The body of one request."""

HEAD_SECONDS_MAX: Final = 10.0
"""A request must be complete within this time of its connection, or of the answer before it."""

IDLE_SECONDS_MAX: Final = 60.0
"""A connection without a request is closed after this time."""

READ_STALL_SECONDS_MAX: Final = 30.0
"""A page that reads nothing for this time loses its connection, and finds it again."""

COMMAND_SECONDS_MAX: Final = 150.0
"""A command that has not ended after this time is answered without its outcome."""

COMMANDS_WAITING_MAX: Final = 32
"""Commands that the main loop has not ended; more are refused."""

SAID_MAX: Final = 1_000
"""Of what a command says, the newest lines are kept for its answer."""

SHOW_SECONDS: Final = 0.2
"""How often pages get the cluster as it is."""

BATCH_SECONDS: Final = 0.05
"""What happens within this time goes to the pages together."""

TICK_SECONDS: Final = 1.0
"""A page that is told nothing for this time is told the time: so it knows that there is one."""

CHUNK_ITEMS_MAX: Final = 100
"""Items in one message to a page, which reads a message without a pause."""

SHOWN_KEYS_MAX: Final = 500
"""Keys that the key browser gets at a time."""

SHOWN_VALUE_BYTES_MAX: Final = 4 * 1024
"""Of a longer value only this much is shown."""

LEASES_SHOWN_MAX: Final = 32
"""Leases whose clocks are shown."""

LEASE_KEYS_SHOWN_MAX: Final = 3
"""Of a lease's keys the first are named."""
