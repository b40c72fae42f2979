"""What each command, query and request needs: the keys it reads and writes, or an authority.

One table for all of them. A test walks the types, so that a new one without a rule fails. Knows
nothing of users, and of who asks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from enum import Enum
from typing import Any, Final, NamedTuple

from actors.language import auth
from actors.language import commands as c
from actors.language import members as m
from actors.language import queries as q
from actors.language.intervals import KeyInterval, interval_of
from actors.language.messages import (
    Defragment,
    ReadSnapshot,
    WatchCancel,
    WatchOpen,
    WatchProgress,
)
from actors.language.metrics import Survey


class Authority(Enum):
    """Who may ask for something, beside what it does to keys; the values are names of roles.

    etcd has only root for all of these.
    """

    NODE = "a node"
    ANYBODY = "anybody"
    USER = "a user"
    ROOT = "root"
    OPERATOR = "operator"
    BACKUP = "backup"
    MONITOR = "monitor"


class Needs(NamedTuple):
    """What must be allowed: an authority, and then to read and to write these keys, to write every
    key of some leases, and to read every key of others.

    With `user` (or `role`) it is that user (or whoever has that role) who needs no authority.
    """

    authority: Authority
    reads: tuple[KeyInterval, ...] = ()
    writes: tuple[KeyInterval, ...] = ()
    writes_leases: tuple[int, ...] = ()
    reads_leases: tuple[int, ...] = ()
    user: str = ""
    role: str = ""


Rule = Callable[[Any], Needs]


Asked = (
    c.Command
    | q.Query
    | m.MemberChange
    | m.Transfer
    | Defragment
    | ReadSnapshot
    | Survey
    | WatchOpen
    | WatchCancel
    | WatchProgress
)
"""Everything that somebody may ask a node for."""


def needs_of(asked: Asked) -> Needs:
    """What this needs. A type without a rule is a KeyError: of our own making."""
    return RULES[type(asked)](asked)


def _only(authority: Authority) -> Rule:
    needs = Needs(authority)
    return lambda _: needs


def _ops(op: c.TxnOp) -> Iterator[tuple[str, KeyInterval | int]]:
    """What an operation reads and writes; a transaction: all its compares, and both branches."""
    match op:
        case c.Put():
            yield "write", interval_of(op.key, b"")
            # To keep a value or a lease tells nothing of it; to be given the one before does.
            if op.prev_kv:
                yield "read", interval_of(op.key, b"")
            if op.lease:
                yield "lease", op.lease
        case c.DeleteRange(key, range_end, prev_kv):
            yield "write", interval_of(key, range_end)
            if prev_kv:
                yield "read", interval_of(key, range_end)
        case c.Increment(key, _):
            yield "write", interval_of(key, b"")
            yield "read", interval_of(key, b"")
        case c.Range():
            yield "read", interval_of(op.key, op.range_end)
        case c.Txn(compares, success, failure):
            for compare in compares:
                yield "read", interval_of(compare.key, compare.range_end)
            for each in (*success, *failure):
                yield from _ops(each)


def _of_keys(op: c.TxnOp) -> Needs:
    found: dict[str, list[Any]] = {"read": [], "write": [], "lease": []}
    for kind, what in _ops(op):
        found[kind].append(what)
    reads, writes, leases = (tuple(dict.fromkeys(each)) for each in found.values())
    return Needs(Authority.USER, reads, writes, leases)


def _of_lease(command: c.LeaseRevoke | c.LeaseKeepAlive) -> Needs:
    return Needs(Authority.USER, writes_leases=(command.id,))


def _of_life(query: q.LeaseTimeToLive) -> Needs:
    # The names of keys are what reading them is for: without them, anybody may know the time.
    return Needs(Authority.USER, reads_leases=(query.id,) if query.keys else ())


RULES: Final[dict[type, Rule]] = {
    # keys
    **dict.fromkeys((c.Put, c.DeleteRange, c.Increment, c.Range, c.Txn), _of_keys),
    q.Page: lambda query: _of_keys(query.range),
    q.History: lambda query: Needs(Authority.USER, reads=(interval_of(query.key, b""),)),
    WatchOpen: lambda watch: Needs(
        Authority.USER, reads=(interval_of(watch.key, watch.range_end),)
    ),
    # leases and sessions
    **dict.fromkeys((c.LeaseGrant, c.SessionOpen, q.LeaseLeases), _only(Authority.USER)),
    **dict.fromkeys((c.LeaseRevoke, c.LeaseKeepAlive), _of_lease),
    q.LeaseTimeToLive: _of_life,
    # what only nodes put into the log
    **dict.fromkeys(
        (
            c.LeaseExpire,
            c.AdvanceClock,
            c.MemberPublish,
            c.SetMembers,
            c.IntegrityCheck,
            c.IntegrityReport,
            q.MembersToCome,
            auth.UserSecret,
        ),
        _only(Authority.NODE),
    ),
    # the cluster as a whole
    **dict.fromkeys(
        (
            c.Compact,
            c.AlarmActivate,
            c.AlarmDeactivate,
            m.AddMember,
            m.RemoveMember,
            m.ReplaceMember,
            m.UpdateMember,
            m.SetKeys,
            m.PromoteMember,
            m.Transfer,
            Defragment,
        ),
        _only(Authority.OPERATOR),
    ),
    ReadSnapshot: _only(Authority.BACKUP),
    **dict.fromkeys((q.HashKV, q.WholeHash), _only(Authority.MONITOR)),
    # etcdctl asks for them to see whether an endpoint is healthy, as whatever user.
    q.AlarmList: _only(Authority.USER),
    # Clients find their way by these before they say who they are, as in etcd. Numbers of the node
    # are open there, too: the front's /metrics has them.
    **dict.fromkeys((q.MemberList, q.Status, Survey), _only(Authority.ANYBODY)),
    # These reach no watches but those of their own connection.
    **dict.fromkeys((WatchCancel, WatchProgress), _only(Authority.ANYBODY)),
    q.Permit: lambda query: needs_of(query.asked),
    # users and roles
    **dict.fromkeys(
        (
            auth.AuthEnable,
            auth.AuthDisable,
            auth.AuthStatus,
            auth.UserAdd,
            auth.UserDelete,
            auth.UserChangePassword,
            auth.UserGrantRole,
            auth.UserRevokeRole,
            auth.UserAddKey,
            auth.UserRemoveKey,
            auth.UserList,
            auth.RoleAdd,
            auth.RoleDelete,
            auth.RoleGrantPermission,
            auth.RoleRevokePermission,
            auth.RoleSetLimits,
            auth.RoleList,
        ),
        _only(Authority.ROOT),
    ),
    # Each may see their own.
    auth.UserGet: lambda query: Needs(Authority.ROOT, user=query.name),
    auth.RoleGet: lambda query: Needs(Authority.ROOT, role=query.name),
}
