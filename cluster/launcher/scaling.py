"""Errands made of several changes of members: scale a cluster up or down, wipe a node.

A new member learns first: it gets a vote when it has caught up, so the cluster never waits for it.
A member goes only while the others are enough to go on without it.
"""

from __future__ import annotations

import shutil
import time
from typing import Final

from cluster.launcher import membership
from cluster.launcher.errands import Errand, Until
from cluster.launcher.layout import LauncherError
from cluster.launcher.node import NodeProcess
from cluster.launcher.ports import SIZE_MAX
from cluster.launcher.processes import Processes
from cluster.launcher.running import START_SECONDS, stop

LAG_ENTRIES_MAX: Final = 100
"""A learner that lags by no more entries has caught up."""

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
        _tell(cluster, "scale", name, len(cluster.voters), size)
    while len(cluster.members) > size:
        leaving = _next_to_go(cluster)
        if leaving.name == cluster.heard_leader:
            yield from _move_lead_away(cluster, leaving)
        yield from membership.remove(cluster, leaving)
        _tell(cluster, "scale", leaving.name, len(cluster.members), size)


def wipe(cluster: Processes, node: NodeProcess, seconds: float = START_SECONDS) -> Errand[None]:
    """Stop a node, delete its data, and let it join again under its name.

    What the node has promised (votes, acknowledged entries) is lost with its data, so it must not
    come back as the same member: another member takes its place in one step, and gets all data.
    """
    if cluster.is_lone(node):
        raise LauncherError(f"{node.name} is the only voter: all data would be lost")
    membership.refuse_to_lose_quorum(cluster, node)
    if node.name == cluster.heard_leader:
        yield from _move_lead_away(cluster, node)
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


def _move_lead_away(cluster: Processes, node: NodeProcess) -> Errand[None]:
    yield from membership.transfer(cluster, membership.successor_of(cluster, node.name))


def _next_to_go(cluster: Processes) -> NodeProcess:
    """First one that does not run, then a learner, then the newest that does not lead."""
    leader = cluster.heard_leader
    order = {node.name: place for place, node in enumerate(cluster.members)}

    def rank(node: NodeProcess) -> tuple[bool, bool, bool, int]:
        return (not node.running, node.is_learner, node.name != leader, order[node.name])

    return max(cluster.members, key=rank)


def _catch_up(cluster: Processes, node: NodeProcess, seconds: float) -> Errand[None]:
    """Wait until a new member has nearly all entries, and tell how far it has come."""
    progress = _Progress(cluster, node)
    otherwise = f"{node.name} did not catch up within {seconds:g} s"
    yield Until(progress.is_done, seconds, otherwise)
    if not node.running:
        raise LauncherError(cluster.failure_of(node))


class _Progress:
    """How far a new member has caught up with the leader; told when it has moved."""

    def __init__(self, cluster: Processes, node: NodeProcess) -> None:
        self._cluster = cluster
        self._node = node
        self._told = -1
        self._tell_at = 0.0

    def is_done(self) -> bool:
        """Look once more; whether the member has caught up, or has ended."""
        if not self._node.running:
            return True
        applied = max(
            (each.status.applied_index for each in self._cluster.running if each.status), default=0
        )
        own = self._node.status.applied_index if self._node.status else 0
        done = self._node.status is not None and 0 < applied <= own + LAG_ENTRIES_MAX
        now = time.monotonic()
        if applied and own != self._told and (done or now >= self._tell_at):
            self._told, self._tell_at = own, now + PROGRESS_SECONDS
            text = f"{self._node.name} catches up: {own} of {applied} entries"
            self._cluster.journal.tell(
                "progress", text, what="catch-up", victim=self._node.name, done=own, total=applied
            )
        return done


def _delete_data(cluster: Processes, node: NodeProcess) -> None:
    try:
        shutil.rmtree(cluster.directory.node_directory(node.name))
    except FileNotFoundError:
        pass
    except OSError as error:
        raise LauncherError(f"cannot delete the data of {node.name}: {error.strerror}") from None


def _tell(cluster: Processes, what: str, name: str, done: int, size: int) -> None:
    text = f"the cluster has {_voters(len(cluster.voters))}"
    cluster.journal.tell("progress", text, what=what, victim=name, done=done, total=size)


def _voters(size: int) -> str:
    return "1 voter" if size == 1 else f"{size} voters"
