"""The commands for the members of the cluster: transfer, add, promote, remove, scale, wipe."""

from __future__ import annotations

from typing import Any, Final

from cluster.launcher.commands.desk import Desk
from cluster.launcher.commands.parsing import Words
from cluster.launcher.commands.told import then_new_leader
from cluster.launcher.errands import membership, scaling
from cluster.launcher.errands.errand import Errand
from cluster.launcher.naming import LEARNERS, MEMBERS, RUNNING
from cluster.launcher.nodes.layout import LauncherError
from cluster.launcher.secure.pasting import endpoints_lines

LEARNER: Final = "learner"


def transfer(desk: Desk, words: Words) -> Errand[Any]:
    """Let the leader hand over."""
    node = desk.node("transfer", words.plain, RUNNING) if words.plain else None
    return then_new_leader(desk, membership.transfer(desk.cluster, node), lambda: True)


def add(desk: Desk, words: Words) -> Errand[Any]:
    """Add a voter, or a learner; with the name that is given."""
    names = [word for word in words.plain if word.casefold() != LEARNER]
    if len(names) > 1:
        raise LauncherError(f"one node at a time: add {names[0]}")
    learner = len(names) < len(words.plain) or bool(words.options.get(LEARNER))
    name = names[0] if names else None
    return _then_endpoints(desk, membership.add(desk.cluster, name, learner=learner))


def promote(desk: Desk, words: Words) -> Errand[Any]:
    """Give a learner a vote."""
    node = desk.node("promote", words.plain, LEARNERS)
    return _then_endpoints(desk, membership.promote(desk.cluster, node))


def remove(desk: Desk, words: Words) -> Errand[Any]:
    """Take a member out."""
    node = desk.node("remove", words.plain, MEMBERS)
    return _then_endpoints(desk, membership.remove(desk.cluster, node))


def scale(desk: Desk, words: Words) -> Errand[Any]:
    """Add or remove members until there are that many."""
    if len(words.plain) != 1 or not words.plain[0].isdecimal() or len(words.plain[0]) > 9:
        raise LauncherError("how many voters? For example: scale 5")
    return _then_endpoints(desk, scaling.scale(desk.cluster, int(words.plain[0])))


def wipe(desk: Desk, words: Words) -> Errand[Any]:
    """Delete a node's data, and let it join again."""
    node = desk.node("wipe", words.plain, MEMBERS)
    return _then_endpoints(desk, scaling.wipe(desk.cluster, node))


def _then_endpoints(desk: Desk, change: Errand[Any]) -> Errand[None]:
    """Do it, and say how clients find the cluster from now on."""
    before = desk.cluster.endpoints
    yield from change
    if desk.cluster.endpoints != before:
        for line in endpoints_lines(desk.cluster.endpoints, desk.cluster.secure):
            desk.say(line)
