"""The write-ahead log: terms, votes and entries on disk before anything depends on them.

A directory of preallocated segments of records (FORMATS.md#the-write-ahead-log). `save` is one
write and one fdatasync, `write` and `sync` are the two apart. A write that a crash cut short is
repaired when the log is opened; any other damage is refused, never skipped. A failed write or sync
is never retried: the kernel may have dropped the pages, and a second sync would succeed without
them. The caller must let the process die. What a kill at each step loses:
DESIGN.md#what-is-durable-when. Refuses to know what entries mean.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

from actors.language.entries import Entry, command_sizes
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
from actors.raft.runs import EntriesEncoder
from cluster.wire import pack

SEGMENT_BYTES: Final = 64 * 1024 * 1024
RUN_BYTES_MAX: Final = 16 * 1024 * 1024
"""The entries of one flush are split into records of about this size."""

RESERVED_SEGMENTS: Final = 2
"""With less room than these segments take, writes are refused: to run out of room in the middle of
a flush would end the process."""


class Contents(NamedTuple):
    """What a log directory holds.

    `membership` holds where the log begins. `expected` is the last entry, as (index, term), of a
    snapshot whose installation had begun and is not known to be done; (0, 0): there is none.
    """

    identity: Identity
    hard_state: HardState
    log: RaftLog
    membership: Membership
    expected: tuple[int, int]


class Wal:
    """The open log of one member, for one thread. `save` returns when everything is durable."""

    def __init__(
        self, directory: Path, identity: Identity, segment_bytes: int, files: Files
    ) -> None:
        self._directory = directory
        self._files = files
        self._identity = identity
        self._segment_bytes = segment_bytes
        self._encoder = EntriesEncoder()
        self._file = -1
        self._is_unsynced = False
        self._size = 0
        self._offset = 0
        self._crc = 0
        self._flush = 0
        self._sequence = -1
        self._hard_state = HardState(0, 0, 0)
        # The last entry that was saved: the next entries follow it, or replace it and some before.
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
        """Share the encodings that messages to peers need as well: each run is packed once."""
        self._encoder = encoder

    def save(self, hard_state: HardState, entries: Sequence[Entry], start: LogStart) -> None:
        """Write and sync one flush (see `write`)."""
        self.write(hard_state, entries, start)
        self.sync()

    def write(self, hard_state: HardState, entries: Sequence[Entry], start: LogStart) -> None:
        """Write one flush. An entry at a saved index replaces that and all after it.

        `start` is the entry before the first of them; without any, the last entry of the log.
        Nothing of it may be relied on before `sync` has returned.
        """
        kept = self._hard_state
        # A commit index alone is not worth a sync: after a crash the leader tells it again.
        votes = hard_state.term != kept.term or hard_state.vote != kept.vote
        records = [(STATE, pack(hard_state))] if votes else []
        records += [(ENTRIES, self._encoder.encode(run)) for run in _runs(entries)]
        if not records:
            return
        # A segment holds nothing from before its start index, so `cut` may remove earlier segments
        # by their start indexes alone. Entries that replace some before it begin a new segment.
        rewrites = bool(entries) and start.index < self._segments[-1][1]
        self._append(records, start, begin=rewrites)
        self._last_index = entries[-1].index if entries else start.index
        self._hard_state = hard_state

    def sync(self) -> None:
        """Return when everything written is durable. No other method may run meanwhile."""
        if self._is_unsynced:
            self._files.sync(self._file)
            self._is_unsynced = False

    def has_room(self) -> bool:
        """Whether the disk has room for the next segment, and for what the store writes."""
        reserve = RESERVED_SEGMENTS * self._segment_bytes
        return self._files.free_bytes(self._directory) >= reserve

    def cut(self, index: int) -> None:
        """Remove the segments that hold nothing after `index`; the store holds those durably."""
        # The last segment that starts at `index` or before has, with those behind it, all entries
        # after `index`: what earlier segments hold after its start was replaced.
        starts = [start for _, start in self._segments]
        first = max((at for at, start in enumerate(starts) if start <= index), default=0)
        for sequence, _ in self._segments[:first]:
            self._files.remove(self._path(sequence))
        del self._segments[:first]

    def expect_snapshot(
        self, hard_state: HardState, expected: tuple[int, int], start: LogStart
    ) -> None:
        """Note, durably, that the store may soon hold entries that the log does not.

        `expected` is the index and term of the last of them. The hard state is of that term or a
        later one, and durable with the note: no log ends in a term that its member has not entered.
        `start` is the last entry that was saved, not the last of the log in memory: the note may
        begin a segment, which must continue what is on disk.
        """
        self._hard_state, self._expected = hard_state, expected
        self._append([(STATE, pack(hard_state)), (EXPECT, pack(expected))], start)
        self.sync()

    def reset(self, hard_state: HardState, entries: Sequence[Entry], start: LogStart) -> None:
        """A snapshot up to `start` was installed: the log is only these `entries` after it.

        The new segment says that it replaces all earlier ones. So a crash before these are removed
        changes nothing.
        """
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
        """Close the file; everything that was saved is durable already."""
        if self._file >= 0:
            self._files.close(self._file)
            self._file = -1

    def _append(
        self, records: list[tuple[int, bytes]], start: LogStart, begin: bool = False
    ) -> None:
        data, crc = encode_flush(records, self._flush + 1, self._offset, self._crc)
        size = len(data)
        if begin or self._offset + size > self._size:
            # The records are in the segment before it gets its name: a crash leaves either the old
            # entries or the new ones, never a part of each.
            size = max(self._segment_bytes, size + SECTOR_BYTES)
            self._begin_segment(size, start, records)
        else:
            self._write(data, crc)
            self._is_unsynced = True

    def _write(self, data: bytes, crc: int) -> None:
        """Write the next flush, which `encode_flush` has made for its place."""
        self._flush += 1
        self._crc = crc
        self._files.write(self._file, data, self._offset)
        self._offset += len(data)

    def _begin_segment(
        self,
        size: int,
        start: LogStart,
        records: Sequence[tuple[int, bytes]] = (),
        resets: bool = False,
    ) -> None:
        """Make the next segment whole under another name, sync it, then rename it.

        So a segment of that name has a complete head, and a reader need not look for a torn one.
        """
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
        # The note of a snapshot to be installed is repeated: `cut` may remove the earlier segment
        # before the installation is done.
        if self._expected[0] > start.index:
            records = [(EXPECT, pack(self._expected)), *records]
        records = [(HEAD, pack(head)), *records]
        self._write(*encode_flush(records, self._flush + 1, self._offset, self._crc))
        self._files.sync(self._file)
        self._is_unsynced = False
        self._files.rename(temporary, path)
        self._segments.append((self._sequence, start.index))

    def _path(self, sequence: int) -> Path:
        return self._directory / f"{sequence:016x}.wal"

    def _resume(self, path: Path, reader: LogReader) -> None:
        self._file = self._files.open(path)
        # A torn write is erased with zeros, in place. If a crash leaves only some of these zeros,
        # the next start still sees a torn write, and erases it again.
        if reader.torn_bytes:
            self._files.write(self._file, bytes(reader.torn_bytes), reader.offset)
        # The last flush may be in the page cache and not on the disk: the process was killed before
        # the sync, or died because it failed. After a failed sync the kernel takes the pages for
        # clean, and would never write them: they are written again, then synced (Rebello et al.,
        # "Can Applications Recover from fsync Failures?", ATC 2020).
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
    """Split entries into runs of about RUN_BYTES_MAX; nearly always it is one run."""
    if entries and sum(command_sizes(entries)) <= RUN_BYTES_MAX:
        return [entries]
    runs: list[Sequence[Entry]] = []
    start = size = 0
    for position, entry in enumerate(entries):
        size += len(entry.command)
        if size > RUN_BYTES_MAX and position > start:
            runs.append(entries[start:position])
            start, size = position, len(entry.command)
    if entries:
        runs.append(entries[start:])
    return runs
