"""The Python client over real sockets, in front of probe nodes that share one store."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import wait
from typing import Any

import pytest

import cluster
from cluster import (
    Client,
    CompactedError,
    DeadlineExceededError,
    InvalidArgumentError,
    KeyValue,
    LeaseNotFoundError,
    OutcomeUnknownError,
    OutOfRangeError,
    ResourceExhaustedError,
    UnavailableError,
    WatchCanceledError,
)
from cluster.client.engine.endpoints import parse
from cluster.client.flows import watch as watch_module
from cluster.client.replies import put_result
from cluster.client.requests import prefix_end
from cluster.client.threads import connection as connection_module
from cluster.client.waker import Waker
from tests.cluster.inner import connection_of, waiting_in
from tests.cluster.probe import LOST_AFTER_WORK, Answer, ProbeCluster, error, until
from tests.limits import HANG_SECONDS, PATIENT

pytestmark = pytest.mark.process


@pytest.fixture
def probes() -> Iterator[ProbeCluster]:
    with ProbeCluster() as probe_cluster:
        yield probe_cluster


@pytest.fixture
def client(probes: ProbeCluster) -> Iterator[Client]:
    with Client(probes.endpoints) as connected:
        yield connected


def once(*answers: Answer | bool) -> Callable[[dict[str, Any]], Answer | bool]:
    """A script that gives these answers to the first puts, and then the usual ones."""
    left = list(answers)

    def script(request: dict[str, Any]) -> Answer | bool:
        return left.pop(0) if left and request["op"] == "put" else True

    return script


# --- what people give and get ---


def test_compact_ends_history_once_and_can_wait_for_the_disk(
    probes: ProbeCluster, client: Client
) -> None:
    client.put("k", "v")
    assert client.compact(2, physical=True).header.revision == 2
    with pytest.raises(CompactedError, match="has been compacted"):
        client.compact(2)
    with pytest.raises(OutOfRangeError, match="is a future revision"):
        client.compact(3)
    asked = [each for node in probes.nodes for each in node.requests if each["op"] == "compact"]
    assert [(each["revision"], each.get("physical")) for each in asked] == [
        (2, True),
        (2, None),
        (3, None),
    ]
    assert len({each["seq"] for each in asked}) == 3, "applied once, however often it is sent"


def test_put_get_and_delete_give_typed_results(client: Client) -> None:
    first = client.put("k", "v")
    second = client.put(b"k", bytearray(b"w"), prev_kv=True)
    assert second.header.revision == first.header.revision + 1
    assert second.prev_kv == KeyValue(b"k", b"v", 2, 2, 1, 0)
    assert client.get("k") == KeyValue(b"k", b"w", 2, 3, 2, 0)
    gone = client.delete("k", prev_kv=True)
    assert (gone.deleted, gone.prev_kvs[0].value) == (1, b"w")
    assert client.get("k") is None


def test_ranges_are_iterable_sized_and_true_when_not_empty(client: Client) -> None:
    for name in ("a/1", "a/2", "a/3", "b"):
        client.put(name, name)
    result = client.range("a/", prefix=True, limit=2)
    assert [kv.key for kv in result] == [b"a/1", b"a/2"]
    assert (len(result), bool(result), result.count, result.more) == (2, True, 3, True)
    assert result[1].value == b"a/2"
    assert not client.range("c")
    assert len(client.range()) == len(client.range("a", from_key=True)) == 4
    assert len(client.range("a/2", "b")) == 2
    assert len(client.get_prefix("a/")) == 3


@pytest.mark.parametrize(
    ("prefix", "end"),
    [
        (b"a/", b"a0"),
        (b"a\xff", b"b"),
        (b"\xff\xff", b"\0"),
        (b"", b"\0"),
        (b"a\xff\x00", b"a\xff\x01"),
    ],
)
def test_a_prefix_ends_where_etcd_says(prefix: bytes, end: bytes) -> None:
    assert prefix_end(prefix) == end


def test_two_ends_of_an_interval_are_refused(client: Client) -> None:
    with pytest.raises(ValueError, match="only one of"):
        client.range("a", "b", prefix=True)


def test_keys_must_be_bytes_or_text(client: Client) -> None:
    with pytest.raises(TypeError, match="not int"):
        client.put(7, "v")  # type: ignore[arg-type]


def test_a_lease_is_granted_used_and_revoked(client: Client, probes: ProbeCluster) -> None:
    lease = client.lease.grant(10)
    client.put("test4", "lease", lease=lease.id)
    client.put("test5", "lease", lease=lease)
    assert probes.store.keys[b"test4"]["lease"] == probes.store.keys[b"test5"]["lease"] == lease.id
    assert client.lease.keep_alive_once(lease.id).ttl == lease.ttl == 10
    lease.revoke()
    with pytest.raises(LeaseNotFoundError, match="etcdserver: requested lease not found"):
        client.lease.keep_alive_once(lease.id)


def test_a_lease_in_a_with_block_is_renewed_and_then_revoked(
    client: Client, probes: ProbeCluster
) -> None:
    with client.lease.grant(0.3) as lease:
        until(lambda: probes.store.applied.count("lease_keep_alive") >= 3)
        assert not lease.lost.is_set()
    assert probes.store.leases == {}


def test_a_lease_that_is_gone_tells_its_holder(client: Client, probes: ProbeCluster) -> None:
    lease = client.lease.grant(0.3).keep_alive()
    probes.store.leases.clear()
    assert lease.lost.wait(5)
    assert isinstance(lease.error, LeaseNotFoundError)


def test_status_asks_the_endpoint_that_is_named(client: Client, probes: ProbeCluster) -> None:
    for node in probes.nodes:
        assert client.status(node.endpoint).header.member_id == node.member_id
    with pytest.raises(ValueError, match="not one of the client's endpoints"):
        client.status("127.0.0.1:1")


def test_pipelined_requests_all_get_their_own_answer(probes: ProbeCluster) -> None:
    with Client(probes.endpoints, **PATIENT) as client:
        puts = [client.put_async(f"k{index}", str(index)) for index in range(2_000)]
        assert len({put.result().header.revision for put in puts}) > 1
        gets = [client.get_async(f"k{index}") for index in range(2_000)]
        values = [kv.value for get in gets if (kv := get.result()) is not None]
        assert values == [str(index).encode() for index in range(2_000)]


def test_one_client_serves_many_threads(client: Client, probes: ProbeCluster) -> None:
    def work(name: str) -> None:
        for index in range(50):
            client.put(f"{name}/{index}", name)

    threads = [threading.Thread(target=work, args=(f"t{number}",)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(probes.store.keys) == 400
    assert probes.store.applied.count("put") == 400


# --- failures ---


def test_requests_survive_the_death_of_any_node_but_the_last(
    client: Client, probes: ProbeCluster
) -> None:
    for index in range(2):
        client.put("k", str(index))
        node = probes.busy("put")
        probes.kill(node)
        node.requests.clear()
        assert client.get("k") is not None


def test_a_write_whose_answer_was_lost_is_applied_once(probes: ProbeCluster) -> None:
    script = once({"error": LOST_AFTER_WORK})
    for node in probes.nodes:
        node.script = script
    with Client(probes.endpoints, **PATIENT) as client:
        result = client.put("k", "v", prev_kv=True)
    assert probes.store.applied.count("put") == 1
    assert sum(request["op"] == "put" for node in probes.nodes for request in node.requests) == 2
    assert result.prev_kv is None


def test_pipelined_writes_across_a_death_are_applied_once(
    client: Client, probes: ProbeCluster
) -> None:
    client.put("first", "")
    node = probes.busy("put")
    futures = [client.put_async(f"k{index}", "v") for index in range(500)]
    probes.kill(node)
    wait(futures, HANG_SECONDS)
    assert [future.exception() for future in futures if future.exception()] == []
    assert probes.store.applied.count("put") == 501


def test_an_interrupted_write_without_a_session_is_unknown(probes: ProbeCluster) -> None:
    with Client(probes.endpoints, exactly_once=False) as client:
        client.put("k", "1")
        for node in probes.nodes:
            node.script = once(None)
        threading.Timer(0.05, lambda: probes.kill(probes.busy("put"))).start()
        with pytest.raises(OutcomeUnknownError):
            client.put("k", "2")


def test_an_ended_session_is_replaced(client: Client, probes: ProbeCluster) -> None:
    client.put("k", "1")
    probes.store.sessions.clear()
    client.put("k", "2")
    assert probes.store.keys[b"k"]["value"] == b"2"


def test_errors_carry_the_code_and_text_of_the_server(client: Client, probes: ProbeCluster) -> None:
    for node in probes.nodes:
        node.script = lambda request: error(3, "etcdserver: key is not provided")
    with pytest.raises(cluster.InvalidArgumentError) as caught:
        client.get("")
    assert caught.value.code == 3
    assert str(caught.value) == "etcdserver: key is not provided"


def test_a_silent_cluster_gives_up_in_time(probes: ProbeCluster) -> None:
    for node in probes.nodes:
        node.script = lambda request: None
    with Client(probes.endpoints, timeout=0.2) as client, pytest.raises(DeadlineExceededError):
        client.get("k")


def test_an_absent_cluster_names_the_endpoints_tried() -> None:
    with (
        Client("127.0.0.1:1", dial_timeout=0.1) as client,
        pytest.raises(UnavailableError, match=r"127\.0\.0\.1:1") as caught,
    ):
        client.put("k", "v")
    assert caught.value.code == 14


def test_a_cluster_that_comes_up_late_is_used(probes: ProbeCluster) -> None:
    node = probes.nodes[0]
    probes.kill(node)
    with Client(node.endpoint) as client:
        pending = client.put_async("k", "v")
        probes.restart(node)
        assert pending.result(5).header.member_id == 1


def test_a_closed_client_refuses_and_releases_those_who_wait(probes: ProbeCluster) -> None:
    for node in probes.nodes:
        node.script = lambda request: None if request["op"] == "range" else True
    client = Client(probes.endpoints)
    client.put("k", "v")
    pending = client.get_async("k")
    client.close()
    client.close()
    assert isinstance(pending.exception(5), UnavailableError)
    with pytest.raises(UnavailableError, match="closed"):
        client.get("k")


def test_a_request_that_cannot_be_sent_fails_alone(client: Client) -> None:
    client.put("k", "v")
    for fields in ({"lease": 1 << 64}, {"value": b"x" * (17 << 20)}):
        with pytest.raises(InvalidArgumentError):
            client.request({"op": "put", "key": b"k", **fields}, put_result)
    with pytest.raises(InvalidArgumentError, match="serialize"):
        client.watch("k", start_revision=object())  # type: ignore[arg-type]
    assert client.put("k", "w").header.revision == 3


def test_more_requests_than_the_limit_are_refused(
    client: Client, probes: ProbeCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection_module, "OUTSTANDING_CALLS_MAX", 10)
    for node in probes.nodes:
        node.script = lambda request: None
    with pytest.raises(ResourceExhaustedError, match="10 requests"):
        for _ in range(11):
            client.get_async("k")


# --- watches ---


def test_a_watch_sees_what_is_written_after_it_began(client: Client) -> None:
    with client.watch("/users/", prefix=True) as watch:
        client.put("/users/a", "1")
        client.put("/other", "x")
        client.delete("/users/a")
        first, second = watch.get(HANG_SECONDS), watch.get(HANG_SECONDS)
    assert (first.type, first.kv.value, first.revision) == ("PUT", b"1", 2)
    assert (second.type, second.reason, second.revision) == ("DELETE", "deleted", 4)
    assert list(watch) == []


def test_a_watch_from_a_revision_replays_it(client: Client) -> None:
    for value in "123":
        client.put("k", value)
    with client.watch("k", start_revision=3) as watch:
        assert [watch.get(HANG_SECONDS).kv.value for _ in range(2)] == [b"2", b"3"]


def test_a_watch_gives_up_waiting_when_told_to(client: Client) -> None:
    with client.watch("k") as watch, pytest.raises(TimeoutError):
        watch.get(0.01)


def test_watches_survive_the_death_of_the_node_that_serves_them(
    client: Client, probes: ProbeCluster
) -> None:
    with client.watch("k") as watch, client.watch("j") as quiet:
        client.put("k", "0")
        assert watch.get(HANG_SECONDS).kv.value == b"0"
        for index in range(1, 3):
            node = next(node for node in probes.nodes if node.watch_count)
            probes.kill(node)
            probes.nodes.remove(node)
            client.put("k", str(index))
            assert watch.get(HANG_SECONDS).kv.value == str(index).encode()
        client.put("j", "seen")
        assert quiet.get(5).kv.value == b"seen"


@pytest.mark.parametrize("trouble", ["no leader", "rpc not supported for learner"])
def test_a_watch_leaves_a_node_that_cannot_serve_it(
    client: Client, probes: ProbeCluster, trouble: str
) -> None:
    with client.watch("k") as watch:
        old = next(node for node in probes.nodes if node.watch_count)
        old.cancel_watches(f"etcdserver: {trouble}")
        until(lambda: any(node.watch_count for node in probes.nodes if node is not old))
        client.put("k", "v")
        assert watch.get(HANG_SECONDS).kv.value == b"v"


def test_a_compacted_watch_raises_with_the_oldest_revision(
    client: Client, probes: ProbeCluster
) -> None:
    watch = client.watch("k", start_revision=1)
    for node in probes.nodes:
        node.cancel_watches("", compact_revision=9)
    for _ in range(2):
        with pytest.raises(CompactedError) as caught:
            next(watch)
        assert caught.value.compact_revision == 9


def test_a_slow_reader_loses_no_event_and_bounds_the_queue(
    client: Client, probes: ProbeCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch_module, "QUEUED_EVENTS_MAX", 20)
    with client.watch("k") as watch:
        wait([client.put_async("k", str(index)) for index in range(50)], HANG_SECONDS)
        until(lambda: not any(node.watch_count for node in probes.nodes))
        wait([client.put_async("k", str(index)) for index in range(200)], HANG_SECONDS)
        assert waiting_in(watch) <= 50
        revisions = [watch.get(HANG_SECONDS).revision for _ in range(250)]
    assert revisions == list(range(2, 252))


def test_a_watch_keeps_its_client_running(probes: ProbeCluster) -> None:
    watch = Client(probes.endpoints).watch("k")
    gc.collect()
    with Client(probes.endpoints) as other, watch:
        other.put("k", "v")
        assert watch.get(HANG_SECONDS).kv.value == b"v"


def test_cancelling_a_watch_releases_whoever_waits(client: Client, probes: ProbeCluster) -> None:
    watch = client.watch("k")
    taken: list[Any] = []
    thread = threading.Thread(target=lambda: taken.extend(watch))
    thread.start()
    watch.cancel()
    thread.join(5)
    assert not thread.is_alive()
    assert taken == []
    until(lambda: not any(node.watch_count for node in probes.nodes))
    with pytest.raises(WatchCanceledError):
        watch.get(1)


def test_closing_the_client_ends_its_watches(probes: ProbeCluster) -> None:
    client = Client(probes.endpoints)
    watch = client.watch("k")
    client.close()
    with pytest.raises(WatchCanceledError, match="the client was closed"):
        watch.get(HANG_SECONDS)


def test_batches_keep_revisions_whole(client: Client) -> None:
    client.put("a1", "")
    client.put("a2", "")
    with client.watch("a", prefix=True) as watch:
        client.delete("a", prefix=True)
        batch = next(watch.batches())
    assert [event.kv.key for event in batch.events] == [b"a1", b"a2"]
    assert batch.header.revision == 4


# --- the process around it ---


def test_a_forked_child_starts_anew_and_leaves_the_parent_alone(
    client: Client, probes: ProbeCluster
) -> None:
    client.put("parent", "1")
    watch = client.watch("k")
    child = os.fork()
    if child == 0:  # what fails in here shows as the exit status
        try:
            client.put("child", "2")
            with pytest.raises(WatchCanceledError, match="forked"):
                watch.get(1)
        except BaseException:  # noqa: BLE001 - the child must not run the rest of the tests
            os._exit(1)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    client.put("k", "3")
    assert watch.get(HANG_SECONDS).kv.value == b"3"
    assert set(probes.store.keys) == {b"parent", b"child", b"k"}
    # On a busy machine a session may be opened twice, and only one of the two be used.
    assert len([results for results in probes.store.sessions.values() if results]) == 2


def test_importing_the_client_brings_no_server_and_no_terminal_library() -> None:
    code = (
        "import sys; from cluster import Client; "
        "print(*{'pykka', 'lmdb', 'rich', 'click'} & {name.split('.')[0] for name in sys.modules})"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout.split() == []


def test_a_program_that_forgets_to_close_still_ends(probes: ProbeCluster) -> None:
    code = f"from cluster import Client; c = Client({probes.endpoints!r}); c.put('k'); c.watch('k')"
    result = subprocess.run(
        [sys.executable, "-c", code],
        check=False,
        capture_output=True,
        text=True,
        timeout=HANG_SECONDS,
    )
    assert (result.returncode, result.stderr) == (0, "")


def test_a_client_that_is_collected_ends_its_thread(probes: ProbeCluster) -> None:
    client = Client(probes.endpoints)
    client.put("k", "v")
    thread = connection_of(client)._thread
    del client
    gc.collect()
    until(lambda: not thread.is_alive())


def test_a_waker_without_eventfd_wakes_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "eventfd")
    waker = Waker()
    for _ in range(3):
        waker.wake()
    waker.clear()
    waker.clear()
    waker.close()
    waker.wake()


def test_a_waker_that_is_closed_leaves_its_descriptor_to_others() -> None:
    waker = Waker()
    waker.close()
    other = os.eventfd(0, os.EFD_NONBLOCK)
    if other != waker.fd:
        os.dup2(other, waker.fd)
    waker.wake()
    with pytest.raises(BlockingIOError):
        os.eventfd_read(waker.fd)
    for descriptor in {other, waker.fd}:
        os.close(descriptor)


# --- endpoints ---


@pytest.mark.parametrize(
    ("given", "addresses"),
    [
        ("a:1", ["tcp://a:1"]),
        ("a:1, http://b:2/,tcp://c:3", ["tcp://a:1", "tcp://b:2", "tcp://c:3"]),
        (["a:1", "b:2,c:3"], ["tcp://a:1", "tcp://b:2", "tcp://c:3"]),
        ("[::1]:2379", ["tcp://[::1]:2379"]),
        (None, ["tcp://127.0.0.1:2379"]),
    ],
)
def test_endpoints_are_read_as_people_write_them(given: Any, addresses: list[str]) -> None:
    assert list(parse(given).values()) == addresses


def test_endpoints_come_from_the_environment_by_default() -> None:
    environment = {"LEASECTL_ENDPOINTS": "a:1", "ETCDCTL_ENDPOINTS": "b:2"}
    assert list(parse(None, environment)) == ["a:1"]
    del environment["LEASECTL_ENDPOINTS"]
    assert list(parse(None, environment)) == ["b:2"]


@pytest.mark.parametrize(
    "bad",
    [
        "a",
        "a:",
        ":1",
        "a:0",
        "a:65536",
        "a:x",
        "https://a",
        "unix://a:1",
        "::1:2379",
        "a/b:1",
        "a b:1",
    ],
)
def test_a_bad_endpoint_is_named(bad: str) -> None:
    with pytest.raises(ValueError, match="endpoint") as caught:
        Client(["good:1", bad])
    assert repr(bad) in str(caught.value)


@pytest.mark.parametrize("nothing", ["", [], ",", [""]])
def test_no_endpoints_are_refused(nothing: Any) -> None:
    with pytest.raises(ValueError, match="no endpoints"):
        Client(nothing)
