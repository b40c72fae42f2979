"""Relay: ZeroMQ inside TLS. It carries the bytes between a client's sockets and nodes' TLS.

libzmq cannot speak TLS. So for an endpoint with TLS it connects to a unix socket in this process,
and a thread passes the bytes on inside TLS, both ways, with back-pressure. A random number names
the socket, which is no file, and only this process may connect: others would speak with the
client's certificate. Refuses to know what the bytes say.
"""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
import struct
import threading
from collections import deque
from collections.abc import Callable, Iterator
from secrets import token_hex
from typing import Final, NamedTuple, cast

from cluster.tls.asking import connection_error

PIECE_BYTES: Final = 64 * 1024
"""With more that waits for one side, the other is not read."""

HANDSHAKE_SECONDS: Final = 5.0
BACKLOG: Final = 4
STOP_SECONDS: Final = 5.0

_CREDENTIALS: Final = struct.Struct("3i")
"""What the system says of the process at the other end of a unix socket: its pid comes first."""


class Target(NamedTuple):
    """A node's address, and the host that its certificate must be for."""

    name: str
    host: str
    port: int
    server_name: str


class RelayFailure(NamedTuple):
    """No connection inside TLS could be made to the endpoint of this name, for this reason."""

    name: str
    reason: str


class _Side(asyncio.Protocol):
    """One of the two connections of a passage; what it receives goes to `other`."""

    def __init__(self, on_end: Callable[[Exception | None], None]) -> None:
        self.transport: asyncio.Transport | None = None
        self.other: _Side | None = None
        self._on_end = on_end

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.transport.set_write_buffer_limits(PIECE_BYTES)
        if self.other is None:
            self.transport.pause_reading()

    def data_received(self, data: bytes) -> None:
        if self.other is not None and self.other.transport is not None:
            self.other.transport.write(data)

    def pause_writing(self) -> None:
        if self.other is not None and self.other.transport is not None:
            self.other.transport.pause_reading()

    def resume_writing(self) -> None:
        if self.other is not None and self.other.transport is not None:
            self.other.transport.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        # Why it ended is said before the other side closes, and its owner asks.
        self._on_end(exc)
        other, self.other = self.other, None
        if other is not None and other.transport is not None:
            other.other = None
            other.transport.close()  # what it has not read yet is still sent


class Relay:
    """The connections inside TLS of one client; `on_news`: `take` has something."""

    def __init__(self, context: ssl.SSLContext, on_news: Callable[[], None]) -> None:
        self._context = context
        self._on_news = on_news
        self._failed: deque[RelayFailure] = deque()
        # The endpoints whose latest connection is, or was, inside TLS.
        self._inside: set[str] = set()
        self._loop = asyncio.SelectorEventLoop()
        self._listening: dict[str, socket.socket] = {}
        self._passages: set[asyncio.Task[None]] = set()
        self._thread = threading.Thread(target=self._run, name="leasehold-tls", daemon=True)
        self._thread.start()

    # --- the carrier of the engine ---

    def open(self, target: Target) -> str:
        """Where libzmq can connect to reach a target inside TLS, until `close` of its name."""
        own = f"leasehold-{token_hex(16)}"
        listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listening.setblocking(False)
        listening.bind(f"\0{own}")
        listening.listen(BACKLOG)
        self._loop.call_soon_threadsafe(self._listen, listening, target)
        return f"ipc://@{own}"

    def close(self, name: str) -> None:
        """Take no further connections for this endpoint; libzmq has closed those that there are."""
        self._loop.call_soon_threadsafe(self._close, name)

    def has_shaken_hands(self, name: str) -> bool:
        """Whether the latest connection to this endpoint got as far as TLS."""
        return name in self._inside

    def take(self) -> Iterator[RelayFailure]:
        """The failures since the last call."""
        while self._failed:
            yield self._failed.popleft()

    def end(self) -> None:
        """End the thread and all that it has open."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(STOP_SECONDS)

    # --- the thread ---

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_forever()
            for name in tuple(self._listening):
                self._close(name)
            for task in tuple(self._passages):
                task.cancel()
            self._loop.run_until_complete(asyncio.gather(*self._passages, return_exceptions=True))
        finally:
            self._loop.close()

    def _listen(self, listening: socket.socket, target: Target) -> None:
        self._listening[target.name] = listening
        self._loop.add_reader(listening, self._accept, listening, target)

    def _close(self, name: str) -> None:
        listening = self._listening.pop(name, None)
        if listening is not None:
            self._loop.remove_reader(listening)
            listening.close()

    def _accept(self, listening: socket.socket, target: Target) -> None:
        try:
            accepted, _ = listening.accept()
        except OSError:
            return  # it has gone already
        if not _is_own(accepted):
            accepted.close()
            return
        accepted.setblocking(False)
        task = self._loop.create_task(self._pass(accepted, target))
        self._passages.add(task)
        task.add_done_callback(self._passages.discard)

    async def _pass(self, accepted: socket.socket, target: Target) -> None:
        """Carry one connection to its end."""
        ended = asyncio.Event()
        self._inside.discard(target.name)

        def lost(error: Exception | None) -> None:
            if isinstance(error, ssl.SSLError):  # a node that refuses a client says so only now
                self._fail(target, error)
            ended.set()

        near, far = _Side(lambda _: ended.set()), _Side(lost)
        await self._loop.connect_accepted_socket(lambda: near, accepted)
        dialing = self._loop.create_task(self._dial(far, near, target))
        ending = self._loop.create_task(ended.wait())
        try:
            await asyncio.wait((dialing, ending), return_when=asyncio.FIRST_COMPLETED)
            if dialing.done():
                await dialing
                await ending
        except OSError as error:
            self._fail(target, error)
        finally:
            dialing.cancel()
            ending.cancel()
            await asyncio.gather(dialing, ending, return_exceptions=True)
            for side in (near, far):
                if side.transport is not None:
                    side.transport.abort()

    async def _dial(self, far: _Side, near: _Side, target: Target) -> None:
        far.other = near
        await self._loop.create_connection(
            lambda: far,
            target.host,
            target.port,
            ssl=self._context,
            server_hostname=target.server_name,
            ssl_handshake_timeout=HANDSHAKE_SECONDS,
        )
        near.other = far
        self._inside.add(target.name)
        if near.transport is not None and not near.transport.is_closing():
            near.transport.resume_reading()

    def _fail(self, target: Target, error: OSError) -> None:
        reason = connection_error(error)
        if reason:
            self._failed.append(RelayFailure(target.name, reason))
            self._on_news()


def _is_own(accepted: socket.socket) -> bool:
    """Whether this process is at the other end."""
    said = accepted.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    return bool(_CREDENTIALS.unpack(said)[0] == os.getpid())
