"""The measurement of long things, with few keys."""

from __future__ import annotations

import re

from tests.bench import turns

KEYS = 10_000


def test_long_things_are_done_before_the_eyes_of_others() -> None:
    lines: list[str] = []
    turns.run(KEYS, ("writing", "watch"), lines.append)
    title, *rows = lines
    assert "longest messages" in title
    assert [row.split()[0] for row in rows] == ["writing", "watch"]
    assert all(float(figure.replace(",", "")) > 0 for row in rows for figure in row.split()[1:4])


def test_a_row_shows_a_change_of_the_leader_and_the_longest_messages() -> None:
    row = turns.Row("delete", 100, 50, 5, (2, 3), {"StoreActor: Apply": 9, "RaftActor: Tick": 12})
    assert re.search(r"TERM 2 -> 3 .*RaftActor: Tick 12, StoreActor: Apply 9$", row.line())
