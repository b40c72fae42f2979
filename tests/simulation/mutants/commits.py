"""Planted bugs in how the store's commits end: late, with reads and other work before their end."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any
from unittest.mock import patch

from actors.language.messages import Durable
from actors.store.actor import StoreActor
from actors.store.deletion import Changes, since
from actors.store.mvcc import RevisionStore
from tests.simulation.mutants.planting import mutant


@mutant
def a_commit_counts_as_durable_when_it_begins() -> AbstractContextManager[Any]:
    """Raft hears that the store has all that is applied while the disk still writes it."""
    commit = StoreActor.commit

    def careless(actor: StoreActor) -> None:
        commit(actor)
        actor.ring.raft.tell(Durable(actor.machine.applied_index))

    return patch.object(StoreActor, "commit", careless)


@mutant
def reads_miss_what_is_being_committed() -> AbstractContextManager[Any]:
    """What a commit has taken is looked for in the file, which does not show it before its end."""
    take = RevisionStore.take_fresh

    def careless(store: RevisionStore) -> Changes:
        taken = take(store)
        store.committing = {}
        return taken

    return patch.object(RevisionStore, "take_fresh", careless)


@mutant
def history_begins_anew_with_what_is_fresh() -> AbstractContextManager[Any]:
    """A read of the past goes through the file and what is fresh, and not what lies between."""
    return patch.object(RevisionStore, "kept", lambda store, start: since(store.fresh, start))


@mutant
def snapshots_wait_for_no_commit() -> AbstractContextManager[Any]:
    """Whoever needs a whole file begins a commit, and does not wait for its end."""
    return patch.object(StoreActor, "commit_now", StoreActor.commit)
