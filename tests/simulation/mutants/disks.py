"""Planted bugs in what a disk holds: the log's files, and what a restart makes of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import Any
from unittest.mock import patch

from actors.language.errors import StorageError
from actors.raft.disk import wal, wal_reader
from actors.raft.disk.files import DISK, Files
from actors.raft.disk.wal_reader import Identity
from actors.raft.disk.wal_records import Record, read_flushes
from actors.raft.elector import Elector
from actors.raft.outbox import Outbox
from actors.raft.replica import Replica
from actors.raft.rpc import Message
from tests.simulation.mutants.planting import mutant


@mutant
def a_failed_sync_is_tried_again() -> AbstractContextManager[Any]:
    """The second sync succeeds, but the pages are lost (fsyncgate)."""
    make = wal.Wal.__init__

    def careless(
        log: wal.Wal, directory: Path, identity: Identity, segment_bytes: int, files: Files
    ) -> None:
        make(log, directory, identity, segment_bytes, _TriesAgain(files))

    return patch.object(wal.Wal, "__init__", careless)


class _Wrapped:
    """The files of a log, but for what a subclass does otherwise."""

    def __init__(self, files: Any) -> None:
        self.files = files

    def __getattr__(self, name: str) -> Any:
        return getattr(self.files, name)


class _TriesAgain(_Wrapped):
    """Syncs again what could not be synced."""

    def sync(self, file: int) -> None:
        try:
            self.files.sync(file)
        except OSError:
            self.files.sync(file)


@mutant
def a_killed_process_is_believed() -> AbstractContextManager[Any]:
    """What the last process wrote is read again, and taken for durable."""
    opened = wal.Wal.open

    def careless(
        directory: Path, segment_bytes: int = wal.SEGMENT_BYTES, files: Files = DISK
    ) -> tuple[wal.Wal, wal.Contents]:
        reluctant = _WritesLater(files)
        log = opened(directory, segment_bytes, reluctant)
        reluctant.is_open = True
        return log

    return patch.object(wal.Wal, "open", careless)


class _WritesLater(_Wrapped):
    """Writes and syncs nothing until the log is open."""

    is_open = False

    def write(self, file: int, data: bytes, offset: int) -> None:
        if self.is_open:
            self.files.write(file, data, offset)

    def sync(self, file: int) -> None:
        if self.is_open:
            self.files.sync(file)


@mutant
def damage_is_cut_off() -> AbstractContextManager[Any]:
    """Whatever does not check is taken for a torn write, wherever it is (FAST 2018)."""

    def careless(
        path: Path, data: bytes, last_flush: int, is_last: bool
    ) -> Iterator[Sequence[Record]]:
        with suppress(StorageError):
            yield from read_flushes(path, data, last_flush, is_last)

    return patch.object(wal_reader, "read_flushes", careless)


@mutant
def terms_fall_at_a_restart() -> AbstractContextManager[Any]:
    """The term is that of the last entry, not the one that was saved (PySyncObj 201)."""
    opened = wal.Wal.open

    def careless(*arguments: Any, **named: Any) -> tuple[wal.Wal, wal.Contents]:
        log, contents = opened(*arguments, **named)
        state = contents.hard_state
        lower = min(state.term, contents.log.last_term)
        return log, contents._replace(hard_state=state._replace(term=lower, vote=0))

    return patch.object(wal.Wal, "open", careless)


@mutant
def a_save_covers_what_came_during_it() -> AbstractContextManager[Any]:
    """While a slow disk syncs, more entries come: they count as saved with those before them."""

    def careless(replica: Replica) -> None:
        replica.stable_index = replica.log.last_index

    return patch.object(Replica, "persisted", careless)


@mutant
def a_save_covers_the_term_that_came_during_it() -> AbstractContextManager[Any]:
    """While a slow disk syncs, a vote in a later term is given: it counts as saved, too."""

    def careless(elector: Elector) -> None:
        elector.saved = (elector.term, elector.vote)
        elector.is_unsaved = False

    return patch.object(Elector, "persisted", careless)


@mutant
def promises_wait_for_no_late_sync() -> AbstractContextManager[Any]:
    """What is promised leaves with the messages that need no save, while the disk still syncs."""
    take = Outbox.take

    def careless(outbox: Outbox) -> tuple[Message, ...]:
        return *take(outbox), *outbox.take_promises()

    return patch.object(Outbox, "take", careless)
