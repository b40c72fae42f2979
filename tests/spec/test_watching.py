"""The simulator holds the shipped core against the spec: it finds planted bugs, and shows them.

That the core as it is takes no step that the spec forbids is what every seed of the simulation
shows: each of its cores is watched.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Final

import pytest

from tests.simulation.mutants.planting import PLANTED
from tests.simulation.runner import run
from tests.spec.cost import digest_of
from tests.spec.mapping import as_seen
from tests.spec.state import Clock, Config, Disk, Entry, Log, Member, Place
from tests.spec.watching import tell

FOUND_SOON: Final = (
    "own_vote_counts_before_it_is_saved",
    "promises_leave_before_the_save",
    "votes_for_any_log",
    "commits_on_a_minority",
    "reads_without_a_quorum",
    "reads_overtake_what_they_must_see",
    "heartbeats_commit_what_they_do_not_know",
    "votes_though_it_hears_a_leader",
    "takes_proposals_while_it_hands_over",
)
"""Planted bugs of the core that few seeds show; the last two break nothing but the spec."""

SEEDS_MAX: Final = 100


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """Nodes that crash all the time have much to say."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.parametrize("name", FOUND_SOON)
def test_a_bug_of_the_core_is_a_step_that_the_spec_forbids(name: str) -> None:
    with PLANTED[name]():
        findings = (run(seed).finding for seed in range(SEEDS_MAX))
        found = next((each for each in findings if each), "")
    assert "no action of the spec" in found


def test_a_seed_has_the_same_course_when_its_cores_are_watched() -> None:
    assert digest_of(seed=3, is_watched=True) == digest_of(seed=3, is_watched=False)


@pytest.mark.parametrize(
    ("term", "ms", "then"),
    [(4, 50, Clock(4, 50)), (3, 50, Clock(3, 90)), (3, 95, Clock(3, 95)), (2, 80, Clock(3, 90))],
)
def test_a_clock_is_that_of_the_last_leader_and_never_goes_back(
    term: int, ms: int, then: Clock
) -> None:
    assert Clock(3, 90).heard(term, ms) == then


def test_a_step_that_is_no_action_shows_the_states_beside_each_other() -> None:
    config = Config(frozenset({1}))
    log = Log(Place(0, 0), (), ((0, config),)).append([Entry(1, 5, config)])
    before = as_seen(Member(1, Disk(1, 0, log), 1, 0, log, commit=1))
    due, seen = before._replace(term=2), before._replace(term=2, vote=3)
    lines = tell("a vote", before, due, seen).splitlines()
    assert lines[0] == "a vote: no action of the spec"
    assert [each.strip() for each in lines[1].split("|")] == ["", "before", "by the spec", "seen"]
    assert [each.strip() for each in lines[2].split("|")] == ["term", "1", "2", "2"]
    assert [each.strip() for each in lines[3].split("|")] == ["* vote", "0", "0", "3"]
