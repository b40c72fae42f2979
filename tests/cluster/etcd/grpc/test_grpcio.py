"""grpcio as the client, over a socket, of a real node."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import pytest

from cluster.etcd.rpc.schema import RPCS, RpcKind
from cluster.launcher.local import LocalCluster
from tests.cluster.etcd.grpc.threaded import serving
from tests.cluster.etcd.services.bench import address_of
from tests.limits import HANG_SECONDS

pytestmark = pytest.mark.process

MANY = 500


class Client:
    """Calls by name; requests are given by their fields."""

    def __init__(self, port: int) -> None:
        unlimited = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
        self._channel = grpc.insecure_channel(f"127.0.0.1:{port}", options=unlimited)

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self._channel.close()

    def _method(self, method: str) -> Any:
        rpc = RPCS[b"/" + method.encode()]
        make = {
            RpcKind.UNARY: self._channel.unary_unary,
            RpcKind.SERVER_STREAM: self._channel.unary_stream,
            RpcKind.BOTH_STREAM: self._channel.stream_stream,
        }[rpc.kind]
        return make("/" + method, lambda sent: sent.SerializeToString(), rpc.response.FromString)

    def call(self, method: str, **fields: Any) -> Any:
        """The answer, or the answers, to one request."""
        request = RPCS[b"/" + method.encode()].request(**fields)
        return self._method(method)(request, timeout=HANG_SECONDS)

    def stream(self, method: str) -> Http2Stream:
        """A stream of requests."""
        return Http2Stream(RPCS[b"/" + method.encode()].request, self._method(method))

    def raw(self, path: str, data: bytes = b"", **options: Any) -> bytes:
        """The bytes that answer these."""
        answer: bytes = self._channel.unary_unary(path)(data, timeout=HANG_SECONDS, **options)
        return answer


class Http2Stream:
    """A stream in both directions."""

    def __init__(self, kind: Any, method: Any) -> None:
        self._kind = kind
        self._requests: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._answers = method(iter(self._requests.get, None), timeout=HANG_SECONDS)

    def send(self, **fields: Any) -> None:
        self._requests.put(self._kind(**fields))

    def half_close(self) -> None:
        self._requests.put(None)

    def next(self) -> Any:
        return next(self._answers)

    def cancel(self) -> None:
        self._answers.cancel()
        self.half_close()


@pytest.fixture(scope="module")
def client(etcd_node: LocalCluster) -> Iterator[Client]:
    with serving(address_of(etcd_node)) as port, Client(port) as connected:
        yield connected


def test_a_put_a_range_and_a_transaction(client: Client) -> None:
    put = client.call("etcdserverpb.KV/Put", key=b"g/a", value=b"1")
    assert put.header.revision > 1
    found = client.call("etcdserverpb.KV/Range", key=b"g/a")
    assert [(kv.key, kv.value, kv.version) for kv in found.kvs] == [(b"g/a", b"1", 1)]
    done = client.call(
        "etcdserverpb.KV/Txn",
        compare=[{"key": b"g/a", "target": "VALUE", "result": "EQUAL", "value": b"1"}],
        success=[{"request_put": {"key": b"g/a", "value": b"2", "prev_kv": True}}],
    )
    assert done.succeeded
    assert done.responses[0].response_put.prev_kv.value == b"1"


def test_a_request_may_be_compressed(client: Client) -> None:
    path = "/etcdserverpb.KV/Put"
    data = RPCS[path.encode()].request(key=b"z", value=b"v" * 1_000).SerializeToString()
    client.raw(path, data, compression=grpc.Compression.Gzip)
    assert client.call("etcdserverpb.KV/Range", key=b"z").kvs[0].value == b"v" * 1_000


def test_errors_have_etcds_codes_and_texts(client: Client) -> None:
    with pytest.raises(grpc.RpcError) as refused:
        client.call("etcdserverpb.KV/Put", value=b"1")
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert refused.value.details() == "etcdserver: key is not provided"
    with pytest.raises(grpc.RpcError) as refused:
        client.raw("/etcdserverpb.KV/Nothing")
    assert refused.value.code() is grpc.StatusCode.UNIMPLEMENTED
    assert refused.value.details() == "unknown method Nothing for service etcdserverpb.KV"


def test_many_calls_at_once_and_a_large_answer(client: Client) -> None:
    value = b"v" * 10_000

    def put(number: int) -> Any:
        return client.call("etcdserverpb.KV/Put", key=b"m/%04d" % number, value=value)

    with ThreadPoolExecutor(16) as pool:
        revisions = {put.header.revision for put in pool.map(put, range(MANY))}
    assert len(revisions) == MANY
    found = client.call("etcdserverpb.KV/Range", key=b"m/", range_end=b"m0")
    assert [len(kv.value) for kv in found.kvs] == [10_000] * MANY


def test_several_watches_on_one_stream(client: Client) -> None:
    stream = client.stream("etcdserverpb.Watch/Watch")
    for prefix, end in ((b"w/a", b"w/b"), (b"w/b", b"w/c")):
        stream.send(create_request={"key": prefix, "range_end": end, "prev_kv": True})
    created = [stream.next() for _ in range(2)]
    assert [(answer.watch_id, answer.created) for answer in created] == [(0, True), (1, True)]
    client.call("etcdserverpb.KV/Put", key=b"w/b1", value=b"1")
    answer = stream.next()
    assert (answer.watch_id, answer.events[0].kv.key) == (1, b"w/b1")
    client.call("etcdserverpb.KV/DeleteRange", key=b"w/b1")
    answer = stream.next()
    assert (answer.events[0].type, answer.events[0].prev_kv.value) == (1, b"1")
    stream.send(cancel_request={"watch_id": 9})
    stream.send(progress_request={})
    progress = stream.next()
    assert (progress.watch_id, len(progress.events)) == (-1, 0)
    assert progress.header.revision >= answer.header.revision
    stream.send(cancel_request={"watch_id": 1})
    canceled = stream.next()
    assert (canceled.watch_id, canceled.canceled) == (1, True)
    stream.send(create_request={"key": b"w/a", "start_revision": -1})
    refused = stream.next()
    assert (refused.watch_id, refused.created, refused.canceled) == (-1, True, True)
    stream.cancel()


def test_a_watch_from_a_compacted_revision_is_canceled(client: Client) -> None:
    for number in range(3):
        put = client.call("etcdserverpb.KV/Put", key=b"c/a", value=b"%d" % number)
    client.call("etcdserverpb.KV/Compact", revision=put.header.revision)
    stream = client.stream("etcdserverpb.Watch/Watch")
    stream.send(create_request={"key": b"c/a", "start_revision": 1})
    assert stream.next().created
    canceled = stream.next()
    assert canceled.canceled
    assert canceled.compact_revision == put.header.revision
    stream.cancel()


def test_leases_are_kept_alive_in_order_and_the_stream_ends_well(client: Client) -> None:
    granted = client.call("etcdserverpb.Lease/LeaseGrant", TTL=60)
    stream = client.stream("etcdserverpb.Lease/LeaseKeepAlive")
    for lease in (granted.ID, 12345, granted.ID):
        stream.send(ID=lease)
    stream.half_close()
    answers = [stream.next() for _ in range(3)]
    assert [(answer.ID, answer.TTL) for answer in answers] == [
        (granted.ID, 60),
        (12345, 0),
        (granted.ID, 60),
    ]
    with pytest.raises(StopIteration):
        stream.next()


def test_a_snapshot_has_the_size_that_etcdctl_wants(client: Client) -> None:
    size = 0
    for part in client.call("etcdserverpb.Maintenance/Snapshot"):
        size += len(part.blob)
    assert size % 512 == 32
    assert part.remaining_bytes == 0


def test_a_lock_waits_and_a_canceled_wait_leaves_the_queue(client: Client) -> None:
    held = client.call("v3lockpb.Lock/Lock", name=b"glock")
    waits = client._method("v3lockpb.Lock/Lock").future(
        RPCS[b"/v3lockpb.Lock/Lock"].request(name=b"glock")
    )
    keys = {"key": b"glock/", "range_end": b"glock0"}
    waiting = threading.Event()
    while client.call("etcdserverpb.KV/Range", **keys).count != 2:
        waiting.wait(0.01)
    waits.cancel()
    while client.call("etcdserverpb.KV/Range", **keys).count != 1:
        waiting.wait(0.01)
    client.call("v3lockpb.Lock/Unlock", key=held.key)
    again = client.call("v3lockpb.Lock/Lock", name=b"glock")
    client.call("v3lockpb.Lock/Unlock", key=again.key)


def test_health_and_status(client: Client) -> None:
    assert client.call("grpc.health.v1.Health/Check").status == 1
    status = client.call("etcdserverpb.Maintenance/Status")
    assert status.version.startswith("3.5.")
    assert status.leader == status.header.member_id
    assert client.call("etcdserverpb.Maintenance/HashKV").hash
