"""The commands for the processes of nodes: kill, stop, start, restart, pause, resume."""

from __future__ import annotations

from collections.abc import Sequence

from cluster.launcher.commands.desk import Desk
from cluster.launcher.commands.parsing import Words
from cluster.launcher.commands.told import then_new_leader
from cluster.launcher.errands import running
from cluster.launcher.errands.errand import Errand
from cluster.launcher.naming import ENDED, MEMBERS, MOVING, PAUSED, RUNNING
from cluster.launcher.nodes.node import NodeProcess


def kill(desk: Desk, words: Words) -> Errand[None]:
    """SIGKILL."""
    nodes = desk.nodes("kill", words.plain, RUNNING)
    return _then_leader(desk, nodes, running.kill(nodes))


def stop(desk: Desk, words: Words) -> Errand[None]:
    """SIGTERM."""
    nodes = desk.nodes("stop", words.plain, RUNNING)
    return _then_leader(desk, nodes, running.stop(nodes))


def start(desk: Desk, words: Words) -> Errand[None]:
    """Start what has ended."""
    return running.start(desk.cluster, desk.nodes("start", words.plain, ENDED))


def restart(desk: Desk, words: Words) -> Errand[None]:
    """Stop what runs, then start."""
    return running.restart(desk.cluster, desk.nodes("restart", words.plain, MEMBERS))


def pause(desk: Desk, words: Words) -> Errand[None]:
    """SIGSTOP."""
    nodes = desk.nodes("pause", words.plain, MOVING)
    return _then_leader(desk, nodes, running.pause(nodes))


def resume(desk: Desk, words: Words) -> Errand[None]:
    """SIGCONT."""
    return running.resume(desk.nodes("resume", words.plain, PAUSED))


def _then_leader(desk: Desk, nodes: Sequence[NodeProcess], errand: Errand[None]) -> Errand[None]:
    """If the leader is among the nodes, and the others are enough, wait for the next leader."""
    if desk.leader not in {node.name for node in nodes}:
        return errand

    def can_be_led() -> bool:
        able = [node for node in desk.cluster.voters if node.is_at_work]
        return len(able) >= desk.cluster.quorum

    return then_new_leader(desk, errand, can_be_led)
