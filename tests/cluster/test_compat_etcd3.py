"""A program written for python-etcd3 works with `cluster.compat.etcd3`, without what was wrong."""

from __future__ import annotations

import io
import sys
import threading
from collections.abc import Iterator
from enum import Enum
from queue import SimpleQueue
from types import SimpleNamespace
from typing import Any

import pytest

from cluster import errors
from cluster.compat import etcd3
from cluster.compat.etcd3 import etcdrpc, exceptions, locks, utils
from cluster.launcher.local import LocalCluster
from tests.limits import HANG_SECONDS

process = pytest.mark.process


@pytest.fixture
def etcd(node: LocalCluster) -> Iterator[etcd3.Etcd3Client]:
    """A client of a node that holds no key."""
    host, _, port = node.endpoints[0].rpartition("/")[2].rpartition(":")
    with etcd3.client(host=host, port=int(port), timeout=HANG_SECONDS) as client:
        for _, meta in client.get_all(keys_only=True):
            client.delete(meta.key)
        yield client


def values(found: Iterator[tuple[bytes, etcd3.KVMetadata]]) -> list[bytes]:
    return [value for value, _ in found]


# --- keys ---


@process
def test_keys_are_put_read_and_deleted(etcd: etcd3.Etcd3Client) -> None:
    assert etcd.get("a") == (None, None)
    put = etcd.put("a", "1")
    assert put.prev_kv.value == b"", "as a message of protobuf has it"
    assert etcd.put("a", "2", prev_kv=True).prev_kv.value == b"1"
    value, meta = etcd.get("a")
    assert meta is not None
    assert (value, meta.key, meta.version, meta.lease_id) == (b"2", b"a", 2, 0)
    assert meta.create_revision == put.header.revision == meta.mod_revision - 1
    assert meta.response_header.revision == meta.mod_revision
    assert etcd.delete("a") is True and etcd.delete("a") is False
    answer = etcd.delete("a", return_response=True)
    assert isinstance(answer, etcdrpc.DeleteRangeResponse) and answer.deleted == 0
    assert etcd.put_if_not_exists("a", "1") is True and etcd.put_if_not_exists("a", "2") is False
    assert etcd.replace("a", "1", "3") is True and etcd.replace("a", "1", "4") is False
    assert etcd.get("a")[0] == b"3"


@process
def test_ranges_have_their_options(etcd: etcd3.Etcd3Client) -> None:
    revisions = [etcd.put(f"p/{name}", name).header.revision for name in "cab"]
    etcd.put("p/c", "d")
    etcd.put("q", "x")
    assert values(etcd.get_prefix("p/")) == [b"a", b"b", b"d"]
    assert values(etcd.get_prefix("p/", sort_order="descend", limit=2)) == [b"d", b"b"]
    assert values(etcd.get_prefix("p/", sort_order="ascend", sort_target="create"))[0] == b"d"
    assert values(etcd.get_range("p/b", "q")) == [b"b", b"d"]
    assert values(etcd.get_prefix("p/", revision=revisions[0])) == [b"c"]
    assert values(etcd.get_all(keys_only=True)) == [b""] * 4
    # python-etcd3 takes the bounds of the creation for bounds of the last put.
    assert values(etcd.get_prefix("p/", min_create_revision=revisions[1])) == [b"a", b"b"]
    assert values(etcd.get_prefix("p/", max_create_revision=revisions[0])) == [b"d"]
    counted = etcd.get_prefix_response("p/", count_only=True)
    assert (counted.count, counted.kvs, counted.more) == (3, [], False)
    for wrong in ({"sort_order": "up"}, {"sort_target": "size"}):
        with pytest.raises(ValueError, match="must be one of"):
            etcd.get_prefix("p/", **wrong)
    with pytest.raises(TypeError, match="the prefix says"):
        etcd.get_prefix("p/", range_end="z")


@process
def test_a_prefix_of_the_last_bytes_is_a_prefix(etcd: etcd3.Etcd3Client) -> None:
    for key in (b"a\xff", b"a\xff1", b"b", b"\xff", b"\xff\xff"):
        etcd.put(key, key)
    assert values(etcd.get_prefix(b"a\xff")) == [b"a\xff", b"a\xff1"]
    assert values(etcd.get_prefix(b"\xff")) == [b"\xff", b"\xff\xff"]
    assert etcd.delete_prefix(b"a\xff").deleted == 2
    with pytest.raises(etcd3.RefusedError, match="key is not provided"):
        etcd.delete_prefix("")
    assert values(etcd.get_all()) == [b"b", b"\xff", b"\xff\xff"]


@process
def test_transactions_answer_by_kind(etcd: etcd3.Etcd3Client) -> None:
    etcd.put("k", "v")
    parts = etcd.transactions
    succeeded, responses = etcd.transaction(
        compare=[parts.value("k") == "v", parts.version("k") > 0, parts.create("none") == 0],
        success=[
            parts.put("a", "1"),
            parts.get("k"),
            parts.delete("k", prev_kv=True),
            parts.txn([parts.mod("a") != "7"], [parts.get("a"), parts.put("b", "2")]),
        ],
    )
    put, found, deleted, inner = responses
    assert succeeded is True and isinstance(found, list)
    assert [(value, meta.key) for value, meta in found] == [(b"v", b"k")]
    assert isinstance(put, etcdrpc.ResponseOp) and put.WhichOneof("response") == "response_put"
    assert put.response_put is not None and put.response_put.header.revision > 0
    assert isinstance(deleted, etcdrpc.ResponseOp) and deleted.response_delete_range is not None
    assert deleted.response_delete_range.prev_kvs[0].value == b"v"
    assert isinstance(inner, etcdrpc.ResponseOp) and inner.response_txn is not None
    assert inner.response_txn.succeeded
    assert [one.WhichOneof() for one in inner.response_txn.responses] == [
        "response_range",
        "response_put",
    ]
    assert etcd.transaction([parts.value("a", "z") == "1"]) == (False, [])
    with pytest.raises(TypeError, match="transactions makes"):
        etcd.transaction([], ["put"])  # type: ignore[list-item]


def test_a_compare_is_a_value_that_nobody_takes_for_true() -> None:
    subject = etcd3.Transactions().version("k")
    first, second = subject == 1, subject > 2
    assert (first.op, second.op) == (etcdrpc.Compare.EQUAL, etcdrpc.Compare.GREATER)
    assert first.build_message().target == etcdrpc.Compare.VERSION
    assert repr(second) == "Version('k') > 2"
    with pytest.raises(TypeError, match="decided by the cluster"):
        assert first and second
    with pytest.raises(ValueError, match="is to be compared"):
        subject.build_message()


# --- watches ---


@process
def test_a_watch_is_iterated_over_until_it_is_cancelled(etcd: etcd3.Etcd3Client) -> None:
    events, cancel = etcd.watch_prefix("w/", prev_kv=True)
    etcd.put("w/1", "a")
    etcd.put("w/1", "b")
    etcd.delete("w/1")
    put, again, gone = next(events), next(events), next(events)
    assert isinstance(put, etcd3.PutEvent) and isinstance(gone, etcd3.DeleteEvent)
    assert (again.key, again.value, again.version, again.prev_value) == (b"w/1", b"b", 2, b"a")
    assert (put.prev_value, gone.value, gone.prev_value) == (b"", b"", b"b")
    cancel()
    assert list(events) == []
    responses, cancel = etcd.watch_response("w/1", start_revision=put.mod_revision)
    response = next(responses)
    assert response.header.revision >= gone.mod_revision and len(response.events) == 3
    cancel()


@process
def test_a_watch_for_one_event_ends_with_it_or_in_time(etcd: etcd3.Etcd3Client) -> None:
    revision = etcd.put("w", "1").header.revision
    assert etcd.watch_once("w", start_revision=revision).value == b"1"
    assert etcd.watch_prefix_once_response("w", start_revision=revision).events[0].key == b"w"
    for filters in ([etcdrpc.WatchCreateRequest.FilterType.Value("NOPUT")], ["NOPUT"]):
        with pytest.raises(etcd3.WatchTimedOut):
            etcd.watch_prefix_once("w", 0.01, start_revision=revision, filters=filters)
    with pytest.raises(TypeError, match="no fragment"):
        etcd.watch("w", fragment=True)


@process
def test_a_watch_calls_back_until_it_is_cancelled(etcd: etcd3.Etcd3Client) -> None:
    told: SimpleQueue[Any] = SimpleQueue()
    first = etcd.add_watch_prefix_callback("w", told.put)
    second = etcd.add_watch_callback("last", told.put)
    etcd.put("w/1", "a")
    assert told.get(timeout=HANG_SECONDS).events[0].key == b"w/1"
    etcd.cancel_watch(first)
    etcd.cancel_watch(first)
    etcd.put("w/2", "b")
    etcd.put("last", "c")
    assert told.get(timeout=HANG_SECONDS).events[0].key == b"last"
    etcd.cancel_watch(second)
    assert etcd._watches == {}


@process
def test_history_that_is_gone_shows_where_events_would(etcd: etcd3.Etcd3Client) -> None:
    for value in "123":
        revision = etcd.put("w", value).header.revision
    etcd.compact(revision)
    events, cancel = etcd.watch("w", start_revision=1)
    with pytest.raises(etcd3.RevisionCompactedError) as raised:
        next(events)
    assert raised.value.compacted_revision == revision
    cancel()
    told: SimpleQueue[Any] = SimpleQueue()
    etcd.add_watch_callback("w", told.put, start_revision=1)
    assert isinstance(told.get(timeout=HANG_SECONDS), etcd3.RevisionCompactedError)
    assert etcd._watches == {}
    with pytest.raises(etcd3.Etcd3Exception, match="has been compacted"):
        etcd.get("w", revision=1)


# --- leases and locks ---


@process
def test_a_lease_is_renewed_when_it_is_asked_for(etcd: etcd3.Etcd3Client) -> None:
    lease = etcd.lease(60)
    assert lease.ttl == lease.granted_ttl == 60 and type(lease.ttl) is int
    etcd.put("k", "v", lease=lease)
    assert lease.keys == [b"k"] and 0 < lease.remaining_ttl <= 60
    assert next(etcd.refresh_lease(lease.id)).TTL == 60 == lease.refresh()[0].TTL
    with pytest.raises(etcd3.PreconditionFailedError, match="already exists"):
        etcd.lease(60, lease.id)
    lease.revoke()
    assert etcd.get("k") == (None, None)
    assert lease.refresh()[0].TTL == 0 and lease.remaining_ttl == -1
    with pytest.raises(etcd3.RefusedError, match="requested lease not found"):
        etcd.revoke_lease(lease.id)


@process
def test_a_lock_excludes_and_leaves_no_lease(etcd: etcd3.Etcd3Client) -> None:
    lock, other = etcd.lock("job", ttl=60), etcd.lock(b"job")
    assert lock.acquire() is True and lock.acquire(timeout=0) is False
    assert lock.is_acquired() and not other.is_acquired()
    assert other.acquire(timeout=0.01) is False
    assert len(leases_of(etcd)) == 1, "those who did not get it hold none"
    assert lock.refresh()[0].TTL == 60
    with pytest.raises(ValueError, match="was not acquired"):
        other.refresh()
    waiting = threading.Thread(target=other.acquire, args=(None,))
    waiting.start()
    assert lock.release() is True and lock.release() is False
    waiting.join(HANG_SECONDS)
    assert other.is_acquired() and other.revision > lock.revision
    assert other.release() is True
    assert leases_of(etcd) == ()


@process
def test_a_block_is_not_entered_without_the_lock(
    etcd: etcd3.Etcd3Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locks, "ACQUIRE_SECONDS", 0.01)
    with etcd.lock("job") as held:
        with pytest.raises(etcd3.LockTimedOut, match="'job'"), etcd.lock("job"):
            raise AssertionError("two hold the lock")
        assert held.is_acquired()


def leases_of(etcd: etcd3.Etcd3Client) -> tuple[int, ...]:
    return etcd._client.lease.list().ids


# --- the cluster ---


@process
def test_the_cluster_tells_of_itself(etcd: etcd3.Etcd3Client) -> None:
    (member,) = etcd.members
    status = etcd.status()
    assert status.leader is not None and status.leader.id == member.id
    assert isinstance(etcd.hash(), int) and member.name and member.peer_urls
    etcd.defragment()
    copy = io.BytesIO()
    etcd.snapshot(copy)
    assert copy.getbuffer().nbytes > 0
    with pytest.raises(etcd3.RefusedError, match="member not found"):
        etcd.remove_member(7)


@process
def test_alarms_are_raised_told_and_cleared(etcd: etcd3.Etcd3Client) -> None:
    (member,) = etcd.members
    assert etcd.create_alarm(member.id) == [etcd3.Alarm(etcdrpc.NOSPACE, member.id)]
    etcd.create_alarm()
    assert sorted(alarm.member_id for alarm in etcd.list_alarms()) == [0, member.id]
    assert [alarm.member_id for alarm in member.active_alarms] == [member.id]
    assert len(etcd.disarm_alarm()) == 2 and list(etcd.list_alarms()) == []


# --- errors and endpoints ---


@pytest.mark.parametrize(
    ("error", "kind", "text"),
    [
        (errors.UnavailableError("no leader"), etcd3.ConnectionFailedError, "failed: no leader"),
        (errors.OutcomeUnknownError("late"), etcd3.ConnectionTimeoutError, "timeout: late"),
        (errors.FailedPreconditionError("not now"), etcd3.PreconditionFailedError, "not now"),
        (errors.LeaseholdError("broken", 13), etcd3.InternalServerError, "broken"),
        (errors.CompactedError("gone", None, 7), etcd3.RevisionCompactedError, "gone"),
        (errors.PermissionDeniedError("no"), etcd3.RefusedError, "no"),
    ],
)
def test_an_error_of_the_client_has_its_name_there(
    error: errors.LeaseholdError, kind: type[Exception], text: str
) -> None:
    shown = exceptions.exception_of(error)
    assert isinstance(shown, kind) and str(shown).endswith(text)


def test_a_program_that_has_grpc_catches_what_has_no_name_as_an_error_of_grpc(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Status(Enum):
        DENIED = (7, "denied")

    class RpcError(Exception):
        pass

    refused = errors.PermissionDeniedError("no")
    monkeypatch.delitem(sys.modules, "grpc", raising=False)
    without = exceptions.exception_of(refused)
    assert isinstance(without, etcd3.RefusedError) and without.code() == 7
    monkeypatch.setitem(
        sys.modules,
        "grpc",
        SimpleNamespace(RpcError=RpcError, StatusCode=Status),
    )
    shown = exceptions.exception_of(refused)
    assert isinstance(shown, RpcError) and isinstance(shown, etcd3.RefusedError)
    assert shown.code() is Status.DENIED and shown.details() == "no"


def test_where_nobody_listens_the_connection_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules["cluster.compat.etcd3.client"], "DIAL_SECONDS", 0.05)
    failed = pytest.raises(etcd3.ConnectionFailedError, match="etcd connection failed: ")
    with etcd3.client(port=1, timeout=HANG_SECONDS) as etcd, failed:
        etcd.get("k")


def test_endpoints_are_in_the_clear_or_all_inside_tls() -> None:
    etcd = etcd3.MultiEndpointEtcd3Client
    creds = etcd.get_secure_creds("ca.pem")
    with pytest.raises(ValueError, match="get_secure_creds"):
        etcd3.Endpoint("a", 1)
    with pytest.raises(ValueError, match="all have the same creds"):
        etcd([etcd3.Endpoint("a", 1, creds=creds), etcd3.Endpoint("b", 1, secure=False)])
    with pytest.raises(ValueError, match="needs an endpoint"):
        etcd([])
    with pytest.raises(ValueError, match="go together"):
        etcd3.client(ca_cert="ca.pem", cert_key="key.pem")
    with pytest.raises(TypeError, match="go together"):
        etcd3.client(user="root")
    several = [etcd3.Endpoint("127.0.0.1", 1, secure=False), etcd3.Endpoint("::1", 1, secure=False)]
    with etcd(several) as client:
        assert list(client.endpoints) == ["127.0.0.1:1", "[::1]:1"]
    assert str(several[1]) == "Endpoint(http://[::1]:1)"


def test_the_helpers_are_there() -> None:
    assert utils.prefix_range_end(b"ab\xff") == b"ac" and utils.prefix_range_end(b"\xff") == b"\0"
    assert (utils.to_bytes("ä"), utils.lease_to_id(None), utils.lease_to_id(7)) == (
        b"\xc3\xa4",
        0,
        7,
    )
    assert etcdrpc.RangeRequest.SortOrder.Name(2) == "DESCEND"
    with pytest.raises(ValueError, match="NOPUT, NODELETE"):
        etcdrpc.WatchCreateRequest.FilterType.Value("NONE")
