"""Transactions: compares on absent keys and intervals, nesting, what is refused in which order."""

from __future__ import annotations

from typing import Any

from tests.differential.language import Fields, Program, base, now, op


def put(key: bytes, value: bytes = b"", **options: Any) -> Fields:
    """A put as an operation of a transaction."""
    return {"request_put": {"key": key, "value": value, **options}}


def keep(key: bytes, **options: Any) -> Fields:
    """A put that is to keep the value and the lease."""
    return {"request_put": {"key": key, "ignore_value": True, "ignore_lease": True, **options}}


def get(key: bytes, **options: Any) -> Fields:
    """A range as one."""
    return {"request_range": {"key": key, **options}}


def delete(key: bytes, **options: Any) -> Fields:
    """A delete as one."""
    return {"request_delete_range": {"key": key, **options}}


def txn(**parts: Any) -> Fields:
    """A transaction as one."""
    return {"request_txn": parts}


def equal(key: bytes, target: str, **operand: Any) -> Fields:
    """A compare for equality."""
    return {"key": key, "target": target, "result": "EQUAL", **operand}


RESULTS = ("EQUAL", "GREATER", "LESS", "NOT_EQUAL")
OPERANDS: list[tuple[str, str, Any]] = [
    ("VERSION", "version", 0),
    ("VERSION", "version", 1),
    ("CREATE", "create_revision", 0),
    ("CREATE", "create_revision", base(1)),
    ("MOD", "mod_revision", 0),
    ("MOD", "mod_revision", base(2)),
    ("VALUE", "value", b""),
    ("VALUE", "value", b"1"),
    ("LEASE", "lease", 0),
    ("LEASE", "lease", 1),
]

COMPARES = [
    op("txn", compare=[{**interval, "target": target, "result": result, operand: value}])
    for interval in ({"key": b"a"}, {"key": b"x"}, {"key": b"a", "range_end": b"c"})
    for target, operand, value in OPERANDS
    for result in RESULTS
]

CASES: dict[str, Program] = {
    "every compare on a key, on an absent key and on an interval": [
        op("put", key=b"a", value=b"1"),
        op("put", key=b"b", value=b"2"),
        *COMPARES,
    ],
    "every compare on an interval without keys": [
        op(
            "txn",
            compare=[
                {"key": b"x", "range_end": b"z", "target": t, "result": result, operand: value}
            ],
        )
        for t, operand, value in OPERANDS
        for result in RESULTS
    ],
    "compares without an operand, without a key, and none": [
        op("txn", compare=[{"key": b"a", "target": "VERSION"}], success=[put(b"a")]),
        op("txn", compare=[{"key": b"a"}], success=[put(b"a")]),
        op("txn", compare=[{"key": b"a", "target": "VALUE"}], success=[put(b"a")]),
        op("txn", compare=[{"target": "VERSION"}]),
        op("txn"),
        op("txn", compare=[{"key": b"a"}, {"key": b""}], success=[put(b"")]),
    ],
    "one revision for all, each sees what was done before": [
        op("put", key=b"c", value=b"0"),
        op(
            "txn",
            success=[
                put(b"a", b"1"),
                get(b"a"),
                put(b"b", b"2", prev_kv=True),
                delete(b"c", prev_kv=True),
                get(b"\0", range_end=b"\0"),
            ],
        ),
        op("range", key=b"\0", range_end=b"\0"),
    ],
    "deletes and ranges of what the transaction has put": [
        op("put", key=b"a", value=b"1"),
        op("txn", success=[delete(b"a"), get(b"a"), delete(b"a", prev_kv=True)]),
        op("txn", success=[delete(b"x"), get(b"a")]),
        op("txn", success=[delete(b"a", range_end=b"c"), put(b"d")]),
        op("txn", success=[put(b"d"), delete(b"a", range_end=b"c"), delete(b"b", range_end=b"\0")]),
    ],
    "nested compares are of the state before": [
        op("put", key=b"a", value=b"1"),
        op(
            "txn",
            success=[
                put(b"a", b"2"),
                txn(
                    compare=[equal(b"a", "VALUE", value=b"1")],
                    success=[put(b"b", b"before"), get(b"a")],
                    failure=[put(b"b", b"after"), get(b"a")],
                ),
                get(b"\0", range_end=b"\0"),
            ],
        ),
        op(
            "txn",
            success=[txn(success=[txn(success=[txn(success=[put(b"c", b"deep")])])]), get(b"c")],
        ),
        op("txn", success=[txn(compare=[equal(b"c", "VERSION", version=9)], success=[put(b"d")])]),
        op("txn", success=[txn()]),
    ],
    "old revisions within a transaction": [
        op("put", key=b"a", value=b"1"),
        op("put", key=b"a", value=b"2"),
        op(
            "txn", success=[get(b"a", revision=now(-1)), put(b"a", b"3"), get(b"a", revision=now())]
        ),
        op("txn", success=[get(b"a", revision=now(-1)), get(b"a", revision=now())]),
        op("txn", success=[put(b"a", b"4"), get(b"a", revision=now(1))]),
        op("txn", success=[get(b"a", revision=now(1))]),
        op("txn", success=[get(b"a", revision=base(-1))]),
        op("txn", success=[put(b"a", b"5"), get(b"a", revision=base(-1))]),
        op("txn", success=[get(b"a", revision=-1)]),
        op("txn", success=[put(b"b"), get(b"a", revision=-1)]),
        op("txn", failure=[get(b"a", revision=now(1)), put(b"x", lease=99)]),
        op("range", key=b"\0", range_end=b"\0"),
    ],
    "nothing is done if one operation cannot be": [
        op("txn", success=[put(b"a", b"1"), put(b"b", lease=99)]),
        op("txn", success=[put(b"a", b"1"), put(b"b", ignore_value=True)]),
        op("txn", success=[put(b"a", b"1"), put(b"b", ignore_lease=True)]),
        op("txn", success=[put(b"a", b"1"), txn(success=[put(b"b", lease=99)])]),
        op("txn", success=[put(b"a", b"1"), {"request_put": {"key": b"b", "ignore_value": True}}]),
        op("put", key=b"b", value=b"2"),
        op("txn", success=[delete(b"b"), {"request_put": {"key": b"b", "ignore_value": True}}]),
        op("txn", success=[put(b"b", b"3", ignore_value=True)]),
        op("txn", success=[put(b"b", b"3", lease=1, ignore_lease=True)]),
        op("txn", failure=[put(b"b", b"3", ignore_value=True)]),
        op("range", key=b"\0", range_end=b"\0"),
    ],
    "a delete of everything from a key on is no duplicate to etcd": [
        op("watch_create", key=b"\0", range_end=b"\0", prev_kv=True),
        op("put", key=b"a", value=b"1"),
        op("txn", success=[put(b"a", b"2"), delete(b"\0", range_end=b"\0", prev_kv=True)]),
        op("txn", success=[delete(b"a", range_end=b"\0"), put(b"b", b"3", prev_kv=True)]),
        op("txn", success=[put(b"b", b"4"), delete(b"b", range_end=b"\0"), get(b"b")]),
        op("txn", success=[delete(b"\0", range_end=b"\0"), put(b"b", b"5", ignore_lease=True)]),
        op("range", key=b"\0", range_end=b"\0"),
    ],
    "a put that keeps something beside deletes that are none of its business": [
        op("lease_grant", ID=1, TTL=1000),
        op("put", key=b"b", value=b"1", lease=1),
        op("put", key=b"c", value=b"2", lease=1),
        op("txn", success=[delete(b"c", range_end=b"\0"), keep(b"b"), get(b"b")]),
        op("txn", success=[delete(b"b"), keep(b"b")]),
        op("txn", success=[delete(b"a", range_end=b"c"), keep(b"b")]),
        op("txn", success=[delete(b"a", range_end=b"b"), keep(b"b"), get(b"b")]),
        op("txn", success=[delete(b"c", range_end=b"a"), keep(b"b"), get(b"b")]),
        op("txn", success=[delete(b"a", range_end=b"\0"), put(b"b", lease=1)]),
        op("put", key=b"c", value=b"2", lease=1),
        op("txn", success=[delete(b"a", range_end=b"\0")], failure=[keep(b"c")]),
        op("put", key=b"b", value=b"3", lease=1),
        op("txn", success=[keep(b"b"), delete(b"a", range_end=b"\0", prev_kv=True)]),
        op("put", key=b"b", value=b"4", lease=1),
        op("txn", success=[txn(success=[keep(b"b")]), txn(success=[delete(b"b")])]),
        op("put", key=b"b", value=b"5", lease=1),
        op(
            "txn",
            success=[txn(success=[keep(b"b")], failure=[delete(b"a", range_end=b"\0")]), get(b"b")],
        ),
        op("txn", success=[delete(b"a", range_end=b"\0"), keep(b"b", value=b"6")]),
        op("txn", success=[delete(b"a", range_end=b"\0"), keep(b"b", lease=1)]),
        op("range", key=b"\0", range_end=b"\0"),
        op("lease_time_to_live", ID=1, keys=True),
    ],
    "a key twice": [
        op("txn", success=[put(b"a"), put(b"a")]),
        op("txn", failure=[put(b"a"), put(b"a")]),
        op("txn", success=[put(b"a")], failure=[put(b"a")]),
        op("txn", success=[put(b"b"), delete(b"a", range_end=b"c")]),
        op("txn", success=[delete(b"a", range_end=b"c"), put(b"b")]),
        op("txn", success=[delete(b"a", range_end=b"\0"), put(b"b")]),
        op("txn", success=[delete(b"b"), put(b"b")]),
        op("txn", success=[delete(b"c", range_end=b"a"), put(b"b")]),
        op("txn", success=[delete(b"b"), delete(b"a", range_end=b"c"), delete(b"b")]),
        op("txn", success=[put(b"a"), txn(success=[put(b"a")])]),
        op("txn", success=[txn(failure=[put(b"a")]), put(b"a")]),
        op("txn", success=[txn(success=[put(b"a")], failure=[put(b"a")])]),
        op("txn", success=[txn(success=[put(b"a")]), txn(success=[put(b"a")])]),
        op("txn", success=[txn(success=[put(b"a")]), delete(b"a")]),
        op("txn", success=[txn(success=[delete(b"a", range_end=b"c")]), put(b"b")]),
        op("txn", success=[put(b"a"), txn(success=[txn(failure=[delete(b"a")])])]),
        op("txn", success=[txn(success=[delete(b"a")]), txn(success=[put(b"a")])]),
        op("range", key=b"\0", range_end=b"\0"),
    ],
    "operations without a key or without anything": [
        op("txn", success=[put(b"")]),
        op("txn", success=[get(b"")]),
        op("txn", failure=[delete(b"")]),
        op("txn", success=[{}]),
        op("txn", failure=[txn(success=[{}])]),
        op("txn", success=[put(b"a"), put(b"a"), {}]),
        op("txn", success=[get(b"a"), {}], compare=[{"key": b""}]),
    ],
    "leases within a transaction": [
        op("lease_grant", ID=1, TTL=1000),
        op("txn", success=[put(b"a", lease=1), put(b"b", lease=1), get(b"a")]),
        op("lease_time_to_live", ID=1, keys=True),
        op("txn", success=[put(b"a"), delete(b"b")]),
        op("lease_time_to_live", ID=1, keys=True),
        op("lease_revoke", ID=1),
        op("range", key=b"\0", range_end=b"\0"),
    ],
}
