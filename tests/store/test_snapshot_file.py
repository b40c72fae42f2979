"""The trailer that seals a snapshot: no byte of the file changes unnoticed, or without a place."""

from __future__ import annotations

import re
from hashlib import sha256
from pathlib import Path

import pytest

from actors.language.errors import StorageError
from actors.store.disk.snapshot_file import BLOCK_BYTES, is_sealed, seal, verify

SIZES = [0, 1, 100, 484, 485, BLOCK_BYTES, BLOCK_BYTES + 1, 20 * BLOCK_BYTES + 77]


def sealed(path: Path, size: int) -> bytes:
    """A sealed file of so many bytes, and what it holds."""
    path.write_bytes(bytes(number * 31 % 251 for number in range(size)))
    seal(path)
    return path.read_bytes()


@pytest.mark.parametrize("size", SIZES)
def test_a_sealed_file_is_whole_and_its_hash_is_of_every_byte(tmp_path: Path, size: int) -> None:
    path = tmp_path / "snapshot"
    path.write_bytes(b"x" * size)
    assert not is_sealed(path)
    total_bytes, digest = seal(path)
    content = path.read_bytes()
    assert (len(content), sha256(content).digest()) == (total_bytes, digest)
    assert sha256(content[:-32]).digest() == content[-32:]
    # etcdctl keeps a file of no other size.
    assert len(content) % 512 == 32
    assert is_sealed(path)
    assert verify(path) == size


@pytest.mark.parametrize("size", [0, 100, 3 * BLOCK_BYTES + 5])
def test_every_byte_that_changes_is_noticed_and_has_a_place(tmp_path: Path, size: int) -> None:
    path = tmp_path / "snapshot"
    content = sealed(path, size)
    places = [*range(0, size, 4_999), *range(size, len(content))]
    for at in places:
        path.write_bytes(content[:at] + bytes((content[at] ^ 4,)) + content[at + 1 :])
        with pytest.raises(StorageError, match=re.escape(str(path))) as caught:
            verify(path)
        found = re.search(r"damaged at byte (\d+)", str(caught.value))
        assert found is not None, caught.value
        assert abs(at - int(found[1])) < BLOCK_BYTES


@pytest.mark.parametrize("lost", [1, 31, 32, 33, 60, 70_000])
def test_a_file_that_is_cut_short_is_refused(tmp_path: Path, lost: int) -> None:
    path = tmp_path / "snapshot"
    content = sealed(path, 80_000)
    path.write_bytes(content[:-lost])
    with pytest.raises(StorageError, match="damaged at byte"):
        verify(path)


def test_a_file_that_has_grown_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "snapshot"
    path.write_bytes(sealed(path, 80_000) + b"\0")
    with pytest.raises(StorageError, match="damaged at byte"):
        verify(path)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    for look in (verify, is_sealed):
        with pytest.raises(StorageError, match="missing: No such file"):
            look(tmp_path / "missing")
