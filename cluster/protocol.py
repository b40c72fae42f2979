"""The protocol's table: each operation, the fields of its request and of its reply.

A field or an operation of PROTOCOL.md is added here. The gateway checks requests by this table, the
client makes requests and reads replies by it, `-w json` and `-w fields` print by it, and the tables
of PROTOCOL.md are written from it (`python -m tests.cluster.page`). Names, order and zero values
are those of etcd's rpc.proto. The table refuses to know bytes, sockets, and what an operation does.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, Literal, TypedDict, get_args, get_type_hints

from cluster.metrics_table import DURATIONS, METRICS, PEER
from cluster.schema import (
    BYTES,
    COMPARES,
    COUNT,
    FILTERS,
    FLAG,
    INTEGER,
    KEYS,
    MEMBER_ID,
    OPERATIONS,
    RESPONSES,
    SECONDS,
    TEXT,
    TEXTS,
    Choice,
    Effect,
    Field,
    ListOf,
    Map,
    ProtocolOp,
    Type,
)
from cluster.users_table import LIMITS, PERMISSION, USER_OPTIONS, USERS

SortOrder = Literal["NONE", "ASCEND", "DESCEND"]
SortTarget = Literal["KEY", "VERSION", "CREATE", "MOD", "VALUE"]
AlarmName = Literal["NONE", "NOSPACE", "CORRUPT", "UNREADABLE", "DATA_LOSS"]

SORT_ORDER: Final = Choice(get_args(SortOrder))
SORT_TARGET: Final = Choice(get_args(SortTarget))
ALARM_NAME: Final = Choice(get_args(AlarmName))
ALARM_ACTION: Final = Choice(("GET", "ACTIVATE", "DEACTIVATE"))
COMPARE_TARGET: Final = Choice(("VERSION", "CREATE", "MOD", "VALUE", "LEASE", "COUNT"))
COMPARE_RESULT: Final = Choice(("EQUAL", "GREATER", "LESS", "NOT_EQUAL"))
EVENT_TYPE: Final = Choice(("PUT", "DELETE"))

# --- maps within requests and replies ---------------------------------------------------------

KEY: Final = Field("key", BYTES)
RANGE_END: Final = Field("range_end", BYTES)
REVISION: Final = Field("revision", INTEGER)
LIMIT: Final = Field("limit", INTEGER)

KEY_VALUE: Final = Map(
    "key-value",
    (
        KEY,
        Field("create_revision", INTEGER),
        Field("mod_revision", INTEGER),
        Field("version", INTEGER),
        Field("value", BYTES),
        Field("lease", INTEGER),
    ),
)

EVENT: Final = Map(
    "event",
    (
        Field("type", EVENT_TYPE),
        Field("kv", KEY_VALUE, "of a `DELETE` only `key` and `mod_revision`"),
        Field("prev_kv", KEY_VALUE, "if asked and there was one", optional=True),
        Field("reason", TEXT, "of a `DELETE`", optional=True, ours=True),
    ),
)

MEMBER: Final = Map(
    "member",
    (
        Field("ID", MEMBER_ID),
        Field("name", TEXT),
        Field("peerURLs", TEXTS),
        Field("clientURLs", TEXTS),
        Field("isLearner", FLAG),
        Field("keys", TEXTS, "where members have keys", optional=True, ours=True),
    ),
)

LEASE: Final = Map("lease", (Field("ID", INTEGER),))
ALARM: Final = Map("alarm", (Field("memberID", MEMBER_ID), Field("alarm", ALARM_NAME)))

COMPARE: Final = Map(
    "compare",
    (
        KEY,
        RANGE_END,
        Field("target", COMPARE_TARGET),
        Field("result", COMPARE_RESULT),
        Field("version", INTEGER),
        Field("create_revision", INTEGER),
        Field("mod_revision", INTEGER),
        Field("value", BYTES),
        Field("lease", INTEGER),
        Field("count", INTEGER, ours=True),
    ),
)

MAPS: Final = (
    KEY_VALUE,
    EVENT,
    MEMBER,
    LEASE,
    ALARM,
    DURATIONS,
    PEER,
    COMPARE,
    PERMISSION,
    USER_OPTIONS,
    LIMITS,
)

# --- operations -------------------------------------------------------------------------------


class RangeOptions(TypedDict, total=False):
    """The options of a read, besides its interval.

    `limit` 0 means no limit, `revision` 0 the present one. One node answers a `serializable` read
    from its own data, which may be old. The bounds of revisions are inclusive; 0 means no bound.
    """

    limit: int
    revision: int
    sort_order: SortOrder
    sort_target: SortTarget
    serializable: bool
    keys_only: bool
    count_only: bool
    min_mod_revision: int
    max_mod_revision: int
    min_create_revision: int
    max_create_revision: int


def _options(options: type[Any]) -> Iterable[Field]:
    """The fields of the table for the annotations of a class such as RangeOptions."""
    types: dict[Any, Type | Choice] = {
        int: INTEGER,
        bool: FLAG,
        SortOrder: SORT_ORDER,
        SortTarget: SORT_TARGET,
    }
    return [Field(name, types[hint]) for name, hint in get_type_hints(options).items()]


_ASKED: Final = "if asked and there was one"
_LEASE_ID: Final = Field("ID", INTEGER)
_MEMBER_ID: Final = Field("ID", MEMBER_ID)
_PEER_URLS: Final = Field("peerURLs", TEXTS)
_MEMBER_KEY: Final = Field("member_key", TEXT, ours=True)
_PREV_KV: Final = Field("prev_kv", FLAG)
_MEMBERS: Final = Field("members", ListOf(MEMBER))
_WATCH_ID: Final = Field("watch_id", COUNT)

_KEYS: Final = (
    ProtocolOp(
        "range",
        Effect.READ,
        (KEY, RANGE_END, *_options(RangeOptions)),
        (Field("kvs", ListOf(KEY_VALUE)), Field("more", FLAG), Field("count", INTEGER)),
        in_txn=True,
        alone=(Field("no_count", FLAG, ours=True),),
    ),
    ProtocolOp(
        "put",
        Effect.WRITE,
        (
            KEY,
            Field("value", BYTES),
            Field("lease", INTEGER),
            _PREV_KV,
            Field("ignore_value", FLAG),
            Field("ignore_lease", FLAG),
            Field("TTL", SECONDS, ours=True),
        ),
        (
            Field("prev_kv", KEY_VALUE, _ASKED, optional=True),
            Field("lease", INTEGER, "with a `TTL`", optional=True, ours=True),
            Field("TTL", SECONDS, "with a `TTL`", optional=True, ours=True),
        ),
        in_txn=True,
    ),
    ProtocolOp(
        "delete_range",
        Effect.WRITE,
        (KEY, RANGE_END, _PREV_KV),
        (
            Field("deleted", INTEGER),
            Field("prev_kvs", ListOf(KEY_VALUE), "if asked and there were any", optional=True),
        ),
        in_txn=True,
    ),
    ProtocolOp(
        "txn",
        Effect.EITHER,
        (
            Field("compare", COMPARES),
            Field("success", OPERATIONS),
            Field("failure", OPERATIONS),
        ),
        (Field("succeeded", FLAG), Field("responses", RESPONSES)),
        in_txn=True,
    ),
    ProtocolOp(
        "increment",
        Effect.WRITE,
        (KEY, Field("delta", INTEGER, default=1)),
        (Field("value", INTEGER),),
        in_txn=True,
        ours=True,
    ),
    ProtocolOp(
        "history",
        Effect.READ,
        (KEY, LIMIT, REVISION),
        (
            Field("events", ListOf(EVENT), "newest first"),
            Field("more", FLAG),
            Field("compacted", FLAG),
        ),
        ours=True,
    ),
    ProtocolOp("compact", Effect.WRITE, (REVISION, Field("physical", FLAG)), ()),
)

_LEASES: Final = (
    ProtocolOp(
        "lease_grant",
        Effect.WRITE,
        (Field("TTL", SECONDS), _LEASE_ID),
        (_LEASE_ID, Field("TTL", SECONDS)),
    ),
    ProtocolOp("lease_revoke", Effect.WRITE, (_LEASE_ID,), ()),
    ProtocolOp(
        "lease_keep_alive",
        Effect.WRITE,
        (_LEASE_ID,),
        (_LEASE_ID, Field("TTL", SECONDS, "0: there is no such lease")),
    ),
    ProtocolOp(
        "lease_time_to_live",
        Effect.READ,
        (_LEASE_ID, Field("keys", FLAG)),
        (
            _LEASE_ID,
            Field("TTL", INTEGER, "-1: there is no such lease"),
            Field("grantedTTL", SECONDS),
            Field("keys", KEYS, "if asked", optional=True),
            Field("remaining_ms", INTEGER, ours=True),
        ),
    ),
    ProtocolOp("lease_leases", Effect.READ, (), (Field("leases", ListOf(LEASE)),)),
)

_WATCH_REPLY: Final = (
    Field("watch_id", INTEGER),
    Field("created", FLAG, optional=True),
    Field("canceled", FLAG, optional=True),
    Field("compact_revision", INTEGER, optional=True),
    Field("cancel_reason", TEXT, optional=True),
    Field("fragment", FLAG, optional=True),
    Field("events", ListOf(EVENT), optional=True),
)

_WATCHES: Final = (
    ProtocolOp(
        "watch_create",
        Effect.WATCH,
        (
            KEY,
            RANGE_END,
            Field("start_revision", INTEGER),
            Field("progress_notify", FLAG),
            Field("filters", FILTERS),
            _PREV_KV,
            _WATCH_ID,
            Field("fragment", FLAG),
            Field("keys_only", FLAG, ours=True),
            Field("without_leader", FLAG, ours=True),
        ),
        _WATCH_REPLY,
    ),
    ProtocolOp("watch_cancel", Effect.WATCH, (_WATCH_ID,), _WATCH_REPLY),
    ProtocolOp("watch_progress", Effect.WATCH, (), _WATCH_REPLY),
)

_NEW_MEMBER: Final = Field("member", MEMBER, "the new one")

_MEMBER_CHANGES: Final = (
    ProtocolOp("member_list", Effect.READ, (Field("linearizable", FLAG),), (_MEMBERS,)),
    ProtocolOp(
        "member_add",
        Effect.OTHER,
        (_PEER_URLS, Field("isLearner", FLAG), _MEMBER_KEY),
        (
            _NEW_MEMBER,
            _MEMBERS,
            Field("waiting", FLAG, "if it is", optional=True, ours=True),
        ),
    ),
    ProtocolOp("member_remove", Effect.OTHER, (_MEMBER_ID,), (_MEMBERS,)),
    ProtocolOp("member_update", Effect.OTHER, (_MEMBER_ID, _PEER_URLS), (_MEMBERS,)),
    ProtocolOp("member_promote", Effect.OTHER, (_MEMBER_ID,), (_MEMBERS,)),
    ProtocolOp(
        "member_replace",
        Effect.OTHER,
        (_MEMBER_ID, _PEER_URLS, _MEMBER_KEY),
        (_NEW_MEMBER, _MEMBERS),
        ours=True,
    ),
    ProtocolOp("member_rotate_key", Effect.OTHER, (_MEMBER_ID,), (_MEMBERS,), ours=True),
    ProtocolOp("move_leader", Effect.OTHER, (Field("targetID", MEMBER_ID),), ()),
)

_STATUS: Final = (
    Field("version", TEXT),
    Field("dbSize", INTEGER),
    Field("leader", MEMBER_ID),
    Field("raftIndex", INTEGER),
    Field("raftTerm", INTEGER),
    Field("raftAppliedIndex", INTEGER),
    Field(
        "errors",
        TEXTS,
        "texts: no leader, alarms, and while it does not vote yet because its directory was empty",
    ),
    Field("dbSizeInUse", INTEGER),
    Field("isLearner", FLAG),
    Field("dbSizeQuota", INTEGER, "if there is one", optional=True),
    Field("maxRequestBytes", INTEGER, ours=True),
)

_HASH: Final = (
    Field("hash", INTEGER),
    Field("compact_revision", INTEGER),
    Field("hash_revision", INTEGER),
)

_SNAPSHOT: Final = (
    Field("remaining_bytes", INTEGER),
    Field("blob", BYTES),
    Field("name", TEXT),
    Field("sha256", BYTES),
)

_MAINTENANCE: Final = (
    ProtocolOp("hash", Effect.READ, (), _HASH[:1]),
    ProtocolOp("hash_kv", Effect.READ, (REVISION,), _HASH),
    ProtocolOp("status", Effect.READ, (), _STATUS),
    ProtocolOp(
        "alarm",
        Effect.EITHER,
        (Field("action", ALARM_ACTION), *ALARM.fields),
        (Field("alarms", ListOf(ALARM)),),
    ),
    ProtocolOp("defragment", Effect.OTHER, (), ()),
    ProtocolOp("snapshot", Effect.OTHER, (Field("name", TEXT), Field("offset", COUNT)), _SNAPSHOT),
    ProtocolOp(
        "metrics",
        Effect.OTHER,
        (),
        (*METRICS, Field("alarms", ListOf(ALARM))),
        ours=True,
    ),
    ProtocolOp("session_open", Effect.OTHER, (), (Field("session", INTEGER),), ours=True),
)

OPS: Final = {
    op.name: op for op in (*_KEYS, *_LEASES, *_WATCHES, *_MEMBER_CHANGES, *_MAINTENANCE, *USERS)
}
"""Every operation, by name."""
