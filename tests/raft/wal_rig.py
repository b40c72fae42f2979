"""Logs for tests: written, opened and compared, mostly on a disk in memory."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from actors.language.entries import Entry
from actors.raft.disk.files import DISK, Files
from actors.raft.disk.wal import Contents, Wal
from actors.raft.disk.wal_reader import Identity
from actors.raft.log import LogStart, RaftLog
from actors.raft.rpc import HardState
from tests.raft.harness import entry, voters
from tests.simulation.disk import SimulatedDisk

IDENTITY = Identity(0xA1, 0xC1)
MEMBERS = voters(3)
DIRECTORY = Path("/data/wal")
SEGMENT_BYTES = 8 * 1024

Flush = tuple[HardState, tuple[Entry, ...]]


def sized(index: int, term: int, size: int, fill: bytes = b"v") -> Entry:
    """An entry with a command of `size` bytes."""
    return entry(index, term, fill * size)


def state(term: int, commit: int = 0, vote: int = 1) -> HardState:
    return HardState(term, vote, commit)


class Writer:
    """A log on disk, and what its owner knows of it: which entry stands before those it saves."""

    def __init__(self, wal: Wal, log: RaftLog) -> None:
        self.wal = wal
        self.log = log

    def save(self, hard_state: HardState, entries: tuple[Entry, ...]) -> None:
        if entries and entries[0].index <= self.log.last_index:
            self.log.truncate_from(entries[0].index, commit=0)
        start = LogStart(self.log.last_index, self.log.last_term, MEMBERS)
        self.wal.save(hard_state, entries, start)
        if entries:
            self.log.append(entries)

    def close(self) -> None:
        self.wal.close()


def create(
    files: Files = DISK,
    directory: Path = DIRECTORY,
    size: int = SEGMENT_BYTES,
    identity: Identity = IDENTITY,
) -> Writer:
    """A new, empty log."""
    wal, _ = Wal.create(directory, identity, MEMBERS, size, files)
    return Writer(wal, RaftLog())


class Reopened(Writer):
    """A log that was there already, and what it held."""

    def __init__(self, wal: Wal, contents: Contents) -> None:
        super().__init__(wal, contents.log)
        self.contents = contents


def reopen(files: Files, directory: Path = DIRECTORY) -> Reopened:
    """A log that is there already."""
    return Reopened(*Wal.open(directory, SEGMENT_BYTES, files))


def write(
    flushes: Sequence[Flush], files: Files, directory: Path = DIRECTORY, size: int = SEGMENT_BYTES
) -> Writer:
    """A new log with these flushes, still open."""
    wal = create(files, directory, size)
    for hard_state, entries in flushes:
        wal.save(hard_state, entries)
    return wal


def read(files: Files, directory: Path = DIRECTORY) -> Contents:
    """What a log holds."""
    wal, contents = Wal.open(directory, SEGMENT_BYTES, files)
    wal.close()
    return contents


def log_of(contents: Contents) -> list[Entry]:
    return list(contents.log.slice(contents.log.first_index, contents.log.last_index + 1, 1 << 60))


def expected(flushes: Sequence[Flush]) -> tuple[HardState, list[Entry]]:
    """What a log with these flushes must say; the commit index is saved only with a new term."""
    hard_state, log = HardState(0, 0, 0), list[Entry]()
    for saved, entries in flushes:
        if saved[:2] != hard_state[:2]:
            hard_state = saved
        if entries:
            del log[entries[0].index - 1 :]
            log += entries
    return hard_state, log


def holds(contents: Contents, flushes: Sequence[Flush]) -> bool:
    hard_state, log = expected(flushes)
    return contents.hard_state[:2] == hard_state[:2] and log_of(contents) == log


FLUSHES: tuple[Flush, ...] = (
    (state(1), (sized(1, 1, 0),)),
    (state(1), (sized(2, 1, 300), sized(3, 1, 40))),
    (state(2), (sized(3, 2, 700),)),
    (state(3, vote=2), ()),
    (state(3, vote=2), (sized(4, 3, 90), sized(5, 3, 1300))),
)


def last_flush_of(flushes: Sequence[Flush]) -> tuple[SimulatedDisk, Path, int, int]:
    """A disk with these flushes, its last file, and the range of bytes of the last flush."""
    disk = SimulatedDisk()
    wal = write(flushes[:-1], disk)
    path, start = disk.paths()[-1], wal.wal._offset
    wal.save(*flushes[-1])
    stop = wal.wal._offset
    assert disk.paths()[-1] == path, "the last flush stays in the segment"
    return disk, path, start, stop
