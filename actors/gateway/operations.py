"""The table of operations: the command, query or watch that each becomes.

To add an operation, add it to the protocol's table (`cluster/protocol.py`), which has its fields
and their types. Then add here the function that makes its value, or in `keys.py` if it is on keys.
The store makes the checks that need its state. Knows nothing of frames, tickets or replies.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple, TypeVar

from actors.gateway.fields import AlarmAction, Fields, Filters, Kind, kinds_of
from actors.gateway.keys import Puts, key_reads, key_writes
from actors.gateway.newcomers import LeaseGrants, Newcomers, peer_urls
from actors.gateway.transactions import ReadOnly, Transactions
from actors.gateway.users import (
    USER_READS,
    Passworded,
    make_user_add,
    make_user_change_password,
    user_writes,
)
from actors.language.auth import UserAdd
from actors.language.commands import (
    AlarmActivate,
    AlarmDeactivate,
    AlarmType,
    Command,
    Compact,
    LeaseKeepAlive,
    LeaseRevoke,
)
from actors.language.members import (
    MemberChange,
    PromoteMember,
    RemoveMember,
    SetKeys,
    Transfer,
    UpdateMember,
)
from actors.language.messages import (
    Connection,
    Defragment,
    ReadSnapshot,
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
    WholeHash,
)
from cluster.protocol import OPS

TXN_OPS_MAX: Final = 128
"""How many compares, or operations of a branch, a transaction may have: etcd's default."""

# --- kinds of operations ----------------------------------------------------------------------


class CommandOperation(NamedTuple):
    """An operation that goes through the log; it may be part of an exactly-once session."""

    fields: dict[str, Kind]
    make: Callable[[Fields], Command]


class SessionOperation(NamedTuple):
    """The operation that opens a session, under an id that the gateway chooses."""

    fields: dict[str, Kind]


class PasswordOperation(NamedTuple):
    """As a CommandOperation, but most of its commands lack the hash of a password."""

    fields: dict[str, Kind]
    make: Callable[[Fields], UserAdd | Passworded]


class LoginOperation(NamedTuple):
    """The operation that gives a token for a name and a password."""

    fields: dict[str, Kind]


class QueryOperation(NamedTuple):
    """An operation that only reads: linearizable, unless the request says `serializable`."""

    fields: dict[str, Kind]
    make: Callable[[Fields], Query]


class LocalOperation(NamedTuple):
    """An operation that reads the asked node's own state, unless it says `linearizable`."""

    fields: dict[str, Kind]
    make: Callable[[Fields], Query]


class EitherOperation(NamedTuple):
    """An operation that goes through the log, or only reads: its fields decide."""

    fields: dict[str, Kind]
    make: Callable[[Fields], Command | ReadOnly | AlarmList]


MakeWatched = Callable[[Connection, bytes, Fields], WatchOpen | WatchCancel | WatchProgress]


class WatchOperation(NamedTuple):
    """An operation on the watches of a connection; `make` also gets the packed request id."""

    fields: dict[str, Kind]
    make: MakeWatched


class ConsensusOperation(NamedTuple):
    """An operation that Raft itself carries out: on the members, or on which of them leads."""

    fields: dict[str, Kind]
    make: Callable[[Fields], MemberChange | Transfer]


class SurveyOperation(NamedTuple):
    """The operation that asks all actors of the node what they have counted."""

    fields: dict[str, Kind]


class ChoreOperation(NamedTuple):
    """Work on the files of the node that is asked; it may take long. The ticket is still 0."""

    fields: dict[str, Kind]
    make: Callable[[Fields], ReadSnapshot | Defragment]


Operation = (
    CommandOperation
    | PasswordOperation
    | LoginOperation
    | SessionOperation
    | QueryOperation
    | LocalOperation
    | EitherOperation
    | WatchOperation
    | ConsensusOperation
    | SurveyOperation
    | ChoreOperation
)


def operations(
    grants: LeaseGrants,
    newcomers: Newcomers,
    new_secret: Callable[[], bytes],
    txn_ops_max: int = TXN_OPS_MAX,
) -> dict[str, Operation]:
    """Every operation of the protocol, by name."""
    puts = Puts(grants)
    transactions = Transactions(puts, txn_ops_max)
    return {
        **_each(CommandOperation, {**key_writes(puts), **_writes(grants)}),
        **_each(CommandOperation, user_writes(new_secret)),
        **_each(PasswordOperation, _PASSWORDS),
        "authenticate": LoginOperation(_kinds("authenticate")),
        **_each(QueryOperation, {**key_reads(), **_READS, **USER_READS}),
        **_each(LocalOperation, _LOCAL_READS),
        **_each(EitherOperation, {"txn": transactions.make, "alarm": _alarm}),
        **_each(WatchOperation, _WATCHES),
        **_each(ConsensusOperation, _changes(newcomers)),
        **_each(ChoreOperation, _CHORES),
        "metrics": SurveyOperation({}),
        "session_open": SessionOperation({}),
    }


Make = TypeVar("Make")


def _each(
    operation: Callable[[dict[str, Kind], Make], Operation], makes: dict[str, Make]
) -> dict[str, Operation]:
    """Operations of one kind, each with its fields from the protocol's table."""
    return {name: operation(_kinds(name), make) for name, make in makes.items()}


def _kinds(name: str) -> dict[str, Kind]:
    return kinds_of((*OPS[name].request, *OPS[name].alone))


def _writes(grants: LeaseGrants) -> dict[str, Callable[[Fields], Command]]:
    return {
        "compact": _compact,
        "lease_grant": grants.make,
        "lease_revoke": lambda fields: LeaseRevoke(_id(fields)),
        "lease_keep_alive": lambda fields: LeaseKeepAlive(_id(fields)),
    }


def _changes(newcomers: Newcomers) -> dict[str, Callable[[Fields], MemberChange | Transfer]]:
    return {
        "member_add": newcomers.add,
        "member_remove": lambda fields: RemoveMember(_id(fields)),
        "member_replace": newcomers.replace,
        "member_update": _member_update,
        "member_promote": lambda fields: PromoteMember(_id(fields)),
        "member_rotate_key": lambda fields: SetKeys(_id(fields)),
        "move_leader": lambda fields: Transfer(fields.get("targetID", 0)),
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


def _snapshot(fields: Fields) -> ReadSnapshot:
    return ReadSnapshot(0, fields.get("name", ""), fields.get("offset", 0))


def _watch_create(connection: Connection, request_id: bytes, fields: Fields) -> WatchOpen:
    filters = fields.get("filters", Filters())
    return WatchOpen(
        connection=connection,
        request_id=request_id,
        watch_id=fields.get("watch_id", 0),
        # As in etcd, an empty key stands for the lowest key: with an open end that is all keys.
        key=fields.get("key") or b"\0",
        range_end=fields.get("range_end", b""),
        start_revision=fields.get("start_revision", 0),
        prev_kv=fields.get("prev_kv", False),
        no_put=filters.no_put,
        no_delete=filters.no_delete,
        progress_notify=fields.get("progress_notify", False),
        fragment=fields.get("fragment", False),
        keys_only=fields.get("keys_only", False),
        without_leader=fields.get("without_leader", False),
    )


def _watch_cancel(connection: Connection, request_id: bytes, fields: Fields) -> WatchCancel:
    return WatchCancel(connection, request_id, fields.get("watch_id", 0))


def _watch_progress(connection: Connection, request_id: bytes, _: Fields) -> WatchProgress:
    return WatchProgress(connection, request_id)


_READS: Final[dict[str, Callable[[Fields], Query]]] = {
    "lease_time_to_live": _lease_time_to_live,
    "lease_leases": lambda _: LeaseLeases(),
    "status": lambda _: Status(),
}

_LOCAL_READS: Final[dict[str, Callable[[Fields], Query]]] = {
    "hash": lambda _: WholeHash(),
    "hash_kv": _hash_kv,
    "member_list": lambda _: MemberList(),
}

_WATCHES: Final[dict[str, MakeWatched]] = {
    "watch_create": _watch_create,
    "watch_cancel": _watch_cancel,
    "watch_progress": _watch_progress,
}

_PASSWORDS: Final[dict[str, Callable[[Fields], UserAdd | Passworded]]] = {
    "user_add": make_user_add,
    "user_change_password": make_user_change_password,
}

_CHORES: Final[dict[str, Callable[[Fields], ReadSnapshot | Defragment]]] = {
    "defragment": lambda _: Defragment(0),
    "snapshot": _snapshot,
}
