"""Errands made of several changes of members: scale a cluster up or down, wipe a node.

A new member learns first: it gets a vote when it has caught up, so the cluster never waits for it.
A member goes only while the others are enough to go on without it.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Sequence
from typing import Final

from cluster.launcher.errands import membership
from cluster.launcher.errands.errand import Errand, Until
from cluster.launcher.errands.running import START_SECONDS, stop
from cluster.launcher.nodes.layout import LauncherError
from cluster.launcher.nodes.node import NodeProcess
from cluster.launcher.nodes.processes import Processes
from cluster.launcher.ports import SIZE_MAX

PROGRESS_SECONDS: Final = 0.2
"""How often the progress of catching up is told, if there is any."""


def scale(cluster: Processes, size: int, seconds: float = START_SECONDS) -> Errand[None]:
    """Add or remove members, one at a time, until there are `size` voters and no others."""
    if not 1 <= size <= SIZE_MAX:
        raise LauncherError(f"scale {size}: a local cluster has 1 to {SIZE_MAX} nodes")
    if [len(cluster.voters), len(cluster.members)] == [size, size]:
        raise LauncherError(f"the cluster has {_voters(size)} already")
    if not cluster.has_quorum:
        raise LauncherError(
            f"{cluster.count()}, and {cluster.quorum} must: without them the cluster cannot agree"
            " on its members; start one first"
        )
    while len(cluster.voters) < size:
        learners = [node for node in cluster.members if node.is_learner and node.running]
        name = learners[0].name if learners else ""
        if not name:
            name = yield from membership.add(cluster, learner=True, seconds=seconds)
        yield from _catch_up(cluster, cluster.node(name), seconds)
        yield from membership.promote(cluster, cluster.node(name), seconds)
        _tell(cluster, size)
    leaving = _those_to_go(cluster, len(cluster.members) - size)
    yield from _move_lead_away(cluster, leaving)
    for node in leaving:
        yield from membership.remove(cluster, node)
        _tell(cluster, size)


def wipe(cluster: Processes, node: NodeProcess, seconds: float = START_SECONDS) -> Errand[None]:
    """Stop a node, delete its data, and let it join again under its name.

    What the node has promised (votes, acknowledged entries) is lost with its data, so it must not
    come back as the same member: another member takes its place in one step, and gets all data.
    """
    if cluster.is_lone(node):
        raise LauncherError(f"{node.name} is the only voter: all data would be lost")
    membership.refuse_to_lose_quorum(cluster.voters, node)
    yield from _move_lead_away(cluster, [node])
    if node.running:
        yield from stop([node])
    if node.is_learner:
        yield from membership.remove(cluster, node)
    _delete_data(cluster, node)
    text = f"{node.name} has lost its data: another member takes its place"
    cluster.journal.tell("progress", text, what="wipe", victim=node.name, done=1, total=2)
    if node.is_learner:
        name = yield from membership.add(
            cluster, node.name, learner=True, in_place_of=node.name, seconds=seconds
        )
    else:
        name = yield from membership.replace(cluster, node, node.name, seconds)
    yield from _catch_up(cluster, cluster.node(name), seconds)
    text = f"{name} has all data again"
    cluster.journal.tell("progress", text, what="wipe", victim=name, done=2, total=2)


def _move_lead_away(cluster: Processes, leaving: Sequence[NodeProcess]) -> Errand[None]:
    """If the leader is among those that go, let another one lead first."""
    leader = cluster.heard_leader
    if leader in {node.name for node in leaving}:
        successor = membership.successor_of(cluster, leader, leaving)
        yield from membership.transfer(cluster, successor)


def _those_to_go(cluster: Processes, count: int) -> list[NodeProcess]:
    """First those that do not run, then learners, then the newest; LauncherError if the others
    would not be enough at any moment."""
    newest_first = reversed(cluster.members)
    leaving = sorted(newest_first, key=lambda node: (node.running, not node.is_learner))[:count]
    left = cluster.voters
    for node in leaving:
        membership.refuse_to_lose_quorum(left, node)
        left = [other for other in left if other is not node]
    return leaving


def _catch_up(cluster: Processes, node: NodeProcess, seconds: float) -> Errand[None]:
    """Wait until a new member has nearly all entries, and tell how far it has come."""
    progress = _Progress(cluster, node)
    otherwise = f"{node.name} did not catch up within {seconds:g} s"
    yield Until(progress.is_done, seconds, otherwise)
    if not node.running:
        raise LauncherError(cluster.failure_of(node))


class _Progress:
    """How far a new member has come on the way to what the others have; told when it has moved."""

    def __init__(self, cluster: Processes, node: NodeProcess) -> None:
        self._cluster = cluster
        self._node = node
        # What the others have applied now: a member that has this lags by no more than an old one.
        applied = (each.status.applied_index for each in cluster.running if each.status)
        self._goal = max(applied, default=0)
        self._told = -1
        self._tell_at = 0.0

    def is_done(self) -> bool:
        """Look once more; whether the member has caught up, or has ended."""
        if not self._node.running:
            return True
        applied = self._node.status.applied_index if self._node.status else 0
        done = min(applied, self._goal)
        now = time.monotonic()
        if done != self._told and (done == self._goal or now >= self._tell_at):
            self._told, self._tell_at = done, now + PROGRESS_SECONDS
            text = f"{self._node.name} catches up: {done} of {self._goal} entries"
            fields = {"victim": self._node.name, "done": done, "total": self._goal}
            self._cluster.journal.tell("progress", text, what="catch-up", **fields)
        return done == self._goal


def _delete_data(cluster: Processes, node: NodeProcess) -> None:
    try:
        shutil.rmtree(cluster.directory.node_directory(node.name))
    except FileNotFoundError:
        pass
    except OSError as error:
        raise LauncherError(f"cannot delete the data of {node.name}: {error.strerror}") from None


def _tell(cluster: Processes, size: int) -> None:
    done = len(cluster.voters)
    text = f"the cluster has {_voters(done)}"
    cluster.journal.tell("progress", text, what="scale", victim="", done=done, total=size)


def _voters(size: int) -> str:
    return "1 voter" if size == 1 else f"{size} voters"
