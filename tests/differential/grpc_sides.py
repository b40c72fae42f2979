"""The two servers of a comparison, asked by gRPC: etcd's own, and the one of our front.

The servers are started by `etcd` and `leasehold`; here is the other way to ask them. Messages are
made and read by grpcio and protobuf, and not by the code that is judged. Refuses to know what an
answer means.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from typing import Any, Final

import grpc
from google.protobuf.message import Message

from cluster.etcd.rpc.schema import RPCS, Rpc, RpcKind
from tests.differential.etcd import WATCHES, Etcd
from tests.differential.language import Fields
from tests.differential.leasehold import Leasehold
from tests.differential.sides import ANSWER_SECONDS, Side, SideDiedError

METHODS: Final = {
    "range": b"/etcdserverpb.KV/Range",
    "put": b"/etcdserverpb.KV/Put",
    "delete_range": b"/etcdserverpb.KV/DeleteRange",
    "txn": b"/etcdserverpb.KV/Txn",
    "compact": b"/etcdserverpb.KV/Compact",
    "lease_grant": b"/etcdserverpb.Lease/LeaseGrant",
    "lease_revoke": b"/etcdserverpb.Lease/LeaseRevoke",
    "lease_keep_alive": b"/etcdserverpb.Lease/LeaseKeepAlive",
    "lease_time_to_live": b"/etcdserverpb.Lease/LeaseTimeToLive",
    "lease_leases": b"/etcdserverpb.Lease/LeaseLeases",
    "alarm": b"/etcdserverpb.Maintenance/Alarm",
}
WATCH: Final = RPCS[b"/etcdserverpb.Watch/Watch"]
DIED: Final = frozenset({grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED})
UNLIMITED: Final = [
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    ("grpc.use_local_subchannel_pool", 1),
]


class OverGrpc:
    """A server that is asked by gRPC at this address, and ended by `stop`."""

    def __init__(self, name: str, address: str, stop: Callable[[], None]) -> None:
        self.name = name
        self._stop = stop
        self._channel = grpc.insecure_channel(address, options=UNLIMITED)
        self._answer: Callable[[], Message] | None = None

    def send(self, name: str, fields: Fields) -> None:
        """Ask for one operation of PROTOCOL.md that etcd has, too."""
        if name == "compact":
            # What a watch from the compacted revision sees depends on how far etcd's sweeper is.
            fields = {**fields, "physical": True}
        rpc = RPCS[METHODS[name]]
        request = rpc.request(**fields)
        if rpc.kind is RpcKind.BOTH_STREAM:
            answers = _method(self._channel, rpc)(iter([request]), timeout=ANSWER_SECONDS)
            self._answer = lambda: next(answers)
        else:
            self._answer = (
                _method(self._channel, rpc).future(request, timeout=ANSWER_SECONDS).result
            )

    def receive(self) -> Fields:
        """The answer to the last request."""
        assert self._answer is not None, "something was asked"
        try:
            return fields_of(self._answer())
        except grpc.RpcError as error:
            if error.code() in DIED:
                raise SideDiedError(f"{self.name}: {error.details()}") from None
            return {"error": {"code": error.code().value[0], "message": error.details()}}

    def open_stream(self) -> GrpcStream:
        """A new stream of watches."""
        return GrpcStream(self._channel)

    def stop(self) -> None:
        """End the server and forget its data."""
        self._channel.close()
        self._stop()


class GrpcStream:
    """A stream of watches."""

    def __init__(self, channel: grpc.Channel) -> None:
        self._requests: queue.SimpleQueue[Message | None] = queue.SimpleQueue()
        self._heard: queue.SimpleQueue[Fields | grpc.RpcError] = queue.SimpleQueue()
        self._answers = _method(channel, WATCH)(iter(self._requests.get, None))
        self._thread = threading.Thread(target=self._listen)
        self._thread.start()

    def send(self, name: str, fields: Fields) -> None:
        """Ask for watch_create, watch_cancel or watch_progress."""
        self._requests.put(WATCH.request(**{WATCHES[name]: fields}))

    def receive(self, timeout_seconds: float) -> list[Fields]:
        """The messages that have come, waited for if there are none."""
        messages: list[Fields] = []
        try:
            heard = [self._heard.get(timeout=timeout_seconds)]
            while not self._heard.empty():
                heard.append(self._heard.get())
        except queue.Empty:
            return messages
        for message in heard:
            if isinstance(message, grpc.RpcError):
                raise SideDiedError(f"a stream of watches: {message}")
            messages.append(message)
        return messages

    def close(self) -> None:
        """End the stream and its watches."""
        self._answers.cancel()
        self._requests.put(None)
        self._thread.join()

    def _listen(self) -> None:
        try:
            for message in self._answers:
                self._heard.put(fields_of(message))
        except grpc.RpcError as error:
            self._heard.put(error)


def _method(channel: grpc.Channel, rpc: Rpc) -> Any:
    make = channel.unary_unary if rpc.kind is RpcKind.UNARY else channel.stream_stream
    return make(rpc.path.decode(), lambda sent: sent.SerializeToString(), rpc.response.FromString)


def fields_of(message: Message) -> Fields:
    """A message in the common form: its fields that are not zero, with enumerations by name."""
    fields: Fields = {}
    for field, value in message.ListFields():
        if field.message_type is None:
            known = {} if field.enum_type is None else field.enum_type.values_by_number
            fields[field.name] = known[value].name if known else _plain(value)
        elif field.is_repeated:
            fields[field.name] = [fields_of(each) for each in value]
        else:
            fields[field.name] = fields_of(value)
    return fields


def _plain(value: Any) -> Any:
    return value if isinstance(value, int | bytes | str) else list(value)


def etcd_over_grpc() -> Side:
    """A real etcd, asked by gRPC."""
    etcd = Etcd()
    return OverGrpc("etcd", etcd.addresses[0], etcd.stop)


def leasehold_over_grpc() -> Side:
    """A node of ours, asked through its front."""
    node = Leasehold(front=True)
    return OverGrpc("leasehold", node.address, node.stop)
