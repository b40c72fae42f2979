"""A snapshot as a file of its own: a store's file, and a trailer that seals every byte of it.

The trailer has a CRC-32 of each block, zeros up to a whole number of sectors, the footer (magic,
block size, bytes of the store, CRC-32 of the trailer up to there), and the SHA-256 of everything
before it. So damage anywhere is noticed, and its place is known. All integers are big-endian. Knows
nothing of what a store's file holds.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Final, NamedTuple
from zlib import crc32

from actors.language.errors import StorageError
from cluster.private import read

MAGIC: Final = b"LHSNAP02"
BLOCK_BYTES: Final = 64 * 1024
"""Each block of the store's file has a checksum of its own, which gives damage a place."""

SECTOR_BYTES: Final = 512
"""What is before the SHA-256 fills whole sectors: etcdctl keeps no snapshot of another size."""

_READ_BLOCKS: Final = 16

_CHECKSUM: Final = struct.Struct(">I")
_FOOTER: Final = struct.Struct(">8sIQ")  # magic, block bytes, store bytes; its checksum follows
_HASH_BYTES: Final = 32
_END_BYTES: Final = _FOOTER.size + _CHECKSUM.size + _HASH_BYTES


class Sealed(NamedTuple):
    """A file after it was sealed: its size, and the SHA-256 of the whole file."""

    total_bytes: int
    sha256: bytes


def seal(path: Path) -> Sealed:
    """Add the trailer to a store's file. Failures are OSError."""
    with path.open("r+b") as file:
        hashed = sha256()
        checksums = bytearray()
        store_bytes = 0
        for block in _blocks(file.fileno()):
            hashed.update(block)
            checksums += _CHECKSUM.pack(crc32(block))
            store_bytes += len(block)
        trailer = bytes(checksums) + bytes(_padding(store_bytes + len(checksums)))
        trailer += _FOOTER.pack(MAGIC, BLOCK_BYTES, store_bytes)
        trailer += _CHECKSUM.pack(crc32(trailer))
        hashed.update(trailer)
        trailer += hashed.digest()
        file.seek(store_bytes)
        file.write(trailer)
        hashed.update(trailer[-_HASH_BYTES:])
        return Sealed(store_bytes + len(trailer), hashed.digest())


def is_sealed(path: Path) -> bool:
    """Whether a file ends with a snapshot's magic; nothing else is checked."""
    try:
        with read(path) as file:
            size = os.fstat(file.fileno()).st_size
            return os.pread(file.fileno(), len(MAGIC), max(0, size - _END_BYTES)) == MAGIC
    except OSError as error:
        raise StorageError(f"{path}: {error.strerror}") from None


def verify(path: Path) -> int:
    """Check every byte of a sealed file; returns how many bytes of it are the store's.

    Raises StorageError with the file's name and the place of the damage.
    """
    try:
        with read(path) as file:
            return _verify(path, file.fileno(), os.fstat(file.fileno()).st_size)
    except OSError as error:
        raise StorageError(f"{path}: {error.strerror}") from None


def _verify(path: Path, file: int, size: int) -> int:
    footer_at = size - _END_BYTES
    if footer_at < 0:
        raise _damaged(path, 0, f"{size} bytes are too few for a snapshot")
    end = os.pread(file, _END_BYTES, footer_at)
    magic, block_bytes, store_bytes = _FOOTER.unpack_from(end)
    if magic != MAGIC:
        raise _damaged(path, footer_at, "it does not end as a snapshot does, or is cut short")
    # The sizes before anything that they say where to find: they are not checked otherwise yet.
    table_end = store_bytes + -(-store_bytes // BLOCK_BYTES) * _CHECKSUM.size
    if block_bytes != BLOCK_BYTES or table_end + _padding(table_end) != footer_at:
        raise _damaged(path, footer_at, "the trailer does not fit the file's size")
    table = os.pread(file, footer_at - store_bytes, store_bytes)
    (checksum,) = _CHECKSUM.unpack_from(end, _FOOTER.size)
    if crc32(end[: _FOOTER.size], crc32(table)) != checksum:
        raise _damaged(path, store_bytes, "the trailer has a wrong checksum")
    # The trailer is sound: its checksums show in which block the store's bytes are damaged.
    hashed = sha256()
    for number, block in enumerate(_blocks(file, store_bytes)):
        if crc32(block) != _CHECKSUM.unpack_from(table, number * _CHECKSUM.size)[0]:
            at = number * BLOCK_BYTES
            raise _damaged(path, at, f"the {len(block)} bytes from there have a wrong checksum")
        hashed.update(block)
    hashed.update(table)
    hashed.update(end[:-_HASH_BYTES])
    if hashed.digest() != end[-_HASH_BYTES:]:
        raise _damaged(path, size - _HASH_BYTES, "the SHA-256 is not that of the file")
    return int(store_bytes)


def _padding(table_end: int) -> int:
    """How many zeros follow the blocks' checksums, so that the SHA-256 begins at a sector."""
    return -(table_end + _FOOTER.size + _CHECKSUM.size) % SECTOR_BYTES


def _blocks(file: int, size: int | None = None) -> Iterator[bytes]:
    """The first `size` bytes of a file, or all, in blocks; the last block may be shorter."""
    offset, end = 0, os.fstat(file).st_size if size is None else size
    while offset < end:
        data = os.pread(file, min(_READ_BLOCKS * BLOCK_BYTES, end - offset), offset)
        if not data:
            raise OSError("the file became shorter while it was read")
        for start in range(0, len(data), BLOCK_BYTES):
            yield data[start : start + BLOCK_BYTES]
        offset += len(data)


def _damaged(path: Path, offset: int, reason: str) -> StorageError:
    return StorageError(f"{path}: damaged at byte {offset}: {reason}")
