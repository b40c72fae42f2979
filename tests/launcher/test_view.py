"""The view of a cluster of stand-ins: the state of each node in one word, whoever is the cause."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator

import pytest

from cluster.launcher.local import LocalCluster
from cluster.launcher.screens.view import ClusterView, view_of
from cluster.launcher.screens.vitals import Vitals
from tests.cluster.test_launcher_local import STANDIN
from tests.limits import HANG_SECONDS

pytestmark = pytest.mark.process


@pytest.fixture
def cluster() -> Iterator[LocalCluster]:
    """Three stand-ins that are ready; n1 leads."""
    with LocalCluster(3, command=STANDIN) as made:
        yield made


def states(view: ClusterView) -> list[str]:
    return [row.state for row in view.nodes]


def until(cluster: LocalCluster, holds: Callable[[ClusterView], bool]) -> ClusterView:
    """Look again and again until this holds."""
    deadline = time.monotonic() + HANG_SECONDS
    while True:
        cluster.status(timeout_seconds=0.1)
        for node in cluster.running:
            node.notice_stops()
        view = view_of(cluster, cluster.heard_leader, time.monotonic(), Vitals())
        if holds(view):
            return view
        assert time.monotonic() < deadline, view.line()
        cluster.poll(10)


def test_each_node_has_a_state_in_one_word(cluster: LocalCluster) -> None:
    view = until(cluster, lambda view: states(view) == ["leader", "follower", "follower"])
    assert (view.leader, view.links) == ("n1", ())
    os.kill(cluster.node("n3").pid, signal.SIGSTOP)
    until(cluster, lambda view: states(view) == ["leader", "follower", "paused"])
    os.kill(cluster.node("n3").pid, signal.SIGKILL)
    view = until(cluster, lambda view: states(view) == ["leader", "follower", "killed"])
    assert (view.nodes[2].pid, view.nodes[2].term, view.nodes[2].note) == (0, None, "restart n3")
    cluster.launch_node("n3")
    view = view_of(cluster, "n1", time.monotonic(), Vitals())
    assert states(view) == ["leader", "follower", "starting"]


def test_a_node_without_any_whole_link_is_isolated_and_the_links_are_told(
    cluster: LocalCluster,
) -> None:
    cluster.links.isolate("n2", "in")
    view = until(cluster, lambda view: states(view) == ["leader", "isolated", "follower"])
    assert len(view.links) == 1 and "n2" in view.links[0]
    cluster.links.heal()
    cluster.links.partition([["n1", "n2"], ["n3"]])
    until(cluster, lambda view: states(view) == ["leader", "follower", "isolated"])
    cluster.links.heal()
    view = until(cluster, lambda view: states(view) == ["leader", "follower", "follower"])
    assert view.links == ()
