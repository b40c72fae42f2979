"""Planted bugs in what a disk holds: the log's files, and what a restart makes of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import Any
from unittest.mock import patch

from actors.language.errors import StorageError
from actors.raft.disk import wal, wal_reader
from actors.raft.disk.wal_records import Record, read_flushes
from tests.simulation.mutants.planting import mutant


@mutant
def a_failed_sync_is_tried_again() -> AbstractContextManager[Any]:
    """The second sync succeeds, but the pages are lost (fsyncgate)."""
    append = wal.Wal._append

    def careless(log: wal.Wal, *arguments: Any, **named: Any) -> None:
        try:
            append(log, *arguments, **named)
        except OSError:
            log._files.sync(log._file)

    return patch.object(wal.Wal, "_append", careless)


@mutant
def a_killed_process_is_believed() -> AbstractContextManager[Any]:
    """What the last process wrote is read again, and taken for durable."""
    resume = wal.Wal._resume

    def careless(log: wal.Wal, path: Path, reader: Any) -> None:
        files: Any = log._files
        never: Any = _NeverWrites(files)
        log._files = never
        resume(log, path, reader)
        log._files = files

    return patch.object(wal.Wal, "_resume", careless)


class _NeverWrites:
    """Opens files and does nothing else."""

    def __init__(self, files: Any) -> None:
        self.open = files.open

    def write(self, file: int, data: bytes, offset: int) -> None:
        pass

    def sync(self, file: int) -> None:
        pass


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
