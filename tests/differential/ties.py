"""Answers to sorted ranges, without the order of keys that sort alike: etcd's sort is not stable.

Where a limit cuts through such keys, which of them were left out is chance, too: then only what
they sort by and how many they are is kept.
"""

from __future__ import annotations

from itertools import groupby
from typing import Any, Final

from tests.differential.language import Fields

SORTED_BY: Final = {
    "VERSION": "version",
    "CREATE": "create_revision",
    "MOD": "mod_revision",
    "VALUE": "value",
}
TARGETS: Final = dict(enumerate(["KEY", *SORTED_BY]))


def without_order_of_ties(name: str, fields: Fields, reply: Fields) -> Fields:
    """The reply to this request as any correct server may give it."""
    if name == "range":
        return _range(fields, reply)
    if name == "txn" and "responses" in reply:
        return _txn(fields, reply)
    return reply


def _range(fields: Fields, reply: Fields) -> Fields:
    target = fields.get("sort_target", "KEY")
    attribute = SORTED_BY.get(str(TARGETS.get(target, target)))
    if attribute is None or "kvs" not in reply:
        return reply
    groups = [
        sorted(group, key=lambda kv: kv["key"])
        for _, group in groupby(reply["kvs"], lambda kv: kv.get(attribute, b""))
    ]
    if reply.get("more"):
        groups[-1] = [{attribute: kv.get(attribute)} for kv in groups[-1]]
    return {**reply, "kvs": [kv for group in groups for kv in group]}


def _txn(fields: Fields, reply: Fields) -> Fields:
    branch = fields.get("success" if reply.get("succeeded") else "failure", [])
    if len(branch) != len(reply["responses"]):
        return reply
    pairs = zip(branch, reply["responses"], strict=True)
    return {**reply, "responses": [_response(request, response) for request, response in pairs]}


def _response(request: Fields, response: Fields) -> Any:
    match request, response:
        case {"request_range": fields}, {"response_range": reply}:
            return {"response_range": _range(fields, reply)}
        case {"request_txn": fields}, {"response_txn": {"responses": _} as reply}:
            return {"response_txn": _txn(fields, reply)}
    return response
