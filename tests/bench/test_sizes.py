"""The benchmark of a large store, on a small one: its figures are there, and none is a verdict."""

from __future__ import annotations

from tests.bench import sizes


def test_each_load_has_a_line_for_each_size() -> None:
    lines: list[str] = []
    sizes.run(3_000, 1, 0.02, lines.append)
    assert lines[0] == sizes.TITLES
    figures = [[float(one.replace(",", "")) for one in line.split()] for line in lines[1:]]
    assert [(each[0], each[1]) for each in figures] == [
        (clients, keys) for clients, _ in sizes.LOADS for keys in (sizes.FEW_KEYS, 3_000)
    ]
    assert [each[-1] for each in figures[::2]] == [1.0, 1.0]
    assert all(figure > 0 for each in figures for figure in each)
