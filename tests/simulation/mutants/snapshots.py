"""Planted bugs in snapshots, and in what the log and the store keep of each other."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractContextManager
from typing import Any
from unittest.mock import patch

from actors.language.entries import Entry
from actors.language.messages import Durable, InstallSnapshot, LeaseFacts
from actors.raft.actor import RaftActor
from actors.raft.core import RaftCore
from actors.raft.disk.shipping import Shipping, Told
from actors.raft.disk.wal import Wal
from actors.raft.log import LogStart, RaftLog
from actors.raft.replica import Replica
from actors.raft.rpc import AppendResponse, HardState, SnapshotChunk
from actors.store import installing
from actors.store.index import KeyIndex
from actors.store.machine import Machine
from actors.store.steps import Steps, portions
from actors.store.storage import Batch, Row
from tests.simulation.mutants.planting import mutant, mutant_of_a_world


@mutant
def a_snapshot_is_acknowledged_when_it_has_arrived() -> AbstractContextManager[Any]:
    """The leader is told before the snapshot is installed."""
    received = Shipping.received

    def careless(shipping: Shipping, chunk: SnapshotChunk) -> list[Told]:
        told = received(shipping, chunk)
        if any(isinstance(each, InstallSnapshot) for each in told):
            source, target, term, stream = chunk.target, chunk.source, chunk.term, chunk.stream
            told.append(AppendResponse(source, target, term, stream, chunk.last_index, False, 0, 0))
        return told

    return patch.object(Shipping, "received", careless)


@mutant
def a_snapshot_keeps_what_contradicts_it() -> AbstractContextManager[Any]:
    """What stands behind a snapshot's end stays, though the log differs there (openraft 531)."""
    restart_after = RaftLog.restart_after

    def careless(log: RaftLog, index: int, term: int) -> list[Entry]:
        kept = [entry for entry in restart_after(log, index, term) if entry.index > index]
        if kept:
            log.append(kept)
        return []

    return patch.object(RaftLog, "restart_after", careless)


@mutant
def the_log_is_cut_before_the_store_is_durable() -> AbstractContextManager[Any]:
    """What is applied counts as durable."""
    receive = RaftActor.receive

    def careless(actor: RaftActor, message: Any) -> None:
        if isinstance(message, Durable):
            message = Durable(actor.core.replica.handed_out)
        receive(actor, message)

    return patch.object(RaftActor, "receive", careless)


@mutant_of_a_world("learner-snapshot")
def a_snapshot_overtakes_its_term() -> AbstractContextManager[Any]:
    """The store is replaced before the term in which the snapshot came is saved."""
    expecting = RaftCore.expecting

    def careless(core: RaftCore) -> tuple[HardState, LogStart]:
        saved = core.elector.saved
        noted, place = expecting(core)
        return HardState(*saved, noted.commit), place

    return patch.object(RaftCore, "expecting", careless)


@mutant
def a_reset_log_forgets_the_vote() -> AbstractContextManager[Any]:
    """After an installed snapshot the log begins without the vote of the present term."""
    reset = Wal.reset

    def careless(
        wal: Wal, hard_state: HardState, entries: tuple[Entry, ...], start: LogStart
    ) -> None:
        reset(wal, hard_state._replace(vote=0), entries, start)

    return patch.object(Wal, "reset", careless)


@mutant
def a_snapshot_brings_its_own_members() -> AbstractContextManager[Any]:
    """Members stay as they were before the snapshot (openraft 1808)."""
    installed = Shipping.installed

    def careless(shipping: Shipping, message: Any) -> None:
        installed(shipping, message._replace(membership=b""))

    return patch.object(Shipping, "installed", careless)


@mutant
def sessions_are_left_out_of_snapshots() -> AbstractContextManager[Any]:
    """A retry after an installed snapshot is applied again."""
    reopened = Machine.reopened

    def careless(machine: Machine, backend: Any) -> Steps[Machine]:
        opened = yield from reopened(machine, backend)
        opened.sessions.table.clear()
        return opened

    return patch.object(Machine, "reopened", careless)


@mutant
def watchers_miss_what_a_snapshot_brought() -> AbstractContextManager[Any]:
    """Only what is applied is told to watchers."""
    return patch.object(installing, "watch_news", lambda old, new: None)


@mutant
def leases_of_a_snapshot_never_end() -> AbstractContextManager[Any]:
    """The lease actor does not hear of leases that a snapshot brought."""

    def careless(_old: Machine, _new: Machine) -> Steps[tuple[LeaseFacts, ...]]:
        yield from ()
        return ()

    return patch.object(installing, "lease_news", careless)


@mutant
def data_and_index_are_kept_apart() -> AbstractContextManager[Any]:
    """The applied index lags behind the data beside it (etcd 3.5.0)."""
    take = Machine.take_batch

    def careless(machine: Machine) -> Batch:
        changes = take(machine)
        meta = changes.meta
        return changes._replace(meta=meta._replace(applied_index=meta.applied_index - 1))

    return patch.object(Machine, "take_batch", careless)


@mutant
def a_snapshot_that_is_read_in_part_is_switched_to() -> AbstractContextManager[Any]:
    """What comes after the first portion of an installed snapshot is missing."""
    rebuild = KeyIndex.rebuild

    def careless(
        index: KeyIndex, rows: Iterable[Row], compact_revision: int, *, at_once: bool = False
    ) -> Steps[None]:
        part = rows if at_once else next(portions(rows), [])
        return rebuild(index, part, compact_revision, at_once=at_once)

    return patch.object(KeyIndex, "rebuild", careless)


@mutant
def entries_overtake_a_snapshot_that_is_installed() -> AbstractContextManager[Any]:
    """The store is told of entries while it reads the snapshot that takes its place."""
    return patch.object(Replica, "pause", lambda _: None)
