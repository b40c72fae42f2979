"""Reading a write-ahead log: which segments there are, and what they hold, one after the other.

A segment begins with a `Head`. A torn end is found here, and repaired by the owner of the log;
anything else that does not fit is refused as damage. Writes nothing: it only removes a segment that
was never finished.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final, NamedTuple

from actors.language.bounds import Unsigned
from actors.language.entries import Entry
from actors.language.errors import StorageError
from actors.raft.codec import SHAPES
from actors.raft.disk.files import Files
from actors.raft.disk.wal_records import (
    EXPECT,
    HEAD,
    STATE,
    Record,
    damaged,
    first_flush,
    is_zero_from,
    read_flushes,
)
from actors.raft.log import RaftLog
from actors.raft.rpc import HardState
from actors.raft.runs import decode_entries
from cluster.wire import WireError, unpack

FORMAT: Final = 2
NOTHING_EXPECTED: Final = (0, 0)

_SEGMENT_NAME: Final = re.compile(r"([0-9a-f]{16})\.wal")


class Identity(NamedTuple):
    """Whose log this is: a member must not start with the data of another."""

    member_id: int
    cluster_id: int


class Head(NamedTuple):
    """First record of each segment: where the log stood when the segment was begun.

    The segment's entries follow (start_index, start_term), and `membership` holds there. With
    `resets` nothing in earlier segments counts any more. `size` is the whole file's, in bytes.
    """

    format: Unsigned
    member_id: Unsigned
    cluster_id: Unsigned
    sequence: Unsigned
    size: Unsigned
    resets: bool
    term: Unsigned
    vote: Unsigned
    commit: Unsigned
    start_index: Unsigned
    start_term: Unsigned
    membership: bytes


_HEAD: Final = SHAPES.of(Head)
_HARD_STATE: Final = SHAPES.of(HardState)


class LogReader:
    """Reads segments in order and gathers what they hold."""

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
        # Bytes that a torn write has left after `offset` of the last segment.
        self.torn_bytes = 0
        self.membership = b""
        self.expected = NOTHING_EXPECTED
        self.segments: list[tuple[int, int]] = []
        self._start = (0, 0)
        self._entries: list[Entry] = []

    def log(self) -> RaftLog:
        """The log after the last record that was read."""
        return RaftLog(*self._start, self._entries)

    @property
    def last_index(self) -> int:
        """The index of the last entry, after the last record that was read."""
        return self._start[0] + len(self._entries)

    def read(self, path: Path, is_last: bool) -> None:
        """Take one segment; only the last one may have a torn end. Raises StorageError."""
        data = self._files.read(path)
        self.size, self.offset, self.crc = len(data), 0, 0
        sequence = self.sequence
        if self.identity is None:
            # The flushes before the oldest segment were removed, so its number is where counting
            # begins.
            self.flush = max(0, first_flush(data) - 1)
        last_flush = 0, 0
        for flush in read_flushes(path, data, self.flush, is_last):
            last_flush = self.offset, flush[-1].end
            for record in flush:
                try:
                    self._take(path, record)
                except (ValueError, TypeError) as error:
                    raise damaged(path, self.offset, str(error)) from None
                self.offset, self.crc, self.flush = record.end, record.crc, record.flush
        if self.sequence == sequence:
            raise damaged(path, 0, "the segment has no head")
        if is_last:
            start, end = last_flush
            self.last_flush = (data[start:end], start)
            if not is_zero_from(data, self.offset):
                self.torn_bytes = len(data.rstrip(b"\0")) - self.offset

    def _take(self, path: Path, record: Record) -> None:
        if record.kind == HEAD:
            self._take_head(path, _HEAD.value(unpack(record.payload)))
        elif record.kind == STATE:
            self.hard_state = _HARD_STATE.value(unpack(record.payload))
        elif record.kind == EXPECT:
            index, term = unpack(record.payload)
            self.expected = (index, term)
        else:
            self._take_entries(decode_entries(record.payload))

    def _take_head(self, path: Path, head: Head) -> None:
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
            # The third case: a `cut` removed the first of the earlier segments, and a crash kept it
            # from removing the rest. This one starts before them, and has replaced all they hold.
            self._start, self._entries = (head.start_index, head.start_term), []
            self.hard_state = HardState(head.term, head.vote, head.commit)
            self.membership = head.membership
            if head.resets:
                self.expected = NOTHING_EXPECTED
        else:
            self._truncate_after(head.start_index, head.start_term)
        # Segments are preallocated: one of another size was cut short, perhaps with records in it.
        if head.size != self.size:
            raise WireError(f"the file has {self.size} bytes of {head.size}")
        self.identity, self.sequence = identity, head.sequence
        self.segments.append((head.sequence, head.start_index))

    def _truncate_after(self, index: int, term: int) -> None:
        """A segment begins after this entry: earlier segments' entries after it are replaced."""
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
        # A leader's entries have replaced those from here on (Raft 5.3).
        del self._entries[first:]
        self._entries += entries


def has_segments(directory: Path, files: Files) -> bool:
    """Whether the directory holds a log."""
    return any(_SEGMENT_NAME.fullmatch(name) for name in files.names(directory))


def segments_of(directory: Path, files: Files) -> list[Path]:
    """The segments, oldest first. Raises StorageError if there is none."""
    names = sorted(files.names(directory))
    for name in names:
        if name.endswith(".new"):
            # A crash came before the segment was renamed, so nothing in it was promised.
            files.remove(directory / name)
    segments = [directory / name for name in names if _SEGMENT_NAME.fullmatch(name)]
    if not segments:
        raise StorageError(f"{directory}: no log segment found")
    return segments
