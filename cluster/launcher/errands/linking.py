"""Errands with the links between nodes: isolate, partition, slow, lossy, heal.

Each is done when the nodes that run have confirmed it; a paused one obeys when it goes on. It is
told in the journal as a `fault`: `what` is the name of the errand, `victims` are the nodes that
suffer, of a partition those outside its largest group.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from cluster.launcher.errands.errand import Errand, Until
from cluster.launcher.links.faults import BOTH
from cluster.launcher.nodes.node import NodeProcess
from cluster.launcher.nodes.processes import Processes

CONFIRM_SECONDS: Final = 60.0
"""A node confirms at once. One that starts does so as soon as its interpreter has loaded."""


def isolate(cluster: Processes, nodes: Sequence[NodeProcess], way: str = BOTH) -> Errand[None]:
    """Cut nodes off from all others; `in`: only what is sent to them, `out`: what they send."""
    before = cluster.links.active
    for node in nodes:
        cluster.links.isolate(node.name, way)
    yield from _told(cluster, "isolate", _names(nodes), before)


def partition(cluster: Processes, groups: Sequence[Sequence[NodeProcess]]) -> Errand[None]:
    """Cut all links between nodes of different groups."""
    before = cluster.links.active
    victims = cluster.links.partition([_names(group) for group in groups])
    yield from _told(cluster, "partition", victims, before)


def slow(
    cluster: Processes, nodes: Sequence[NodeProcess], delay_ms: int, jitter_ms: int = 0
) -> Errand[None]:
    """Let each message to and from nodes take longer."""
    before = cluster.links.active
    for node in nodes:
        cluster.links.slow(node.name, delay_ms, jitter_ms)
    yield from _told(cluster, "slow", _names(nodes), before)


def lossy(cluster: Processes, nodes: Sequence[NodeProcess], loss: float) -> Errand[None]:
    """Lose some of the messages to and from nodes."""
    before = cluster.links.active
    for node in nodes:
        cluster.links.lossy(node.name, loss)
    yield from _told(cluster, "lossy", _names(nodes), before)


def heal(cluster: Processes, nodes: Sequence[NodeProcess]) -> Errand[tuple[str, ...]]:
    """Make the links of these nodes whole again, or all links if none is named; what was wrong."""
    healed = cluster.links.heal(_names(nodes))
    if healed:
        victims = _names(nodes)
        links = f"the links of {' and '.join(victims)}" if victims else "all links"
        text = f"{links} are whole again (before: {'; '.join(healed)})"
        cluster.journal.tell("fault", text, what="heal", victims=victims)
    yield from _until_confirmed(cluster)
    return healed


def _told(
    cluster: Processes, what: str, victims: Sequence[str], before: Iterable[str]
) -> Errand[None]:
    """Tell what is wrong now, and wait until the nodes obey."""
    new = [words for words in cluster.links.active if words not in before]
    if new:
        cluster.journal.tell("fault", "; ".join(new), what=what, victims=[*victims])
    yield from _until_confirmed(cluster)


def _until_confirmed(cluster: Processes) -> Errand[None]:
    def is_confirmed() -> bool:
        return all(node.obeys for node in cluster.running)

    text = f"not all nodes have confirmed within {CONFIRM_SECONDS:g} s that their links obey"
    yield Until(is_confirmed, CONFIRM_SECONDS, text)


def _names(nodes: Iterable[NodeProcess]) -> list[str]:
    return [node.name for node in nodes]
