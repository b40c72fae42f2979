"""The handshakes under way at a front: how many, for how long, and what is said of those that fail.

A handshake costs the front up to milliseconds, and its client nothing. So a few are begun in a turn
of the loop; each has a time limit; and beyond a number the oldest one is given up: honest clients
are done long before they are the oldest. Refuses to know what is said inside TLS.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Callable
from typing import Final

from cluster.addresses import place_of
from cluster.etcd.tls.connection import Rooms, TlsConnection
from cluster.etcd.tls.credentials import Credentials
from cluster.etcd.turns import Turns
from cluster.logs import complain
from cluster.tls.words import handshake_error

HANDSHAKE_SECONDS: Final = 10.0
"""A client that is not done by then is closed."""

HANDSHAKES_MAX: Final = 1_024
"""With this number under way a further one ends the oldest; each takes some 70 KiB."""

HANDSHAKES_AT_ONCE_MAX: Final = 4
"""The handshakes that begin in a turn of the loop: some 5 ms of work with a key of RSA."""

TOO_SLOW: Final = "the handshake takes too long"
NO_CERTIFICATE: Final = "there is no certificate to serve"
TOO_MANY: Final = f"the oldest of {HANDSHAKES_MAX} unfinished handshakes"

log = logging.getLogger("leasehold.front")


class Handshakes:
    """The connections that speak TLS and are not open yet."""

    def __init__(self, loop: asyncio.AbstractEventLoop, credentials: Credentials) -> None:
        self._loop = loop
        self._credentials = credentials
        self._rooms = Rooms()
        self._turns = Turns(loop, HANDSHAKES_AT_ONCE_MAX)
        # In the order in which they came; each with its time limit.
        self._under_way: dict[TlsConnection, asyncio.TimerHandle] = {}

    def begin(
        self,
        transport: asyncio.Transport,
        first: bytes,
        on_open: Callable[[TlsConnection], None],
        on_end: Callable[[], None],
    ) -> None:
        """Shake hands; `on_open` gets the open connection, or `on_end` is called."""

        def opened(connection: TlsConnection) -> None:
            self._forget(connection)
            on_open(connection)

        def failed(connection: TlsConnection, error: ssl.SSLError | None) -> None:
            self._forget(connection)
            if error is not None:
                self.reject(transport, handshake_error(error))
            on_end()

        context = self._credentials.current()
        if context is None:
            self.reject(transport, NO_CERTIFICATE)
            transport.abort()
            return
        connection = TlsConnection(self._loop, context, transport, self._rooms, opened, failed)
        if len(self._under_way) >= HANDSHAKES_MAX:
            self._give_up(next(iter(self._under_way)), TOO_MANY)
        self._under_way[connection] = self._loop.call_later(
            HANDSHAKE_SECONDS, self._give_up, connection, TOO_SLOW
        )
        self._turns.enter(lambda: connection.start(first))

    def reject(self, transport: asyncio.Transport, cause: str) -> None:
        """Say that a connection is refused: once a minute for each cause."""
        peer = place_of(transport.get_extra_info("peername")) or "an unknown address"
        complain(log, f"tls: {cause}", f"rejected connection from {peer}: {cause}")

    def _give_up(self, connection: TlsConnection, cause: str) -> None:
        self._forget(connection)  # it may take a turn until it is gone
        self.reject(connection, cause)
        connection.abort()

    def _forget(self, connection: TlsConnection) -> None:
        timer = self._under_way.pop(connection, None)
        if timer is not None:
            timer.cancel()
