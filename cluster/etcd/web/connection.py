"""One connection of HTTP/1.1: httptools parses it, this module keeps order and limits.

One request is under way at a time; those that a client sends ahead wait, and meanwhile the
connection is not read. It refuses to know what a path means.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from http import HTTPStatus
from typing import Final, Protocol, cast

import httptools

from cluster.etcd.web.exchange import BodySink, Exchange, HttpRequest
from cluster.etcd.web.limits import (
    BODY_STALL_SECONDS_MAX,
    HEAD_BYTES_MAX,
    HEAD_SECONDS_MAX,
    HEADERS_MAX,
    IDLE_SECONDS_MAX,
    PIPELINED_MAX,
    READ_STALL_SECONDS_MAX,
    UNWANTED_BYTES_MAX,
)

CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"

_SINGLE: Final = frozenset({"content-length", "host", "transfer-encoding"})
"""Headers that a request may have only once: two readers must not read two requests."""


class Owner(Protocol):
    """What a connection needs of the server that it belongs to."""

    def route(self, exchange: Exchange) -> BodySink:
        """Begin to answer a request whose head is complete."""

    def common(self, request: HttpRequest) -> str:
        """The header lines that every answer to this request has."""

    def opened(self, connection: HttpConnection) -> None:
        """A connection has opened."""

    def closed(self, connection: HttpConnection, undoing: asyncio.Task[None] | None) -> None:
        """A connection has closed; `undoing` takes back what its request has left behind."""


class _Arrived:
    """A request that waits for an earlier one: its body is kept until then."""

    def __init__(self, exchange: Exchange) -> None:
        self.exchange = exchange
        self.parts: list[bytes] = []
        self.is_complete = False


class HttpConnection(asyncio.Protocol):
    """One connection of HTTP/1.1, from its first byte to its last."""

    def __init__(self, owner: Owner, clock: Callable[[], float]) -> None:
        self._owner = owner
        self._clock = clock
        self._parser = httptools.HttpRequestParser(self)
        self._transport: asyncio.Transport | None = None
        self._exchange: Exchange | None = None
        self._sink: BodySink | None = None
        self._behind: deque[_Arrived] = deque()
        self._is_closing = False
        self._is_held = False
        # The request that is being parsed.
        self._target = b""
        self._head_bytes = 0
        # What came of a body after its request was answered.
        self._unwanted_bytes = 0
        self._fields: list[tuple[bytes, bytes]] = []
        self._in_head = False
        self._in_body = False
        self._unparsed_bytes = 0
        self._is_last = False
        self._since = clock()
        self._unread_before = 0

    # --- asyncio ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports have the methods, and not the class.
        self._transport = cast(asyncio.Transport, transport)
        self._owner.opened(self)

    def data_received(self, data: bytes) -> None:
        if not self._in_body:
            self._head_bytes += len(data)
        try:
            self._feed(data)
        except httptools.HttpParserError as error:
            if not self._is_last:
                self._refuse_bytes(HTTPStatus.BAD_REQUEST, str(error))
        if self._head_bytes > HEAD_BYTES_MAX and not self._is_closing:
            self._refuse_bytes(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "")

    def _feed(self, data: bytes) -> None:
        while data and not self._is_closing and not self._is_last:
            if self._unparsed_bytes:
                data = self._take_unparsed(data)
                continue
            try:
                self._parser.feed_data(data)
                return
            except httptools.HttpParserUpgrade as upgrade:
                # The client offers another protocol; this one goes on, as RFC 9110 section 7.8
                # lets a server. The parser has stopped at the end of the head.
                data = data[int(upgrade.args[0]) :]
                self._parser = httptools.HttpRequestParser(self)

    def _take_unparsed(self, data: bytes) -> bytes:
        """Take the body of a request that offered another protocol; returns what follows it."""
        body, rest = data[: self._unparsed_bytes], data[self._unparsed_bytes :]
        self._unparsed_bytes -= len(body)
        self.on_body(body)
        if not self._unparsed_bytes:
            self.on_message_complete()
        return rest

    def eof_received(self) -> bool:
        """The client sends no more: it still gets the answer to what it has asked.

        A stream has no last answer, so it ends, as it does in Go's server.
        """
        self._is_closing = True
        self._behind.clear()
        exchange = self._exchange
        if exchange is None or exchange.has_begun or self._in_body:
            return False
        exchange.must_close = True
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        self._is_closing = True
        self._behind.clear()
        exchange, sink = self._exchange, self._sink
        self._exchange = self._sink = None
        if exchange is not None:
            exchange.gone()
        self._owner.closed(self, None if sink is None else sink.on_gone())

    def resume_writing(self) -> None:
        if self._sink is not None:
            self._sink.on_drained()

    # --- httptools ---

    def on_message_begin(self) -> None:
        self._target = b""
        self._fields = []
        self._in_head = True
        self._in_body = False

    def on_url(self, url: bytes) -> None:
        self._target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        # Trailers say nothing that is used here.
        if self._in_head:
            self._fields.append((name, value))

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._in_body = True
        self._head_bytes = self._unwanted_bytes = 0
        self._touch()
        if self._is_closing:
            return
        request = self._request()
        fault = _fault_of(request, self._fields)
        if fault is not None:
            self._refuse_bytes(HTTPStatus.BAD_REQUEST, fault)
            return
        if self._parser.should_upgrade():
            self._unparsed_bytes = int(request.headers.get("content-length", "0"))
        exchange = Exchange(request, self)
        if self._exchange is None:
            self._begin(exchange)
        elif len(self._behind) < PIPELINED_MAX:
            self._behind.append(_Arrived(exchange))
            self._read_or_not()
        else:
            self._close()

    def on_body(self, body: bytes) -> None:
        self._touch()
        if self._behind:
            self._behind[-1].parts.append(body)
        elif self._exchange is None:
            self._unwanted_bytes += len(body)
            if self._unwanted_bytes > UNWANTED_BYTES_MAX:
                self._close()
        elif self._sink is not None and not self._is_closing:
            self._sink.on_data(body)

    def on_message_complete(self) -> None:
        if self._unparsed_bytes or self._is_closing:
            return
        self._in_body = False
        self._touch()
        exchange = self._behind[-1].exchange if self._behind else self._exchange
        # RFC 9112 section 9.6: after a request that closes, nothing more is read.
        self._is_last = exchange is not None and exchange.must_close
        if self._behind:
            self._behind[-1].is_complete = True
        elif self._sink is not None:
            self._sink.on_end()

    # --- one request after the other ---

    def _request(self) -> HttpRequest:
        method = self._parser.get_method().decode("latin-1")
        headers = {
            name.decode("latin-1").lower(): value.decode("latin-1") for name, value in self._fields
        }
        target = self._target.decode("latin-1")
        return HttpRequest(method, target, self._parser.get_http_version(), headers)

    def _begin(self, exchange: Exchange) -> None:
        self._exchange = exchange
        if exchange.request.headers.get("expect", "").lower() == "100-continue":
            self.write(CONTINUE)
        sink = self._owner.route(exchange)
        # It may have been answered at once; then there is nobody for its body.
        if self._exchange is exchange:
            self._sink = sink

    def common(self, request: HttpRequest) -> str:
        """The header lines that every answer to this request has."""
        return self._owner.common(request)

    def ended(self, exchange: Exchange) -> None:
        """An answer is complete: begin what the client has sent meanwhile, or close."""
        if exchange is not self._exchange:
            return
        self._exchange = self._sink = None
        self._is_held = False
        self._touch()
        if exchange.must_close:
            self._close()
            return
        # What comes of its body from now on is unwanted, and no part of a next request.
        self._go_on()

    def _go_on(self) -> None:
        """Begin the next request that has arrived, if one has."""
        while self._behind and self._exchange is None and not self._is_closing:
            arrived = self._behind.popleft()
            self._begin(arrived.exchange)
            sink = self._sink
            for part in arrived.parts:
                if sink is not None:
                    sink.on_data(part)
            if arrived.is_complete and sink is not None:
                sink.on_end()
        self._read_or_not()

    def hold(self, *, is_held: bool) -> None:
        """Take no more bytes from the client for now, or take them again."""
        self._is_held = is_held
        self._read_or_not()

    def _read_or_not(self) -> None:
        if self._transport is None or self._is_closing:
            return
        if self._behind or self._is_held:
            self._transport.pause_reading()
        else:
            self._transport.resume_reading()

    # --- limits ---

    def unread(self) -> int:
        """Bytes that wait for the client to read them."""
        return 0 if self._transport is None else self._transport.get_write_buffer_size()

    def look(self, now: float) -> None:
        """End the connection if the client has been too slow for too long."""
        unread = self.unread()
        if unread:
            if unread < self._unread_before or not self._unread_before:
                self._since = now
            self._unread_before = unread
            if now - self._since > READ_STALL_SECONDS_MAX and self._transport is not None:
                self._transport.abort()
            return
        self._unread_before = 0
        if self._exchange is not None and not self._in_body:
            return
        seconds_max = IDLE_SECONDS_MAX
        if self._in_head or self._head_bytes:
            seconds_max = HEAD_SECONDS_MAX
        elif self._in_body:
            seconds_max = BODY_STALL_SECONDS_MAX
        if now - self._since > seconds_max:
            self._close()

    def _touch(self) -> None:
        self._since = self._clock()

    def _refuse_bytes(self, status: HTTPStatus, reason: str) -> None:
        """Answer bytes that are no request, as Go's server does, and close."""
        text = f"{int(status)} {status.phrase}" + (f": {reason}" if reason else "")
        if self._exchange is None:
            head = f"HTTP/1.1 {text}\r\nContent-Type: text/plain; charset=utf-8\r\n"
            self.write(f"{head}Connection: close\r\n\r\n{text}".encode("latin-1", "replace"))
        self._close()

    def go_away(self) -> None:
        """Close when the answer under way is written: the node is stopping."""
        if self._exchange is None:
            self._close()
        else:
            self._exchange.must_close = True

    def _close(self) -> None:
        self._is_closing = True
        if self._transport is not None:
            self._transport.close()

    def write(self, data: bytes) -> None:
        """Send bytes to the client."""
        if self._transport is not None:
            self._transport.write(data)


def _fault_of(request: HttpRequest, fields: list[tuple[bytes, bytes]]) -> str | None:
    """Why a head is refused, or None; the rules are those of RFC 9112."""
    if len(fields) > HEADERS_MAX:
        return f"more than {HEADERS_MAX} headers"
    names = [name.lower() for name, _ in fields]
    for name in _SINGLE:
        if names.count(name.encode()) > 1:
            return f"more than one {name}"
    if request.version not in {"1.1", "1.0"}:
        return f"unsupported protocol version HTTP/{request.version}"
    if request.version == "1.1" and "host" not in request.headers:
        return "missing required Host header"  # section 3.2
    coding = request.headers.get("transfer-encoding")
    if coding is not None and coding.strip().lower() != "chunked":
        return f"unsupported transfer encoding {coding[:80]!r}"  # section 6.1
    if coding is not None and "content-length" in request.headers:
        return "both Content-Length and Transfer-Encoding"  # section 6.3: may be smuggling
    if coding is not None and "upgrade" in request.headers:
        return "Upgrade with a chunked body"
    return None
