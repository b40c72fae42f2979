"""The spec keeps its invariants in small worlds, and each guard that is left out breaks one.

The reductions of the checker leave no state out: with and without them it comes to equal verdicts.
"""

from __future__ import annotations

from typing import Final

import pytest

from tests.spec.explore import Explorer, Result
from tests.spec.invariants import BrokenError, terms_and_times_rise
from tests.spec.of_spec import Spec
from tests.spec.planted import ERRORS
from tests.spec.state import Config, Entry, Log, Place
from tests.spec.worlds import WORLDS, World

SECONDS_MAX: Final = 200.0
TINY: Final = WORLDS["pair"]
FOUND_AT_ONCE: Final = ("promises_leave_before_they_are_kept", "every_append_cuts_the_log")
SMALL: Final = (
    TINY,
    WORLDS["two-remove-the-leader"],
    WORLDS["learner-promoted"],
    WORLDS["one-grows"],
    World("crash", 2, elections=2, terms=3, crashes=1),
    World("leases", 1, elections=1, terms=2, proposals=3, times=3),
)


def explore(world: World, *, without: str = "") -> Result:
    """Explore a world of the spec's members, perhaps without one of the reductions."""
    return Explorer(Spec(world), **{without: False} if without else {}).run(SECONDS_MAX)


@pytest.mark.parametrize("world", SMALL, ids=lambda world: world.name)
def test_the_spec_keeps_its_invariants(world: World) -> None:
    result = explore(world)
    assert result.exhausted and not result.broken and not result.missing
    assert "an entry is committed" in result.facts


@pytest.mark.parametrize("name", ERRORS)
def test_a_guard_that_is_left_out_breaks_an_invariant(name: str) -> None:
    plant, world = ERRORS[name]
    with plant():
        result = explore(world)
    assert result.broken and result.trace


@pytest.mark.parametrize("reduction", ["symmetry", "dead", "commuting"])
def test_a_reduction_changes_no_verdict(reduction: str) -> None:
    reduced, whole = explore(TINY), explore(TINY, without=reduction)
    assert (whole.exhausted, whole.broken) == (reduced.exhausted, reduced.broken)
    assert whole.facts == reduced.facts
    assert whole.steps > reduced.steps
    # The order of deliveries leaves out ways, and no state.
    assert whole.states >= reduced.states
    assert reduction != "commuting" or whole.states == reduced.states


@pytest.mark.parametrize("reduction", ["symmetry", "dead", "commuting"])
@pytest.mark.parametrize("name", FOUND_AT_ONCE)
def test_a_reduction_hides_no_violation(reduction: str, name: str) -> None:
    plant, world = ERRORS[name]
    with plant():
        reduced, whole = explore(world), explore(world, without=reduction)
    assert reduced.broken and whole.broken
    assert len(whole.trace) == len(reduced.trace)


def test_an_entry_that_contradicts_the_snapshot_before_it_breaks_an_invariant() -> None:
    config = Config(frozenset({1}))
    log = Log(Place(3, 5), (Entry(3, 0, "left"),), ((3, config),))
    with pytest.raises(BrokenError, match="term 5 comes before 3"):
        terms_and_times_rise(log)
