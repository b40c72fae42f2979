"""What transactions are written in: the request maps of compares, operations and branches."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from cluster import ops
from cluster.client.replies import of, read, txn_result
from cluster.client.requests import interval, range_fields
from cluster.client.results import (
    Alarm,
    AlarmResult,
    DeleteResult,
    HistoryResult,
    IncrementResult,
    PutResult,
    TxnResult,
)
from cluster.errors import ProtocolError
from tests.cluster.rig import HEADER


@pytest.mark.parametrize(
    ("compare", "fields"),
    [
        (ops.version("k") == 0, {"target": "VERSION", "result": "EQUAL", "version": 0}),
        (ops.version("k") != 3, {"target": "VERSION", "result": "NOT_EQUAL", "version": 3}),
        (ops.value("k") == "x", {"target": "VALUE", "result": "EQUAL", "value": b"x"}),
        (ops.value("k") > b"x", {"target": "VALUE", "result": "GREATER", "value": b"x"}),
        (ops.mod_revision("k") < 9, {"target": "MOD", "result": "LESS", "mod_revision": 9}),
        (ops.mod_revision("k") <= 9, {"target": "MOD", "result": "LESS", "mod_revision": 10}),
        (ops.mod_revision("k") >= 9, {"target": "MOD", "result": "GREATER", "mod_revision": 8}),
        (ops.lease("k") < 5, {"target": "LEASE", "result": "LESS", "lease": 5}),
        (
            ops.create_revision("k") > 2,
            {"target": "CREATE", "result": "GREATER", "create_revision": 2},
        ),
        (
            ops.count("k", prefix=True) < 5,
            {"target": "COUNT", "result": "LESS", "count": 5, "range_end": b"l"},
        ),
        (
            ops.version("k", from_key=True) == 1,
            {"target": "VERSION", "result": "EQUAL", "version": 1, "range_end": b"\0"},
        ),
    ],
)
def test_a_compare_is_what_the_protocol_says(compare: ops.Compare, fields: dict[str, Any]) -> None:
    assert compare.fields == {"key": b"k", **fields}


@pytest.mark.parametrize(
    "mistake",
    [
        lambda: ops.value("k") >= b"x",
        lambda: ops.value("k") <= b"x",
        lambda: ops.version("k") == b"0",
        lambda: ops.version("k") == True,  # noqa: E712 - the mistake that is tested
        lambda: ops.value("k") == 0,
        lambda: 0 < ops.version("k") < 5,
        lambda: not ops.version("k") == 0,  # noqa: SIM201 - the mistake that is tested
        lambda: bool(ops.version("k")),
        lambda: ops.txn().if_(ops.version("k")),  # type: ignore[arg-type]
        lambda: ops.txn().if_(True),  # type: ignore[arg-type]
        lambda: ops.txn().then(ops.version("k") == 0),  # type: ignore[arg-type]
        lambda: ops.get("k", sort="KEY"),  # type: ignore[call-arg]
    ],
)
def test_a_mistake_in_a_transaction_is_a_type_error(mistake: Callable[[], object]) -> None:
    with pytest.raises(TypeError):
        mistake()


@pytest.mark.parametrize("operand", [1 << 63, -(1 << 63) - 1])
def test_an_operand_of_more_than_64_bits_is_refused(operand: int) -> None:
    with pytest.raises(ValueError, match="64 bits"):
        ops.version("k") == operand  # noqa: B015 - the compare itself raises
    with pytest.raises(ValueError, match="64 bits"):
        ops.version("k") >= -(1 << 63)  # noqa: B015 - it is said by a neighbour that is none


def test_a_transaction_is_what_the_protocol_says() -> None:
    inner = ops.txn().if_(ops.version("a") == 0).then(ops.increment("n", 5))
    txn = ops.txn().if_(ops.value("k") == "v").then(ops.put("k", "w", lease=7, ttl=0), inner)
    txn.else_(ops.get("k", "m", limit=3), ops.delete("k", prefix=True, prev_kv=True))
    assert txn.fields() == {
        "op": "txn",
        "compare": [{"key": b"k", "target": "VALUE", "result": "EQUAL", "value": b"v"}],
        "success": [
            {"request_put": {"key": b"k", "value": b"w", "lease": 7}},
            {
                "request_txn": {
                    "compare": [
                        {"key": b"a", "target": "VERSION", "result": "EQUAL", "version": 0}
                    ],
                    "success": [{"request_increment": {"key": b"n", "delta": 5}}],
                    "failure": [],
                }
            },
        ],
        "failure": [
            {"request_range": {"key": b"k", "range_end": b"m", "limit": 3}},
            {"request_delete_range": {"key": b"k", "range_end": b"l", "prev_kv": True}},
        ],
    }


def test_a_branch_may_be_added_to() -> None:
    txn = ops.txn().then(ops.get("a")).then(ops.get("b"), ops.get())
    keys = [one["request_range"]["key"] for one in txn.fields()["success"]]
    assert keys == [b"a", b"b", b"\0"]


@pytest.mark.parametrize(
    ("txn", "writes"),
    [
        (ops.txn().then(ops.get("k")), False),
        (ops.txn().then(ops.txn().else_(ops.get("k"))), False),
        (ops.txn().else_(ops.txn().then(ops.put("k"))), True),
        (ops.txn().then(ops.increment("k", 0)), True),
        (ops.txn().else_(ops.delete("k")), True),
    ],
)
def test_a_transaction_knows_whether_it_can_write(txn: ops.Txn, writes: bool) -> None:
    assert txn.writes is writes


def test_a_read_says_only_what_differs_from_the_default() -> None:
    options = {"limit": 0, "sort_order": "DESCEND", "min_mod_revision": 3, "keys_only": False}
    fields = range_fields(interval("k"), options)  # type: ignore[arg-type]
    assert fields == {"op": "range", "key": b"k", "sort_order": "DESCEND", "min_mod_revision": 3}


def test_an_empty_prefix_is_every_key() -> None:
    for keys in (interval(None), interval("", prefix=True), interval("", from_key=True)):
        assert keys == (b"\0", b"\0")
    assert interval("") == (b"", None), "and the cluster says that this is none"


def response(revision: int, **fields: Any) -> dict[str, Any]:
    return {"header": {"revision": revision}, **fields}


def test_the_responses_of_a_transaction_are_typed() -> None:
    reply = {
        "header": HEADER,
        "succeeded": True,
        "responses": (
            {"response_put": response(8, lease=5, TTL=2.5)},
            {"response_delete_range": response(8, deleted=3)},
            {"response_range": response(8, kvs=(), more=False, count=4)},
            {"response_increment": response(8, value=-1)},
            {"response_txn": response(8, succeeded=False, responses=())},
        ),
    }
    done = read(txn_result, reply)
    put, deleted, found, incremented, nested = done.responses
    assert isinstance(put, PutResult) and (put.lease, put.ttl) == (5, 2.5)
    assert isinstance(deleted, DeleteResult) and deleted.deleted == 3
    assert not isinstance(found, tuple) and found.count == 4
    assert isinstance(incremented, IncrementResult) and incremented.value == -1
    assert isinstance(nested, TxnResult) and not nested.succeeded
    assert put.header == done.header, "the header within has only the revision on the wire"


@pytest.mark.parametrize(
    "responses",
    [({"response_new": {"header": {"revision": 8}}},), ({},), ({"response_put": {}},), (7,)],
)
def test_a_response_that_the_protocol_does_not_know_is_a_protocol_error(responses: Any) -> None:
    with pytest.raises(ProtocolError):
        read(txn_result, {"header": HEADER, "succeeded": True, "responses": responses})


def test_alarms_may_come_by_name_or_by_number() -> None:
    alarms = ({"memberID": 5, "alarm": 1}, {"memberID": 6, "alarm": "CORRUPT"})
    found = read(of(AlarmResult), {"header": HEADER, "alarms": alarms})
    assert found.alarms == (Alarm(5, "NOSPACE"), Alarm(6, "CORRUPT"))


def test_a_history_has_events_and_says_what_is_missing() -> None:
    gone = {"type": "DELETE", "kv": {"key": b"k", "mod_revision": 9}, "reason": "lease expired"}
    reply = {"header": HEADER, "events": (gone,), "more": True, "compacted": False}
    found = read(of(HistoryResult), reply)
    assert (found.events[0].reason, found.more, found.compacted) == ("lease expired", True, False)
