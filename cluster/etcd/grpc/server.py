"""One gRPC connection: an asyncio protocol around the HTTP/2 engine.

It looks at the headers of each request, makes its call, and moves bytes. Refuses to know what an
RPC does. A call ends by its answer, by a reset, by its deadline, or with the connection.
"""

from __future__ import annotations

import asyncio
from typing import Final, NamedTuple, cast

from cluster.etcd.counters import RpcCounters
from cluster.etcd.grpc.calls import ClientLink, GrpcCall, UnaryCall
from cluster.etcd.grpc.deadlines import Deadlines
from cluster.etcd.grpc.headers import (
    NotGrpcError,
    check_grpc,
    encoding_of,
    refusal,
    time_left_ms,
)
from cluster.etcd.grpc.served import ServedCall
from cluster.etcd.http2 import LIMITS, PONG_WAIT_MS, Http2Stream, Memory, ServerConnection
from cluster.etcd.rpc.mapping import ResponseEncoder
from cluster.etcd.rpc.schema import RPCS, Rpc
from cluster.etcd.rpc.status import RpcError
from cluster.etcd.services.calls import MESSAGE_OVERHEAD_BYTES, requires_leader
from cluster.etcd.services.credentials import token_of
from cluster.etcd.services.table import SERVICES
from cluster.etcd.services.unary import Unary
from cluster.faults import RESOURCE_EXHAUSTED, UNIMPLEMENTED

WRITE_BUFFER_BYTES: Final = 64 * 1024
"""With more in the transport the client counts as one that does not read."""

_ROUTES: Final = {path: (RPCS[path], serve is Unary) for path, serve in SERVICES.items()}
"""Each RPC by its path, and whether its calls may go the short way."""

PIECE_BYTES: Final = 16 * 1024
"""At most this is read of one client in a turn of the loop: to make nothing of it, such as hundreds
of requests that are refused, takes some 8 ms, and all others wait for that."""

LONG_ANSWERS_MAX: Final = 2
"""Long answers of one client that are made at the same time; the node's next ones wait."""

_SERVICE_NAMES: Final = frozenset(RPCS[path].service for path in SERVICES)


class GrpcServer:
    """What the connections of a front share."""

    def __init__(
        self, replies: ResponseEncoder, counters: RpcCounters, request_bytes_max: int
    ) -> None:
        self.replies = replies
        self.counters = counters
        self.message_bytes_max = request_bytes_max + MESSAGE_OVERHEAD_BYTES
        self.memory = Memory()
        # What all connections read into: a piece has left it before the next one is read.
        self.room = memoryview(bytearray(PIECE_BYTES))
        self._late: set[GrpcConnection] = set()

    def connection(self, link: ClientLink) -> GrpcConnection:
        """The protocol of a connection that begins with HTTP/2's preface; it closes the link."""
        return GrpcConnection(self, link)

    def write_later(self, connection: GrpcConnection) -> None:
        """Have a connection write in PONG_WAIT_MS at the latest; one timer serves all of them."""
        if not self._late:
            loop = asyncio.get_running_loop()
            loop.call_later(PONG_WAIT_MS / 1000, self._write_late)
        self._late.add(connection)

    def _write_late(self) -> None:
        late, self._late = self._late, set()
        for connection in late:
            connection.write()


class GrpcConnection(asyncio.BufferedProtocol):
    """The calls of one client's connection."""

    def __init__(self, server: GrpcServer, link: ClientLink) -> None:
        self.http2 = ServerConnection(self, LIMITS, server.memory)
        self.link = link
        link.on_read = self._write_what_came
        self._server = server
        self.replies = server.replies
        self.counters = server.counters
        self.message_bytes_max = server.message_bytes_max
        self._room = server.room
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._lingering: set[asyncio.Task[None]] = set()
        self._deadlines: Deadlines[GrpcCall] = Deadlines()
        self._timer: asyncio.TimerHandle | None = None
        self._timer_ms = 0
        self._is_writing_soon = False
        self._is_writable = True
        self._is_link_paused = False
        self._long_answers = 0
        self._last_heads: _Heads | None = None

    # --- the transport ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The connection is there."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's are none by their class
        # A buffer of megabytes would undo what is fair in the engine.
        self._transport.set_write_buffer_limits(high=WRITE_BUFFER_BYTES)

    def get_buffer(self, _: int) -> memoryview:
        """Where the next bytes go."""
        return self._room

    def buffer_updated(self, size: int) -> None:
        """Bytes of the client are there."""
        self.data_received(bytes(self._room[:size]))
        if size == PIECE_BYTES and self._transport is not None:
            # uvloop would go on with the next piece at once, up to 32 times.
            self._transport.pause_reading()
            self._loop.call_soon(self._read_on)

    def data_received(self, data: bytes) -> None:
        """Bytes of the client."""
        # All that these bytes ask for goes to the node at once, without another turn of the loop.
        self.link.gather()
        self.http2.receive(data, self._now_ms())
        self.link.flush()
        if self.http2.has_time:
            self._server.write_later(self)
        else:
            self.write()
        if self._timer is None:  # what comes moves the next look away, and never nearer
            self._arm(self.http2.next_tick_ms)

    def eof_received(self) -> bool:
        """The client has closed its side: nothing of it can go on."""
        return False

    def pause_writing(self) -> None:
        """The client does not read: keep what is to be sent in the engine, where it is bounded."""
        self._is_writable = False
        self._pause_link()

    def resume_writing(self) -> None:
        """The client reads again."""
        self._is_writable = True
        self.write()

    def connection_lost(self, error: Exception | None) -> None:
        """The connection has ended, and all its calls with it."""
        self._transport = None
        if self._timer is not None:
            self._timer.cancel()
        self.http2.lose()
        self._maybe_close_link()

    def go_away(self) -> None:
        """The front ends: let the calls that are under way end, take no others, then close."""
        self.http2.go_away()
        self._tick(self._now_ms())

    # --- the engine (http2.Handler) ---

    def on_request(self, stream: Http2Stream) -> None:
        """A request's headers are there: make its call, or refuse it."""
        heads = self._last_heads
        if heads is None or heads.fields is not stream.headers:
            try:
                heads = self._last_heads = _heads_of(stream)
            except NotGrpcError as fault:
                self.http2.respond(stream, refusal(fault.refused_with, fault), end=True)
                return
            except RpcError as error:
                self.http2.respond(stream, refusal(200, error), end=True)
                return
        call: GrpcCall
        if heads.is_short:
            call = UnaryCall(self, stream, heads.rpc, heads)
        else:
            call = ServedCall(self, stream, heads.rpc, heads.encoding, dict(stream.headers))
        stream.context = call
        left_ms = heads.left_ms
        if left_ms is not None:
            at_ms = self._now_ms() + left_ms
            call.slot = self._deadlines.add(call, at_ms)
            self._arm(int(at_ms) + 1)

    def on_data(self, stream: Http2Stream, data: bytes) -> None:
        """Data of a request."""
        if stream.context is not None:
            stream.context.on_data(data)

    def on_end(self, stream: Http2Stream) -> None:
        """A request has ended."""
        if stream.context is not None:
            stream.context.on_end()

    def on_reset(self, stream: Http2Stream, code: int) -> None:
        """The client, a limit, or the end of the connection has ended a call."""
        if stream.context is not None:
            stream.context.cancel()

    def on_drained(self, stream: Http2Stream) -> None:
        """The client has read most of what waited for it on this stream."""
        if stream.context is not None:
            stream.context.on_drained()

    # --- its calls (calls.Home) ---

    def over(self, call: GrpcCall) -> None:
        """The call has ended, or nobody hears it any more."""
        if call.slot:
            self._deadlines.remove(call, call.slot)

    def linger(self, task: asyncio.Task[None]) -> None:
        """Keep the link open until this task is done."""
        self._lingering.add(task)
        task.add_done_callback(self._gone)

    def making(self, change: int) -> None:
        """Count the long answers that are made; above a few, the node's next ones wait."""
        self._long_answers += change
        self._pause_link()

    def write_soon(self) -> None:
        """There is something to write: with what else the turn of the loop brings."""
        if not self._is_writing_soon:
            self._is_writing_soon = True
            if not self.link.is_reading:
                self._loop.call_soon(self.write)

    # --- inside ---

    def _write_what_came(self) -> None:
        """The answers that the node has sent together have come."""
        if self._is_writing_soon:
            self.write()

    def _read_on(self) -> None:
        """Others have had their turn."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    def _gone(self, task: asyncio.Task[None]) -> None:
        self._lingering.discard(task)
        self._maybe_close_link()

    def _maybe_close_link(self) -> None:
        if self._transport is None and not self._lingering:
            self.link.close()

    def write(self) -> None:
        """Write what the client takes of what there is for it."""
        self._is_writing_soon = False
        transport = self._transport
        if transport is None:
            return
        while self._is_writable:
            data = self.http2.take()
            if not data:
                break
            transport.write(data)
        self._pause_link()
        if self.http2.is_closed:
            transport.close()

    def _pause_link(self) -> None:
        """Read no answers of the node for a client that leaves many unread."""
        must_pause = (
            not self._is_writable or self._long_answers >= LONG_ANSWERS_MAX or self.http2.is_clogged
        )
        if must_pause != self._is_link_paused:
            self._is_link_paused = must_pause
            if must_pause:
                self.link.pause()
            else:
                self.link.resume()

    def _now_ms(self) -> int:
        return int(self._loop.time() * 1000)

    def _arm(self, at_ms: int | None) -> None:
        """Look again at this time at the latest."""
        if at_ms is None or (self._timer is not None and self._timer_ms <= at_ms):
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer_ms = at_ms
        self._timer = self._loop.call_at((at_ms + 1) / 1000, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        now_ms = self._now_ms()
        for call in self._deadlines.due(now_ms):
            call.expire()
        self._tick(now_ms)

    def _tick(self, now_ms: int) -> None:
        self.http2.tick(now_ms)
        self.write()
        self._arm(self._deadlines.next_ms)
        self._arm(self.http2.next_tick_ms)


class _Heads(NamedTuple):
    """What the header fields of a request say; the engine remembers fields, so one look serves
    many requests of a client that makes the same call again and again."""

    fields: tuple[tuple[bytes, bytes], ...]
    rpc: Rpc
    is_short: bool
    encoding: bytes
    requires_leader: bool
    token: str | None
    left_ms: float | None


def _heads_of(stream: Http2Stream) -> _Heads:
    """Read a request's header fields. Raises RpcError."""
    headers = dict(stream.headers)
    check_grpc(headers)
    rpc, is_short = _route(stream.path)
    left_ms = time_left_ms(headers)
    encoding = encoding_of(headers)
    leader, token = requires_leader(headers), token_of(headers)
    return _Heads(stream.headers, rpc, is_short, encoding, leader, token, left_ms)


def _route(path: bytes) -> tuple[Rpc, bool]:
    """The RPC of a path, and whether its calls may go the short way. Raises RpcError."""
    route = _ROUTES.get(path)
    if route is None:
        raise unknown(path)
    return route


def unknown(path: bytes) -> RpcError:
    """The error for a path that no RPC has, in grpc-go's words."""
    text = path.decode("ascii", "backslashreplace")
    service, slash, method = text.removeprefix("/").rpartition("/")
    if not slash:
        return RpcError(RESOURCE_EXHAUSTED, f'malformed method name: "{text}"')
    if service not in _SERVICE_NAMES:
        return RpcError(UNIMPLEMENTED, f"unknown service {service}")
    return RpcError(UNIMPLEMENTED, f"unknown method {method} for service {service}")
