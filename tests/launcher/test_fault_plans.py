"""What a launcher plans for the links of its nodes: no process, no socket."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from cluster.launcher.links.faults import LinkFaults
from cluster.launcher.nodes.layout import LauncherError
from cluster.link_plan import EVERYBODY, LinkFault, LinkPlan, link_plan_of

CUT = LinkFault(cut=True)
WHOLE = LinkPlan()


class Node:
    """A node that runs, and what it was told."""

    def __init__(self, member_id: int) -> None:
        self.member_id = member_id
        self.name = f"n{member_id}"
        self.running = True
        self.is_removed = False
        self.plans: list[LinkPlan] = []
        self.is_recording = False

    def plan_links(self, plan: LinkPlan) -> None:
        self.plans.append(plan)

    def record_messages(self, on: bool) -> None:
        self.is_recording = on


class Network:
    """Three members or more, and the faults of their links."""

    def __init__(self, size: int = 3) -> None:
        self.nodes: dict[str, Node] = {}
        self.faults = LinkFaults(self.nodes)
        for _ in range(size):
            self.grow()

    def grow(self) -> Node:
        """One more member."""
        node = Node(len(self.nodes) + 1)
        self.nodes[node.name] = node
        return node

    @property
    def ids(self) -> dict[str, int]:
        return {node.name: node.member_id for node in self.nodes.values()}

    def take_told(self) -> dict[str, list[LinkPlan]]:
        """The plans that were told since the last call."""
        told = {node.name: node.plans for node in self.nodes.values() if node.plans}
        for node in self.nodes.values():
            node.plans = []
        return told

    def loses(self, source: str, target: str) -> tuple[bool, bool]:
        """Whether a message is lost when it is sent, and when it arrives."""
        plans = self.faults.plans()
        sent, heard = plans[source].outgoing, plans[target].incoming
        return (
            (sent.get(self.ids[target]) or sent.get(EVERYBODY, LinkFault())).cut,
            (heard.get(self.ids[source]) or heard.get(EVERYBODY, LinkFault())).cut,
        )

    def passing(self) -> set[str]:
        """The links that are whole, as `13` for n1 -> n3. Both ends must agree."""
        found = set()
        for source in self.ids:
            for target in self.ids.keys() - {source}:
                at_source, at_target = self.loses(source, target)
                assert at_source == at_target
                if not at_source:
                    found.add(f"{self.ids[source]}{self.ids[target]}")
        return found


@pytest.mark.parametrize(
    ("way", "left"),
    [
        ("both", {"23", "32"}),
        ("in", {"12", "13", "23", "32"}),
        ("out", {"21", "31", "23", "32"}),
    ],
)
def test_isolation_cuts_a_node_off_in_one_way_or_both(way: str, left: set[str]) -> None:
    network = Network()
    network.faults.isolate("n1", way)
    assert network.passing() == left


def test_an_isolated_node_is_cut_off_from_members_it_does_not_know_yet() -> None:
    network = Network()
    network.faults.isolate("n1")
    plan = network.faults.plans()["n1"]
    assert plan.outgoing[EVERYBODY].cut and plan.incoming[EVERYBODY].cut


def test_a_partition_cuts_between_groups_and_spares_those_in_none() -> None:
    network = Network(5)
    network.faults.partition([["n1", "n2"], ["n4", "n5"]])
    cut = {"14", "15", "24", "25", "41", "42", "51", "52"}
    every = {f"{a}{b}" for a in range(1, 6) for b in range(1, 6) if a != b}
    assert network.passing() == every - cut


def test_a_slow_node_delays_what_it_sends_and_what_is_sent_to_it_once() -> None:
    network = Network()
    network.faults.slow("n1", 50, 10)
    late = LinkFault(delay_ms=50, jitter_ms=10)
    plans = network.faults.plans()
    assert plans["n1"] == LinkPlan({EVERYBODY: late, 2: late, 3: late})
    assert plans["n2"] == LinkPlan({1: late})


def test_faults_of_both_ends_add_up() -> None:
    network = Network()
    network.faults.slow("n1", 50)
    network.faults.slow("n2", 30, 5)
    network.faults.lossy("n1", 0.5)
    network.faults.lossy("n2", 0.5)
    assert network.faults.plans()["n1"].outgoing[2] == LinkFault(
        delay_ms=80, jitter_ms=5, loss=0.75
    )


def test_each_node_is_told_its_plan_when_that_changes_and_only_then() -> None:
    network = Network()
    network.faults.isolate("n1")
    network.faults.isolate("n1")
    assert {name: len(plans) for name, plans in network.take_told().items()} == dict.fromkeys(
        network.nodes, 1
    )
    network.faults.heal()
    assert network.take_told() == {name: [WHOLE] for name in network.nodes}


def test_a_node_that_starts_again_begins_with_its_plan() -> None:
    network = Network()
    network.faults.partition([["n1"], ["n2", "n3"]])
    network.take_told()
    found = network.faults.plan_at_start(network.nodes["n1"])
    assert found == LinkPlan({2: CUT, 3: CUT}, {2: CUT, 3: CUT})
    network.faults.refresh()
    assert network.take_told() == {}


def test_a_new_member_is_cut_off_from_an_isolated_one_by_both() -> None:
    network = Network()
    network.faults.isolate("n1")
    network.take_told()
    assert network.faults.plan_at_start(network.grow()) == LinkPlan({1: CUT}, {1: CUT})
    network.faults.refresh()
    assert network.loses("n1", "n4") == network.loses("n4", "n1") == (True, True)
    assert [*network.take_told()] == ["n1"]


def test_a_removed_node_is_cut_off_while_it_runs_and_then_forgotten() -> None:
    network = Network()
    network.faults.isolate("n1")
    network.faults.partition([["n1"], ["n2"]])
    network.nodes["n1"].is_removed = True
    network.faults.refresh()
    assert network.faults.active == ("n1 is isolated", "n1 | n2 are apart")
    network.nodes["n1"].running = False
    network.faults.refresh()
    assert not network.faults.active
    assert network.take_told()["n2"][-1] == WHOLE


def test_nodes_reach_each_other_where_no_way_is_cut() -> None:
    network = Network()
    network.faults.isolate("n1", "in")
    network.faults.lossy("n2", 1.0)
    assert not network.faults.reaches("n1", "n2")
    assert not network.faults.reaches("n3", "n1")
    assert network.faults.reaches("n2", "n3")


def test_one_group_alone_is_cut_off_from_the_rest() -> None:
    network = Network()
    assert network.faults.partition([["n2"]]) == ("n2",)
    assert network.passing() == {"13", "31"}
    assert network.faults.partition([["n1", "n3"]]) == ("n2",)
    assert network.passing() == {"13", "31"}


def test_recording_is_told_to_all_and_once() -> None:
    network = Network()
    network.faults.record(True)
    assert all(node.is_recording for node in network.nodes.values())
    network.nodes["n1"].is_recording = False
    network.faults.record(True)
    assert not network.nodes["n1"].is_recording


def test_what_holds_is_said_in_words_and_what_was_healed() -> None:
    network = Network()
    faults = network.faults
    faults.isolate("n1")
    faults.partition([["n1", "n2"], ["n3"]])
    faults.slow("n2", 50, 10)
    faults.lossy("n3", 0.25)
    assert faults.active == (
        "n1 is isolated",
        "n1, n2 | n3 are apart",
        "n2 is slow: each message takes 50 to 60 ms longer",
        "n3 loses 25 % of its messages",
    )
    assert faults.heal(["n3"]) == ("n1, n2 | n3 are apart", "n3 loses 25 % of its messages")
    assert faults.heal(["n3"]) == ()
    assert faults.heal() == ("n1 is isolated", "n2 is slow: each message takes 50 to 60 ms longer")
    assert not faults.active


@pytest.mark.parametrize(
    ("way", "words"), [("in", "n1 hears no other node"), ("out", "n1 is heard by no other node")]
)
def test_one_way_isolation_has_its_own_words(way: str, words: str) -> None:
    network = Network()
    network.faults.isolate("n1")
    network.faults.isolate("n1", way)
    assert network.faults.active == (words,)


@pytest.mark.parametrize(
    ("fault", "line"),
    [
        (
            lambda faults: faults.isolate("n9"),
            "isolate: there is no member n9; there are n1, n2, n3",
        ),
        (
            lambda faults: faults.isolate("n1", "up"),
            'isolate: a node is isolated both, in or out, not "up"',
        ),
        (
            lambda faults: faults.partition([["n1", "n2", "n3"]]),
            "partition: each side needs a node, for example n1,n2 | n3",
        ),
        (
            lambda faults: faults.partition([["n1"], []]),
            "partition: each side needs a node, for example n1,n2 | n3",
        ),
        (
            lambda faults: faults.partition([["n1"], ["n2", "n1"]]),
            "partition: n1 is named twice",
        ),
        (
            lambda faults: faults.partition([["n1"], ["n9"]]),
            "partition: there is no member n9; there are n1, n2, n3",
        ),
        (
            lambda faults: faults.slow("n1", -5),
            "slow: a delay is 0 to 60000 ms, not -5 ms",
        ),
        (
            lambda faults: faults.slow("n1", 5, 60_001),
            "slow: a jitter is 0 to 60000 ms, not 60001 ms",
        ),
        (
            lambda faults: faults.slow("n1", 0),
            "slow: without a delay n1 is not slow; to end it: heal n1",
        ),
        (
            lambda faults: faults.lossy("n1", 1.5),
            "lossy: a loss is above 0 % and up to 100 %, not 150 %",
        ),
        (
            lambda faults: faults.lossy("n1", 0),
            "lossy: a loss is above 0 % and up to 100 %, not 0 %",
        ),
        (
            lambda faults: faults.heal(["n9"]),
            "heal: there is no member n9; there are n1, n2, n3",
        ),
    ],
)
def test_a_wrong_fault_is_one_line_that_names_it_and_changes_nothing(
    fault: Callable[[LinkFaults], Any], line: str
) -> None:
    network = Network()
    with pytest.raises(LauncherError) as refused:
        fault(network.faults)
    assert str(refused.value) == line
    assert not network.faults.active
    assert not network.take_told()


def test_the_only_member_has_no_links_to_harm() -> None:
    network = Network(1)
    with pytest.raises(LauncherError, match="isolate: n1 is the only member, and has no links"):
        network.faults.isolate("n1")


def test_a_plan_comes_back_from_its_json_as_it_was() -> None:
    network = Network()
    network.faults.slow("n1", 50, 10)
    network.faults.isolate("n2", "out")
    network.faults.lossy("n3", 0.1)
    for plan in network.faults.plans().values():
        assert link_plan_of(plan.document()) == plan
