"""Passing: a client that speaks ZMTP is passed on to the node's door, byte for byte.

A side that does not read stops the other side from being read, so the node sees a slow client as if
it were connected directly. The end of one direction is passed on too. Nothing is understood here,
but for the handshake of clients inside TLS where the node's clients have keys: `translating` is
asked about that.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final, cast

from cluster.addresses import place_of
from cluster.etcd.link.connection import cut
from cluster.etcd.link.pool import Pool
from cluster.etcd.link.translating import TranslatedHandshake
from cluster.etcd.link.zmtp import ZmtpError

PIECE_BYTES: Final = 64 * 1024
"""At most this is read at once. A side for which more waits in the front stops the other side from
being read: so at most two pieces wait for a side that does not read."""


class Buffer:
    """What one loop reads into: a piece has left it before the next one is read."""

    def __init__(self) -> None:
        self.room = memoryview(bytearray(PIECE_BYTES))


class Side(asyncio.BufferedProtocol):
    """One of the two connections; what it receives goes to `other`."""

    def __init__(
        self, buffer: Buffer, on_end: Callable[[], None], on_first: Callable[[], None] | None = None
    ) -> None:
        self.transport: asyncio.Transport | None = None
        self.other: Side | None = None
        self.is_over = False  # whether all that comes from this side has come
        # During the handshake: what the other side gets in the place of what has come.
        self.changed: Callable[[bytes], bytes] | None = None
        self._buffer = buffer.room
        self._on_end = on_end
        self._on_first = on_first

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        _limit(self.transport)

    def get_buffer(self, _: int) -> memoryview:
        return self._buffer

    def buffer_updated(self, size: int) -> None:
        if self._on_first is not None:
            self._on_first()
            self._on_first = None
        data = bytes(self._buffer[:size])
        if self.changed is not None:
            data = self.changed(data)
        if data and self.other is not None and self.other.transport is not None:
            self.other.transport.write(data)

    def eof_received(self) -> bool:
        self.is_over = True
        other = self.other
        if other is None or other.transport is None or other.is_over:
            return False  # both directions have ended: close
        if not other.transport.can_write_eof():
            return False  # inside TLS no direction ends alone
        other.transport.write_eof()
        return True  # the other direction goes on

    def pause_writing(self) -> None:
        if self.other is not None and self.other.transport is not None:
            self.other.transport.pause_reading()

    def resume_writing(self) -> None:
        if self.other is not None and self.other.transport is not None:
            self.other.transport.resume_reading()

    def connection_lost(self, exception: Exception | None) -> None:
        other, self.other = self.other, None
        if other is not None and other.transport is not None:
            other.other = None
            if exception is None and self.transport is not None:
                other.transport.close()  # what it has not read yet is still sent
            else:
                cut(other.transport)
        self._on_end()


class Passage:
    """The way of one client to the node's door; `on_end`: the client's connection has ended.

    A client inside TLS needs no key: the front introduces it. With `tell` the node is told where
    the client is; one of which it cannot be told is not passed on.
    """

    def __init__(
        self,
        pool: Pool,
        client: asyncio.Transport,
        first: bytes,
        buffer: Buffer,
        on_end: Callable[[], None],
        tell: Callable[[int, str], bool] | None = None,
        *,
        is_sealed: bool = False,
    ) -> None:
        client.pause_reading()
        password = pool.address.password
        self._handshake = TranslatedHandshake(password) if is_sealed and password else None
        self._pool = pool
        self._first = first
        self._near = Side(buffer, self._client_gone)
        self._near.transport = client
        client.set_protocol(self._near)
        _limit(client)
        self._far = Side(buffer, self._open, self._open)
        self._on_end = on_end
        self._tell = tell
        pool.gate.enter(self)

    def begin(self) -> None:
        """Connect to the door."""
        self._opening = self._pool.loop.create_task(self._connect())

    def refuse(self, _: str) -> None:
        """The node is away: so is everything here."""
        self._cut()

    def _open(self) -> None:
        """The node has spoken, or has closed."""
        self._pool.gate.leave(self)

    def _client_gone(self) -> None:
        self._on_end()
        if self._far.transport is None:
            self._pool.gate.leave(self)

    async def _connect(self) -> None:
        near, far, address = self._near, self._far, self._pool.address
        far.other = near  # before it is connected: the node speaks at once
        if self._handshake is not None:
            near.changed, far.changed = self._client_said, self._node_said
        port = address.port
        if self._handshake is None and address.passing_port:
            port = address.passing_port
        try:
            await self._pool.loop.create_connection(lambda: far, address.host, port)
        except OSError:
            self._open()
            self._cut()
            return
        assert far.transport is not None
        assert near.transport is not None
        if near.transport.is_closing():
            far.transport.abort()
            return
        self._pool.gate.heard(self)
        if not self._is_told(near.transport, far.transport):
            self._cut()
            return
        near.other = far
        if self._handshake is None:
            far.transport.write(self._first)
        else:
            far.transport.write(self._handshake.opening + self._client_said(self._first))
        near.transport.resume_reading()

    def _is_told(self, near: asyncio.Transport, far: asyncio.Transport) -> bool:
        """Tell the node whose bytes come from the port of the connection to it."""
        if self._tell is None:
            return True
        port = far.get_extra_info("sockname")[1]
        return self._tell(port, place_of(near.get_extra_info("peername")))

    def _client_said(self, data: bytes) -> bytes:
        """What the node gets when the client says this during the handshake."""
        assert self._handshake is not None, "there is a handshake"
        try:
            said = self._handshake.client_says(data)
        except ZmtpError:
            self._cut()
            return b""
        self._maybe_over()
        return said

    def _node_said(self, data: bytes) -> bytes:
        """What the client gets when the node says this during the handshake."""
        assert self._handshake is not None, "there is a handshake"
        try:
            for_client, for_node = self._handshake.node_says(data)
        except ZmtpError:
            self._cut()
            return b""
        if self._far.transport is not None:
            self._far.transport.write(for_node)
        self._maybe_over()
        return for_client

    def _maybe_over(self) -> None:
        if self._handshake is not None and self._handshake.is_over:
            self._near.changed = self._far.changed = None

    def _cut(self) -> None:
        for side in (self._near, self._far):
            if side.transport is not None:
                cut(side.transport)


def _limit(transport: asyncio.Transport) -> None:
    transport.set_write_buffer_limits(PIECE_BYTES, 0)
