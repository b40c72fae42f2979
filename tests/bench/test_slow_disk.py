"""The benchmark of a slow disk, on a little: its figures are there, and none is a verdict."""

from __future__ import annotations

from tests.bench import slow_disk


def test_each_disk_has_a_line() -> None:
    lines: list[str] = []
    slow_disk.run(5, 1, 0.05, lines.append)
    assert lines[0] == slow_disk.TITLES
    for name, line in zip(("as it is", "+ 5 ms"), lines[1:3], strict=True):
        assert line.startswith(name)
        figures = [float(one.replace(",", "")) for one in line[12:].split()]
        assert len(figures) == 4
        assert all(figure > 0 for figure in figures)
