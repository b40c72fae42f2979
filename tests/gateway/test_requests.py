"""Requests: from bytes to commands and queries, or to an error that names the fault."""

from __future__ import annotations

from typing import Any

import pytest

from actors.gateway.operations import LeaseGrants
from actors.gateway.requests import Inquiry, Refusal, Request, RequestDecoder, Write
from actors.messages import WatchCancel, WatchOpen, WatchProgress
from actors.store.codec import decode_command
from actors.store.commands import (
    Command,
    DeleteRange,
    LeaseGrant,
    LeaseKeepAlive,
    LeaseLeases,
    LeaseRevoke,
    LeaseTimeToLive,
    MemberList,
    Put,
    Query,
    Range,
    Sequence,
    SessionOpen,
    Status,
)
from cluster.wire import pack

DEALER = (b"\0\0\0\0\1",)
REQ = (b"\0\0\0\0\1", b"")
REQUEST_BYTES_MAX = 1_500
TTL_MS_MIN = 450


def decoder() -> RequestDecoder:
    grants = LeaseGrants(member_id=0x1234_5678_9ABC_694D, wall_ms=1_000, ttl_ms_min=TTL_MS_MIN)
    return RequestDecoder(grants, REQUEST_BYTES_MAX)


def decode(**request: Any) -> Request:
    return decoder().decode(DEALER, pack(request))


def command(**request: Any) -> Command:
    decoded = decode(**request)
    assert isinstance(decoded, Write), decoded
    made, sequence = decode_command(decoded.command)
    assert sequence is None
    return made


def query(**request: Any) -> Query:
    decoded = decode(**request)
    assert isinstance(decoded, Inquiry), decoded
    return decoded.query


def message(**request: Any) -> str:
    decoded = decode(**request)
    assert isinstance(decoded, Refusal), decoded
    return decoded.fault.message


def test_a_field_that_is_left_out_has_its_zero_value() -> None:
    assert command(op="put", key=b"k") == Put(b"k", b"")
    assert query(op="range", key=b"k") == Range(b"k")
    assert command(op="delete_range", key=b"k") == DeleteRange(b"k")
    assert command(op="lease_revoke") == LeaseRevoke(0)


def test_every_field_arrives() -> None:
    assert command(
        op="put", key="k", value="é", lease=7, prev_kv=True, ignore_value=False, ignore_lease=False
    ) == Put(b"k", "é".encode(), 7, True, False, False)
    assert query(
        op="range", key="a", range_end="b", limit=3, revision=9, keys_only=True, count_only=True
    ) == Range(b"a", b"b", 3, 9, True, True)
    assert command(op="delete_range", key="a", range_end="b", prev_kv=True) == DeleteRange(
        b"a", b"b", True
    )
    assert query(op="lease_time_to_live", ID=7, keys=True) == LeaseTimeToLive(7, True)
    assert command(op="lease_keep_alive", ID=7) == LeaseKeepAlive(7)


def test_operations_without_fields_are_what_they_say() -> None:
    assert query(op="lease_leases") == LeaseLeases()
    assert query(op="member_list") == MemberList()
    assert query(op="status") == Status()
    assert command(op="session_open") == SessionOpen()


def test_a_read_is_linearizable_unless_it_says_otherwise() -> None:
    assert decode(op="range", key="k") == Inquiry(b"", Range(b"k"), False)
    assert decode(op="range", key="k", serializable=True) == Inquiry(b"", Range(b"k"), True)


def test_negative_limits_and_revisions_are_none_as_in_etcd() -> None:
    assert query(op="range", key="k", limit=-1, revision=-5) == Range(b"k")


def test_a_watch_keeps_its_connection_and_request_id() -> None:
    assert decode(
        op="watch_create",
        id=4,
        key="a",
        range_end="b",
        start_revision=5,
        prev_kv=True,
        filters=["NOPUT"],
        watch_id=2,
    ) == WatchOpen(DEALER, pack(4), 2, b"a", b"b", 5, True, True, False)
    assert decode(op="watch_cancel", watch_id=2) == WatchCancel(DEALER, b"", 2)
    assert decode(op="watch_progress", id="p") == WatchProgress(DEALER, pack("p"))


def test_filters_are_names_or_numbers_and_no_key_is_the_first_one() -> None:
    decoded = decode(op="watch_create", filters=[1, "NODELETE"], range_end=b"\0")
    assert decoded == WatchOpen(DEALER, b"", 0, b"\0", b"\0", 0, False, False, True)


@pytest.mark.parametrize(
    ("request_map", "text"),
    [
        ({"op": "foo"}, 'unknown operation "foo"'),
        ({}, 'the request has no "op"'),
        ({"op": b"put"}, 'field "op" must be text, not bytes'),
        ({"op": "put", "key": b"k", "foo": 1}, 'unknown field "foo" in put'),
        ({"op": "put", "key": 5}, 'field "key" of put must be bytes or text, not int'),
        ({"op": "put", "key": None}, 'field "key" of put must be bytes or text, not nil'),
        (
            {"op": "put", "key": "k", "lease": True},
            'field "lease" of put must be an integer, not bool',
        ),
        (
            {"op": "put", "key": "k", "prev_kv": 1},
            'field "prev_kv" of put must be a boolean, not int',
        ),
        (
            {"op": "put", "key": "k", "lease": 2**63},
            'field "lease" of put does not fit in a signed integer of 64 bits',
        ),
        (
            {"op": "watch_create", "filters": ["NO"]},
            'field "filters" of watch_create may hold only NOPUT (0) and NODELETE (1)',
        ),
        (
            {"op": "watch_create", "filters": [True]},
            'field "filters" of watch_create may hold only NOPUT (0) and NODELETE (1)',
        ),
        (
            {"op": "watch_cancel", "watch_id": -1},
            'field "watch_id" of watch_cancel must not be negative',
        ),
        (
            {"op": "lease_grant", "TTL": float("nan")},
            'field "TTL" of lease_grant must be finite',
        ),
        (
            {"op": "lease_grant", "TTL": "5"},
            'field "TTL" of lease_grant must be a number of seconds, not text',
        ),
        ({"op": "range", "key": "k", "session": 1}, 'unknown field "session" in range'),
        ({"op": "session_open", "seq": 1}, 'unknown field "seq" in session_open'),
        ({"op": "x" * 99}, f'unknown operation "{"x" * 40}..."'),
    ],
)
def test_a_fault_is_named(request_map: dict[str, Any], text: str) -> None:
    decoded = decode(**request_map)
    assert isinstance(decoded, Refusal)
    assert decoded.fault == (3, f"leasehold: {text}")


@pytest.mark.parametrize(
    ("request_map", "text"),
    [
        ({"op": "put"}, "etcdserver: key is not provided"),
        ({"op": "put", "key": ""}, "etcdserver: key is not provided"),
        ({"op": "range"}, "etcdserver: key is not provided"),
        ({"op": "delete_range", "range_end": "z"}, "etcdserver: key is not provided"),
        (
            {"op": "put", "key": "k", "value": "v", "ignore_value": True},
            "etcdserver: value is provided",
        ),
        (
            {"op": "put", "key": "k", "lease": 1, "ignore_lease": True},
            "etcdserver: lease is provided",
        ),
        ({"op": "lease_grant", "TTL": 9_000_000_001}, "etcdserver: too large lease TTL"),
        ({"op": "lease_grant", "TTL": 1e300}, "etcdserver: too large lease TTL"),
    ],
)
def test_etcds_errors_have_etcds_words(request_map: dict[str, Any], text: str) -> None:
    assert message(**request_map) == text


@pytest.mark.parametrize("payload", [b"", b"\xc1", pack([1]), pack(7), pack({"op": "put"}) + b"x"])
def test_what_is_no_map_is_refused_without_an_id(payload: bytes) -> None:
    refusal = decoder().decode(DEALER, payload)
    assert isinstance(refusal, Refusal)
    assert refusal.request_id == b""
    assert refusal.fault.message.startswith("leasehold: ")


@pytest.mark.parametrize("request_id", [0, -5, 2**64 - 1, "text", b"\xff" * 64, None, "é" * 32])
def test_an_id_is_echoed_as_it_was(request_id: Any) -> None:
    assert decode(op="foo", id=request_id) == Refusal(
        pack(request_id),
        decode(op="foo").fault,  # type: ignore[union-attr]
    )


@pytest.mark.parametrize("request_id", [b"x" * 65, "é" * 33, 1.5, True, [1]])
def test_an_id_of_another_type_or_size_is_an_error_without_one(request_id: Any) -> None:
    refusal = decode(op="put", key="k", id=request_id)
    assert isinstance(refusal, Refusal)
    assert refusal.request_id == b""
    assert 'field "id"' in refusal.fault.message


def test_a_request_that_is_too_large_is_refused_with_its_id() -> None:
    refusal = decode(op="put", key="k", value=b"v" * REQUEST_BYTES_MAX, id=9)
    assert isinstance(refusal, Refusal)
    assert refusal.request_id == pack(9)
    assert refusal.fault.message == "etcdserver: request is too large"
    garbage = decoder().decode(DEALER, b"\xff" * (REQUEST_BYTES_MAX + 1))
    assert garbage == Refusal(b"", refusal.fault)


def test_a_sequence_goes_with_the_command() -> None:
    decoded = decode(op="put", key="k", session=5, seq=2, ack=1)
    assert isinstance(decoded, Write)
    assert decode_command(decoded.command) == (Put(b"k", b""), Sequence(5, 2, 1))
    assert command(op="put", key="k", session=0, seq=0) == Put(b"k", b"")


@pytest.mark.parametrize(
    ("sequence", "field"),
    [
        ({"seq": 1}, "session"),
        ({"session": -1, "seq": 1}, "session"),
        ({"session": 1}, "seq"),
        ({"session": 1, "seq": -1}, "seq"),
        ({"session": 1, "seq": 2, "ack": 3}, "ack"),
        ({"session": 1, "seq": 2, "ack": -1}, "ack"),
        ({"session": 1, "seq": 2, "ack": True}, "ack"),
        ({"session": "1", "seq": 2}, "session"),
        ({"session": 2**63, "seq": 2}, "session"),
    ],
)
def test_a_broken_sequence_is_named(sequence: dict[str, Any], field: str) -> None:
    assert f'field "{field}" of put' in message(op="put", key="k", **sequence)


@pytest.mark.parametrize(
    ("ttl", "ttl_ms"),
    [(10, 10_000), (0.75, 750), (1.5, 1_500), (0, 450), (-3, 450), (-1e308, 450), (0.1, 450)],
)
def test_a_ttl_is_in_seconds_and_at_least_the_minimum(ttl: float, ttl_ms: int) -> None:
    assert command(op="lease_grant", TTL=ttl, ID=5) == LeaseGrant(5, ttl_ms)


def test_lease_ids_follow_etcds_formula_and_do_not_repeat() -> None:
    one = decoder()
    ids = []
    for _ in range(300):
        decoded = one.decode(DEALER, pack({"op": "lease_grant", "TTL": 5}))
        assert isinstance(decoded, Write)
        grant, _sequence = decode_command(decoded.command)
        assert isinstance(grant, LeaseGrant)
        ids.append(grant.id)
    assert ids[0] == (0x694D << 48) + (1_000 << 8) + 1
    assert ids == list(range(ids[0], ids[0] + 300))


@pytest.mark.parametrize("operation", ["watch_create", "watch_cancel", "watch_progress"])
def test_watching_needs_a_dealer_that_zeromq_named(operation: str) -> None:
    payload = pack({"op": operation, "id": 1})
    from_req = decoder().decode(REQ, payload)
    assert isinstance(from_req, Refusal)
    assert from_req.fault.message == f"leasehold: {operation} needs a DEALER socket, not a REQ"
    named = decoder().decode((b"my-own-name",), payload)
    assert isinstance(named, Refusal)
    assert "ZMQ_ROUTING_ID" in named.fault.message


def test_a_named_socket_and_a_req_may_do_everything_else() -> None:
    payload = pack({"op": "put", "key": "k"})
    assert isinstance(decoder().decode(REQ, payload), Write)
    assert isinstance(decoder().decode((b"my-own-name",), payload), Write)
