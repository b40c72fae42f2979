"""The count of a request's calls: it has no noise, and there is in it what there should be."""

from __future__ import annotations

import cProfile
from collections import Counter
from random import Random

import pytest

from cluster.bench.workload import gets
from tests.bench.calls import Calls, Row, line, measure, over, run
from tests.bench.counting import CallCounter, Count

ALONE = Row("put", 1, 5, 1e9, 1e9)
ELEVEN = Row("put", 11, 55, 1e9, 1e9)
GET = Row("get", 1, 5, 1e9, 1e9)

PROPOSED = ("actors/raft/replica.py", "Replica.append")
FOLLOWED = ("actors/raft/replica.py", "Replica.accept")
APPLIED = ("actors/store/machine.py", "Machine.begin_entry")
TURN = ("actors/runtime/loop.py", "Loop.turn")


@pytest.mark.parametrize("row", [ALONE, ELEVEN, GET], ids=lambda row: row.name)
def test_count_is_the_same_whenever_it_is_made(row: Row) -> None:
    assert measure(row) == measure(row)


def test_every_put_is_proposed_saved_and_applied_once() -> None:
    calls = measure(ALONE)
    leader, follower = calls.leader.own, calls.follower.own
    assert (leader[PROPOSED], follower[PROPOSED]) == (ALONE.total, 0)
    assert (leader[FOLLOWED], follower[FOLLOWED]) == (0, ALONE.total)
    assert leader[APPLIED] == ALONE.total
    assert leader[TURN] >= ALONE.total


def test_get_is_answered_by_the_store_and_not_proposed() -> None:
    own = measure(GET).leader.own
    assert own[PROPOSED] == own[APPLIED] == 0
    assert any(file.startswith("actors/store/") for file, _ in own)


def test_company_shares_what_a_put_alone_pays_for() -> None:
    alone, together = measure(ALONE), measure(ELEVEN)
    assert together.requests >= ELEVEN.total
    assert together.figures()[2] < alone.figures()[2]


def test_row_over_a_bar_is_named_with_the_node() -> None:
    calls = Calls(2, Count(Counter({PROPOSED: 20}), 100), Count(Counter(), 30))
    row = Row("put", 64, 2, leader_bar=50, follower_bar=14.9)
    assert over(row, calls) == [
        "put, 64: the follower makes 15.0 calls a request, more than 14.9",
    ]
    assert line(row, calls).split() == ["put,", "64", "10.0", "0.0", "50.0", "15.0", "50.0", "14.9"]


@pytest.mark.parametrize("bar", [0, 1e9])
def test_run_says_whether_every_row_is_within_its_bars(bar: float) -> None:
    lines: list[str] = []
    assert run(lines.append, 1, [ALONE._replace(leader_bar=bar)]) == (bar > 0)
    assert any(text.split()[0] == "actors/raft" for text in lines)


def test_all_calls_are_those_that_cprofile_counts() -> None:
    counter = CallCounter()
    random = Random(0)
    state = random.getstate()
    counter.counted(gets)(False, 10, random)
    profile = cProfile.Profile()
    random.setstate(state)  # how often it draws again depends on what it draws
    profile.enable()
    gets(False, 10, random)
    profile.disable()
    by_profile = sum(entry.callcount for entry in profile.getstats())
    count = counter.result()
    assert count.all_calls == by_profile - 1  # the end of the profile
    assert count.own.total() < count.all_calls
