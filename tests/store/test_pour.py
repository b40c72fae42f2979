"""The way of a copy's bytes to the disk, on real files."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from actors.store.disk.pour import PART_BYTES, poured_into
from tests.store.test_disk_full import files_no_larger_than


@pytest.fixture
def file(tmp_path: Path) -> Iterator[int]:
    file = os.open(tmp_path / "copy", os.O_RDWR | os.O_CREAT)
    yield file
    os.close(file)


def _write(pipe: int, data: bytes) -> None:
    left = memoryview(data)
    while left:
        left = left[os.write(pipe, left) :]


@pytest.mark.parametrize("size", [0, 1, PART_BYTES, 3 * PART_BYTES, 3 * PART_BYTES + 5])
def test_all_bytes_arrive_and_each_part_is_synced_and_followed_by_a_pause(
    file: int, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[int] = [0]
    pauses: list[float] = []
    fsync = os.fsync

    def note_and_sync(descriptor: int) -> None:
        synced.append(os.fstat(descriptor).st_size)
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", note_and_sync)
    monkeypatch.setattr(time, "sleep", pauses.append)
    data = os.urandom(size)
    with poured_into(file) as pipe:
        _write(pipe, data)
    assert os.pread(file, size + 1, 0) == data
    assert synced[-1] == size
    steps = [after - before for before, after in pairwise(synced)]
    assert max(steps) <= PART_BYTES
    assert len(pauses) == size // PART_BYTES
    assert all(seconds > 0 for seconds in pauses)


def test_a_file_that_cannot_be_written_ends_the_pipe_and_is_why(file: int) -> None:
    with (
        files_no_larger_than(PART_BYTES),
        pytest.raises(OSError, match="File too large"),
        poured_into(file) as pipe,
    ):
        while True:
            os.write(pipe, bytes(PART_BYTES))
