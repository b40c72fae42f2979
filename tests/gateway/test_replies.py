"""Replies: each result as a client decodes it."""

from __future__ import annotations

from typing import Any

import pytest

from actors.encoding import error_reply
from actors.gateway.replies import ReplyEncoder
from actors.store.commands import (
    DeleteDone,
    Done,
    Failure,
    KeyValue,
    LeaseGranted,
    LeaseKeptAlive,
    LeaseLife,
    LeaseRevoked,
    Leases,
    Member,
    Members,
    PutDone,
    RaftStatus,
    RangeDone,
    Result,
    SessionOpened,
    StatusDone,
)
from cluster.errors import FAULTS
from cluster.wire import pack, unpack

CLUSTER_ID = 14841639068965178418
MEMBER_ID = 10276657743932975437
KV = KeyValue(b"k", 2, 3, 2, b"v", 7)
HEADER = {"cluster_id": CLUSTER_ID, "member_id": MEMBER_ID, "revision": 8, "raft_term": 2}


def encoder() -> ReplyEncoder:
    made = ReplyEncoder(CLUSTER_ID, MEMBER_ID, "1.2.3")
    made.set_term(2)
    return made


def fields(result: Result) -> dict[str, Any]:
    """The reply to a request without an id, without its header."""
    reply: dict[str, Any] = unpack(encoder().encode(b"", result))
    assert reply.pop("header") == HEADER
    return reply


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        (PutDone(8), {}),
        (PutDone(8, KV), {"prev_kv": KV._asdict()}),
        (RangeDone(8, (), False, 0), {"kvs": (), "more": False, "count": 0}),
        (RangeDone(8, (KV,), True, 5), {"kvs": (KV._asdict(),), "more": True, "count": 5}),
        (DeleteDone(8, 0), {"deleted": 0}),
        (DeleteDone(8, 1, (KV,)), {"deleted": 1, "prev_kvs": (KV._asdict(),)}),
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
def test_each_result_has_the_fields_of_its_table(result: Result, expected: dict[str, Any]) -> None:
    assert fields(result) == expected


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


def test_a_status_names_the_leader_or_says_that_there_is_none() -> None:
    raft = RaftStatus(MEMBER_ID, 2, 40, False)
    assert fields(StatusDone(8, 100, 90, 39, raft)) == {
        "version": "1.2.3",
        "dbSize": 100,
        "dbSizeInUse": 90,
        "leader": MEMBER_ID,
        "raftIndex": 40,
        "raftTerm": 2,
        "raftAppliedIndex": 39,
        "isLearner": False,
        "errors": (),
    }
    alone = StatusDone(8, 100, 90, 39, raft._replace(leader=0))
    assert fields(alone)["errors"] == ("etcdserver: no leader",)


@pytest.mark.parametrize("request_id", [7, "seven", b"\x07", None, 2**64 - 1])
def test_the_request_id_is_echoed(request_id: Any) -> None:
    for result in (PutDone(8), Done(8), Failure("LeaseNotFound")):
        reply = unpack(encoder().encode(pack(request_id), result))
        assert "id" in reply
        assert reply["id"] == request_id


def test_a_failure_is_an_error_with_etcds_code_and_text() -> None:
    assert unpack(encoder().encode(b"", Failure("LeaseNotFound"))) == {
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
    assert unpack(made.encode(b"", PutDone(8)))["header"]["raft_term"] == 2**40
