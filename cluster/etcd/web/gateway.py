"""etcd's JSON gateway: a POST of JSON for each RPC, the answer as JSON, streams as lines.

It is a transport of `services`, as gRPC is: what a call does is written there. It owns the form of
errors, which is that of etcd 3.5 (grpc-gateway 1).
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from http import HTTPStatus
from typing import Any, Final

from cluster.etcd.counters import RpcCounters
from cluster.etcd.rpc.json_answers import error_json, pieces, stream_error_json, to_json
from cluster.etcd.rpc.json_requests import from_json
from cluster.etcd.rpc.mapping import response_of, responses_of
from cluster.etcd.rpc.schema import HTTP, Rpc, RpcKind
from cluster.etcd.rpc.status import OK, RpcError, error_of
from cluster.etcd.services.calls import MESSAGE_OVERHEAD_BYTES, QUEUED_BYTES_MAX, Service
from cluster.etcd.web.exchange import JSON, BodySink, Exchange, Headers, Whole, bodyless
from cluster.etcd.web.limits import (
    BODY_OVERHEAD_BYTES,
    LARGE_ANSWER_BYTES,
    UNREAD_BYTES_MAX,
)
from cluster.etcd.web.splitter import ObjectSplitter
from cluster.faults import UNKNOWN
from cluster.wire import LazyMap

PREFIXES: Final = ("/v3/", "/v3beta/")

FROM_GRPC: Final[Headers] = (("Grpc-Metadata-Content-Type", "application/grpc"),)

SHORT_ANSWER_BYTES: Final = 2_048
"""Longer answers are sent in chunks, as Go's server sends those that do not fit its buffer."""

Serve = Callable[["WebCall"], Service]


class Gateway:
    """The JSON gateway of one front."""

    def __init__(
        self,
        counters: RpcCounters,
        request_bytes_max: int,
        unread: Callable[[], int],
    ) -> None:
        self.counters = counters
        self.unread = unread
        self._message_bytes_max = request_bytes_max + MESSAGE_OVERHEAD_BYTES
        # Base64 makes four bytes of three.
        self._body_bytes_max = self._message_bytes_max * 4 // 3 + BODY_OVERHEAD_BYTES

    def route(self, exchange: Exchange, serve: Serve) -> BodySink | None:
        """Begin the call that a path names; None for a path that no RPC has.

        `serve` makes the service of the call.
        """
        path = exchange.request.path
        if path.startswith(PREFIXES[1]):
            path = PREFIXES[0] + path.removeprefix(PREFIXES[1])
        rpc = HTTP.get(path)
        if rpc is None:
            return None
        if exchange.request.method != "POST":
            exchange.refuse(HTTPStatus.METHOD_NOT_ALLOWED, "Method Not Allowed\n")
            return bodyless(exchange)
        call = WebCall(rpc, exchange, self, _metadata(exchange.request.headers))
        self.counters.started[rpc.path] += 1
        if rpc.kind is RpcKind.BOTH_STREAM:
            return _Stream(call, serve, ObjectSplitter(self._body_bytes_max), self)
        return self._whole(call, exchange, serve)

    def _whole(self, call: WebCall, exchange: Exchange, serve: Serve) -> Whole:
        """A call with one request message."""

        def begin(body: bytes) -> None:
            request = self.decode(body, call)
            if request is None:
                return
            service = serve(call)
            whole.gone = service.on_cancel
            call.on_drained = service.on_drained
            service.on_request(request)
            service.on_half_close()

        whole = Whole(exchange, self._body_bytes_max, begin)
        whole.drained = call.drained
        return whole

    def decode(self, body: bytes, call: WebCall) -> dict[str, Any] | None:
        """The request map of a body; a faulty one ends the call, and gives None."""
        rpc = call.rpc
        try:
            request = from_json(rpc, body, self._message_bytes_max)
        except RpcError as error:
            call.finish(error)
            return None
        self.counters.received[rpc.path] += 1
        return request


class WebCall:
    """One call over HTTP/1.1: a whole answer, or lines of a chunked one."""

    def __init__(
        self, rpc: Rpc, exchange: Exchange, gateway: Gateway, metadata: Mapping[bytes, bytes]
    ) -> None:
        self.rpc = rpc
        self.metadata = metadata
        self.is_over = False
        self.is_paused = False
        self.on_resumed: Callable[[], None] = _nothing
        self.on_drained: Callable[[], None] = _nothing
        self._exchange = exchange
        self._gateway = gateway
        self._answer: dict[str, Any] | None = None
        # The rest of a long answer, while it waits for the client to read.
        self._waiting: Iterator[bytes] | None = None

    def queued(self) -> int:
        """Bytes that wait for the client to read them."""
        return self._exchange.line.unread()

    def pause(self) -> None:
        """Take no more requests from the client for now."""
        self.is_paused = True
        self._exchange.line.hold(is_held=True)

    def resume(self) -> None:
        """Take requests again."""
        self.is_paused = False
        self._exchange.line.hold(is_held=False)
        self.on_resumed()

    def send(self, reply: dict[str, Any]) -> None:
        """Send a response."""
        if self.is_over:
            return
        rpc = self.rpc
        self._gateway.counters.sent[rpc.path] += 1
        if rpc.kind is RpcKind.UNARY:
            self._answer = reply
            return
        self._exchange.begin(JSON, FROM_GRPC)
        self._exchange.write(b'{"result":%b}\n' % to_json(response_of(rpc, reply)))

    def finish(self, error: RpcError | None = None) -> None:
        """End the call."""
        if self.is_over:
            return
        self.is_over = True
        if error is None and self._answer is not None:
            error = self._finish_answered(self._answer)
        self._gateway.counters.handled[self.rpc.path, OK if error is None else error.code] += 1
        exchange = self._exchange
        if error is not None and exchange.has_begun:
            exchange.write(stream_error_json(error) + b"\n")
            exchange.end()
        elif error is not None:
            exchange.answer(error.http_status, error_json(error))
        elif self._answer is None:
            exchange.begin(JSON)
            exchange.end()

    def _finish_answered(self, answer: dict[str, Any]) -> RpcError | None:
        """Begin to send the one answer of the call; the error if there is no room for it."""
        rpc, exchange = self.rpc, self._exchange
        text, rest = b"", None
        if isinstance(answer, LazyMap):
            rest = pieces(responses_of(rpc, answer))
        else:
            text = to_json(response_of(rpc, answer))
        is_large = rest is not None or len(text) > LARGE_ANSWER_BYTES
        if is_large and self._gateway.unread() > UNREAD_BYTES_MAX:
            return error_of("TooManyRequests")
        if rest is None and len(text) <= SHORT_ANSWER_BYTES:
            exchange.answer(HTTPStatus.OK, text, JSON, FROM_GRPC)
            return None
        exchange.begin(JSON, FROM_GRPC)
        if rest is None:
            exchange.write(text)
            exchange.end()
        else:
            self._write_pieces(rest)
        return None

    def drained(self) -> None:
        """The client has read what waited for it."""
        if self._waiting is not None:
            rest, self._waiting = self._waiting, None
            self._write_pieces(rest)
        elif not self.is_over:
            self.on_drained()

    def _write_pieces(self, rest: Iterator[bytes]) -> None:
        """Write one piece in each turn of the loop, so that others are served meanwhile.

        While the client has enough to read, the rest waits: `drained` goes on.
        """
        exchange = self._exchange
        if exchange.is_over:
            return
        if exchange.line.unread() > QUEUED_BYTES_MAX:
            self._waiting = rest
            return
        piece = next(rest, None)
        if piece is None:
            exchange.end()
            return
        exchange.write(piece)
        asyncio.get_running_loop().call_soon(self._write_pieces, rest)


class _Stream:
    """The body of a call with a stream of requests: each object is one, as soon as it is there."""

    def __init__(
        self, call: WebCall, serve: Serve, splitter: ObjectSplitter, gateway: Gateway
    ) -> None:
        self._call = call
        self._splitter = splitter
        self._gateway = gateway
        self._waiting: deque[bytes] = deque()
        self._is_complete = False
        self._has_begun = False
        self._has_ended = False
        call.on_resumed = self._go_on
        self._service = serve(call)

    def on_data(self, data: bytes) -> None:
        """A part of the body."""
        if self._is_complete:
            return
        self._waiting += self._splitter.feed(data)
        if self._splitter.is_broken:
            # What is no object is refused where JSON is read, with etcd's text.
            self._waiting.append(self._splitter.rest())
            self._is_complete = True
        self._go_on()

    def on_end(self) -> None:
        """The client sends no more requests."""
        if not self._is_complete and (rest := self._splitter.rest()):
            self._waiting.append(rest)
        self._is_complete = True
        self._go_on()

    def on_gone(self) -> asyncio.Task[None] | None:
        """The client has gone."""
        return self._service.on_cancel()

    def on_drained(self) -> None:
        """The client has read what waited for it."""
        self._service.on_drained()

    def _go_on(self) -> None:
        """Hand over what has arrived, unless the service wants no more for now."""
        call = self._call
        while self._waiting and not (self._has_ended or call.is_paused or call.is_over):
            self._take(self._waiting.popleft())
        if self._is_complete and not (self._waiting or self._has_ended or call.is_over):
            self._end()

    def _take(self, value: bytes) -> None:
        try:
            request = from_json(self._call.rpc, value)
        except RpcError as error:
            self._refuse(error)
            return
        self._gateway.counters.received[self._call.rpc.path] += 1
        self._has_begun = True
        self._service.on_request(request)

    def _refuse(self, error: RpcError) -> None:
        """As in etcd: a faulty first request is an error, a later one only ends the requests."""
        if self._has_begun:
            self._end()
            return
        self._has_ended = True
        self._service.on_cancel()
        self._call.finish(RpcError(UNKNOWN, error.message))

    def _end(self) -> None:
        self._has_ended = True
        self._service.on_half_close()


def _metadata(headers: Mapping[str, str]) -> dict[bytes, bytes]:
    """The headers that become metadata of a call: credentials, and what is marked so."""
    metadata = {
        name.removeprefix("grpc-metadata-").encode(): value.encode("latin-1")
        for name, value in headers.items()
        if name.startswith("grpc-metadata-")
    }
    if "authorization" in headers:
        metadata[b"authorization"] = headers["authorization"].encode("latin-1")
    return metadata


def _nothing() -> None:
    """What a call without a stream of requests does when it may go on."""
