"""A connection of HTTP/1.1 without a socket: bytes go in, and what it writes is read back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from cluster.etcd.web.connection import HttpConnection
from cluster.etcd.web.exchange import BodySink, Exchange, HttpRequest, Whole


class Wire(asyncio.Transport):
    """The transport of a connection under test. `unread` bytes wait for the client to read."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.is_closed = False
        self.is_aborted = False
        self.is_paused = False
        self.unread = 0

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if not self.is_closed:
            self.written += data

    def close(self) -> None:
        self.is_closed = True

    def abort(self) -> None:
        self.is_closed = self.is_aborted = True

    def pause_reading(self) -> None:
        self.is_paused = True

    def resume_reading(self) -> None:
        self.is_paused = False

    def get_write_buffer_size(self) -> int:
        return self.unread


class Desk:
    """An owner that gathers each request with its whole body; the test answers."""

    def __init__(self, bytes_max: int = 1_000) -> None:
        self.bytes_max = bytes_max
        self.asked: list[tuple[Exchange, bytes]] = []
        self.opened_count = 0
        self.closed_count = 0

    def route(self, exchange: Exchange) -> BodySink:
        return Whole(exchange, self.bytes_max, lambda body: self.asked.append((exchange, body)))

    def common(self, request: HttpRequest) -> str:
        return "X-Common: 1\r\n"

    def opened(self, connection: HttpConnection) -> None:
        self.opened_count += 1

    def closed(self, connection: HttpConnection, undoing: asyncio.Task[None] | None) -> None:
        self.closed_count += 1


class Paper:
    """A line that keeps what is written."""

    def __init__(self) -> None:
        self.written = b""

    def write(self, data: bytes) -> None:
        self.written += data

    def ended(self, exchange: Exchange) -> None:
        pass

    def unread(self) -> int:
        return 0

    def hold(self, *, is_held: bool) -> None:
        pass

    def common(self, request: HttpRequest) -> str:
        return ""

    @property
    def head(self) -> bytes:
        return self.written.partition(b"\r\n\r\n")[0]

    @property
    def body(self) -> bytes:
        return self.written.partition(b"\r\n\r\n")[2]


class Client:
    """Both ends: `send` what a client sends, `read` what it gets."""

    def __init__(self, make: Callable[[Callable[[], float]], HttpConnection]) -> None:
        """`make` is given the clock, and makes the connection."""
        self.now = 0.0
        self.wire = Wire()
        self.connection = make(lambda: self.now)
        self.connection.connection_made(self.wire)

    def send(self, data: bytes) -> None:
        self.connection.data_received(data)

    def look(self, seconds: float) -> None:
        """Let time pass, and let the connection look at its limits."""
        self.now += seconds
        self.connection.look(self.now)

    def read(self) -> bytes:
        """What was written since the last call."""
        written, self.wire.written = self.wire.written, b""
        return written


Asked = dict[str, Any]


class Node:
    """A node that answers by a function."""

    def __init__(self, answer: Callable[[Asked], Asked]) -> None:
        self.answer = answer
        self.requests: list[Asked] = []

    def call(
        self,
        request: Asked,
        done: Callable[[Asked], None],
        timeout_seconds: float | None = None,
    ) -> int:
        self.requests.append(request)
        done(self.answer(request))
        return len(self.requests)
