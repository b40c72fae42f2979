"""Passing: a client that speaks ZMTP is passed on to the node's door, byte for byte.

A side that does not read stops the other side from being read, so the node sees a slow client as if
it were connected directly. The end of one direction is passed on too. Nothing is understood here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final, cast

from cluster.etcd.link.connection import Loop, cut

PIECE_BYTES: Final = 64 * 1024
"""At most this is read at once. A side for which more waits in the front stops the other side from
being read: so at most two pieces wait for a side that does not read."""


class Buffer:
    """What one loop reads into: a piece has left it before the next one is read."""

    def __init__(self) -> None:
        self.room = memoryview(bytearray(PIECE_BYTES))


class Side(asyncio.BufferedProtocol):
    """One of the two connections; what it receives goes to `other`."""

    def __init__(self, buffer: Buffer, on_end: Callable[[], None]) -> None:
        self.transport: asyncio.Transport | None = None
        self.other: Side | None = None
        self.is_over = False  # whether all that comes from this side has come
        self._buffer = buffer.room
        self._on_end = on_end

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        _limit(self.transport)

    def get_buffer(self, _: int) -> memoryview:
        return self._buffer

    def buffer_updated(self, size: int) -> None:
        if self.other is not None and self.other.transport is not None:
            self.other.transport.write(bytes(self._buffer[:size]))

    def eof_received(self) -> bool:
        self.is_over = True
        other = self.other
        if other is None or other.transport is None or other.is_over:
            return False  # both directions have ended: close
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


def pass_on(
    loop: Loop,
    client: asyncio.Transport,
    first: bytes,
    door: tuple[str, int],
    buffer: Buffer,
    on_end: Callable[[], None],
) -> None:
    """Connect a client, whose first bytes have been read, to the node's door.

    `on_end` is called when the client's connection has ended.
    """
    client.pause_reading()
    near = Side(buffer, on_end)
    near.transport = client
    client.set_protocol(near)
    _limit(client)
    loop.create_task(_connect(loop, near, first, door, buffer))


async def _connect(
    loop: Loop, near: Side, first: bytes, door: tuple[str, int], buffer: Buffer
) -> None:
    assert near.transport is not None
    far = Side(buffer, _nothing)
    far.other = near  # before it is connected: the node speaks at once
    try:
        await loop.create_connection(lambda: far, *door)
    except OSError:
        cut(near.transport)
        return
    assert far.transport is not None
    if near.transport.is_closing():
        far.transport.abort()
        return
    near.other = far
    far.transport.write(first)
    near.transport.resume_reading()


def _limit(transport: asyncio.Transport) -> None:
    transport.set_write_buffer_limits(PIECE_BYTES, 0)


def _nothing() -> None:
    """The end of this side is told by the other one."""
