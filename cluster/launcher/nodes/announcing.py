"""What is said of a node's process in the journal: that it ended, paused, goes on, or is back."""

from __future__ import annotations

from cluster.launcher.nodes.node import NodeProcess
from cluster.launcher.story.durations import duration
from cluster.launcher.story.journal import Journal


def tell_end(
    journal: Journal, node: NodeProcess, leader: str | None, last_words: str, waiting: str
) -> None:
    """Its process has ended. `waiting`: what the cluster waits for now, if it does."""
    text = f"{_named(node, leader)} {node.ending}"
    if (node.exit_status or 0) > 0 or node.is_removed:
        text += f"; its last words: {last_words}"
    if waiting:
        text += f"; {waiting}"
    journal.tell("died", text, victim=node.name, pid=node.pid, how=node.ending, leader=leader)


def tell_pause(journal: Journal, node: NodeProcess, leader: str | None) -> None:
    """Its process was stopped where it was, or goes on."""
    how = "is paused (SIGSTOP)" if node.is_paused else "goes on (SIGCONT)"
    what = "pause" if node.is_paused else "resume"
    journal.tell("fault", f"{_named(node, leader)} {how}", what=what, victims=[node.name])


def tell_joined(journal: Journal, node: NodeProcess, took_seconds: float, count: str) -> None:
    """It was started, and knows the leader now."""
    how = "has joined" if node.is_new else "is back"
    text = f"{node.name} {how} after {duration(took_seconds)}: {count}"
    journal.tell("back", text, victim=node.name, took_ms=round(took_seconds * 1000, 1))


def _named(node: NodeProcess, leader: str | None) -> str:
    role = "leader, " if node.name == leader else ""
    return f"{node.name} ({role}pid {node.pid})"
