"""The one check of every command and query: whether who asks for it may have it.

It is made of the state at the entry's own place in the log, or at a read's own state. So no right
is ever older or newer than what it decides about.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import Any

from actors.language.auth import NOBODY, NODE, Principal
from actors.language.commands import Put, Range
from actors.language.intervals import EVERY_KEY, NO_KEY, KeySet, interval_of
from actors.store.auth.needs import Authority, Needs, needs_of
from actors.store.auth.table import AuthTable, Rights
from cluster.faults import MaybeFault

KeysOfLease = Callable[[int], Collection[bytes]]
"""The keys that hang on a lease; none if there is no such lease."""

_ALSO = {Authority.MONITOR: (Authority.OPERATOR, Authority.BACKUP)}
"""Authorities that include another: whoever runs a cluster or saves it must see how it is."""


def may_at_once(table: AuthTable, principal: Principal, asked: Any) -> bool:
    """Whether this is allowed by rights that are ready; False: ask `fault_of`, which knows all.

    The hot path, of most puts and gets, while authentication is on.
    """
    kind = type(asked)
    if kind is Put:
        keys = table.ready.writable.get(principal, NO_KEY)
        if keys.last_start <= asked.key < keys.last_end or keys.has(asked.key):
            return not asked.lease and not asked.prev_kv
    elif kind is Range:
        keys = table.ready.readable.get(principal, NO_KEY)
        if keys.last_start <= asked.key < keys.last_end or keys.has(asked.key):
            return not asked.range_end
    return False


def fault_of(
    table: AuthTable,
    principal: Principal,
    asked: Any,
    keys_of_lease: KeysOfLease,
) -> MaybeFault:
    """Why this principal may not have this (`needs.Asked`); empty: it may. While authentication is
    off all may."""
    if not table.enabled or principal == NODE:
        return ""
    needs = needs_of(asked)
    if needs.authority is Authority.ANYBODY:
        return ""
    if principal == NOBODY:
        return "UserEmpty"
    # Also UNKNOWN has none: no user has that for an id.
    rights = table.rights_shown(principal)
    if rights is None:
        return "InvalidAuthToken"
    if needs.authority is Authority.NODE:
        return "PermissionDenied"
    if rights.is_root:
        return ""
    may = _has_authority(table, principal.user_id, rights, needs)
    may = may and _may_use_keys(rights, needs, keys_of_lease)
    return "" if may else "PermissionDenied"


def readable(table: AuthTable, principal: Principal) -> KeySet:
    """The keys that a principal, which watches some of them, may go on watching.

    That is decided by what it needs now: the loss of another right does not end its watches.
    """
    if not table.enabled or principal == NODE:
        return EVERY_KEY
    rights = table.rights_shown(principal)
    return NO_KEY if rights is None else rights.reads


def _has_authority(table: AuthTable, user_id: int, rights: Rights, needs: Needs) -> bool:
    if needs.authority is Authority.USER:
        return True
    user = table.of_id(user_id)
    if needs.user and user is not None and user.name == needs.user:
        return True
    if needs.role and needs.role in rights.roles:
        return True
    enough = (needs.authority, *_ALSO.get(needs.authority, ()))
    return any(each.value in rights.roles for each in enough)


def _may_use_keys(rights: Rights, needs: Needs, keys_of_lease: KeysOfLease) -> bool:
    return (
        all(map(rights.reads.covers, needs.reads))
        and all(map(rights.writes.covers, needs.writes))
        and _covers_keys(rights.writes, needs.writes_leases, keys_of_lease)
        and _covers_keys(rights.reads, needs.reads_leases, keys_of_lease)
    )


def _covers_keys(allowed: KeySet, leases: Iterable[int], keys_of_lease: KeysOfLease) -> bool:
    return all(
        allowed.covers(interval_of(key, b"")) for lease in leases for key in keys_of_lease(lease)
    )
