"""The write-ahead log: terms, votes and entries on disk before anything depends on them.

A directory of preallocated segments of records (FORMATS.md#the-write-ahead-log). `save` is one
write and one fdatasync. A write that a crash cut short is repaired when the log is opened; any
other damage is refused, never skipped. A failed write is never retried: the caller must let the
process die. What a kill at each step loses: DESIGN.md#what-is-durable-when. Knows nothing of what
entries mean.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

from actors.language.entries import Entry
from actors.raft.codec import EntriesEncoder
from actors.raft.disk.files import DISK, Files
from actors.raft.disk.wal_reader import (
    FORMAT,
    NOTHING_EXPECTED,
    Head,
    Identity,
    LogReader,
    has_segments,
    segments_of,
)
from actors.raft.disk.wal_records import (
    ENTRIES,
    EXPECT,
    HEAD,
    SECTOR_BYTES,
    STATE,
    encode_flush,
    record_size,
)
from actors.raft.log import LogStart, RaftLog
from actors.raft.membership import Membership, decode, encode
from actors.raft.rpc import HardState
from cluster.wire import pack

SEGMENT_BYTES: Final = 64 * 1024 * 1024
RUN_BYTES_MAX: Final = 16 * 1024 * 1024
"""Entries of one flush are split into records of about so much."""

RESERVED_SEGMENTS: Final = 2
"""Writes are refused in time: a log that cannot be written ends the process."""


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
        # The last entry that was saved: what is written next follows it, or replaces it.
        self._last_index = 0
        self._expected = NOTHING_EXPECTED
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
            wal._last_index = entries[-1].index
        records = [(ENTRIES, wal._encoder.encode(run)) for run in _runs(entries)]
        wal._begin_segment(segment_bytes, LogStart(0, 0, membership), records)
        log = RaftLog(0, 0, entries)
        return wal, Contents(identity, wal._hard_state, log, membership, NOTHING_EXPECTED)

    @classmethod
    def open(
        cls, directory: Path, segment_bytes: int = SEGMENT_BYTES, files: Files = DISK
    ) -> tuple[Wal, Contents]:
        """Open an existing log and read it; repairs a torn end. Raises StorageError for damage."""
        segments = segments_of(directory, files)
        reader = LogReader(files)
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
        return has_segments(directory, files)

    def use_encoder(self, encoder: EntriesEncoder) -> None:
        """Share the encodings that the peers' messages need anyway."""
        self._encoder = encoder

    def save(self, hard_state: HardState, entries: Sequence[Entry], start: LogStart) -> None:
        """Write and sync one flush. Entries at indexes already saved replace all from there on.

        `start` is what stands before the first of them, or the end of the log if there are none.
        """
        kept = self._hard_state
        votes = hard_state.term != kept.term or hard_state.vote != kept.vote
        records = [(STATE, pack(hard_state))] if votes else []
        records += [(ENTRIES, self._encoder.encode(run)) for run in _runs(entries)]
        if not records:
            return
        # A segment never rewrites what stands before it: earlier ones can then be cut off.
        rewrites = bool(entries) and start.index < self._segments[-1][1]
        self._append(records, start, begin=rewrites)
        self._last_index = entries[-1].index if entries else start.index
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
        """Note that the store may hold entries up to there before the log does.

        `start` is the last entry that was saved, not the last there is: a segment may begin here.
        """
        self._expected = (index, term)
        self._append([(EXPECT, pack(self._expected))], start)

    def reset(self, hard_state: HardState, entries: Sequence[Entry], start: LogStart) -> None:
        """A snapshot up to `start` was installed: the log is only what follows it from now on."""
        self._hard_state = hard_state
        self._last_index = entries[-1].index if entries else start.index
        self._expected = NOTHING_EXPECTED
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
        assert resets or start.index <= self._last_index, "a segment follows what is saved"
        self.close()
        self._sequence += 1
        path = self._path(self._sequence)
        temporary = path.with_suffix(".new")
        membership = encode(start.membership)
        size += record_size(len(membership) + len(pack(self._expected)) + SECTOR_BYTES)
        self._file = self._files.create(temporary, size)
        self._size, self._offset, self._crc = size, 0, 0
        head = Head(
            format=FORMAT,
            member_id=self._identity.member_id,
            cluster_id=self._identity.cluster_id,
            sequence=self._sequence,
            size=size,
            resets=resets,
            term=self._hard_state.term,
            vote=self._hard_state.vote,
            commit=self._hard_state.commit,
            start_index=start.index,
            start_term=start.term,
            membership=membership,
        )
        # What an earlier segment expects is repeated: that segment may be cut off too soon.
        if self._expected[0] > start.index:
            records = [(EXPECT, pack(self._expected)), *records]
        self._write([(HEAD, pack(head)), *records])
        self._files.sync(self._file)
        self._files.rename(temporary, path)
        self._segments.append((self._sequence, start.index))

    def _path(self, sequence: int) -> Path:
        return self._directory / f"{sequence:016x}.wal"

    def _resume(self, path: Path, reader: LogReader) -> None:
        self._file = self._files.open(path)
        # In place, and at no other size: with any of these zeros missing it is a torn write still.
        if reader.torn_bytes:
            self._files.write(self._file, bytes(reader.torn_bytes), reader.offset)
        # The last flush may be here and not on the disk: its process was killed before the sync, or
        # ended because the sync failed. Written again, it is synced again (ATC 2020, on fsync).
        self._files.write(self._file, *reader.last_flush)
        self._files.sync(self._file)
        self._size = reader.size
        self._offset, self._crc, self._flush = reader.offset, reader.crc, reader.flush
        self._sequence = reader.sequence
        self._segments = reader.segments
        self._hard_state = reader.hard_state
        self._last_index = reader.last_index
        self._expected = reader.expected


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
