"""Planted bugs in the write-ahead log: the model of its life must find each of them.

They need a crash at one step of one kind, which the whole simulation meets too seldom.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Final
from unittest.mock import patch

from actors.raft.disk import wal, wal_reader
from actors.raft.log import LogStart
from tests.simulation.mutants.planting import Mutant


def a_torn_end_is_cut_off_and_zeros_are_added() -> AbstractContextManager[Any]:
    """A crash between the two leaves a file that is too short."""
    resume = wal.Wal._resume

    def careless(log: wal.Wal, path: Path, reader: Any) -> None:
        if reader.torn_bytes:
            files: Any = log._files
            for size in (reader.offset, reader.size):
                files.resize(path, size)
            reader.torn_bytes = 0
        resume(log, path, reader)

    return patch.object(wal.Wal, "_resume", careless)


def a_torn_end_is_left_as_it_is() -> AbstractContextManager[Any]:
    """What is written over it later may be shorter than what is left of it."""
    resume = wal.Wal._resume

    def careless(log: wal.Wal, path: Path, reader: Any) -> None:
        reader.torn_bytes = 0
        resume(log, path, reader)

    return patch.object(wal.Wal, "_resume", careless)


def the_log_is_cut_one_entry_too_far() -> AbstractContextManager[Any]:
    """A segment is removed whose last entry the store does not hold."""
    cut = wal.Wal.cut
    return patch.object(wal.Wal, "cut", lambda log, index: cut(log, index + 1))


def a_segment_rewrites_what_stands_before_it() -> AbstractContextManager[Any]:
    """So what is cut off with earlier segments may be missing."""
    append = wal.Wal._append

    def careless(log: wal.Wal, records: Any, start: LogStart, begin: bool = False) -> None:
        append(log, records, start, begin=False)

    return patch.object(wal.Wal, "_append", careless)


def a_note_is_lost_with_its_segment() -> AbstractContextManager[Any]:
    """What an earlier segment expects is not repeated, and may be cut off with it."""
    begin = wal.Wal._begin_segment

    def careless(log: wal.Wal, *arguments: Any, **named: Any) -> None:
        expected, log._expected = log._expected, wal_reader.NOTHING_EXPECTED
        begin(log, *arguments, **named)
        log._expected = expected

    return patch.object(wal.Wal, "_begin_segment", careless)


WAL_MUTANTS: Final[tuple[Mutant, ...]] = (
    a_torn_end_is_cut_off_and_zeros_are_added,
    a_torn_end_is_left_as_it_is,
    the_log_is_cut_one_entry_too_far,
    a_segment_rewrites_what_stands_before_it,
    a_note_is_lost_with_its_segment,
)
