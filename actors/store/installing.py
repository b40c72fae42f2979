"""A snapshot that takes a store's place: whether it is of use, and what others must hear of it.

The entries between the two states are never applied here one by one, so Lease and Watch are told
the difference. The actor says when to install, and the backend makes the file the store's own.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from actors.language.errors import StorageError
from actors.language.messages import LeaseFact, LeaseFacts, Skipped
from actors.store.machine import Machine
from actors.store.storage import Backend


def open_snapshot(backend: Backend, machine: Machine, path: Path) -> tuple[Backend, Machine] | str:
    """The copy at `path` and its state, fully read and checked; or why it is of no use."""
    try:
        copy = backend.open_copy(path)
    except StorageError as error:
        return str(error)
    try:
        found = machine.reopened(copy)
    except StorageError as error:
        copy.close()
        return str(error)
    if found.applied_index > machine.applied_index:
        return copy, found
    copy.close()
    return "it is no newer than the store"


def told(facts: Iterable[tuple[int, int]], cluster_ms: int) -> LeaseFacts:
    """What Lease is told of leases and their deadlines, 0 for those that are gone."""
    return LeaseFacts(tuple([LeaseFact(*fact) for fact in facts]), cluster_ms)


def leases_of(machine: Machine, gone: Iterable[int] = ()) -> LeaseFacts:
    """Every lease that exists with its deadline, and those that are gone with deadline 0."""
    facts = [(lease_id, 0) for lease_id in sorted(gone)]
    facts += [(each.id, each.deadline_ms) for each in machine.leases.table.values()]
    return told(facts, machine.cluster_ms)


def lease_news(old: Machine, new: Machine) -> LeaseFacts:
    """What Lease must hear when a new state takes the place of the old one."""
    return leases_of(new, gone=old.leases.table.keys() - new.leases.table.keys())


def watch_news(old: Machine, new: Machine) -> Skipped | None:
    """What Watch must hear if revisions lie between the two states: it then reads them."""
    return Skipped(new.revision) if new.revision > old.revision else None
