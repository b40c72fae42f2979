"""Requests as maps of the protocol, and replies as bytes of messages."""

from __future__ import annotations

from typing import Any

import pytest

from cluster import wire
from cluster.etcd.rpc.mapping import (
    LONG_LISTS,
    PARTS_MAX,
    WATCH,
    ResponseEncoder,
    decode,
    responses_of,
)
from cluster.etcd.rpc.schema import RPCS, Rpc
from cluster.etcd.rpc.status import RpcError

HEADER = {"cluster_id": (1 << 64) - 1, "member_id": 1 << 63, "revision": 300, "raft_term": 7}
KV = {
    "key": b"k",
    "create_revision": 1,
    "mod_revision": 2,
    "version": 2,
    "value": b"v",
    "lease": 0,
}
REPLIES = ResponseEncoder(HEADER["cluster_id"], HEADER["member_id"])


def rpc(method: str, service: str = "KV") -> Rpc:
    package = {"Lock": "v3lockpb", "Election": "v3electionpb"}.get(service, "etcdserverpb")
    return RPCS[f"/{package}.{service}/{method}".encode()]


def request(of: Rpc, **fields: Any) -> dict[str, Any]:
    return decode(of, of.request(**fields).SerializeToString())


def reply(of: Rpc, **fields: Any) -> Any:
    """The message of a reply, which crosses the socket as msgpack."""
    received = wire.unpack(wire.pack({"header": HEADER, **fields}))
    return of.response.FromString(REPLIES.encode(of, received))


# --- requests ---------------------------------------------------------------------------------


def test_a_request_has_the_fields_that_are_not_zero() -> None:
    put = request(rpc("Put"), key=b"k", value=b"v", lease=0, prev_kv=True)
    assert put == {"op": "put", "key": b"k", "value": b"v", "prev_kv": True}
    read = request(rpc("Range"), key=b"k", sort_order="DESCEND", sort_target=7, limit=-1)
    assert read == {"op": "range", "key": b"k", "sort_order": 2, "sort_target": 7, "limit": -1}
    assert request(rpc("MemberAdd", "Cluster"), peerURLs=["a", "b"]) == {
        "op": "member_add",
        "peerURLs": ["a", "b"],
    }


def test_a_transaction_keeps_its_shape() -> None:
    inner = {"request_txn": {"failure": [{"request_range": {"key": b"r"}}, {}]}}
    found = request(
        rpc("Txn"),
        compare=[{"key": b"k", "target": "VALUE", "result": "LESS", "value": b""}],
        success=[{"request_put": {"key": b"p"}}, {"request_delete_range": {"key": b"d"}}, inner],
    )
    assert found == {
        "op": "txn",
        "compare": [{"key": b"k", "range_end": b"", "target": 3, "result": 2, "value": b""}],
        "success": [{"request_put": {"key": b"p"}}, {"request_delete_range": {"key": b"d"}}, inner],
    }


def test_a_compare_with_the_operand_of_another_target_compares_with_zero() -> None:
    (compare,) = request(rpc("Txn"), compare=[{"key": b"k", "target": "VALUE", "version": 3}])[
        "compare"
    ]
    assert compare == {"key": b"k", "range_end": b"", "target": 3, "result": 0, "value": b""}


@pytest.mark.parametrize(("field", "number"), [("target", 5), ("target", -1), ("result", 4)])
def test_a_compare_with_what_etcd_does_not_have_is_refused(field: str, number: int) -> None:
    with pytest.raises(RpcError, match=f"a compare has no {field} {number}") as refused:
        request(rpc("Txn"), compare=[{"key": b"k", field: number}])
    assert refused.value.code == 3


def test_a_request_of_a_watch_is_one_of_three_operations() -> None:
    create = {"key": b"k", "filters": [1, 0, 7], "fragment": True}
    assert request(WATCH, create_request=create) == {
        "op": "watch_create",
        "key": b"k",
        "filters": [1, 0],
        "fragment": True,
    }
    assert request(WATCH, create_request={}) == {"op": "watch_create"}
    assert request(WATCH, cancel_request={}) == {"op": "watch_cancel", "watch_id": 0}
    assert request(WATCH, progress_request={}) == {"op": "watch_progress"}
    assert request(WATCH) == {}


def test_a_request_without_an_operation_is_its_fields() -> None:
    leader = {"name": b"n", "key": b"n/1", "rev": 3}
    assert request(rpc("Proclaim", "Election"), leader=leader) == {"leader": leader}
    assert request(rpc("Proclaim", "Election")) == {}
    assert request(rpc("Downgrade", "Maintenance"), action="CANCEL") == {"action": 2}


def test_fields_that_nobody_knows_are_ignored() -> None:
    data = rpc("Put").request(key=b"k").SerializeToString() + bytes((0x98, 0x06, 1))
    assert decode(rpc("Put"), data) == {"op": "put", "key": b"k"}


def test_a_transaction_of_more_parts_than_any_has_is_refused() -> None:
    nested: dict[str, Any] = {"request_txn": {"success": [{}] * (PARTS_MAX // 2)}}
    with pytest.raises(RpcError, match="too many operations"):
        request(rpc("Txn"), success=[nested, nested])
    assert len(request(rpc("Txn"), success=[nested])["success"]) == 1


# --- bytes that are no message ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "fault"),
    [
        (b"\x0a", "unexpected EOF"),
        (b"\x0a\x05ab", "unexpected EOF"),
        (b"\x80", "unexpected EOF"),
        (b"\x18" + b"\xff" * 10 + b"\x01", "proto: integer overflow"),
        (b"\x0a" + b"\xff" * 9 + b"\x01", "proto: negative length found during unmarshaling"),
        (b"\x02\x00", "proto: PutRequest: illegal tag 0 (wire type 2)"),
        (b"\x0c", "proto: PutRequest: wiretype end group for non-group"),
        (b"\x9f\x06", "proto: illegal wireType 7"),
        (b"\x9b\x06\x08", "unexpected EOF"),
        (b"\x99\x06\x08", "unexpected EOF"),
        (b"\x9d\x06\x08", "unexpected EOF"),
        (b"\x08\x01", "proto: wrong wireType = 0 for field Key"),
        (b"\x2a\x01a", "proto: wrong wireType = 2 for field IgnoreValue"),
        (b"\x9b\x06\x10\x01\x9c\x06\x0a", "unexpected EOF"),
    ],
)
def test_bytes_that_are_no_message_are_refused_in_etcds_words(data: bytes, fault: str) -> None:
    with pytest.raises(RpcError) as refused:
        decode(rpc("Put"), data)
    assert refused.value.code == 13
    assert refused.value.message == f"grpc: error unmarshalling request: {fault}"


def test_a_fault_within_a_nested_message_is_found() -> None:
    put = b"\x12\x02\x08\x01"  # request_put {key: 1}
    with pytest.raises(RpcError, match="wrong wireType = 0 for field Key"):
        decode(rpc("Txn"), b"\x12\x04" + put)
    with pytest.raises(RpcError, match="unexpected EOF"):
        decode(rpc("Txn"), b"\x12\x04\x12\x02\x0a\x07")


def nested(depth: int) -> dict[str, Any]:
    """The fields of a transaction within transactions."""
    fields: dict[str, Any] = {"success": [{}]}
    for _ in range(depth - 1):
        fields = {"success": [{"request_txn": fields}]}
    return fields


def test_a_text_that_is_not_utf_8_and_messages_nested_deeply_are_refused() -> None:
    with pytest.raises(RpcError, match="a text is not UTF-8"):
        decode(rpc("MemberAdd", "Cluster"), b"\x0a\x01\xff")
    assert request(rpc("Txn"), **nested(50)) == {"op": "txn", **nested(50)}
    with pytest.raises(RpcError, match="nested more than 100 deep"):
        request(rpc("Txn"), **nested(51))
    # Far deeper than Python's own calls may be nested.
    data = b""
    for _ in range(10_000):
        operation = b"\x22" + _size(len(data)) + data  # request_txn
        data = b"\x12" + _size(len(operation)) + operation  # success
    with pytest.raises(RpcError, match="nested more than 100 deep"):
        decode(rpc("Txn"), data)


def _size(size: int) -> bytes:
    """A length of up to two million, as protobuf writes it."""
    return bytes([size & 0x7F | 0x80, size >> 7 & 0x7F | 0x80, size >> 14])


# --- replies ----------------------------------------------------------------------------------


def test_a_header_has_the_ids_of_the_node() -> None:
    put = rpc("Put")
    for revision in (0, 1, 127, 128, 300, (1 << 63) - 1):
        for term in (0, 1, 128, (1 << 64) - 1):
            header = {**HEADER, "revision": revision, "raft_term": term}
            encoded = REPLIES.encode(put, {"header": header})
            assert encoded == put.response(header=header).SerializeToString()


def test_a_reply_has_the_fields_of_its_message() -> None:
    found = reply(rpc("Range"), kvs=[KV, KV], more=True, count=3)
    assert found == rpc("Range").response(header=HEADER, kvs=[KV, KV], more=True, count=3)
    assert reply(rpc("Put"), prev_kv=KV) == rpc("Put").response(header=HEADER, prev_kv=KV)


def test_what_etcd_has_no_field_for_is_not_shown() -> None:
    status = rpc("Status", "Maintenance")
    found = reply(status, id=3, version="3.5.1", errors=["a"], dbSizeQuota=4)
    assert found == status.response(header=HEADER, version="3.5.1", errors=["a"])
    tombstone = {"key": b"k", "mod_revision": 9}
    events = [
        {"type": "DELETE", "kv": tombstone, "reason": "deleted", "prev_kv": KV},
        {"type": "PUT", "kv": KV},
    ]
    shown = [{"type": 1, "kv": tombstone, "prev_kv": KV}, {"kv": KV}]
    assert reply(WATCH, watch_id=1, events=events) == WATCH.response(
        header=HEADER, watch_id=1, events=shown
    )


def test_the_node_numbers_its_header_but_etcd_leaves_parts_out() -> None:
    assert not reply(rpc("Defragment", "Maintenance")).HasField("header")
    assert not reply(rpc("Snapshot", "Maintenance"), blob=b"x", sha256=b"y").HasField("header")
    members = reply(rpc("MemberList", "Cluster"), members=[{"ID": 1, "isLearner": True}])
    assert members.header.raft_term == 7
    assert members.header.revision == 0
    assert members.members[0].isLearner


def test_a_ttl_is_rounded_up_to_whole_seconds() -> None:
    kept = reply(rpc("LeaseKeepAlive", "Lease"), ID=1, TTL=0.3)
    assert kept.TTL == 1
    life = reply(rpc("LeaseTimeToLive", "Lease"), ID=1, TTL=-1, grantedTTL=2.5, remaining_ms=4)
    assert (life.TTL, life.grantedTTL) == (-1, 3)


def test_alarms_that_only_we_have_are_shown_by_their_numbers() -> None:
    alarms = [{"memberID": 1, "alarm": "NOSPACE"}, {"memberID": 2, "alarm": "DATA_LOSS"}]
    found = reply(rpc("Alarm", "Maintenance"), alarms=alarms)
    assert [(each.memberID, each.alarm) for each in found.alarms] == [(1, 1), (2, 4)]


def test_members_are_shown_by_the_client_urls_that_etcds_clients_know() -> None:
    urls = ["tcp://a:1", "http://a:2", "tcp://a:3"]
    members = [{"ID": 1, "clientURLs": urls, "peerURLs": ["tcp://a:4"]}]
    for name in ("MemberList", "MemberAdd"):
        (member,) = reply(rpc(name, "Cluster"), members=members).members
        assert member.clientURLs == ["http://a:2"]
        assert member.peerURLs == ["tcp://a:4"]


def test_the_header_of_a_nested_transaction_is_empty() -> None:
    put = {"response_put": {"header": {"revision": 4}}}
    inner = {"header": {"revision": 4}, "succeeded": True, "responses": [put]}
    found = reply(rpc("Txn"), succeeded=True, responses=[put, {"response_txn": inner}])
    assert found.responses[0].response_put.header.revision == 4
    nested = found.responses[1].response_txn
    assert nested.HasField("header") and nested.header.revision == 0
    assert nested.responses[0].response_put.header.revision == 4


def test_a_long_reply_is_encoded_in_parts_or_as_a_whole() -> None:
    fields = {"kvs": [KV] * 5_000, "more": True, "count": 5_000}
    received = wire.unpack_lazily(wire.pack({"header": HEADER, **fields}), LONG_LISTS)
    whole = rpc("Range").response(header=HEADER, **fields)
    parts = [part.SerializeToString() for part in responses_of(rpc("Range"), received)]
    assert len(parts) > 2
    assert rpc("Range").response.FromString(b"".join(parts)) == whole
    assert REPLIES.encode(rpc("Range"), received) == whole.SerializeToString()
