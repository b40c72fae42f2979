"""What each query sees of a machine: the state that the entries applied have made.

While an entry is under way that is the state before it. Changes nothing, and knows nothing of time.
"""

from __future__ import annotations

from typing import Final

from actors.language.auth import NODE, Principal
from actors.language.commands import Range, Txn
from actors.language.queries import (
    AlarmList,
    HashKV,
    History,
    LeaseLeases,
    LeaseTimeToLive,
    MemberList,
    MembersToCome,
    Page,
    Permit,
    Query,
    Status,
    WholeHash,
)
from actors.language.results import Alarms, Done, Failure, Members, Result, StatusDone
from actors.store.auth.answers import answer_auth
from actors.store.auth.check import may_at_once
from actors.store.digest import read_hash
from actors.store.history import read_history
from actors.store.leases import read_leases, read_life
from actors.store.machine import Machine
from actors.store.naming import by_id, named
from actors.store.ranges import get, read_range
from actors.store.steps import Steps, finish
from actors.store.txn import read_txn
from actors.store.whole_hash import hash_whole

_OF_ONE_KEY: Final = Range(b"")[1:]

OF_LEASES: Final = (LeaseTimeToLive, LeaseLeases, WholeHash)
"""Leases have no past: these wait for the end of an entry under way, which may change leases."""


def can_answer(machine: Machine, query: Query) -> bool:
    """Whether a query sees a whole state now."""
    return not machine.is_busy or not isinstance(query, OF_LEASES)


def answer(machine: Machine, query: Query, cluster_ms: int, principal: Principal = NODE) -> Result:
    """The whole answer; a lease's remaining time is counted at `cluster_ms`."""
    found = begin(machine, query, cluster_ms, principal)
    return found if isinstance(found, tuple) else finish(found)


def begin(
    machine: Machine, query: Query, cluster_ms: int, principal: Principal
) -> Result | Steps[Result]:
    """The answer, or the steps to one that may take long: of the state at the first step, which
    also says whether the principal may have it.

    Until the last step, nothing may be swept that a later compaction outdates.
    """
    if machine.auth.enabled and not may_at_once(machine.auth, principal, query):
        fault = machine.fault_of(principal, query)
        if fault:
            return Failure(fault)
    store = machine.store
    match query:
        case Range():
            store.ranges += 1
            # `get` reads the keys that exist now, so it would see half of an entry under way.
            if query[1:] == _OF_ONE_KEY and not machine.is_busy:
                return get(store, query.key)
            return read_range(store, query, machine.revision)
        case Page(page):
            store.ranges += 1
            return read_range(store, page, machine.revision, counts=False)
        case Txn():
            return read_txn(store, query, machine.revision)
        case LeaseTimeToLive():
            now_ms = max(cluster_ms, machine.cluster_ms)
            return read_life(machine.leases, store.index, machine.revision, query, now_ms)
        case History():
            return read_history(store, query, machine.revision)
        case HashKV():
            return read_hash(store, query, machine.revision)
        case WholeHash():
            members = by_id(machine.members)
            rest = machine.alarms, machine.auth
            return hash_whole(store, machine.leases, machine.sessions, members, *rest)
        case LeaseLeases():
            return read_leases(machine.leases, machine.revision)
        case MemberList():
            return Members(machine.revision, by_id(machine.members))
        case MembersToCome(peers):
            members = by_id(named(peers, machine.members))
            return Members(machine.revision, members, waiting=True)
        case AlarmList(kind):
            return Alarms(machine.revision, machine.alarms.of(kind))
        case Status(raft):
            assert raft is not None, "raft fills in its part of a status first"
            sizes = machine.backend.size()
            alarms = tuple(machine.alarms)
            return StatusDone(machine.revision, *sizes, machine.applied_index, raft, alarms)
        case Permit():
            return Done(machine.revision)
        case _:
            return answer_auth(machine.auth, query, machine.revision)
