"""Replies: each result as a client decodes it."""

from __future__ import annotations

from typing import Any

import pytest

from actors.gateway import replies
from actors.gateway.replies import ReplyEncoder
from actors.language.commands import AlarmMember, AlarmType, Change, Event, KeyValue, Member
from actors.language.encoding import Packing, error_reply
from actors.language.queries import RaftStatus
from actors.language.results import (
    Alarms,
    DeleteDone,
    Done,
    Failure,
    HashDone,
    HistoryDone,
    Incremented,
    LeaseGranted,
    LeaseKeptAlive,
    LeaseLife,
    LeaseRevoked,
    Leases,
    Members,
    PutDone,
    RangeDone,
    Result,
    SessionOpened,
    SnapshotBlob,
    StatusDone,
    TxnDone,
)
from actors.store.steps import finish
from cluster.faults import FAULTS, NOT_CAUGHT_UP
from cluster.wire import pack, unpack

CLUSTER_ID = 14841639068965178418
MEMBER_ID = 10276657743932975437
KV = KeyValue(b"k", 2, 3, 2, b"v", 7)
HEADER = {"cluster_id": CLUSTER_ID, "member_id": MEMBER_ID, "revision": 8, "raft_term": 2}


def encoder() -> ReplyEncoder:
    made = ReplyEncoder(CLUSTER_ID, MEMBER_ID, "1.2.3", 1_000)
    made.set_term(2)
    return made


def whole(frame: bytes | Packing) -> bytes:
    """The reply, when all of its portions are done."""
    return frame if isinstance(frame, bytes) else bytes(finish(frame))


def fields(result: Result) -> dict[str, Any]:
    """The reply to a request without an id, without its header."""
    reply: dict[str, Any] = unpack(whole(encoder().encode(b"", result)))
    assert reply.pop("header") == HEADER
    return reply


@pytest.mark.parametrize("items_at_once", [-1, replies.ITEMS_AT_ONCE], ids=("portions", "whole"))
@pytest.mark.parametrize(
    ("result", "expected"),
    [
        (PutDone(8), {}),
        (PutDone(8, KV), {"prev_kv": KV._asdict()}),
        (RangeDone(8, (), False, 0), {"kvs": (), "more": False, "count": 0}),
        (RangeDone(8, (KV,), True, 5), {"kvs": (KV._asdict(),), "more": True, "count": 5}),
        (DeleteDone(8, 0), {"deleted": 0}),
        (DeleteDone(8, 1, (KV,)), {"deleted": 1, "prev_kvs": (KV._asdict(),)}),
        (PutDone(8, None, 5, 1_500), {"lease": 5, "TTL": 1.5}),
        (PutDone(8, KV, 5, 2_000), {"prev_kv": KV._asdict(), "lease": 5, "TTL": 2}),
        (Incremented(8, -3), {"value": -3}),
        (
            HashDone(8, 2**32 - 1, -1, 7),
            {"hash": 2**32 - 1, "compact_revision": -1, "hash_revision": 7},
        ),
        (
            Alarms(8, (AlarmMember(2**64 - 1, AlarmType.NOSPACE),)),
            {"alarms": ({"memberID": 2**64 - 1, "alarm": "NOSPACE"},)},
        ),
        (
            SnapshotBlob(8, "s", b"part", 5, b"h"),
            {"name": "s", "blob": b"part", "remaining_bytes": 5, "sha256": b"h"},
        ),
        (LeaseGranted(8, 5, 10_000), {"ID": 5, "TTL": 10}),
        (LeaseGranted(8, 5, 750), {"ID": 5, "TTL": 0.75}),
        (LeaseRevoked(8), {}),
        (LeaseKeptAlive(8, 5, 0), {"ID": 5, "TTL": 0}),
        (SessionOpened(8, 77), {"session": 77}),
        (Done(8), {}),
        (
            LeaseLife(8, 5, 67_999, 100_000),
            {"ID": 5, "TTL": 67, "grantedTTL": 100, "remaining_ms": 67_999},
        ),
        (
            LeaseLife(8, 5, -1, 0, ()),
            {"ID": 5, "TTL": -1, "grantedTTL": 0, "remaining_ms": -1, "keys": ()},
        ),
        (
            LeaseLife(8, 5, 400, 450, (b"a", b"b")),
            {"ID": 5, "TTL": 0, "grantedTTL": 0.45, "remaining_ms": 400, "keys": (b"a", b"b")},
        ),
        (Leases(8, (3, 9)), {"leases": ({"ID": 3}, {"ID": 9})}),
    ],
)
def test_each_result_has_the_fields_of_its_table(
    result: Result, expected: dict[str, Any], items_at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replies, "ITEMS_AT_ONCE", items_at_once)
    assert fields(result) == expected


def test_a_long_answer_in_portions_is_the_same_as_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    kvs = tuple(KV._replace(key=b"%d" % number) for number in range(1_000))
    found = RangeDone(8, kvs, False, 1_000)
    gone = Event(Change.DELETED, KV, None)
    long: tuple[Result, ...] = (
        found,
        TxnDone(8, True, (PutDone(8), found, TxnDone(0, False, (found,)), DeleteDone(8, 9, kvs))),
        HistoryDone(8, (gone,) * 300, False, True),
        Leases(8, tuple(range(300))),
        LeaseLife(8, 5, 400, 450, tuple(kv.key for kv in kvs)),
    )
    in_portions = [encoder().encode(pack(3), result) for result in long]
    assert not any(isinstance(each, bytes) for each in in_portions)
    monkeypatch.setattr(replies, "ITEMS_AT_ONCE", 10_000)
    for result, frame in zip(long, in_portions, strict=True):
        assert unpack(whole(frame)) == unpack(whole(encoder().encode(pack(3), result)))


def test_a_history_has_events_as_of_a_watch() -> None:
    gone = Event(Change.LEASE_EXPIRED, KeyValue(b"k", 0, 4, 0, b"", 0), None)
    reply = fields(HistoryDone(8, (gone, Event(Change.PUT, KV, None)), True, False))
    assert (reply["more"], reply["compacted"]) == (True, False)
    assert reply["events"] == (
        {"type": "DELETE", "kv": {"key": b"k", "mod_revision": 4}, "reason": "lease expired"},
        {"type": "PUT", "kv": KV._asdict()},
    )


def test_a_transaction_answers_for_each_of_its_operations() -> None:
    nested = TxnDone(8, False, (Incremented(8, 5),))
    responses = (PutDone(8, KV), RangeDone(8, (KV,), False, 1), DeleteDone(7, 0), nested)
    at = {"header": {"revision": 8}}
    assert fields(TxnDone(8, True, responses)) == {
        "succeeded": True,
        "responses": (
            {"response_put": {**at, "prev_kv": KV._asdict()}},
            {"response_range": {**at, "kvs": (KV._asdict(),), "more": False, "count": 1}},
            {"response_delete_range": {"header": {"revision": 7}, "deleted": 0}},
            {
                "response_txn": {
                    **at,
                    "succeeded": False,
                    "responses": ({"response_increment": {**at, "value": 5}},),
                }
            },
        ),
    }


def test_whole_ttls_are_integers() -> None:
    assert type(fields(LeaseGranted(8, 5, 10_000))["TTL"]) is int


def test_members_are_listed_with_etcds_names() -> None:
    member = Member(2**64 - 1, "n1", ("http://a:1",), ("http://a:2",), False)
    assert fields(Members(8, (member,)))["members"] == (
        {
            "ID": 2**64 - 1,
            "name": "n1",
            "peerURLs": ("http://a:1",),
            "clientURLs": ("http://a:2",),
            "isLearner": False,
        },
    )


def test_a_member_that_was_added_is_named_beside_all() -> None:
    old = Member(1, "n1", ("tcp://a:1",), ("tcp://a:2",), False)
    new = Member(2, "", ("tcp://b:1",), (), True)
    reply = unpack(whole(encoder().encode(b"", Members(8, (old, new)), added=2)))
    assert reply["member"]["ID"] == 2
    assert reply["member"] == reply["members"][1]
    assert [member["ID"] for member in reply["members"]] == [1, 2]


def test_a_moved_leader_is_answered_by_a_header_without_a_revision() -> None:
    reply = unpack(encoder().encode_moved(pack(3)))
    assert reply == {"id": 3, "header": {**HEADER, "revision": 0}}


def test_a_status_names_the_leader_or_says_that_there_is_none() -> None:
    raft = RaftStatus(MEMBER_ID, 2, 40, False)
    assert fields(StatusDone(8, 100, 90, 39, raft)) == {
        "version": "1.2.3",
        "dbSize": 100,
        "dbSizeInUse": 90,
        "maxRequestBytes": 1_000,
        "leader": MEMBER_ID,
        "raftIndex": 40,
        "raftTerm": 2,
        "raftAppliedIndex": 39,
        "isLearner": False,
        "errors": (),
    }
    alone = StatusDone(8, 100, 90, 39, raft._replace(leader=0))
    assert fields(alone)["errors"] == ("etcdserver: no leader",)
    behind = StatusDone(8, 100, 90, 39, raft._replace(has_caught_up=False))
    assert fields(behind)["errors"] == (NOT_CAUGHT_UP,)
    alarmed = StatusDone(8, 100, 90, 39, raft, (AlarmMember(7, AlarmType.CORRUPT),))
    assert fields(alarmed)["errors"] == ("memberID:7 alarm:CORRUPT ",)


def test_a_status_tells_the_quota_if_there_is_one() -> None:
    status = StatusDone(8, 100, 90, 39, RaftStatus(1, 2, 40, is_learner=False))
    assert "dbSizeQuota" not in fields(status)
    encoder = ReplyEncoder(CLUSTER_ID, MEMBER_ID, "1.2.3", 1_000, quota_bytes=5_000)
    assert unpack(whole(encoder.encode(b"", status)))["dbSizeQuota"] == 5_000


@pytest.mark.parametrize("request_id", [7, "seven", b"\x07", None, 2**64 - 1])
def test_the_request_id_is_echoed(request_id: Any) -> None:
    for result in (PutDone(8), Done(8), Failure("LeaseNotFound")):
        reply = unpack(whole(encoder().encode(pack(request_id), result)))
        assert "id" in reply
        assert reply["id"] == request_id


def test_a_failure_is_an_error_with_etcds_code_and_text() -> None:
    assert unpack(whole(encoder().encode(b"", Failure("LeaseNotFound")))) == {
        "error": {"code": 5, "message": "etcdserver: requested lease not found"}
    }


def test_an_unknown_outcome_is_said() -> None:
    reply = unpack(error_reply(pack(1), FAULTS["Timeout"], outcome_unknown=True))
    assert reply == {
        "id": 1,
        "error": {"code": 14, "message": "etcdserver: request timed out", "unknown": True},
    }


def test_headers_carry_the_latest_term() -> None:
    made = encoder()
    made.set_term(2**40)
    assert unpack(whole(made.encode(b"", PutDone(8))))["header"]["raft_term"] == 2**40
