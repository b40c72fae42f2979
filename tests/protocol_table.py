"""The protocol's table as a judge: what is wrong with a map that should have some of its fields.

Also values of every type of field, to make requests of. Knows the table, and nobody who uses it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from cluster.protocol import OPS
from cluster.schema import (
    BYTES,
    COMPARES,
    COUNT,
    COUNTS,
    FILTERS,
    FLAG,
    INTEGER,
    KEYS,
    MEMBER_ID,
    OPERATIONS,
    RESPONSES,
    SECONDS,
    SECONDS_LIST,
    TEXT,
    TEXTS,
    Choice,
    Field,
    ListOf,
    Map,
    ProtocolOp,
)

TOMBSTONE = {"key", "mod_revision"}
"""What a key-value has of a key that was deleted."""

SAMPLES: dict[Any, Any] = {
    BYTES: b"k",
    FLAG: True,
    INTEGER: 7,
    COUNT: 7,
    MEMBER_ID: 2**64 - 1,
    SECONDS: 1.5,
    TEXT: "text",
    TEXTS: ("http://127.0.0.1:2380",),
    FILTERS: ("NOPUT",),
    COMPARES: (),
    OPERATIONS: (),
}
"""A value of each type that a field of a request has, which is not its zero value where it may."""

TYPES: dict[Any, tuple[type, ...]] = {
    BYTES: (bytes,),
    FLAG: (bool,),
    INTEGER: (int,),
    COUNT: (int,),
    MEMBER_ID: (int,),
    SECONDS: (int, float),
    TEXT: (str,),
}
ITEMS: dict[Any, type] = {TEXTS: str, KEYS: bytes, COUNTS: int, SECONDS_LIST: float}


def sample(field: Field) -> Any:
    """A value that the field may have in a request."""
    match field.type:
        case Choice(words):
            return words[-1]
        case Map(_, fields):
            return {each.name: sample(each) for each in fields}
        case kind:
            return SAMPLES[kind]


def faults(fields: Iterable[Field], found: Mapping[str, Any]) -> list[str]:
    """What in a map is not as these fields of the table say."""
    known = {field.name: field for field in fields}
    complaints = [f"{name} is not in the table" for name in found.keys() - known.keys()]
    for name, field in known.items():
        if name in found:
            complaints += _faults_of_value(field, found[name])
        elif not field.optional:
            complaints.append(f"{name} is missing")
    return complaints


def reply_faults(op: ProtocolOp, reply: Mapping[str, Any]) -> list[str]:
    """What in a reply, without its id and header, is not as the table says."""
    return [f"{op.name}: {fault}" for fault in faults(op.reply, reply)]


def _faults_of_value(field: Field, value: Any) -> list[str]:
    match field.type:
        case Choice(words):
            good = value in words
        case Map(_, fields):
            if value.keys() == TOMBSTONE:
                fields = tuple(each for each in fields if each.name in TOMBSTONE)
            return faults(fields, value)
        case ListOf(Map(_, fields)):
            return [fault for item in value for fault in faults(fields, item)]
        case kind if kind == RESPONSES:
            return [fault for item in value for fault in _faults_of_response(item)]
        case kind if kind in ITEMS:
            good = type(value) is tuple and all(type(item) is ITEMS[kind] for item in value)
        case kind:
            good = type(value) in TYPES[kind]
    return [] if good else [f"{field.name} is {value!r}"]


def _faults_of_response(item: Mapping[str, Any]) -> list[str]:
    ((name, response),) = item.items()
    op = OPS[name.removeprefix("response_")]
    inner = {key: value for key, value in response.items() if key != "header"}
    return ([] if op.in_txn else [f"{name} in a transaction"]) + reply_faults(op, inner)
