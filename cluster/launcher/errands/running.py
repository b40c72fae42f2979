"""Errands with the processes of nodes: kill, stop, start, restart, pause, resume.

The members of the cluster stay the same. What comes of it is told by whoever watches the processes.
"""

from __future__ import annotations

import signal
from collections.abc import Sequence
from functools import partial
from typing import Final

from cluster.launcher.errands.errand import Errand, Until
from cluster.launcher.nodes.layout import LauncherError
from cluster.launcher.nodes.node import NodeProcess
from cluster.launcher.nodes.processes import KILL_SECONDS, STOP_SECONDS, Processes

START_SECONDS: Final = 120.0


def kill(nodes: Sequence[NodeProcess]) -> Errand[None]:
    """SIGKILL, all at the same moment; wait until they are gone."""
    for node in nodes:
        node.signal(signal.SIGKILL)
    yield from _until_ended(nodes, KILL_SECONDS, "SIGKILL")


def stop(nodes: Sequence[NodeProcess], seconds: float = STOP_SECONDS) -> Errand[None]:
    """SIGTERM: a leader hands over first. Wait for the ends."""
    for node in nodes:
        node.end_is_meant = True
        node.signal(signal.SIGTERM)
        if node.is_paused:
            node.resume()  # otherwise it would stop when somebody lets it go on
    yield from _until_ended(nodes, seconds, "SIGTERM")


def start(
    cluster: Processes, nodes: Sequence[NodeProcess], seconds: float = START_SECONDS
) -> Errand[None]:
    """Start ended nodes; wait until each has found the leader, if the cluster can have one."""
    for node in nodes:
        cluster.launch_node(node.name)
    for node in nodes:
        yield from until_joined(cluster, node, seconds)


def restart(
    cluster: Processes, nodes: Sequence[NodeProcess], seconds: float = START_SECONDS
) -> Errand[None]:
    """Stop the nodes that run, then start all of them."""
    yield from stop([node for node in nodes if node.running])
    yield from start(cluster, nodes, seconds)


def pause(nodes: Sequence[NodeProcess]) -> Errand[None]:
    """SIGSTOP: the nodes and their fronts hang, with all their connections open."""
    for node in nodes:
        node.pause()
    for node in nodes:
        text = f"{node.name} did not stop within {KILL_SECONDS:g} s of SIGSTOP"
        yield Until(partial(_is_still, node), KILL_SECONDS, text)


def resume(nodes: Sequence[NodeProcess]) -> Errand[None]:
    """SIGCONT: paused nodes go on."""
    for node in nodes:
        node.resume()
    for node in nodes:
        text = f"{node.name} did not go on within {KILL_SECONDS:g} s of SIGCONT"
        yield Until(partial(_is_moving, node), KILL_SECONDS, text)


def until_joined(cluster: Processes, node: NodeProcess, seconds: float) -> Errand[None]:
    """Wait until a started node knows the leader, or answers while there can be no leader."""

    def joined() -> bool:
        if not node.running:
            return True
        return not node.is_joining or (node.status is not None and not cluster.has_quorum)

    yield Until(joined, seconds, f"{node.name} did not find a leader within {seconds:g} s")
    if not node.running:
        raise LauncherError(cluster.failure_of(node))


def _until_ended(nodes: Sequence[NodeProcess], seconds: float, how: str) -> Errand[None]:
    for node in nodes:
        text = f"{node.name} did not stop within {seconds:g} s of {how}"
        yield Until(partial(_has_ended, node), seconds, text)


def _has_ended(node: NodeProcess) -> bool:
    return not node.running


def _is_still(node: NodeProcess) -> bool:
    return node.is_paused or not node.running


def _is_moving(node: NodeProcess) -> bool:
    return not node.is_paused
