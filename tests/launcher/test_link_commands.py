"""The commands for links, on a cluster that does not run: what is planned, and what is told."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from cluster.launcher.commands.desk import Desk, Nobody
from cluster.launcher.commands.jobs import Jobs
from cluster.launcher.commands.table import read_line
from cluster.launcher.local import LocalCluster
from cluster.launcher.nodes.layout import LauncherError
from cluster.launcher.screens.view import ClusterView, view_of
from cluster.launcher.screens.vitals import Vitals


class Terminal(Nobody):
    """Whoever types, and the answers."""

    def __init__(self) -> None:
        super().__init__("prompt")
        self.said: list[str] = []

    def say(self, text: str) -> None:
        self.said.append(text)


class Rig:
    """A cluster that is planned and not started, and a desk for its commands."""

    def __init__(self, directory: Path) -> None:
        self.cluster = LocalCluster(4, directory)
        self.terminal = Terminal()
        self._jobs = Jobs()
        desk = Desk(self.cluster, self._jobs, self._view, lambda *_: None, lambda: None)
        self._desk = desk.asked_by(self.terminal)

    def _view(self, now: float) -> ClusterView:
        return view_of(self.cluster, None, now, Vitals())

    def obey(self, line: str) -> tuple[str, ...]:
        """Do a command to its end; what is wrong with the links then."""
        typed = read_line(line)
        assert typed is not None
        command, words = typed
        errand = command.run(self._desk, words)
        assert errand is not None
        self.cluster.do(errand)
        return self.cluster.links.active

    def close(self) -> None:
        self._jobs.close()
        self.cluster.close()


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    made = Rig(tmp_path)
    yield made
    made.close()


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("isolate n1", ("n1 is isolated",)),
        ("ISOLATE N1 IN", ("n1 hears no other node",)),
        ("isolate n1,n2 out", ("n1 and n2 are heard by no other node",)),
        ("partition n1,n2 | n3,n4", ("n1, n2 | n3, n4 are apart",)),
        ("partition n1 n2|n3", ("n1, n2 | n3 are apart",)),
        ("partition n1", ("n1 | n2, n3, n4 are apart",)),
        ("slow n2 50ms", ("n2 is slow: each message takes 50 ms longer",)),
        ("slow n2 0.1s 10", ("n2 is slow: each message takes 100 to 110 ms longer",)),
        ("isolate n1 n3", ("n1 and n3 are each isolated",)),
        ("slow all 5ms", ("n1, n2, n3 and n4 are slow: each message takes 5 ms longer",)),
        ("lossy n1,n2 5%", ("n1 and n2 lose 5 % of their messages",)),
        ("lossy n3 5%", ("n3 loses 5 % of its messages",)),
    ],
)
def test_a_command_plans_a_fault_and_tells_it(rig: Rig, line: str, words: tuple[str, ...]) -> None:
    assert rig.obey(line) == words
    (told,) = [each for each in rig.cluster.journal.since(0) if each.kind == "fault"]
    assert told.text == "; ".join(words)
    assert told.fields["what"] == line.split(maxsplit=1)[0].lower()
    assert rig.obey("heal") == ()
    healed = rig.cluster.journal.since(0)[-1]
    assert (healed.kind, healed.fields) == ("fault", {"what": "heal", "victims": []})
    assert healed.text == f"all links are whole again (before: {'; '.join(words)})"


def test_the_victims_of_a_partition_are_those_outside_the_largest_group(rig: Rig) -> None:
    rig.obey("partition n1 | n2,n3,n4")
    assert rig.cluster.journal.since(0)[-1].fields["victims"] == ["n1"]


def test_healing_one_node_leaves_the_faults_of_others(rig: Rig) -> None:
    rig.obey("slow all 5ms")
    rest = "n3 and n4 are slow: each message takes 5 ms longer"
    assert rig.obey("heal n1 n2") == (rest,)
    assert rig.cluster.journal.since(0)[-1].text.startswith(
        "the links of n1 and n2 are whole again"
    )
    assert rig.obey("heal n3,n4") == ()
    assert rig.terminal.said == []
    rig.obey("heal n3")
    assert rig.terminal.said == ["there was nothing to heal"]


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("isolate", "which node? For example: isolate n1"),
        ("isolate n1 in out", "isolate: in or out, not both in and out"),
        ("isolate n7", "there is no node n7; there are n1, n2, n3, n4"),
        ("partition", "which groups? For example: partition n1,n2 | n3"),
        ("partition n1 |", "partition: each side needs a node, for example n1,n2 | n3"),
        ("partition n1 | n1", "partition: n1 is named twice"),
        ("partition n1 n2 n3 n4", "partition: each side needs a node, for example n1,n2 | n3"),
        ("slow n1", "slow: by how much? For example: slow n2 50ms, or slow n2 50ms 10ms"),
        ("slow 50ms", "which node? For example: slow n1"),
        ("slow n1 2h", "slow: a delay is 0 to 60000 ms, not 7200000 ms"),
        ("lossy n1", "lossy: how many of its messages? For example: lossy n2 5%"),
        ("lossy n1 0", "lossy: a loss is above 0 % and up to 100 %, not 0 %"),
        ("lossy n1 5% 6%", "lossy: how many of its messages? For example: lossy n2 5%"),
        ("heal n7", "there is no node n7; there are n1, n2, n3, n4"),
    ],
)
def test_a_wrong_command_is_one_line_and_changes_nothing(rig: Rig, line: str, why: str) -> None:
    with pytest.raises(LauncherError) as refused:
        rig.obey(line)
    assert str(refused.value) == why
    assert not rig.cluster.links.active
