"""Transactions: what they become, and etcd's checks of both branches, in etcd's order."""

from __future__ import annotations

from typing import Any

import pytest

from actors.gateway.decoded import CommandRequest, QueryRequest, Refusal, Request
from actors.gateway.identities import Identities
from actors.gateway.newcomers import LeaseGrants, Newcomers
from actors.gateway.requests import RequestDecoder
from actors.gateway.transactions import TXN_DEPTH_MAX
from actors.language.codec import decode_command
from actors.language.commands import (
    Compare,
    CompareResult,
    CompareTarget,
    DeleteRange,
    Increment,
    Put,
    Range,
    Sequence,
    SortOrder,
    Txn,
)
from cluster.wire import pack

DEALER = (b"\0\0\0\0\1",)
OPS_MAX = 4

EMPTY_KEY = "etcdserver: key is not provided"
DUPLICATE = "etcdserver: duplicate key given in txn request"
TOO_MANY = "etcdserver: too many operations in txn request"
NO_OPERATION = "etcdserver: key not found"


def decode(ops_max: int = OPS_MAX, **fields: Any) -> Request:
    grants = LeaseGrants(member_id=1, wall_ms=0, ttl_ms_min=1_000)
    decoder = RequestDecoder(
        grants, Newcomers("", lambda: 0), 100_000, bytes, Identities(lambda: 0), ops_max
    )
    return decoder.decode(DEALER, pack({"op": "txn", **fields}))


def command(ops_max: int = OPS_MAX, **fields: Any) -> Txn:
    decoded = decode(ops_max, **fields)
    assert isinstance(decoded, CommandRequest), decoded
    made, *_ = decode_command(decoded.command)
    assert isinstance(made, Txn)
    return made


def refusal(**fields: Any) -> str:
    decoded = decode(**fields)
    assert isinstance(decoded, Refusal), decoded
    return decoded.fault.message


def put(key: str, **more: Any) -> dict[str, Any]:
    return {"request_put": {"key": key, **more}}


def delete(key: str, range_end: str = "") -> dict[str, Any]:
    return {"request_delete_range": {"key": key, "range_end": range_end}}


def get(key: str, **more: Any) -> dict[str, Any]:
    return {"request_range": {"key": key, **more}}


def txn(*success: Any, otherwise: Any = ()) -> dict[str, Any]:
    return {"request_txn": {"success": success, "failure": otherwise}}


def test_every_kind_of_operation_arrives() -> None:
    operations = [
        put("a", value="v", prev_kv=True),
        get("b", sort_order="DESCEND", revision=-2, limit=-1),
        {"request_increment": {"key": "c"}},
        {"request_txn": {"failure": [{"request_delete_range": {"key": "d", "prev_kv": True}}]}},
    ]
    assert command(8, success=operations) == Txn(
        (),
        (
            Put(b"a", b"v", prev_kv=True),
            Range(b"b", revision=-2, sort_order=SortOrder.DESCEND),
            Increment(b"c", 1),
            Txn((), (), (DeleteRange(b"d", prev_kv=True),)),
        ),
        (),
    )


def test_a_put_in_a_transaction_may_have_a_ttl() -> None:
    (made,) = command(failure=[put("k", TTL=5)]).failure
    assert isinstance(made, Put)
    assert (made.lease > 0, made.ttl_ms) == (True, 5_000)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, (CompareTarget.VERSION, CompareResult.EQUAL, 0)),
        ({"target": "VERSION", "version": 3}, (CompareTarget.VERSION, CompareResult.EQUAL, 3)),
        ({"target": 1, "create_revision": 4}, (CompareTarget.CREATE, CompareResult.EQUAL, 4)),
        (
            {"target": "MOD", "result": "GREATER", "mod_revision": 4},
            (CompareTarget.MOD, CompareResult.GREATER, 4),
        ),
        ({"target": "VALUE", "value": "v"}, (CompareTarget.VALUE, CompareResult.EQUAL, b"v")),
        ({"target": "VALUE"}, (CompareTarget.VALUE, CompareResult.EQUAL, b"")),
        ({"target": 4, "result": 3, "lease": 9}, (CompareTarget.LEASE, CompareResult.NOT_EQUAL, 9)),
        (
            {"target": "COUNT", "result": "LESS", "count": 9},
            (CompareTarget.COUNT, CompareResult.LESS, 9),
        ),
    ],
)
def test_a_compare_has_the_operand_that_goes_with_its_target(
    fields: dict[str, Any], expected: tuple[CompareTarget, CompareResult, Any]
) -> None:
    target, result, operand = expected
    compare = {"key": "a", "range_end": "b", **fields}
    made = command(compare=[compare], success=[put("k")])
    assert made.compare == (Compare(target, result, b"a", b"b", operand),)


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        (
            {"compare": [{"key": "k", "value": "v"}]},
            'compare of VERSION has "version", not "value"',
        ),
        ({"compare": [{"key": "k", "target": "SIZE"}]}, "must be one of VERSION (0), CREATE (1)"),
        ({"compare": [{"key": "k", "result": 7}]}, "must be one of EQUAL (0), GREATER (1)"),
        ({"compare": [{"key": "k", "version": "1"}]}, '"version" of compare must be an integer'),
        ({"compare": ["k"]}, "a compare must be a map, not text"),
        ({"compare": {"key": "k"}}, 'field "compare" of txn must be a list, not map'),
        ({"success": ["k"]}, "an operation of txn must be a map, not text"),
        ({"success": [{"request_put": None}]}, "the value of an operation of txn must be a map"),
        ({"success": [{"request_put": {"keys": "k"}}]}, 'unknown field "keys" in request_put'),
        ({"success": [{"request_watch": {}}]}, 'unknown operation "request_watch" in txn'),
        ({"success": [{b"put": {}}]}, "an operation's name must be text, not b'put'"),
        ({"success": [{**put("a"), **get("b")}]}, "must have one entry only"),
        ({"success": [txn(5)]}, "an operation of txn must be a map, not int"),
        ({"success": [{"request_txn": {"op": "txn"}}]}, 'unknown field "op" in txn'),
    ],
)
def test_a_fault_of_shape_is_named(fields: dict[str, Any], text: str) -> None:
    assert refusal(**fields).startswith("leasehold: ")
    assert text in refusal(**fields)


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"compare": [{"target": "VERSION"}]}, EMPTY_KEY),
        ({"success": [{"request_put": {}}]}, EMPTY_KEY),
        ({"failure": [{"request_range": {}}]}, EMPTY_KEY),
        ({"success": [delete("")]}, EMPTY_KEY),
        ({"success": [{"request_increment": {}}]}, EMPTY_KEY),
        ({"success": [{}]}, NO_OPERATION),
        ({"success": [get("k", sort_target="SIZE")]}, "etcdserver: invalid sort option"),
        ({"success": [put("k", value="v", ignore_value=True)]}, "etcdserver: value is provided"),
        ({"success": [put("k", lease=1, ignore_lease=True)]}, "etcdserver: lease is provided"),
        ({"success": [put("k"), put("k"), {}]}, NO_OPERATION),
        ({"success": [put("k"), put("k")], "failure": [put("")]}, EMPTY_KEY),
        ({"compare": [{}], "success": [{}]}, EMPTY_KEY),
        ({"compare": [{}], "success": [put("a")] * 5}, TOO_MANY),
    ],
)
def test_each_operation_is_checked_in_etcds_order(fields: dict[str, Any], text: str) -> None:
    assert refusal(**fields) == text


@pytest.mark.parametrize("part", ["compare", "success", "failure"])
def test_so_many_compares_or_operations_and_no_more(part: str) -> None:
    one = {"key": "k"} if part == "compare" else get("k")
    enough: dict[str, Any] = {part: [one] * OPS_MAX}
    assert not isinstance(decode(**enough), Refusal)
    assert refusal(**{part: [one] * (OPS_MAX + 1)}) == TOO_MANY


def test_a_nested_transaction_has_what_is_left() -> None:
    assert isinstance(decode(success=[txn(get("k"), get("k"), get("k"))]), CommandRequest)
    assert refusal(success=[txn(get("k"), get("k"), get("k"), get("k"))]) == TOO_MANY
    assert refusal(success=[txn(get("k"), get("k"), get("k")), get("k")]) == TOO_MANY
    assert refusal(failure=[txn(txn(txn(txn(get("k")))))]) == TOO_MANY


def test_transactions_are_nested_only_so_deep() -> None:
    nested: dict[str, Any] = put("k")
    for _ in range(TXN_DEPTH_MAX - 1):
        nested = txn(nested)
    assert isinstance(decode(10_000, success=[nested]), CommandRequest)
    decoded = decode(10_000, success=[txn(nested)])
    assert isinstance(decoded, Refusal)
    assert "nested more than" in decoded.fault.message


@pytest.mark.parametrize(
    "operations",
    [
        [put("a"), put("a")],
        [put("a"), {"request_increment": {"key": "a"}}],
        [put("a"), delete("a")],
        [delete("a", "c"), put("b")],
        [delete("a", "b"), delete("b", "d"), put("c")],
        [put("a"), txn(put("a"))],
        [delete("a"), txn(put("a"))],
        [txn(delete("a")), put("a")],
        [txn(delete("a")), txn(put("a"))],
        [txn(put("a")), txn(put("x"), otherwise=[put("a")])],
        [txn(txn(put("a"), put("a")))],
        [txn(otherwise=[put("a"), put("a")])],
    ],
)
@pytest.mark.parametrize("branch", ["success", "failure"])
def test_a_key_that_is_changed_twice_is_refused(operations: list[Any], branch: str) -> None:
    assert refusal(**{branch: operations}) == DUPLICATE


@pytest.mark.parametrize(
    "operations",
    [
        [delete("a", "c"), delete("b", "d"), put("d"), put("Z")],
        [put("a"), get("a"), get("a", range_end="z")],
        [txn(put("a"), otherwise=[put("a")])],
        [txn(put("a"), otherwise=[delete("a")])],
        [delete("c", "a"), put("b")],
        # As in etcd, whose check overlooks these: the later of the two changes counts.
        [txn(put("a")), txn(delete("a"))],
        [delete("a", "\0"), put("b")],
    ],
)
def test_what_does_not_change_a_key_twice_is_let_through(operations: list[Any]) -> None:
    assert isinstance(decode(success=operations), CommandRequest)
    assert isinstance(decode(failure=operations), CommandRequest)


def test_the_two_branches_may_change_the_same_key() -> None:
    assert isinstance(decode(success=[put("a")], failure=[put("a")]), CommandRequest)


def test_a_transaction_of_ranges_only_is_a_read() -> None:
    local, linear = get("k", serializable=True), get("k")
    reads = Txn((), (Range(b"k"),), ())
    assert decode(success=[linear]) == QueryRequest(b"", reads, serializable=False)
    assert decode(success=[local]) == QueryRequest(b"", reads, serializable=True)
    for success, failure in (([local], [linear]), ([linear], [local]), ([], [])):
        decoded = decode(success=success, failure=failure)
        assert isinstance(decoded, QueryRequest)
        assert not decoded.serializable


def test_a_transaction_with_a_nested_one_is_a_write_even_if_it_only_reads() -> None:
    assert isinstance(decode(success=[txn(get("k"))]), CommandRequest)


def test_a_sequence_goes_with_a_transaction_that_writes() -> None:
    sequence = {"session": 5, "seq": 2, "ack": 1}
    decoded = decode(success=[put("k")], **sequence)
    assert isinstance(decoded, CommandRequest)
    assert decode_command(decoded.command)[1] == Sequence(5, 2, 1)
    assert isinstance(decode(success=[get("k")], **sequence), QueryRequest)
    assert '"seq" of txn' in refusal(success=[get("k")], session=5)
