"""Requests by the protocol's table: operations with fields of right and wrong types and ranges.

What would rightly change the cluster's members or stop its writes always has a field that does not
exist, so that it is refused. Knows the table of operations; nothing of frames.
"""

from __future__ import annotations

from random import Random
from typing import Any, Final

from actors.gateway.newcomers import LeaseGrants, Newcomers
from actors.gateway.operations import operations
from tests.fuzz.values import EDGES, FLOATS, LEAST, Packed, blob, pack, scalar, tree

OPERATIONS: Final = operations(LeaseGrants(1, 1, 1), Newcomers("", lambda: 1), bytes)
NAMES: Final = tuple(sorted(OPERATIONS))

HARMFUL: Final = frozenset(
    {"alarm", "move_leader", "auth_enable", *(name for name in NAMES if name.startswith("member_"))}
) - {"member_list"}
"""Honest requests of these stop a node of one, or its writes."""

KEYS: Final = (b"a", "a", b"fuzz/", b"\0", b"\xff" * 20, "", b"k" * 5_000)
OPERANDS: Final = ("version", "create_revision", "mod_revision", "value", "lease", "count")
TARGETS: Final = (
    *(name.upper().removesuffix("_REVISION") for name in OPERANDS),
    0,
    5,
    6,
    "x",
    None,
)
RESULTS: Final = ("EQUAL", "GREATER", "LESS", "NOT_EQUAL", 0, 3, 4, "x", None)
LEVELS_MAX: Final = 70


def request(chance: Random) -> Packed:
    """One request, mostly of the right shape."""
    name = chance.choice(NAMES)
    fields: dict[Any, Any] = {"op": name, "id": chance.choice((1, "id", b"id", None))}
    for field in OPERATIONS[name].fields:
        if chance.random() < 0.5:
            fields[field] = _value(chance, field)
    if name == "txn":
        fields |= _transaction(chance, chance.randrange(3))
    _spoil(chance, fields)
    if name in HARMFUL:
        fields["fuzz"] = 1
    return pack(fields)


def batch(chance: Random) -> Packed:
    """Several requests as one frame, at times too many, or with something that is none."""
    count = chance.choice((0, 1, 64, 65)) if chance.random() < 0.2 else chance.randrange(2, 20)
    requests: list[Any] = [request(chance) for _ in range(count)]
    if chance.random() < 0.2:
        requests.insert(chance.randrange(count + 1), tree(chance))
    packed = pack(requests)
    return packed[: chance.randrange(1, len(packed) + 1)] if chance.random() < 0.1 else packed


def _value(chance: Random, field: str) -> Any:
    if chance.random() < 0.2:
        return tree(chance)
    if field in ("key", "range_end"):
        return chance.choice(KEYS)
    if field == "value":
        return blob(chance)
    if field in ("peerURLs", "filters"):
        return [
            chance.choice(("tcp://_foo:1", "NOPUT", 0, 9, "")) for _ in range(chance.randrange(4))
        ]
    if field in ("sort_order", "sort_target", "action", "alarm"):
        return chance.choice((*range(6), "ASCEND", "VALUE", "NOSPACE", "x"))
    if field == "name":
        return chance.choice(("", "../lock", "x" * 300, "\0"))
    return chance.choice((*EDGES, LEAST, *FLOATS, True, False))


def _spoil(chance: Random, fields: dict[Any, Any]) -> None:
    """Now and then, something that no request has."""
    match chance.randrange(12):
        case 0:
            fields["id"] = tree(chance)
        case 1:
            fields["op"] = scalar(chance)
        case 2:
            fields[chance.choice(("unknown", b"key", 5, None, "x" * 1_000))] = tree(chance)
        case 3:
            fields |= {"session": _number(chance), "seq": _number(chance), "ack": _number(chance)}
        case 4:
            fields |= {str(number): number for number in range(chance.randrange(3_000))}


def _number(chance: Random) -> Any:
    return chance.choice((*EDGES, LEAST, 1.0, "1", None))


def _transaction(chance: Random, levels: int) -> dict[str, Any]:
    if chance.random() < 0.05:
        return _nested(chance.randrange(1, LEVELS_MAX))
    return {
        "compare": [_compare(chance) for _ in range(_count(chance))],
        "success": [_operation(chance, levels) for _ in range(_count(chance))],
        "failure": [_operation(chance, levels) for _ in range(_count(chance))],
    }


def _nested(levels: int) -> dict[str, Any]:
    inner: dict[str, Any] = {}
    for _ in range(levels):
        inner = {"success": [{"request_txn": inner}], "failure": [{"request_txn": {}}]}
    return inner


def _count(chance: Random) -> int:
    return (
        chance.choice((0, 1, 2, 3, 127, 128, 129)) if chance.random() < 0.2 else chance.randrange(4)
    )


def _compare(chance: Random) -> Any:
    if chance.random() < 0.05:
        return tree(chance)
    return {
        "key": chance.choice(KEYS),
        "target": chance.choice(TARGETS),
        "result": chance.choice(RESULTS),
        chance.choice(OPERANDS): scalar(chance),
        **({"range_end": chance.choice(KEYS)} if chance.random() < 0.3 else {}),
    }


def _operation(chance: Random, levels: int) -> Any:
    if chance.random() < 0.05:
        return tree(chance)
    if levels and chance.random() < 0.2:
        return {"request_txn": _transaction(chance, levels - 1)}
    name = chance.choice(("put", "range", "delete_range", "increment"))
    fields = {
        field: _value(chance, field) for field in OPERATIONS[name].fields if chance.random() < 0.4
    }
    return {f"request_{name}": {"key": chance.choice(KEYS), **fields}}
