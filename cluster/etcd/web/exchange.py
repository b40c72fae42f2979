"""One request of HTTP/1.1 and its answer, as those who answer see them.

It owns the form of an answer: status line, headers, chunks. It refuses to know sockets: what it
writes goes to a function, and its connection tells it when the client is gone.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from http import HTTPStatus
from typing import Any, Final, NamedTuple, Protocol
from urllib.parse import parse_qs, unquote

PLAIN: Final = "text/plain; charset=utf-8"
JSON: Final = "application/json"

Headers = tuple[tuple[str, str], ...]

NOSNIFF: Final[Headers] = (("X-Content-Type-Options", "nosniff"),)


class HttpRequest(NamedTuple):
    """The head of a request. Names of headers are in lower case; of a repeated one the last counts.

    `version` is `1.1` or `1.0`. `target` is as it was sent: a path, perhaps with a query.
    """

    method: str
    target: str
    version: str
    headers: dict[str, str]

    @property
    def path(self) -> str:
        """The path without the query, percent-decoded; also of a target with scheme and host."""
        path = self.target.partition("?")[0]
        if not path.startswith("/"):
            _, separator, rest = path.partition("://")
            path = "/" + rest.partition("/")[2] if separator else path
        return unquote(path)

    def query(self) -> dict[str, list[str]]:
        """The values of each name in the query; a name alone has an empty value."""
        return parse_qs(self.target.partition("?")[2], keep_blank_values=True)


class BodySink(Protocol):
    """What becomes of a request's body, and of the answer when the client goes or reads."""

    def on_data(self, data: bytes) -> None:
        """A part of the body."""

    def on_end(self) -> None:
        """The body is complete."""

    def on_gone(self) -> asyncio.Task[None] | None:
        """The client has gone: stop all work for it; returns what must still be undone."""

    def on_drained(self) -> None:
        """The client has read what waited for it."""


class Line(Protocol):
    """What an exchange needs of its connection."""

    def write(self, data: bytes) -> None:
        """Send bytes to the client."""

    def ended(self, exchange: Exchange) -> None:
        """The answer is complete."""

    def unread(self) -> int:
        """Bytes that wait for the client to read them."""

    def hold(self, *, is_held: bool) -> None:
        """Take no more bytes from the client for now, or take them again."""

    def common(self, request: HttpRequest) -> str:
        """The header lines that every answer to this request has."""


class Exchange:
    """One request under way. Either `answer` is called once, or `begin`, `write`..., `end`.

    Calls after the end, or after the client has gone, do nothing: a late answer is no error.
    """

    def __init__(self, request: HttpRequest, line: Line) -> None:
        self.request = request
        self.is_over = False
        self.must_close = not _keeps_alive(request)
        self.line = line
        self._is_chunked = False
        self._has_begun = False

    @property
    def has_begun(self) -> bool:
        """Whether the status line is written: then it is too late for another."""
        return self._has_begun

    def answer(
        self, status: int, body: bytes, content_type: str = JSON, headers: Headers = ()
    ) -> None:
        """Send a whole answer."""
        if self.is_over or self._has_begun:
            return
        self._has_begun = True
        length = f"Content-Length: {len(body)}\r\n"
        head = self._head(status, content_type, headers, length)
        self.line.write(head + body if self.request.method != "HEAD" else head)
        self._end()

    def refuse(self, status: int, text: str, headers: Headers = ()) -> None:
        """Send an error as etcd's web server words it: a line of plain text."""
        self.answer(status, text.encode(), PLAIN, headers + NOSNIFF)

    def answer_json(self, status: int, value: Any) -> None:
        """Send a value as compact JSON."""
        self.answer(status, json.dumps(value, separators=(",", ":")).encode())

    def begin(self, content_type: str = JSON, headers: Headers = ()) -> None:
        """Send the head of an answer whose length is not known: status 200."""
        if self.is_over or self._has_begun:
            return
        self._has_begun = True
        # A client of HTTP/1.0 knows no chunks: for it the answer ends with the connection.
        self._is_chunked = self.request.version != "1.0"
        self.must_close = self.must_close or not self._is_chunked
        length = "Transfer-Encoding: chunked\r\n" if self._is_chunked else ""
        self.line.write(self._head(HTTPStatus.OK, content_type, headers, length))

    def write(self, data: bytes) -> None:
        """Send a part of an answer that `begin` began."""
        if self.is_over or not data:
            return
        self.line.write(b"%x\r\n%b\r\n" % (len(data), data) if self._is_chunked else data)

    def end(self) -> None:
        """End an answer that `begin` began."""
        if self.is_over:
            return
        if self._is_chunked:
            self.line.write(b"0\r\n\r\n")
        self._end()

    def gone(self) -> None:
        """Take note that the client has gone; its connection calls this."""
        self.is_over = True

    def _end(self) -> None:
        self.is_over = True
        self.line.ended(self)

    def _head(self, status: int, content_type: str, headers: Headers, length: str) -> bytes:
        phrase = HTTPStatus(status).phrase
        lines = [
            f"HTTP/{self.request.version} {status} {phrase}\r\n",
            self.line.common(self.request),
        ]
        if content_type:
            lines.append(f"Content-Type: {content_type}\r\n")
        lines += [f"{name}: {value}\r\n" for name, value in headers]
        lines.append(length)
        if self.must_close:
            lines.append("Connection: close\r\n")
        elif self.request.version == "1.0":
            lines.append("Connection: keep-alive\r\n")
        lines.append("\r\n")
        return "".join(lines).encode("latin-1")


def _keeps_alive(request: HttpRequest) -> bool:
    """Whether the client wants its connection to stay open, RFC 9112 section 9.3."""
    words = {word.strip().lower() for word in request.headers.get("connection", "").split(",")}
    return "keep-alive" in words if request.version == "1.0" else "close" not in words


class Whole:
    """A Sink that gathers a whole body, and then hands it over. A larger body is refused."""

    def __init__(self, exchange: Exchange, bytes_max: int, then: Callable[[bytes], None]) -> None:
        self._exchange = exchange
        self._bytes_max = bytes_max
        self._then = then
        self._parts: list[bytes] = []
        self._size = 0
        self.gone: Callable[[], asyncio.Task[None] | None] = _nothing
        self.drained: Callable[[], None] = _nothing

    def on_data(self, data: bytes) -> None:
        """A part of the body."""
        self._size += len(data)
        if self._size > self._bytes_max:
            self._parts.clear()
            self._exchange.must_close = True
            self._exchange.refuse(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                f"leasehold: the body is larger than {self._bytes_max} bytes",
            )
            return
        self._parts.append(data)

    def on_end(self) -> None:
        """The body is complete."""
        if not self._exchange.is_over:
            body = b"".join(self._parts)
            self._parts.clear()
            self._then(body)

    def on_gone(self) -> asyncio.Task[None] | None:
        """The client has gone."""
        self._parts.clear()
        return self.gone()

    def on_drained(self) -> None:
        """The client has read what waited for it."""
        self.drained()


def _nothing() -> None:
    """What is done where nothing is to be done."""


def bodyless(exchange: Exchange) -> Whole:
    """The sink of a request that was answered by its head."""
    return Whole(exchange, 0, lambda _: None)
