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

from actors.raft.codec import EntriesEncoder, decode_entries
from actors.raft.files import DISK, Files
from actors.raft.log import RaftLog
from actors.raft.rpc import Entry, HardState
from actors.raft.wal_records import (
    ENTRIES,
    HEAD,
    SECTOR_BYTES,
    STATE,
    Record,
    StorageError,
    damaged,
    encode_flush,
    read_flushes,
    record_size,
)
from cluster.wire import WireError, pack, unpack

FORMAT: Final = 1
SEGMENT_BYTES: Final = 64 * 1024 * 1024
RUN_BYTES_MAX: Final = 16 * 1024 * 1024
"""Entries of one flush are split into records of about so much."""

_SEGMENT_NAME: Final = re.compile(r"([0-9a-f]{16})\.wal")


class Identity(NamedTuple):
    """Whose log this is; another member's data must not be taken for one's own."""

    member_id: int
    cluster_id: int


class _Head(NamedTuple):
    """First record of each segment: where the log stood when it was begun."""

    format: int
    member_id: int
    cluster_id: int
    sequence: int
    size: int
    term: int
    vote: int
    commit: int
    previous_index: int
    previous_term: int


class Contents(NamedTuple):
    """What a log directory holds."""

    identity: Identity
    hard_state: HardState
    log: RaftLog


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
        self._last = (0, 0)

    @classmethod
    def create(
        cls,
        directory: Path,
        identity: Identity,
        segment_bytes: int = SEGMENT_BYTES,
        files: Files = DISK,
    ) -> Wal:
        """Begin an empty log in a directory that has none."""
        files.make_directory(directory)
        wal = cls(directory, identity, segment_bytes, files)
        wal._begin_segment(segment_bytes)
        return wal

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
        return wal, Contents(reader.identity, reader.hard_state, reader.log())

    @staticmethod
    def exists(directory: Path, files: Files = DISK) -> bool:
        """Whether the directory holds a log."""
        return any(_SEGMENT_NAME.fullmatch(name) for name in files.names(directory))

    def use_encoder(self, encoder: EntriesEncoder) -> None:
        """Share the encodings that the peers' messages need anyway."""
        self._encoder = encoder

    def save(self, hard_state: HardState, entries: Sequence[Entry]) -> None:
        """Write and sync one flush. Entries at indexes already saved replace all from there on."""
        records = [(STATE, pack(hard_state))] if hard_state[:2] != self._hard_state[:2] else []
        records += [(ENTRIES, self._encoder.encode(run)) for run in _runs(entries)]
        if not records:
            return
        size = sum(record_size(len(payload)) for _, payload in records)
        if self._offset + size > self._size:
            self._begin_segment(max(self._segment_bytes, size + SECTOR_BYTES))
        self._write(records)
        self._files.sync(self._file)
        self._hard_state = hard_state
        if entries:
            self._last = (entries[-1].index, entries[-1].term)

    def close(self) -> None:
        """Close the file; everything saved is durable already."""
        if self._file >= 0:
            self._files.close(self._file)
            self._file = -1

    def _write(self, records: list[tuple[int, bytes]]) -> None:
        self._flush += 1
        data, self._crc = encode_flush(records, self._flush, self._offset, self._crc)
        self._files.write(self._file, data, self._offset)
        self._offset += len(data)

    def _begin_segment(self, size: int) -> None:
        """Make the next segment whole under another name, then give it its own."""
        self.close()
        self._sequence += 1
        path = self._directory / f"{self._sequence:016x}.wal"
        temporary = path.with_suffix(".new")
        self._file = self._files.create(temporary, size)
        self._size, self._offset, self._crc = size, 0, 0
        place = (self._sequence, size)
        head = _Head(FORMAT, *self._identity, *place, *self._hard_state, *self._last)
        self._write([(HEAD, pack(head))])
        self._files.sync(self._file)
        self._files.rename(temporary, path)

    def _resume(self, path: Path, reader: _Reader) -> None:
        self._file = self._files.open(path)
        # The last flush may be here and not on the disk: its process was killed before the sync, or
        # ended because the sync failed. Written again, it is synced again (ATC 2020, on fsync).
        self._files.write(self._file, *reader.last_flush)
        self._files.sync(self._file)
        self._size = reader.size
        self._offset, self._crc, self._flush = reader.offset, reader.crc, reader.flush
        self._sequence = reader.sequence
        self._hard_state = reader.hard_state
        log = reader.log()
        self._last = (log.last_index, log.last_term)


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
        self._previous = (0, 0)
        self._entries: list[Entry] = []

    def log(self) -> RaftLog:
        """The log as it stood at the end."""
        return RaftLog(*self._previous, self._entries)

    def read(self, path: Path, is_last: bool) -> None:
        """Take one segment; a torn end of the last one is cut off, on disk too."""
        data = self._files.read(path)
        self.size, self.offset, self.crc = len(data), 0, 0
        sequence = self.sequence
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
        else:
            self._take_entries(decode_entries(record.payload))

    def _take_head(self, path: Path, head: _Head) -> None:
        if head.format != FORMAT:
            raise StorageError(
                f"{path}: log format {head.format} is unknown to this version, which has {FORMAT}"
            )
        identity = Identity(head.member_id, head.cluster_id)
        if self.identity is None:
            self._previous = (head.previous_index, head.previous_term)
            self.hard_state = HardState(head.term, head.vote, head.commit)
        elif identity != self.identity or head.sequence != self.sequence + 1:
            raise WireError("the segment does not follow the one before it")
        if head.size != self.size:
            raise WireError(f"the file has {self.size} bytes of {head.size}")
        self.identity, self.sequence = identity, head.sequence

    def _take_entries(self, entries: tuple[Entry, ...]) -> None:
        first = entries[0].index - 1 - self._previous[0]
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
