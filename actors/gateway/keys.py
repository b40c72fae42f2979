"""Requests on keys: their fields, and the commands and queries of the store that they become.

The checks are those that etcd makes before it proposes, in its order and with its texts. The store
checks what depends on its state. Knows neither transactions, which are made of these, nor frames or
replies.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from actors.gateway.fields import Fields, RefusedError, fault_of
from actors.gateway.newcomers import LeaseGrants
from actors.language.commands import Command, DeleteRange, Increment, Put, Range, TxnOp
from actors.language.queries import History, Page, Query
from actors.language.results import (
    DeleteDone,
    Incremented,
    PutDone,
    RangeDone,
    TxnDone,
    TxnResponse,
)
from cluster.faults import FAULTS

KeyWrite = Put | Increment
"""A command that sets one key: a branch of a transaction may have one of them for each key."""

RESPONSES: Final[dict[type[TxnResponse], str]] = {
    PutDone: "response_put",
    RangeDone: "response_range",
    DeleteDone: "response_delete_range",
    TxnDone: "response_txn",
    Incremented: "response_increment",
}
"""The name of the response to each operation of a transaction."""


class Puts:
    """Makes puts; those with a TTL of their own get a new lease."""

    def __init__(self, grants: LeaseGrants) -> None:
        self._grants = grants

    def make(self, fields: Fields) -> Put:
        """The put that a request asks for."""
        key = fields.get("key")
        if not key:
            raise RefusedError(FAULTS["EmptyKey"])
        if len(fields) == 2 and "value" in fields:  # most puts name a key, a value and nothing else
            return Put(key, fields["value"])
        ttl_seconds = fields.pop("TTL") if "TTL" in fields else 0
        put = Put(**fields) if "value" in fields else Put(value=b"", **fields)
        if put.ignore_value and put.value:
            raise RefusedError(FAULTS["ValueProvided"])
        if put.ignore_lease and put.lease:
            raise RefusedError(FAULTS["LeaseProvided"])
        return self._leased(put, ttl_seconds) if ttl_seconds else put

    def _leased(self, put: Put, ttl_seconds: float) -> Put:
        if put.lease or put.ignore_lease:
            raise RefusedError(fault_of('a put has a "TTL", or a "lease" or "ignore_lease"'))
        if ttl_seconds < 0:
            raise RefusedError(fault_of('field "TTL" of put must not be negative'))
        ttl_ms = self._grants.ttl_ms(ttl_seconds)
        return put._replace(lease=self._grants.next_id(), ttl_ms=ttl_ms)


def make_range(fields: Fields) -> Range | Page:
    """The range that a request asks for."""
    key = fields.get("key")
    if key and len(fields) == 1:  # most reads name a key and nothing else
        return Range(key)
    # As in etcd a negative revision is the latest. In a transaction it stays as it is: there it is
    # older than every other.
    if fields.get("revision", 0) < 0:
        fields["revision"] = 0
    if fields.pop("no_count", False):
        return Page(make_range_in_txn(fields))
    return make_range_in_txn(fields)


def make_range_in_txn(fields: Fields) -> Range:
    """The range that an operation of a transaction asks for.

    Its `serializable` is dropped here: the transaction as a whole is serializable or not.
    """
    fields.pop("serializable", None)
    if not fields.get("key"):
        raise RefusedError(FAULTS["EmptyKey"])
    if fields.get("sort_order", 0) is None or fields.get("sort_target", 0) is None:
        raise RefusedError(FAULTS["InvalidSortOption"])
    if fields.get("limit", 0) < 0:
        fields["limit"] = 0  # no limit, as in etcd
    return Range(**fields)


def make_delete_range(fields: Fields) -> DeleteRange:
    """The deletion that a request asks for."""
    if not fields.get("key"):
        raise RefusedError(FAULTS["EmptyKey"])
    return DeleteRange(**fields)


def make_increment(fields: Fields) -> Increment:
    """The increment that a request asks for; the default of `delta` is 1."""
    if not fields.get("key"):
        raise RefusedError(FAULTS["EmptyKey"])
    return Increment(fields["key"], fields.get("delta", 1))


def make_history(fields: Fields) -> History:
    """The history that a request asks for; a negative limit or revision counts as not given."""
    if not fields.get("key"):
        raise RefusedError(FAULTS["EmptyKey"])
    limit, revision = fields.get("limit", 0), fields.get("revision", 0)
    return History(fields["key"], max(0, limit), max(0, revision))


def key_writes(puts: Puts) -> dict[str, Callable[[Fields], Command]]:
    """The operations on keys that go through the log: by name, the function that makes each."""
    return {"put": puts.make, "delete_range": make_delete_range, "increment": make_increment}


def key_reads() -> dict[str, Callable[[Fields], Query]]:
    """The operations on keys that only read: by name, the function that makes each."""
    return {"range": make_range, "history": make_history}


def in_txn(puts: Puts) -> dict[str, Callable[[Fields], TxnOp]]:
    """The operations that a transaction may hold, except for a nested transaction, as above."""
    return {
        "put": puts.make,
        "range": make_range_in_txn,
        "delete_range": make_delete_range,
        "increment": make_increment,
    }
