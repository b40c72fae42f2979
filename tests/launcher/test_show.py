"""The stage of tour and chaos: commands, waits, Enter, an early end, and the verdict."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import pytest

from cluster.launcher.errands.errand import Errand, Errands
from cluster.launcher.nodes.layout import LauncherError
from cluster.launcher.shows.show import Listener, ShowDesk, Shows, Stage
from cluster.launcher.story.failover import Failover
from cluster.launcher.story.journal import Journal

pytestmark = pytest.mark.quick


FAILOVER = Failover(1, "kill", 0.0, "n1", "n2")


class Desk:
    """A desk with a journal, at which commands are only noted."""

    def __init__(self) -> None:
        self.journal = Journal()
        self.obeyed: list[tuple[str, Listener]] = []

    def obey(self, line: str, asker: Listener) -> None:
        """Note it: the test ends the command."""
        self.obeyed.append((line, asker))


class Rig:
    """A script under way."""

    def __init__(self, script: Callable[[Stage], Errand[str]]) -> None:
        self.desk = Desk()
        self.shows = Shows()
        self.ended: list[LauncherError | None] = []
        self.errands = Errands({})
        errand = self.shows.begin(cast(ShowDesk, self.desk), "tour", script)
        self.errands.begin(errand, lambda _, error: self.ended.append(error))

    @property
    def verdicts(self) -> list[tuple[bool, str]]:
        """What has been told of the end."""
        told = self.desk.journal.since(0)
        return [(each.fields["passed"], each.text) for each in told if each.kind == "verdict"]

    def tick(self) -> None:
        """Look at what the script waits for."""
        self.errands.tick(0.0)


def two_commands(stage: Stage) -> Errand[str]:
    """Kill, wait for Enter, start; the verdict says how many fail-overs were measured since."""
    mark = yield from stage.do("kill n1")
    yield from stage.pause()
    yield from stage.do("start n1")
    return f"{len(stage.failovers(mark))} fail-overs"


def test_a_script_waits_for_the_end_of_each_command_and_for_enter() -> None:
    rig = Rig(two_commands)
    rig.tick()
    assert [line for line, _ in rig.desk.obeyed] == ["kill n1"]
    rig.desk.journal.tell("fault", "n1 is harmed")
    rig.desk.journal.tell("failover", "measured", **FAILOVER.document())
    rig.desk.obeyed[0][1].done()
    rig.tick()
    assert [line for line, _ in rig.desk.obeyed] == ["kill n1"]
    rig.shows.enter()
    rig.tick()
    assert [line for line, _ in rig.desk.obeyed] == ["kill n1", "start n1"]
    rig.desk.obeyed[1][1].done()
    rig.tick()
    assert rig.verdicts == [(True, "tour passed: 1 fail-overs")]
    assert rig.ended == [None]


def test_a_command_that_fails_ends_the_show_with_its_reason() -> None:
    rig = Rig(two_commands)
    rig.desk.obeyed[0][1].done("there is no node n1")
    rig.tick()
    assert rig.verdicts == [(False, "tour failed: kill n1: there is no node n1")]
    assert str(rig.ended[0]) == "tour has not passed"


def test_what_is_waited_for_in_vain_ends_the_show() -> None:
    def script(stage: Stage) -> Errand[str]:
        yield from stage.until(lambda: False, "a miracle", 0.0)
        return "never"

    rig = Rig(script)
    rig.errands.tick(float("inf"))
    assert rig.verdicts == [(False, "tour failed: waited 0 s in vain for a miracle")]


def test_a_show_can_be_stopped_and_there_is_one_at_a_time() -> None:
    rig = Rig(two_commands)
    with pytest.raises(LauncherError, match="tour is under way: tour stop ends it"):
        rig.shows.begin(cast(ShowDesk, rig.desk), "chaos", two_commands)
    rig.shows.stop()
    rig.tick()
    rig.desk.obeyed[-1][1].done()
    rig.tick()
    assert rig.verdicts == [(False, "tour was stopped before its end")]
    with pytest.raises(LauncherError, match="neither a tour nor chaos is under way"):
        rig.shows.stop()


@pytest.mark.parametrize(
    ("harm", "mend"),
    [
        ("kill n1", "start n1"),
        ("stop n1", "start n1"),
        ("pause n1", "resume n1"),
        ("partition n1 | n2,n3", "heal"),
        ("isolate n1 in", "heal"),
        ("slow n1 60ms", "heal"),
        ("lossy n1 5%", "heal"),
    ],
)
@pytest.mark.parametrize("when", ["while the harm is done", "when it is done"])
def test_a_show_that_is_stopped_leaves_no_harm(harm: str, mend: str, when: str) -> None:
    def script(stage: Stage) -> Errand[str]:
        yield from stage.do("kill n9")
        yield from stage.do("start n9")
        yield from stage.do(harm)
        yield from stage.hold(float("inf"))
        return "never"

    rig = Rig(script)
    for line in ("kill n9", "start n9", harm)[: 3 if when == "when it is done" else 2]:
        assert rig.desk.obeyed[-1][0] == line
        rig.desk.obeyed[-1][1].done()
        rig.tick()
    rig.shows.stop()
    rig.tick()
    assert [line for line, _ in rig.desk.obeyed[3:]] == [mend]
    assert rig.verdicts == []
    rig.desk.obeyed[-1][1].done("that cannot be")
    rig.tick()
    assert rig.verdicts == [(False, "tour was stopped before its end")]


def test_the_end_of_the_cluster_is_no_pass() -> None:
    rig = Rig(two_commands)
    rig.errands.abandon()
    assert [line for line, _ in rig.desk.obeyed] == ["kill n1"]
    assert rig.verdicts == [(False, "tour failed: the cluster stops")]


def test_a_check_that_does_not_hold_ends_the_show() -> None:
    def script(stage: Stage) -> Errand[str]:
        stage.check(True, "all is well")
        stage.check(False, "the stores differ")
        yield from stage.hold(0.0)
        return "never"

    rig = Rig(script)
    assert rig.verdicts == [(False, "tour failed: the stores differ")]
    rest: list[Any] = rig.desk.journal.since(0)
    assert [each.kind for each in rest] == ["verdict"]
