"""The write-ahead log: terms, votes and entries on disk before anything depends on them (DESIGN 7).

A directory of preallocated segments of records (wal_records.py). `save` is one write and one
fdatasync. A write that a crash cut short is repaired when the log is opened; any other damage is
refused, never skipped. A failed write is never retried: the caller must let the process die.
Knows nothing of what entries mean.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

from actors.errors import StorageError
from actors.raft.codec import EntriesEncoder, decode_entries
from actors.raft.files import DISK, Files
from actors.raft.log import LogStart, RaftLog
from actors.raft.membership import Membership, decode, encode
from actors.raft.rpc import Entry, HardState
from actors.raft.wal_records import (
    ENTRIES,
    EXPECT,
    HEAD,
    SECTOR_BYTES,
    STATE,
    Record,
    damaged,
    encode_flush,
    first_flush,
    read_flushes,
    record_size,
)
from cluster.wire import WireError, pack, unpack

FORMAT: Final = 1
SEGMENT_BYTES: Final = 64 * 1024 * 1024
RUN_BYTES_MAX: Final = 16 * 1024 * 1024
"""Entries of one flush are split into records of about so much."""

RESERVED_SEGMENTS: Final = 2
"""Writes are refused in time: a log that cannot be written ends the process."""

_SEGMENT_NAME: Final = re.compile(r"([0-9a-f]{16})\.wal")


class Identity(NamedTuple):
    """Whose log this is; another member's data must not be taken for one's own."""

    member_id: int
    cluster_id: int


class _Head(NamedTuple):
    """First record of each segment: where the log stood when it was begun.

    The segment's entries follow (start_index, start_term), and `membership` holds there. With
    `resets` nothing that stands in earlier segments counts any more.
    """

    format: int
    member_id: int
    cluster_id: int
    sequence: int
    size: int
    resets: bool
    term: int
    vote: int
    commit: int
    start_index: int
    start_term: int
    membership: bytes


class Contents(NamedTuple):
    """What a log directory holds.

    `membership` is the one where the log begins. `expected` is the last entry of a snapshot that
    was to be installed when the log was last written, (0, 0) if none was.
    """

    identity: Identity
    hard_state: HardState
    log: RaftLog
    membership: Membership
    expected: tuple[int, int]


class Wal:
    """The open log of one member. One owner, one thread; `save` returns when all is durable."""

    def __init__(
        self, directory: Path, identity: Identity, segment_bytes: int, files: Files
    ) -> None:
        self._directory = directory
        self._files = files
        self._identity = identity
        self._segment_bytes = segment_bytes
        self._encoder = EntriesEncoder()
        self._file = -1
        self._size = 0
        self._offset = 0
        self._crc = 0
        self._flush = 0
        self._sequence = -1
        self._hard_state = HardState(0, 0, 0)
        # Sequence and start index of every segment, oldest first.
        self._segments: list[tuple[int, int]] = []

    @classmethod
    def create(
        cls,
        directory: Path,
        identity: Identity,
        membership: Membership,
        segment_bytes: int = SEGMENT_BYTES,
        files: Files = DISK,
        entries: Sequence[Entry] = (),
    ) -> tuple[Wal, Contents]:
        """Begin a log in a directory that has none, with entries that are committed already."""
        files.make_directory(directory)
        wal = cls(directory, identity, segment_bytes, files)
        if entries:
            wal._hard_state = HardState(entries[-1].term, 0, entries[-1].index)
        records = [(ENTRIES, wal._encoder.encode(run)) for run in _runs(entries)]
        wal._begin_segment(segment_bytes, LogStart(0, 0, membership), records)
        log = RaftLog(0, 0, entries)
        return wal, Contents(identity, wal._hard_state, log, membership, (0, 0))

    @classmethod
    def open(
        cls, directory: Path, segment_bytes: int = SEGMENT_BYTES, files: Files = DISK
    ) -> tuple[Wal, Contents]:
        """Open an existing log and read it; repairs a torn end. Raises StorageError for damage."""
        segments = _segments(directory, files)
        reader = _Reader(files)
        for path in segments:
            reader.read(path, is_last=path == segments[-1])
        assert reader.identity is not None
        wal = cls(directory, reader.identity, segment_bytes, files)
        wal._resume(segments[-1], reader)
        return wal, Contents(
            reader.identity,
            reader.hard_state,
            reader.log(),
            decode(reader.membership),
            reader.expected,
        )

    @staticmethod
    def exists(directory: Path, files: Files = DISK) -> bool:
        """Whether the directory holds a log."""
        return any(_SEGMENT_NAME.fullmatch(name) for name in files.names(directory))

    def use_encoder(self, encoder: EntriesEncoder) -> None:
        """Share the encodings that the peers' messages need anyway."""
        self._encoder = encoder

    def save(self, hard_state: HardState, entries: Sequence[Entry], start: LogStart) -> None:
        """Write and sync one flush. Entries at indexes already saved replace all from there on.

        `start` is what stands before the first of them, or the end of the log if there are none.
        """
        records = [(STATE, pack(hard_state))] if hard_state[:2] != self._hard_state[:2] else []
        records += [(ENTRIES, self._encoder.encode(run)) for run in _runs(entries)]
        if not records:
            return
        # A segment never rewrites what stands before it: earlier ones can then be cut off.
        rewrites = bool(entries) and start.index < self._segments[-1][1]
        self._append(records, start, begin=rewrites)
        self._hard_state = hard_state

    def has_room(self) -> bool:
        """Whether the disk takes another segment and what the store writes meanwhile."""
        reserve = RESERVED_SEGMENTS * self._segment_bytes
        return self._files.free_bytes(self._directory) >= reserve

    def cut(self, index: int) -> None:
        """Remove the segments that hold nothing after `index`; the store holds that durably."""
        # What stands before a segment is replaced by it, or ends where it begins.
        starts = [start for _, start in self._segments]
        first = max((at for at, start in enumerate(starts) if start <= index), default=0)
        for sequence, _ in self._segments[:first]:
            self._files.remove(self._path(sequence))
        del self._segments[:first]

    def expect_snapshot(self, index: int, term: int, start: LogStart) -> None:
        """Note that the store may hold entries up to there before the log does."""
        records = [(EXPECT, pack((index, term)))]
        self._append(records, start)

    def reset(self, hard_state: HardState, entries: Sequence[Entry], start: LogStart) -> None:
        """A snapshot up to `start` was installed: the log is only what follows it from now on."""
        self._hard_state = hard_state
        records = [(ENTRIES, self._encoder.encode(run)) for run in _runs(entries)]
        size = sum(record_size(len(payload)) for _, payload in records)
        size = max(self._segment_bytes, size + SECTOR_BYTES)
        self._begin_segment(size, start, records, resets=True)
        while len(self._segments) > 1:
            sequence, _ = self._segments.pop(0)
            self._files.remove(self._path(sequence))

    def close(self) -> None:
        """Close the file; everything saved is durable already."""
        if self._file >= 0:
            self._files.close(self._file)
            self._file = -1

    def _append(
        self, records: list[tuple[int, bytes]], start: LogStart, begin: bool = False
    ) -> None:
        size = sum(record_size(len(payload)) for _, payload in records)
        if begin or self._offset + size > self._size:
            # All at once: a crash leaves what was replaced, or what replaces it.
            size = max(self._segment_bytes, size + SECTOR_BYTES)
            self._begin_segment(size, start, records)
        else:
            self._write(records)
            self._files.sync(self._file)

    def _write(self, records: list[tuple[int, bytes]]) -> None:
        self._flush += 1
        data, self._crc = encode_flush(records, self._flush, self._offset, self._crc)
        self._files.write(self._file, data, self._offset)
        self._offset += len(data)

    def _begin_segment(
        self,
        size: int,
        start: LogStart,
        records: Sequence[tuple[int, bytes]] = (),
        resets: bool = False,
    ) -> None:
        """Make the next segment whole under another name, then give it its own."""
        self.close()
        self._sequence += 1
        path = self._path(self._sequence)
        temporary = path.with_suffix(".new")
        membership = encode(start.membership)
        size += record_size(len(membership) + SECTOR_BYTES)
        self._file = self._files.create(temporary, size)
        self._size, self._offset, self._crc = size, 0, 0
        head = _Head(
            FORMAT,
            *self._identity,
            self._sequence,
            size,
            resets,
            *self._hard_state,
            start.index,
            start.term,
            membership,
        )
        self._write([(HEAD, pack(head)), *records])
        self._files.sync(self._file)
        self._files.rename(temporary, path)
        self._segments.append((self._sequence, start.index))

    def _path(self, sequence: int) -> Path:
        return self._directory / f"{sequence:016x}.wal"

    def _resume(self, path: Path, reader: _Reader) -> None:
        self._file = self._files.open(path)
        # The last flush may be here and not on the disk: its process was killed before the sync, or
        # ended because the sync failed. Written again, it is synced again (ATC 2020, on fsync).
        self._files.write(self._file, *reader.last_flush)
        self._files.sync(self._file)
        self._size = reader.size
        self._offset, self._crc, self._flush = reader.offset, reader.crc, reader.flush
        self._sequence = reader.sequence
        self._segments = reader.segments
        self._hard_state = reader.hard_state


class _Reader:
    """Reads segments in order and gathers what they say."""

    def __init__(self, files: Files) -> None:
        self._files = files
        self.identity: Identity | None = None
        self.hard_state = HardState(0, 0, 0)
        self.sequence = -1
        self.flush = 0
        self.size = 0
        self.offset = 0
        self.crc = 0
        self.last_flush = (b"", 0)
        self.membership = b""
        self.expected = (0, 0)
        self.segments: list[tuple[int, int]] = []
        self._start = (0, 0)
        self._entries: list[Entry] = []

    def log(self) -> RaftLog:
        """The log as it stood at the end."""
        return RaftLog(*self._start, self._entries)

    def read(self, path: Path, is_last: bool) -> None:
        """Take one segment; a torn end of the last one is cut off, on disk too."""
        data = self._files.read(path)
        self.size, self.offset, self.crc = len(data), 0, 0
        sequence = self.sequence
        if self.identity is None:
            # What came before the oldest segment was cut off, and its flushes with it.
            self.flush = max(0, first_flush(data) - 1)
        for flush in read_flushes(path, data, self.flush, is_last):
            self.last_flush = (data[self.offset : flush[-1].end], self.offset)
            for record in flush:
                try:
                    self._take(path, record)
                except (WireError, TypeError) as error:
                    raise damaged(path, self.offset, str(error)) from None
                self.offset, self.crc, self.flush = record.end, record.crc, record.flush
        if self.sequence == sequence:
            raise damaged(path, 0, "the segment has no head")
        if is_last and data[self.offset :].strip(b"\0"):
            self._files.erase(path, self.offset)

    def _take(self, path: Path, record: Record) -> None:
        if record.kind == HEAD:
            self._take_head(path, _Head(*unpack(record.payload)))
        elif record.kind == STATE:
            self.hard_state = HardState(*unpack(record.payload))
        elif record.kind == EXPECT:
            index, term = unpack(record.payload)
            self.expected = (index, term)
        else:
            self._take_entries(decode_entries(record.payload))

    def _take_head(self, path: Path, head: _Head) -> None:
        if head.format != FORMAT:
            raise StorageError(
                f"{path}: log format {head.format} is unknown to this version, which has {FORMAT}"
            )
        identity = Identity(head.member_id, head.cluster_id)
        if self.identity is not None and (
            identity != self.identity or head.sequence != self.sequence + 1
        ):
            raise WireError("the segment does not follow the one before it")
        if self.identity is None or head.resets or head.start_index < self._start[0]:
            # The last of these: earlier segments were cut off, and their removal cut short.
            self._start, self._entries = (head.start_index, head.start_term), []
            self.hard_state = HardState(head.term, head.vote, head.commit)
            self.membership = head.membership
        else:
            self._truncate_after(head.start_index, head.start_term)
        if head.size != self.size:
            raise WireError(f"the file has {self.size} bytes of {head.size}")
        self.identity, self.sequence = identity, head.sequence
        self.segments.append((head.sequence, head.start_index))

    def _truncate_after(self, index: int, term: int) -> None:
        """A segment begins after this entry: what stood behind it was replaced."""
        kept = index - self._start[0]
        if not 0 <= kept <= len(self._entries):
            raise WireError("the segment leaves a gap in the log")
        if term != (self._entries[kept - 1].term if kept else self._start[1]):
            raise WireError("the segment follows another entry than the log ends with")
        del self._entries[kept:]

    def _take_entries(self, entries: tuple[Entry, ...]) -> None:
        first = entries[0].index - 1 - self._start[0]
        if not 0 <= first <= len(self._entries):
            raise WireError("entries leave a gap")
        del self._entries[first:]
        self._entries += entries


def _runs(entries: Sequence[Entry]) -> list[Sequence[Entry]]:
    """Split entries so that no record grows without bound; nearly always one run."""
    runs: list[Sequence[Entry]] = []
    start = size = 0
    for position, entry in enumerate(entries):
        size += len(entry.command)
        if size > RUN_BYTES_MAX and position > start:
            runs.append(entries[start:position])
            start, size = position, len(entry.command)
    if entries:
        runs.append(entries[start:] if start else entries)
    return runs


def _segments(directory: Path, files: Files) -> list[Path]:
    names = sorted(files.names(directory))
    for name in names:
        if name.endswith(".new"):
            # A segment whose making a crash cut short; nothing was in it yet.
            files.remove(directory / name)
    segments = [directory / name for name in names if _SEGMENT_NAME.fullmatch(name)]
    if not segments:
        raise StorageError(f"{directory}: no log segment found")
    return segments
