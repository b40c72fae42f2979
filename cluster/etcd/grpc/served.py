"""One gRPC call as the services of `services/` see it: they take its requests and make its answers.

Owns the order: no request is handed over after the end, and a busy service's client has to wait.
Refuses to know what an RPC does.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from cluster.etcd.grpc.calls import CUT_REQUEST, NO_REQUEST, GrpcCall, Home
from cluster.etcd.grpc.headers import OK_TRAILERS_BLOCK, RESPONSE_BLOCK, RESPONSE_HEADERS, trailers
from cluster.etcd.grpc.messages import framed
from cluster.etcd.http2 import Http2Stream
from cluster.etcd.rpc.mapping import UNREADABLE, decode
from cluster.etcd.rpc.schema import Rpc, RpcKind
from cluster.etcd.rpc.status import DEADLINE, OK, RpcError
from cluster.etcd.services.calls import Service
from cluster.etcd.services.table import serve
from cluster.faults import CANCELED, INTERNAL, Fault

CUT_STREAM: Final = Fault(INTERNAL, "unexpected EOF")
"""The client of a stream has ended its side within a message, as grpc-go tells it."""

STREAM_UNREADABLE: Final = "grpc: failed to unmarshal the received message "


class ServedCall(GrpcCall):
    """A call that a service of `services/` serves."""

    __slots__ = (
        "_has_answered",
        "_has_closed",
        "_has_request",
        "_is_paused",
        "_service",
        "metadata",
    )

    def __init__(
        self,
        home: Home,
        stream: Http2Stream,
        rpc: Rpc,
        encoding: bytes,
        metadata: Mapping[bytes, bytes],
    ) -> None:
        super().__init__(home, stream, rpc, encoding)
        self.metadata = metadata
        self._has_answered = False
        self._has_closed = False
        self._has_request = False
        self._is_paused = False
        # None: the call is over.
        self._service: Service | None = serve(self, home.link)

    # --- what the client does ---

    def on_data(self, data: bytes) -> None:
        """Take request messages."""
        self._split().feed(data)
        self._take()

    def on_end(self) -> None:
        """The client sends no more requests."""
        self._take()

    def on_drained(self) -> None:
        """What waited for the client is mostly sent."""
        if self._service is not None:
            self._service.on_drained()

    def cancel(self) -> None:
        """Nobody hears any more."""
        service = self._service
        if service is not None:
            self._end(CANCELED)
            self._cancel(service)

    def expire(self) -> None:
        """The deadline has passed."""
        if self._service is not None:
            self._give_up(self._service, RpcError(*DEADLINE))

    def _give_up(self, service: Service, error: RpcError) -> None:
        """End the call from this side."""
        self._cancel(service)
        self.finish(error)

    def _end(self, code: int) -> None:
        self._service = None  # it knows this call
        super()._end(code)

    def _take(self) -> None:
        """Hand over the messages that have arrived, then the end, unless the service is busy."""
        splitter = self._split()
        try:
            while (service := self._service) is not None and not (self._is_paused or self._has_all):
                message = splitter.next()
                if message is None:
                    break
                self._home.http2.consumed(self._stream, splitter.taken)
                self._count_received(message)
                self._has_request = True
                service.on_request(self._read(message))
        except RpcError as error:
            if self._service is not None:
                self._give_up(self._service, error)
        if self._service is None or self._is_paused or self._has_closed:
            return
        if self._stream.ended:
            self._has_closed = True
            self._half_close(self._service)

    @property
    def _has_all(self) -> bool:
        """Whether its one request is there: what comes after it is not looked at, as in grpc-go."""
        return self._has_request and self.rpc.kind is not RpcKind.BOTH_STREAM

    def _read(self, message: bytes) -> dict[str, Any]:
        """A request; a stream has other words than a unary call for what is none, as in grpc-go."""
        try:
            return decode(self.rpc, message)
        except RpcError as error:
            if self.rpc.kind is RpcKind.UNARY:
                raise
            text = error.message.replace(UNREADABLE, STREAM_UNREADABLE, 1)
            raise RpcError(error.code, text) from None

    def _cancel(self, service: Service) -> None:
        task = service.on_cancel()
        if task is not None:
            self._home.linger(task)

    def _half_close(self, service: Service) -> None:
        fault = None
        if self._split().is_cut and not self._has_all:
            fault = CUT_REQUEST if self.rpc.kind is RpcKind.UNARY else CUT_STREAM
        elif self.rpc.kind is not RpcKind.BOTH_STREAM and not self._has_request:
            fault = NO_REQUEST
        if fault is None:
            service.on_half_close()
        else:
            self._give_up(service, RpcError(*fault))

    # --- what the service does (services.calls.Call) ---

    def send(self, reply: dict[str, Any]) -> None:
        """Send one response message."""
        if self._is_over:
            return
        http2 = self._home.http2
        if not self._has_answered:
            self._has_answered = True
            http2.respond(self._stream, RESPONSE_BLOCK)
        message = self._home.replies.encode(self.rpc, reply)
        self._count_sent(len(message))
        http2.send(self._stream, framed(message))
        self._home.write_soon()

    def finish(self, error: RpcError | None = None) -> None:
        """End the call."""
        if self._is_over:
            return
        if self._has_answered:
            ending = OK_TRAILERS_BLOCK if error is None else trailers(error)
            self._home.http2.trailers(self._stream, ending)
        else:
            self._home.http2.respond(self._stream, RESPONSE_HEADERS + trailers(error), end=True)
        self._end(OK if error is None else error.code)
        self._home.write_soon()

    def queued(self) -> int:
        """The bytes that wait for a slow reader."""
        return self._home.http2.queued(self._stream)

    def pause(self) -> None:
        """Hand over no more requests; the client's window shrinks until it has to wait."""
        self._is_paused = True
        self._stream.auto = False

    def resume(self) -> None:
        """Hand over requests again."""
        if self._is_paused:
            self._is_paused = False
            self._stream.auto = True
            self._take()
