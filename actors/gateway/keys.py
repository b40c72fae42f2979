"""Requests on keys: their fields, and the commands and queries of the store that they become.

What etcd checks before it proposes, in its order and its words; what needs the store's state is the
store's to check. Knows neither transactions, which are made of these, nor frames or replies.
"""

from __future__ import annotations

from typing import Final

from actors.gateway.fields import (
    BYTES,
    FLAG,
    INTEGER,
    SECONDS,
    Fields,
    RefusedError,
    fault_of,
    maybe_one_of,
)
from actors.gateway.newcomers import LeaseGrants
from actors.language.commands import DeleteRange, Increment, Put, Range, SortOrder, SortTarget
from actors.language.queries import History, Page
from cluster.errors import FAULTS

INTERVAL: Final = {"key": BYTES, "range_end": BYTES}

PUT_FIELDS: Final = {
    "key": BYTES,
    "value": BYTES,
    "lease": INTEGER,
    "prev_kv": FLAG,
    "ignore_value": FLAG,
    "ignore_lease": FLAG,
    "TTL": SECONDS,
}

RANGE_FIELDS: Final = {
    **INTERVAL,
    "limit": INTEGER,
    "revision": INTEGER,
    "sort_order": maybe_one_of(SortOrder),
    "sort_target": maybe_one_of(SortTarget),
    "serializable": FLAG,
    "keys_only": FLAG,
    "count_only": FLAG,
    "min_mod_revision": INTEGER,
    "max_mod_revision": INTEGER,
    "min_create_revision": INTEGER,
    "max_create_revision": INTEGER,
}

RANGE_REQUEST_FIELDS: Final = {**RANGE_FIELDS, "no_count": FLAG}
"""Of a range that stands alone."""

DELETE_RANGE_FIELDS: Final = {**INTERVAL, "prev_kv": FLAG}
INCREMENT_FIELDS: Final = {"key": BYTES, "delta": INTEGER}
HISTORY_FIELDS: Final = {"key": BYTES, "limit": INTEGER, "revision": INTEGER}


class Puts:
    """Makes puts; those with a TTL of their own get a new lease."""

    def __init__(self, grants: LeaseGrants) -> None:
        self._grants = grants

    def make(self, fields: Fields) -> Put:
        """The put that a request asks for."""
        if not fields.get("key"):
            raise RefusedError(FAULTS["EmptyKey"])
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
    # As in etcd a negative revision is the latest; in a transaction it is one before all others.
    if fields.get("revision", 0) < 0:
        fields["revision"] = 0
    if fields.pop("no_count", False):
        return Page(make_range_in_txn(fields))
    return make_range_in_txn(fields)


def make_range_in_txn(fields: Fields) -> Range:
    """The range that an operation of a transaction asks for."""
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
    """The increment that a request asks for: by 1, if it does not say by how much."""
    if not fields.get("key"):
        raise RefusedError(FAULTS["EmptyKey"])
    return Increment(fields["key"], fields.get("delta", 1))


def make_history(fields: Fields) -> History:
    """The history that a request asks for; a negative limit or revision is none."""
    if not fields.get("key"):
        raise RefusedError(FAULTS["EmptyKey"])
    limit, revision = fields.get("limit", 0), fields.get("revision", 0)
    return History(fields["key"], max(0, limit), max(0, revision))
