"""One gRPC call: from its request's headers to its trailers.

`UnaryCall` is the short way for a request that one operation of the node answers: most calls, and
all that are counted in thousands a second. `served` has the other kind, which answers alike.
Refuses to know what an RPC does.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any, Final, Protocol

from google.protobuf.message import Message

from cluster.etcd.counters import RpcCounters
from cluster.etcd.grpc.headers import OK_TRAILERS_BLOCK, RESPONSE_BLOCK, RESPONSE_HEADERS, trailers
from cluster.etcd.grpc.messages import MessageSplitter, framed, prefix, whole
from cluster.etcd.http2 import Http2Stream, ServerConnection
from cluster.etcd.rpc.mapping import ResponseEncoder, decode, responses_of
from cluster.etcd.rpc.schema import Rpc
from cluster.etcd.rpc.status import DEADLINE, OK, RpcError, error_in
from cluster.etcd.services.calls import Link, when_led
from cluster.etcd.services.credentials import TOKEN
from cluster.faults import CANCELED, UNKNOWN, Fault
from cluster.wire import LazyMap

NO_REQUEST: Final = Fault(UNKNOWN, "EOF")
CUT_REQUEST: Final = Fault(UNKNOWN, "unexpected EOF")
"""The client has ended its side before its request, or within a message, as grpc-go tells it."""


class ClientLink(Link, Protocol):
    """The link of one client; while it is paused, the answers of its calls are not read."""

    on_read: Callable[[], None]
    is_reading: bool

    def pause(self) -> None: ...
    def resume(self) -> None: ...
    def close(self) -> None: ...
    def gather(self) -> None: ...
    def flush(self) -> None: ...


class Home(Protocol):
    """The connection of a call."""

    http2: ServerConnection
    link: ClientLink
    replies: ResponseEncoder
    counters: RpcCounters
    message_bytes_max: int

    def over(self, call: GrpcCall) -> None:
        """The call has ended, or nobody hears it any more."""

    def linger(self, task: asyncio.Task[None]) -> None:
        """Keep the link open until this task is done."""

    def making(self, change: int) -> None:
        """A long answer begins to be made, or (-1) is made no more."""

    def write_soon(self) -> None:
        """There is something to write."""


class GrpcCall:
    """What both kinds of call share: how they end, and what the connection tells them."""

    __slots__ = ("_encoding", "_home", "_is_over", "_splitter", "_stream", "rpc", "slot")

    def __init__(self, home: Home, stream: Http2Stream, rpc: Rpc, encoding: bytes) -> None:
        self._home = home
        self._stream = stream
        self.rpc = rpc
        self._encoding = encoding
        self._splitter: MessageSplitter | None = None
        self._is_over = False
        # The slot of its deadline; 0: it has none.
        self.slot = 0
        home.counters.started[rpc.path] += 1

    def on_data(self, data: bytes) -> None:
        """Data of the request."""
        raise NotImplementedError

    def on_end(self) -> None:
        """The client sends no more."""
        raise NotImplementedError

    def on_drained(self) -> None:
        """What waited for the client is mostly sent."""
        raise NotImplementedError

    def cancel(self) -> None:
        """Nobody hears any more."""
        raise NotImplementedError

    def expire(self) -> None:
        """The deadline has passed."""
        raise NotImplementedError

    def _split(self) -> MessageSplitter:
        """What joins the parts of a message; most come whole and do without."""
        if self._splitter is None:
            self._splitter = MessageSplitter(self._home.message_bytes_max, self._encoding)
        return self._splitter

    def _count_received(self, message: bytes) -> None:
        counters = self._home.counters
        counters.received[self.rpc.path] += 1
        counters.received_bytes += len(message)

    def _count_sent(self, size: int) -> None:
        counters = self._home.counters
        counters.sent[self.rpc.path] += 1
        counters.sent_bytes += size

    def _end(self, code: int) -> None:
        self._is_over = True
        # A stream and its call would be garbage that only the collector finds: with thousands of
        # them it would stop the loop for a tenth of a second.
        self._stream.context = None
        self._home.counters.handled[self.rpc.path, code] += 1
        self._home.over(self)

    def _refuse(self, error: RpcError) -> None:
        """End the call with an error before it has answered anything ("trailers-only")."""
        self._home.http2.respond(self._stream, RESPONSE_HEADERS + trailers(error), end=True)
        self._end(error.code)
        self._home.write_soon()


class Wishes(Protocol):
    """What the headers of a call say beside its RPC, the same for many calls of a client."""

    @property
    def encoding(self) -> bytes:
        """How the messages are compressed."""

    @property
    def requires_leader(self) -> bool:
        """Whether a member that knows no leader is to refuse."""

    @property
    def token(self) -> str | None:
        """What shows whose the call is."""


class UnaryCall(GrpcCall):
    """A call that one operation of the node answers."""

    __slots__ = ("_number", "_wishes")

    def __init__(self, home: Home, stream: Http2Stream, rpc: Rpc, wishes: Wishes) -> None:
        super().__init__(home, stream, rpc, wishes.encoding)
        self._wishes = wishes
        # The call to the node; None: the request has not arrived.
        self._number: int | None = None

    def on_data(self, data: bytes) -> None:
        """Take the request; what comes after it is not looked at, as in grpc-go."""
        if self._is_over or self._number is not None:
            return
        message = whole(data) if self._splitter is None else None
        if message is not None and len(message) <= self._home.message_bytes_max:
            self._ask(message)
            return
        splitter = self._split()
        splitter.feed(data)
        try:
            message = splitter.next()
        except RpcError as error:
            self._refuse(error)
            return
        if message is not None:
            self._ask(message)
        elif self._stream.ended:
            self.on_end()

    def on_end(self) -> None:
        """The client sends no more: an error if there was no request."""
        if self._number is None and not self._is_over:
            is_cut = self._splitter is not None and self._splitter.is_cut
            self._refuse(RpcError(*(CUT_REQUEST if is_cut else NO_REQUEST)))

    def on_drained(self) -> None:
        """Nothing waits to be sent."""

    def cancel(self) -> None:
        """Nobody hears any more: drop the answer. A write may be applied all the same."""
        if not self._is_over:
            if self._number is not None:
                self._home.link.forget(self._number)
            self._end(CANCELED)

    def expire(self) -> None:
        """The deadline has passed."""
        if not self._is_over:
            if self._number is not None:
                self._home.link.forget(self._number)
            self._refuse(RpcError(*DEADLINE))

    def _ask(self, message: bytes) -> None:
        self._count_received(message)
        try:
            request = decode(self.rpc, message)
        except RpcError as error:
            self._refuse(error)
            return
        token = self._wishes.token
        if token is not None:
            request[TOKEN] = token
        if self._wishes.requires_leader:
            link = self._home.link
            self._number = when_led(link, lambda: self._call(request), self._refuse)
        else:
            self._call(request)

    def _call(self, request: dict[str, Any]) -> None:
        self._number = self._home.link.call(request, self._done)

    def _done(self, reply: dict[str, Any]) -> None:
        if self._is_over:
            return
        error = error_in(reply)
        if error is not None:
            self._refuse(error)
            return
        if isinstance(reply, LazyMap):
            self._home.making(1)
            self._make(responses_of(self.rpc, reply), [])
            return
        home = self._home
        message = home.replies.encode(self.rpc, reply)
        self._count_sent(len(message))
        home.http2.unary(self._stream, RESPONSE_BLOCK, framed(message), OK_TRAILERS_BLOCK)
        self._sent()

    def _sent(self) -> None:
        """The answer is on its way, unless it was one too many for a client that does not read."""
        if not self._is_over:
            self._end(OK)
        self._home.write_soon()

    def _make(self, messages: Iterator[Message], parts: list[bytes]) -> None:
        """Make a long answer, one part in each turn of the loop, so that others are served."""
        message = None if self._is_over else next(messages, None)
        if message is None:
            self._home.http2.keep(-sum(map(len, parts)))
            self._home.making(-1)
            if not self._is_over:
                self._send_parts(parts)
            return
        parts.append(message.SerializeToString())
        self._home.http2.keep(len(parts[-1]))
        asyncio.get_running_loop().call_soon(self._make, messages, parts)

    def _send_parts(self, parts: list[bytes]) -> None:
        home = self._home
        size = sum(map(len, parts))
        self._count_sent(size)
        parts.insert(0, prefix(size))
        home.http2.unary_in_parts(self._stream, RESPONSE_BLOCK, parts, OK_TRAILERS_BLOCK)
        self._sent()
