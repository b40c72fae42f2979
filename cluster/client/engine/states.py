"""Whether a client is connected, and whether what its leases held is still its own.

Pure. The three states are kazoo's: SUSPENDED is a time to pause in, LOST says that leases have
ended and what they held is gone.

| from | to | when |
|---|---|---|
| SUSPENDED (at first), LOST | CONNECTED | a node can be reached |
| CONNECTED | SUSPENDED | no node can be reached any more |
| CONNECTED, SUSPENDED | LOST | a lease that is kept alive has ended, or the client is closed |

A client that loses a lease while a node can be reached is LOST, and CONNECTED again at once.
"""

from __future__ import annotations

from enum import StrEnum


class ConnectionState(StrEnum):
    """What a program may expect of its connection to the cluster."""

    CONNECTED = "CONNECTED"
    SUSPENDED = "SUSPENDED"
    LOST = "LOST"


class States:
    """The state of one client. Its output is the list `changes`."""

    def __init__(self) -> None:
        self.changes: list[ConnectionState] = []
        self._state = ConnectionState.SUSPENDED

    def reach(self, any_up: bool) -> None:
        """A connection came up or went down: can a node be reached now?"""
        if any_up:
            self._change(ConnectionState.CONNECTED)
        elif self._state is ConnectionState.CONNECTED:
            self._change(ConnectionState.SUSPENDED)

    def lease_lost(self, any_up: bool) -> None:
        """A lease that this client keeps alive has ended against its will."""
        self._change(ConnectionState.LOST)
        if any_up:
            self._change(ConnectionState.CONNECTED)

    def close(self) -> None:
        """The client ends."""
        self._change(ConnectionState.LOST)

    def _change(self, state: ConnectionState) -> None:
        if state is not self._state:
            self._state = state
            self.changes.append(state)
