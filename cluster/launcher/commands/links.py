"""The commands for the links between nodes: isolate, partition, slow, lossy, heal."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from cluster.launcher.commands.desk import Desk
from cluster.launcher.commands.parsing import Words, milliseconds, share
from cluster.launcher.commands.told import then_new_leader
from cluster.launcher.errands import linking
from cluster.launcher.errands.errand import Errand
from cluster.launcher.links.faults import BOTH, WAYS
from cluster.launcher.naming import MEMBERS
from cluster.launcher.nodes.layout import LauncherError


def isolate(desk: Desk, words: Words) -> Errand[Any]:
    """Cut nodes off, in both ways or in one."""
    names = tuple(word for word in words.plain if word.casefold() not in WAYS)
    ways = [word.casefold() for word in words.plain if word.casefold() in WAYS]
    if len(ways) > 1:
        raise LauncherError(f"isolate: in or out, not both {ways[0]} and {ways[1]}")
    nodes = desk.nodes("isolate", names, MEMBERS)
    return _then_leader(desk, linking.isolate(desk.cluster, nodes, ways[0] if ways else BOTH))


def partition(desk: Desk, words: Words) -> Errand[Any]:
    """Cut groups off from each other: n1,n2 | n3."""
    if not words.plain:
        raise LauncherError("which groups? For example: partition n1,n2 | n3")
    groups = [tuple(group.replace(",", " ").split()) for group in " ".join(words.plain).split("|")]
    nodes = [desk.cluster.pick(each, MEMBERS) for each in groups]
    return _then_leader(desk, linking.partition(desk.cluster, nodes))


def slow(desk: Desk, words: Words) -> Errand[Any]:
    """Delay the messages of nodes."""
    times, names = _split(words.plain, milliseconds)
    if not 1 <= len(times) <= 2:
        raise LauncherError("slow: by how much? For example: slow n2 50ms, or slow n2 50ms 10ms")
    delay_ms, jitter_ms = (*(round(time) for time in times), 0)[:2]
    nodes = desk.nodes("slow", names, MEMBERS)
    return linking.slow(desk.cluster, nodes, delay_ms, jitter_ms)


def lossy(desk: Desk, words: Words) -> Errand[Any]:
    """Lose messages of nodes."""
    shares, names = _split(words.plain, share)
    if len(shares) != 1:
        raise LauncherError("lossy: how many of its messages? For example: lossy n2 5%")
    return linking.lossy(desk.cluster, desk.nodes("lossy", names, MEMBERS), shares[0])


def heal(desk: Desk, words: Words) -> Errand[Any]:
    """Make links whole again."""
    nodes = desk.nodes("heal", words.plain, MEMBERS) if words.plain else []
    healed = yield from linking.heal(desk.cluster, nodes)
    if not healed:
        desk.say("there was nothing to heal")


def _then_leader(desk: Desk, errand: Errand[Any]) -> Errand[None]:
    """If the leader is cut off from a majority of the voters then, wait for the next leader."""
    cluster, leader = desk.cluster, desk.leader

    def is_cut_off() -> bool:
        if leader is None:
            return False
        others = (node for node in cluster.voters if node.running and node.name != leader)
        return 1 + sum(cluster.links.reaches(leader, node.name) for node in others) < cluster.quorum

    return then_new_leader(desk, errand, is_cut_off)


def _split(
    words: Sequence[str], read: Callable[[str], float]
) -> tuple[list[float], tuple[str, ...]]:
    """The numbers at the end of the words, and the words before them."""
    numbers: list[float] = []
    left = list(words)
    while left:
        try:
            numbers.insert(0, read(left[-1]))
        except ValueError:
            break
        left.pop()
    return numbers, tuple(left)
