"""The benchmark of periodic work, on a little: its figures are there, and none is a verdict."""

from __future__ import annotations

import re

from tests.bench import tails


def test_each_thing_has_a_line_with_both_sides() -> None:
    lines: list[str] = []
    tails.run(1, 0.2, ("compaction", "expiry"), lambda *said: lines.extend(said))
    assert lines[0] == tails.TITLES
    for name, line in zip(("compaction", "expiry"), lines[1:], strict=True):
        figures = [float(one) for one in re.findall(r"\d+\.\d+", line.replace(",", ""))]
        assert line.startswith(name)
        assert len(figures) == 6
        assert all(figure > 0 for figure in figures[:4])
