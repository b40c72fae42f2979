"""The checker explores the shipped cores: small worlds as a whole, and planted bugs in them.

What it prints of a bug is a script that plays it again. The reductions change no verdict.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest

from actors.raft.core import RaftCore
from tests.simulation import __main__ as simulation
from tests.simulation.mutants.planting import PLANTED
from tests.spec import __main__ as command
from tests.spec import worlds
from tests.spec.bugs import SHOWN
from tests.spec.cores import Body, Box, renamed
from tests.spec.explore import Explorer, Result
from tests.spec.of_cores import Cores, State
from tests.spec.script import play, write
from tests.spec.worlds import LARGE, WORLDS, World

SECONDS_MAX: Final = 200.0
IN_CI: Final = ("pair", "pair-late-saves", "three", "two-remove-the-leader")

FOUND_SOON: Final = (
    "promises_leave_before_the_save",
    "votes_for_any_log",
    "does_not_compare_the_previous_term",
    "commits_on_a_minority",
    "reads_overtake_what_they_must_see",
    "tells_of_commits_before_the_save",
    "promises_wait_for_no_late_sync",
    "several_changes_at_a_time",
    "voters_change_in_one_step",
    "a_change_ends_before_it_is_committed",
    "a_restart_forgets_uncommitted_members",
    "a_snapshot_overtakes_its_term",
)
"""Planted bugs that show among the first few hundred states of their worlds."""


def explore(world: World, *, without: str = "") -> Result:
    """Explore a world of the shipped cores, perhaps without one of the reductions."""
    return Explorer(Cores(world), **{without: False} if without else {}).run(SECONDS_MAX)


@pytest.mark.parametrize("name", IN_CI)
def test_nothing_is_broken_in_a_small_world(name: str) -> None:
    result = explore(WORLDS[name])
    assert result.exhausted and not result.broken and not result.missing


@pytest.mark.parametrize("reduction", ["symmetry", "dead", "commuting"])
def test_a_reduction_changes_no_verdict(reduction: str) -> None:
    reduced, whole = explore(WORLDS["pair"]), explore(WORLDS["pair"], without=reduction)
    assert (whole.exhausted, whole.broken) == (reduced.exhausted, reduced.broken) == (True, "")
    assert whole.facts == reduced.facts
    assert whole.states >= reduced.states and whole.steps > reduced.steps
    assert reduction != "commuting" or whole.states == reduced.states


@pytest.mark.parametrize("name", FOUND_SOON)
def test_a_planted_bug_is_found_by_a_shortest_trace_that_plays_again(name: str) -> None:
    world, steps = SHOWN[name]
    with PLANTED[name]():
        result = explore(WORLDS[world])
        script = write("cores", Cores(WORLDS[world]), result.trace, result.broken)
        assert result.broken and len(result.trace) == steps
        assert play(script)
    # It is the bug that breaks something, not the trace.
    assert not play(script)


@pytest.mark.parametrize("reduction", ["symmetry", "dead", "commuting"])
def test_a_reduction_hides_no_bug(reduction: str) -> None:
    name = "promises_leave_before_the_save"
    with PLANTED[name]():
        result = explore(WORLDS[SHOWN[name].world], without=reduction)
    assert result.broken and len(result.trace) == SHOWN[name].steps


# --- the command ------------------------------------------------------------------------------


def test_an_unknown_world_names_those_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["check", "nowhere"]) == 2
    said = capsys.readouterr().err
    assert "nowhere" in said and all(name in said for name in WORLDS)


@pytest.mark.parametrize("limit", [["--minutes", "0"], ["--memory-mb", "1"]])
def test_an_end_before_the_world_is_exhausted_is_no_verdict(
    limit: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert command.main(["check", "three-rivals", *limit]) == 3
    said = capsys.readouterr().out
    assert "not exhausted" in said and "depth" in said


def test_a_world_in_which_too_little_happens_fails(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    dull = WORLDS["pair"]._replace(sometimes=("a snapshot is installed",))
    monkeypatch.setitem(worlds.WORLDS, "pair", dull)
    assert command.main(["check", "pair"]) == 1
    assert "NEVER HAPPENED: a snapshot is installed" in capsys.readouterr().out


def test_every_world_that_is_not_large_says_what_must_happen_in_it() -> None:
    assert all(world.sometimes for name, world in WORLDS.items() if name not in LARGE)


def test_a_violation_is_printed_as_a_script_that_the_simulator_plays(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "trace.txt"
    with PLANTED["commits_on_a_minority"]():
        assert command.main(["check", "pair"]) == 1
        said = capsys.readouterr().out
        path.write_text(said[said.index("cores pair") : said.index("play it again")])
        assert simulation.main(["play", str(path)]) == 1
        assert "only" in capsys.readouterr().out
    assert simulation.main(["play", str(path)]) == 0


# --- a core as a value ------------------------------------------------------------------------


def core_of(world: World) -> tuple[RaftCore, State]:
    """A core of a world, and its state."""
    state = Cores(world).begin()[0]
    assert isinstance(state, State)
    machine = Cores(world)
    machine.begin()
    return machine.thaw(state), state


def test_a_core_is_as_it_was_when_its_state_is_put_back() -> None:
    core, state = core_of(WORLDS["pair"])
    body = Body(core)
    assert body.freeze() == state.core
    core.tick(1 << 40)
    assert body.freeze() != state.core
    body.thaw(state.core)
    assert body.freeze() == state.core


def test_what_is_not_known_in_a_core_is_refused() -> None:
    core, _ = core_of(WORLDS["pair"])
    body = Body(core)
    core.elector.vote = bytearray(b"1")  # type: ignore[assignment]
    with pytest.raises(TypeError, match="not known here"):
        body.freeze()


def test_states_that_differ_only_in_names_have_one_sign() -> None:
    one, other = Box(dict, ((7_001, 5), (7_002, 6))), Box(dict, ((7_001, 6), (7_002, 5)))
    alike = {7_001: 1, 7_002: 1}
    assert renamed(one, alike) == renamed(other, alike)
