"""Which nodes a word means, and what is said of words that mean none."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest

from cluster.launcher.naming import ENDED, MEMBERS, PAUSED, RUNNING, Fit, choose, find, suggestion
from cluster.launcher.nodes.layout import LauncherError, founder, name_of
from cluster.launcher.nodes.node import NodeProcess
from cluster.launcher.ports import ports_from

FIT = Fit("ready", lambda node: node.name != "n3", lambda node: f"{node.name} is busy")


def some_nodes() -> list[NodeProcess]:
    """Four nodes that were never started."""
    records = [founder(name_of(i), pair) for i, pair in enumerate(ports_from(2379, 4))]
    return [NodeProcess(record, Path("log"), None, str) for record in records]


def chosen(*words: str, leader: str | None = "n1", fit: Fit = FIT, seed: int = 0) -> list[str]:
    return [node.name for node in choose(some_nodes(), words, leader, fit, Random(seed))]


def refusal(*words: str, leader: str | None = "n1", fit: Fit = FIT) -> str:
    with pytest.raises(LauncherError) as caught:
        chosen(*words, leader=leader, fit=fit)
    return str(caught.value)


def test_names_are_read_in_any_case_and_each_once() -> None:
    assert chosen("N2", "n1,n2", "LEADER") == ["n2", "n1"]


def test_all_means_those_that_are_fit() -> None:
    assert chosen("all") == ["n1", "n2", "n4"]


def test_a_follower_never_leads_and_random_takes_each_in_turn() -> None:
    assert {chosen("follower", seed=seed)[0] for seed in range(30)} == {"n2", "n4"}
    assert {chosen("random", seed=seed)[0] for seed in range(30)} == {"n1", "n2", "n4"}
    assert sorted(chosen("random", "random", "random")) == ["n1", "n2", "n4"]
    assert refusal("random", "random", "random", "random") == "no node is ready"


def test_what_means_no_node_is_answered_with_those_there_are() -> None:
    there_are = "there are n1, n2, n3, n4"
    assert refusal("n9") == f"there is no node n9; {there_are}"
    assert refusal("n1", "leadr") == f"there is no node leadr (did you mean leader?); {there_are}"
    assert refusal("leader", leader=None) == "no leader is known just now"
    assert refusal("n1", "n3") == "n3 is busy"


def test_a_node_that_was_not_started_cannot_be_harmed() -> None:
    assert refusal("n1", fit=RUNNING) == "n1 was not started yet: start n1"
    assert refusal("follower", fit=RUNNING) == "no follower is running"
    assert refusal("all", fit=PAUSED) == "no node is paused"
    assert chosen("n1", fit=ENDED) == chosen("n1", fit=MEMBERS) == ["n1"]


def test_a_removed_node_is_gone_for_good() -> None:
    nodes = some_nodes()
    nodes[1].record = nodes[1].record._replace(is_removed=True)
    for fit in (RUNNING, ENDED, PAUSED, MEMBERS):
        with pytest.raises(LauncherError, match="n2 was removed from the cluster for good"):
            choose(nodes, ["n2"], None, fit, Random(0))
    with pytest.raises(LauncherError, match="there are n1, n3, n4"):
        find(nodes, "n7")


def test_only_what_is_much_alike_is_suggested() -> None:
    assert suggestion("KIL", ["kill", "start"]) == " (did you mean kill?)"
    assert suggestion("dance", ["kill", "start"]) == ""
