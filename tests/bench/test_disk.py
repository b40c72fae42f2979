"""What nodes take on disk and in memory: measured from outside, and judged."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.bench import disk
from tests.bench.disk import MEGABYTE, Footprint, Row, footprint, growth, header, line


def _row(writes: int, *nodes: tuple[int, int, int]) -> Row:
    return Row(writes, 1_000.0, tuple(Footprint(*node) for node in nodes))


def test_a_footprint_counts_what_files_and_the_process_take(tmp_path: Path) -> None:
    (tmp_path / "wal").mkdir()
    for name, size in (("wal/1", 10_000), ("wal/2", 50_000), ("store", 200_000)):
        (tmp_path / name).write_bytes(os.urandom(size))
    found = footprint(tmp_path, os.getpid())
    assert 60_000 <= found.wal < 80_000
    assert 200_000 <= found.store < 220_000
    assert found.memory > MEGABYTE


def test_growth_is_the_worst_node_of_the_later_rows_over_that_of_the_first() -> None:
    rows = [_row(number, (10, 10 + number, 10), (10, 5, 20)) for number in range(10)]
    assert growth(rows) == {"wal": 1.0, "store": pytest.approx(19 / 12), "memory": 1.0}


def test_a_line_stands_under_its_header() -> None:
    row = _row(100_000, (67_100_000, 12_000_000, 58_000_000))
    assert len(header(1)) == len(line(row))
    assert line(row).split() == ["100,000", "1,000", "67.1", "12.0", "58.0"]


def test_a_short_run_prints_a_row_for_each_part_and_a_verdict(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(disk, "GROWTH_MAX", 1_000.0)
    said: list[str] = []
    assert disk.run(1_500, 500, said.append)
    assert [text.split()[0] for text in said[1:4]] == ["500", "1,000", "1,500"]
    assert [text.partition(":")[0] for text in said[4:]] == ["wal", "store", "memory"]
    monkeypatch.setattr(disk, "GROWTH_MAX", 0.1)
    assert not disk.run(200, 100, said.append)
