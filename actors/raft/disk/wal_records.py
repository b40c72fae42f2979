"""Records of the write-ahead log: their layout, their checks, and how to know a torn write.

A record is a header

    flush u64 | payload length u32 | kind u8 | last of its flush u8 | zero sectors u16 | CRCs 2 u32

and its payload, padded to 8 bytes. The first CRC-32 is the header's own; the second covers header
and payload and is chained over all records of the segment. One flush is one write and one
fdatasync, so flush n + 1 on disk proves that flush n was durable. The header counts the payload's
sectors of zeros, so that a sector which was never written can be told from one written as zeros.
Refuses to know what the payloads mean.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from actors.language.errors import StorageError

SECTOR_BYTES: Final = 512

HEAD: Final = 1
STATE: Final = 2
ENTRIES: Final = 3
EXPECT: Final = 4

_FIELDS: Final = struct.Struct("<QIBBH")
_CHECKS: Final = struct.Struct("<II")
_HEADER_BYTES: Final = _FIELDS.size + _CHECKS.size
_ALIGNMENT: Final = 8
_ZERO_SECTOR: Final = bytes(SECTOR_BYTES)


class Record(NamedTuple):
    """One sound record; `end` is where the next one starts, `crc` the seed of its checksum.

    The payload is no copy: a start reads two segments full of records.
    """

    kind: int
    payload: memoryview
    flush: int
    ends_flush: bool
    end: int
    crc: int


def encode_flush(
    records: Sequence[tuple[int, bytes]], flush: int, position: int, crc: int
) -> tuple[bytes, int]:
    """The bytes of one flush of (kind, payload) records, and the seed of the next checksum.

    `position` is the flush's offset in its file; `crc` is the seed that the last flush gave.
    """
    pieces: list[bytes] = []
    left = len(records)
    for kind, payload in records:
        left -= 1
        size = len(payload)
        padding = -size % _ALIGNMENT
        zeros = _zero_sectors(payload, position + _HEADER_BYTES)
        fields = _FIELDS.pack(flush, size, kind, not left, zeros)
        checks, crc = _checks(fields, payload, crc)
        pieces += (fields, checks, payload, bytes(padding))
        position += _HEADER_BYTES + size + padding
    return b"".join(pieces), crc


def record_size(payload_length: int) -> int:
    """The bytes that a record with a payload of that length takes on disk."""
    return _HEADER_BYTES + payload_length + -payload_length % _ALIGNMENT


def first_flush(data: bytes) -> int:
    """The number of a segment's first flush; 0 if its first header is not sound."""
    fields = _read_header(data, 0)
    return fields[0] if fields else 0


def is_zero_from(data: bytes, offset: int) -> bool:
    """Whether nothing but zeros follows; by one comparison, as most of a segment may be zeros."""
    return data.endswith(bytes(max(0, len(data) - offset)))


def read_flushes(path: Path, data: bytes, last_flush: int, is_last: bool) -> Iterator[list[Record]]:
    """The flushes of a segment, up to its end or a torn write. Raises StorageError for damage.

    A flush counts whole or not at all: a commit index must never count without the entries that
    were saved with it. A record that fails its checks is a torn write only if three things hold: it
    is in the last segment; one of its sectors is zero and was not when it was written, so the disk
    never got it; and nothing behind it belongs to a later flush, for then this one was synced.
    Everything else is damage: a disk has lost what was once durable on it.
    """
    offset, crc, flush = 0, 0, last_flush + 1
    records: list[Record] = []
    while offset < len(data):
        record = _read_record(data, offset, crc)
        if record is None or record.flush != flush:
            if not records and is_zero_from(data, offset):
                return  # the rest of the preallocated file was never written
            # Not at 0: a segment gets its name only once its head is durable.
            torn = is_last and offset > 0 and _lacks_a_sector(data, offset)
            if torn and not _has_later_flush(data, offset, flush):
                return
            raise damaged(path, offset, "the record does not match its checksum")
        records.append(record)
        offset, crc = record.end, record.crc
        if record.ends_flush:
            yield records
            records, flush = [], flush + 1
    if records:
        raise damaged(path, offset, "the file ends in the middle of a write")


def _read_record(data: bytes, offset: int, crc: int) -> Record | None:
    """The record at `offset`, or None if there is no whole and sound one."""
    fields = _read_header(data, offset)
    if fields is None:
        return None
    flush, length, kind, last, _ = fields
    start = offset + _HEADER_BYTES
    payload = memoryview(data)[start : start + length]
    checks, crc = _checks(data[offset : offset + _FIELDS.size], payload, crc)
    if len(payload) != length or data[start - _CHECKS.size : start] != checks:
        return None
    end = start + length + -length % _ALIGNMENT
    return Record(kind, payload, flush, bool(last), end, crc)


def _read_header(data: bytes, offset: int) -> tuple[int, int, int, int, int] | None:
    """The fields of the header at `offset` - flush, length, kind, last, zero sectors - if sound."""
    start = offset + _FIELDS.size
    if offset + _HEADER_BYTES > len(data):
        return None
    own_crc, _ = _CHECKS.unpack_from(data, start)
    if zlib.crc32(data[offset:start]) != own_crc:
        return None
    flush, length, kind, last, zeros = _FIELDS.unpack_from(data, offset)
    return (flush, length, kind, last, zeros) if kind in (HEAD, STATE, ENTRIES, EXPECT) else None


def _lacks_a_sector(data: bytes, offset: int) -> bool:
    """Whether a sector of the record at `offset` is zero that was not zero when it was written."""
    start = offset + _HEADER_BYTES
    if _zero_sectors(data[offset:start], offset):
        return True  # a sound header is never a sector of zeros
    fields = _read_header(data, offset)
    if fields is None:
        return False  # the header was overwritten with something else: that is no torn write
    _, length, _, _, zeros = fields
    return _zero_sectors(data[start : start + length], start) > zeros


def _zero_sectors(data: bytes, position: int) -> int:
    """How many sectors `data`, at `position` of the file, fills with nothing but zeros.

    A sector that `data` fills in part counts if that part is zero.
    """
    size = len(data)
    first = SECTOR_BYTES - position % SECTOR_BYTES
    if data and data[0] and _ZERO_SECTOR not in data and (data[-1] or size <= first):
        return 0  # nearly always: both edges are not zero, and neither is a sector between them
    last = max(first, size - (position + size) % SECTOR_BYTES)
    zeros = 0
    for edge in (data[:first], data[last:]):
        if edge and not edge.strip(b"\0"):
            zeros += 1
    if _ZERO_SECTOR not in data:
        return zeros
    middle = range(first, last, SECTOR_BYTES)
    zeros += sum(1 for start in middle if data[start : start + SECTOR_BYTES] == _ZERO_SECTOR)
    return min(zeros, 0xFFFF)


def _has_later_flush(data: bytes, offset: int, torn_flush: int) -> bool:
    """Whether the header of a record of a flush after `torn_flush` stands behind `offset`."""
    tail_end = len(data.rstrip(b"\0"))
    # A torn record does not say where the next one starts, so each aligned place is tried.
    for start in range(offset, tail_end, _ALIGNMENT):
        fields = _read_header(data, start)
        if fields is not None and fields[0] > torn_flush:
            return True
    return False


def _checks(fields: bytes, payload: bytes | memoryview, crc: int) -> tuple[bytes, int]:
    """Both checksums of a record, packed; and the second one again, as the next record's seed."""
    crc = zlib.crc32(payload, zlib.crc32(fields, crc))
    return _CHECKS.pack(zlib.crc32(fields), crc), crc


def damaged(path: Path, offset: int, reason: str) -> StorageError:
    """The error for a place in a file that no longer holds what was durable there."""
    return StorageError(
        f"{path}: damaged at byte {offset}: {reason}. The log cannot be trusted beyond this point; "
        "keep the directory for inspection, remove this member from the cluster, and let it rejoin "
        "as a new member with an empty data directory"
    )
