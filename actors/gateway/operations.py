"""The table of operations: what each may hold, and the command, query or watch that it becomes.

To add an operation, add a line to `operations` and a function that makes its value. Field types and
zero values are PROTOCOL.md's; the checks that need the store's state are the store's. Knows nothing
of frames, tickets or replies.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum
from typing import Final, NamedTuple

from actors.gateway.fields import (
    COUNT,
    FILTERS,
    FLAG,
    INTEGER,
    MEMBER,
    SECONDS,
    TEXT,
    URLS,
    Fields,
    Filters,
    Kind,
    one_of,
)
from actors.gateway.keys import (
    DELETE_RANGE_FIELDS,
    HISTORY_FIELDS,
    INCREMENT_FIELDS,
    INTERVAL,
    PUT_FIELDS,
    RANGE_REQUEST_FIELDS,
    Puts,
    make_delete_range,
    make_history,
    make_increment,
    make_range,
)
from actors.gateway.newcomers import LeaseGrants, Newcomers, peer_urls
from actors.gateway.transactions import TXN_FIELDS, ReadOnly, Transactions
from actors.language.commands import (
    AlarmActivate,
    AlarmDeactivate,
    AlarmType,
    Command,
    Compact,
    LeaseKeepAlive,
    LeaseRevoke,
)
from actors.language.members import Change, PromoteMember, RemoveMember, UpdateMember
from actors.language.messages import (
    Connection,
    Defragment,
    SnapshotPart,
    WatchCancel,
    WatchOpen,
    WatchProgress,
)
from actors.language.queries import (
    AlarmList,
    HashKV,
    LeaseLeases,
    LeaseTimeToLive,
    MemberList,
    Query,
    Status,
)

TXN_OPS_MAX: Final = 128
"""Compares or operations of one transaction, as in etcd, unless the node is told otherwise."""

# --- kinds of operations ----------------------------------------------------------------------


class Logged(NamedTuple):
    """An operation that goes through the log; it may be part of an exactly-once session."""

    fields: dict[str, Kind]
    make: Callable[[Fields], Command]


class Opened(NamedTuple):
    """The operation that opens a session, under an id that the gateway chooses."""

    fields: dict[str, Kind]


class Asked(NamedTuple):
    """An operation that only reads. `own`: the node that is asked answers for itself."""

    fields: dict[str, Kind]
    make: Callable[[Fields], Query]
    own: bool = False


class Undecided(NamedTuple):
    """An operation that goes through the log, or only reads: it depends on what it holds."""

    fields: dict[str, Kind]
    make: Callable[[Fields], Command | ReadOnly | AlarmList]


class Watched(NamedTuple):
    """An operation on the watches of a connection; `make` also gets the packed request id."""

    fields: dict[str, Kind]
    make: Callable[[Connection, bytes, Fields], WatchOpen | WatchCancel | WatchProgress]


class Transfer(NamedTuple):
    """Let that member lead."""

    target: int


class Governed(NamedTuple):
    """An operation that consensus itself carries out: who the members are, and who leads."""

    fields: dict[str, Kind]
    make: Callable[[Fields], Change | Transfer]


class Maintained(NamedTuple):
    """Work on the files of the node that is asked, which may take long; the ticket is not set."""

    fields: dict[str, Kind]
    make: Callable[[Fields], SnapshotPart | Defragment]


Operation = Logged | Opened | Asked | Undecided | Watched | Governed | Maintained


class AlarmAction(IntEnum):
    """rpc.proto AlarmRequest.AlarmAction."""

    GET = 0
    ACTIVATE = 1
    DEACTIVATE = 2


def operations(
    grants: LeaseGrants, newcomers: Newcomers, txn_ops_max: int = TXN_OPS_MAX
) -> dict[str, Operation]:
    """Every operation of the protocol, by name."""
    puts = Puts(grants)
    return {
        "put": Logged(PUT_FIELDS, puts.make),
        "range": Asked(RANGE_REQUEST_FIELDS, make_range),
        "delete_range": Logged(DELETE_RANGE_FIELDS, make_delete_range),
        "txn": Undecided(dict(TXN_FIELDS), Transactions(puts, txn_ops_max).make),
        "increment": Logged(INCREMENT_FIELDS, make_increment),
        "history": Asked(HISTORY_FIELDS, make_history),
        "compact": Logged({"revision": INTEGER, "physical": FLAG}, _compact),
        "session_open": Opened({}),
        **_leases(grants),
        **_watches(),
        **_members(newcomers),
        **_maintenance(),
    }


def _leases(grants: LeaseGrants) -> dict[str, Operation]:
    return {
        "lease_grant": Logged({"TTL": SECONDS, "ID": INTEGER}, grants.make),
        "lease_revoke": Logged({"ID": INTEGER}, lambda fields: LeaseRevoke(_id(fields))),
        "lease_keep_alive": Logged({"ID": INTEGER}, lambda fields: LeaseKeepAlive(_id(fields))),
        "lease_time_to_live": Asked({"ID": INTEGER, "keys": FLAG}, _lease_time_to_live),
        "lease_leases": Asked({}, lambda _: LeaseLeases()),
    }


def _watches() -> dict[str, Operation]:
    wishes = {
        **INTERVAL,
        "start_revision": INTEGER,
        "prev_kv": FLAG,
        "filters": FILTERS,
        "watch_id": COUNT,
        "progress_notify": FLAG,
        "fragment": FLAG,
        "keys_only": FLAG,
    }
    return {
        "watch_create": Watched(wishes, _watch_create),
        "watch_cancel": Watched({"watch_id": COUNT}, _watch_cancel),
        "watch_progress": Watched({}, _watch_progress),
    }


def _members(newcomers: Newcomers) -> dict[str, Operation]:
    moved = {"ID": MEMBER, "peerURLs": URLS}
    return {
        "member_list": Asked({}, lambda _: MemberList()),
        "member_add": Governed({"peerURLs": URLS, "isLearner": FLAG}, newcomers.add),
        "member_remove": Governed({"ID": MEMBER}, lambda fields: RemoveMember(_id(fields))),
        "member_replace": Governed(moved, newcomers.replace),
        "member_update": Governed(moved, _member_update),
        "member_promote": Governed({"ID": MEMBER}, lambda fields: PromoteMember(_id(fields))),
        "move_leader": Governed(
            {"targetID": MEMBER}, lambda fields: Transfer(fields.get("targetID", 0))
        ),
    }


def _maintenance() -> dict[str, Operation]:
    alarm = {"action": one_of(AlarmAction), "memberID": MEMBER, "alarm": one_of(AlarmType)}
    return {
        "status": Asked({}, lambda _: Status()),
        "hash_kv": Asked({"revision": INTEGER}, _hash_kv, own=True),
        "alarm": Undecided(alarm, _alarm),
        "defragment": Maintained({}, lambda _: Defragment(0)),
        "snapshot": Maintained({"name": TEXT, "offset": COUNT}, _snapshot),
    }


# --- what they become -------------------------------------------------------------------------


def _compact(fields: Fields) -> Compact:
    return Compact(fields.get("revision", 0), fields.get("physical", False))


def _lease_time_to_live(fields: Fields) -> LeaseTimeToLive:
    return LeaseTimeToLive(_id(fields), fields.get("keys", False))


def _id(fields: Fields) -> int:
    named: int = fields.get("ID", 0)
    return named


def _member_update(fields: Fields) -> UpdateMember:
    return UpdateMember(_id(fields), peer_urls(fields))


def _hash_kv(fields: Fields) -> HashKV:
    return HashKV(fields.get("revision", 0))


def _alarm(fields: Fields) -> AlarmActivate | AlarmDeactivate | AlarmList:
    member_id, alarm = fields.get("memberID", 0), fields.get("alarm", AlarmType.NONE)
    match fields.get("action", AlarmAction.GET):
        case AlarmAction.ACTIVATE:
            return AlarmActivate(member_id, alarm)
        case AlarmAction.DEACTIVATE:
            return AlarmDeactivate(member_id, alarm)
        case _:
            return AlarmList(alarm)


def _snapshot(fields: Fields) -> SnapshotPart:
    return SnapshotPart(0, fields.get("name", ""), fields.get("offset", 0))


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
        progress_notify=fields.get("progress_notify", False),
        fragment=fields.get("fragment", False),
        keys_only=fields.get("keys_only", False),
    )


def _watch_cancel(connection: Connection, request_id: bytes, fields: Fields) -> WatchCancel:
    return WatchCancel(connection, request_id, fields.get("watch_id", 0))


def _watch_progress(connection: Connection, request_id: bytes, _: Fields) -> WatchProgress:
    return WatchProgress(connection, request_id)
