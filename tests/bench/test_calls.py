"""The count of a put's calls: it has no noise, and there is something in it."""

from __future__ import annotations

from tests.bench.calls import measure

PUTS = 5


def test_count_is_the_same_whenever_it_is_made() -> None:
    assert measure(PUTS) == measure(PUTS)


def test_every_put_is_proposed_saved_and_applied_once() -> None:
    calls = measure(PUTS)
    proposed = ("actors/raft/replica.py", "Replica.append")
    followed = ("actors/raft/replica.py", "Replica.accept")
    applied = ("actors/store/machine.py", "Machine.apply")
    assert (calls.leader[proposed], calls.follower[proposed]) == (PUTS, 0)
    assert (calls.leader[followed], calls.follower[followed]) == (0, PUTS)
    assert calls.leader[applied] == PUTS


def test_table_has_a_line_for_each_room_and_one_for_all() -> None:
    calls = measure(PUTS)
    lines = calls.lines(top=3)
    assert any(line.startswith("actors/raft") for line in lines)
    assert sum(line.startswith("in all") for line in lines) == 1
    assert len(calls.lines()) + 3 == len(lines)
