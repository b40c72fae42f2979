"""The table of operations: what each may hold, and the command, query or watch that it becomes.

To add an operation, add a line to `operations` and a function that makes its value. Field types and
zero values are PROTOCOL.md's; the checks that need the store's state are the store's. Knows nothing
of frames, tickets or replies.
"""

from __future__ import annotations

from collections.abc import Callable
from math import isfinite
from typing import Any, Final, NamedTuple

from actors.messages import Connection, WatchCancel, WatchOpen, WatchProgress
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
    SessionOpen,
    Status,
)
from cluster.errors import FAULTS, INVALID_ARGUMENT, Fault

INT64_MAX: Final = 2**63 - 1
LEASE_TTL_SECONDS_MAX: Final = 9_000_000_000

Fields = dict[str, Any]
"""The fields of one request, by name, each already of the type its operation asks for."""


class RefusedError(Exception):
    """This request cannot be served; `fault` is what its client is told."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.message)
        self.fault = fault


def fault_of(text: str) -> Fault:
    """A fault of the request itself, in our own words."""
    return Fault(INVALID_ARGUMENT, f"leasehold: {text}")


# --- types of fields --------------------------------------------------------------------------


class Kind(NamedTuple):
    """A type of fields: a value of type `exact` is taken as it is, others are converted.

    `convert` raises TypeError for what is not `wanted`, and ValueError with the reason for a
    value that cannot be.
    """

    wanted: str
    exact: type | None
    convert: Callable[[Any], Any]


def _text_to_bytes(value: Any) -> bytes:
    if type(value) is str:
        return value.encode()
    raise TypeError


def _no_other(value: Any) -> Any:
    raise TypeError


def _signed_64_bits(value: Any) -> int:
    if type(value) is not int:  # a bool is an int to Python, and none to a client
        raise TypeError
    if value > INT64_MAX:
        raise ValueError("does not fit in a signed integer of 64 bits")
    return value


def _not_negative(value: Any) -> int:
    if _signed_64_bits(value) < 0:
        raise ValueError("must not be negative")
    return int(value)


def _seconds(value: Any) -> int | float:
    if type(value) is int:
        return value
    if type(value) is not float:
        raise TypeError
    if not isfinite(value):
        raise ValueError("must be finite")
    return value


class Filters(NamedTuple):
    """The kinds of events a watch leaves out."""

    no_put: bool = False
    no_delete: bool = False


_FILTERS: Final = {"NOPUT": 0, "NODELETE": 1, 0: 0, 1: 1}


def _filters(value: Any) -> Filters:
    if type(value) is not tuple:
        raise TypeError
    chosen = set()
    for item in value:
        if type(item) not in (str, int) or item not in _FILTERS:
            raise ValueError("may hold only NOPUT (0) and NODELETE (1)")
        chosen.add(_FILTERS[item])
    return Filters(no_put=0 in chosen, no_delete=1 in chosen)


BYTES: Final = Kind("bytes or text", bytes, _text_to_bytes)
FLAG: Final = Kind("a boolean", bool, _no_other)
INTEGER: Final = Kind("an integer", None, _signed_64_bits)
COUNT: Final = Kind("an integer", None, _not_negative)
SECONDS: Final = Kind("a number of seconds", None, _seconds)
FILTERS: Final = Kind("a list of filters", None, _filters)

# --- kinds of operations ----------------------------------------------------------------------


class Logged(NamedTuple):
    """An operation that goes through the log. `once`: it may be part of an exactly-once session."""

    fields: dict[str, Kind]
    make: Callable[[Fields], Command]
    once: bool = True


class Asked(NamedTuple):
    """An operation that only reads."""

    fields: dict[str, Kind]
    make: Callable[[Fields], Query]


class Watched(NamedTuple):
    """An operation on the watches of a connection; `make` also gets the packed request id."""

    fields: dict[str, Kind]
    make: Callable[[Connection, bytes, Fields], WatchOpen | WatchCancel | WatchProgress]


Operation = Logged | Asked | Watched


def operations(grants: LeaseGrants) -> dict[str, Operation]:
    """Every operation of the protocol, by name."""
    interval = {"key": BYTES, "range_end": BYTES}
    return {
        "put": Logged(
            {
                "key": BYTES,
                "value": BYTES,
                "lease": INTEGER,
                "prev_kv": FLAG,
                "ignore_value": FLAG,
                "ignore_lease": FLAG,
            },
            _put,
        ),
        "range": Asked(
            {
                **interval,
                "limit": INTEGER,
                "revision": INTEGER,
                "serializable": FLAG,
                "keys_only": FLAG,
                "count_only": FLAG,
            },
            _range,
        ),
        "delete_range": Logged({**interval, "prev_kv": FLAG}, _delete_range),
        "lease_grant": Logged({"TTL": SECONDS, "ID": INTEGER}, grants.make),
        "lease_revoke": Logged({"ID": INTEGER}, lambda fields: LeaseRevoke(_id(fields))),
        "lease_keep_alive": Logged({"ID": INTEGER}, lambda fields: LeaseKeepAlive(_id(fields))),
        "lease_time_to_live": Asked({"ID": INTEGER, "keys": FLAG}, _lease_time_to_live),
        "lease_leases": Asked({}, lambda _: LeaseLeases()),
        "watch_create": Watched(
            {
                **interval,
                "start_revision": INTEGER,
                "prev_kv": FLAG,
                "filters": FILTERS,
                "watch_id": COUNT,
            },
            _watch_create,
        ),
        "watch_cancel": Watched({"watch_id": COUNT}, _watch_cancel),
        "watch_progress": Watched({}, _watch_progress),
        "member_list": Asked({}, lambda _: MemberList()),
        "status": Asked({}, lambda _: Status()),
        "session_open": Logged({}, lambda _: SessionOpen(), once=False),
    }


# --- what they become -------------------------------------------------------------------------


def _put(fields: Fields) -> Put:
    if not fields.get("key"):
        raise RefusedError(FAULTS["EmptyKey"])
    put = Put(**fields) if "value" in fields else Put(value=b"", **fields)
    if put.ignore_value and put.value:
        raise RefusedError(FAULTS["ValueProvided"])
    if put.ignore_lease and put.lease:
        raise RefusedError(FAULTS["LeaseProvided"])
    return put


def _range(fields: Fields) -> Range:
    if not fields.get("key"):
        raise RefusedError(FAULTS["EmptyKey"])
    # As in etcd: a negative limit is none, and a negative revision is the latest.
    for name in ("limit", "revision"):
        if name in fields:
            fields[name] = max(0, fields[name])
    return Range(**fields)


def _delete_range(fields: Fields) -> DeleteRange:
    if not fields.get("key"):
        raise RefusedError(FAULTS["EmptyKey"])
    return DeleteRange(**fields)


def _lease_time_to_live(fields: Fields) -> LeaseTimeToLive:
    return LeaseTimeToLive(_id(fields), fields.get("keys", False))


def _id(fields: Fields) -> int:
    lease_id: int = fields.get("ID", 0)
    return lease_id


def _watch_create(connection: Connection, request_id: bytes, fields: Fields) -> WatchOpen:
    filters = fields.get("filters", Filters())
    return WatchOpen(
        connection=connection,
        request_id=request_id,
        watch_id=fields.get("watch_id", 0),
        # As in etcd: no key is the first one possible, so that an open end watches everything.
        key=fields.get("key") or b"\0",
        range_end=fields.get("range_end", b""),
        start_revision=fields.get("start_revision", 0),
        prev_kv=fields.get("prev_kv", False),
        no_put=filters.no_put,
        no_delete=filters.no_delete,
    )


def _watch_cancel(connection: Connection, request_id: bytes, fields: Fields) -> WatchCancel:
    return WatchCancel(connection, request_id, fields.get("watch_id", 0))


def _watch_progress(connection: Connection, request_id: bytes, _: Fields) -> WatchProgress:
    return WatchProgress(connection, request_id)


class LeaseGrants:
    """Makes grants: chooses ids by etcd's formula, and holds TTLs to the cluster's minimum."""

    def __init__(self, member_id: int, wall_ms: int, ttl_ms_min: int) -> None:
        # 2 bytes of the member, 5 of the time this began, 1 that counts: as the count carries into
        # the time, ids stay unique over restarts while fewer than 256 are made a millisecond.
        self._member_bits = (member_id & 0xFFFF) << 48
        self._count = (wall_ms & 0xFF_FFFF_FFFF) << 8
        self._ttl_ms_min = ttl_ms_min

    def make(self, fields: Fields) -> LeaseGrant:
        """The grant a request asks for; its TTL may be 0, negative or a fraction of a second."""
        ttl_seconds = max(0, fields.get("TTL", 0))
        if ttl_seconds > LEASE_TTL_SECONDS_MAX:
            raise RefusedError(FAULTS["LeaseTTLTooLarge"])
        ttl_ms = max(round(ttl_seconds * 1_000), self._ttl_ms_min)
        return LeaseGrant(_id(fields) or self._next_id(), ttl_ms)

    def _next_id(self) -> int:
        while True:
            self._count = (self._count + 1) & 0xFFFF_FFFF_FFFF
            lease_id = (self._member_bits | self._count) & INT64_MAX
            if lease_id:
                return lease_id
