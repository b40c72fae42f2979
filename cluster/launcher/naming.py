"""Which nodes a user means: names in any case, `leader`, `follower`, `random`, `all`.

It owns the precise answer for each wrong choice, and refuses to do anything to a node.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Sequence
from random import Random
from typing import Final, NamedTuple

from cluster.launcher.nodes.layout import GROUPS, LauncherError
from cluster.launcher.nodes.node import NodeProcess

SIMILARITY: Final = 0.6
"""From this likeness on (0 to 1, as difflib has it) another word is suggested."""


class Fit(NamedTuple):
    """The nodes that a command can be for: `word` names them, `why_not` tells of any other one."""

    word: str
    holds: Callable[[NodeProcess], bool]
    why_not: Callable[[NodeProcess], str]


def _ended(node: NodeProcess) -> str:
    """Why nothing can be done to the process of this node, and what can be done about that."""
    if node.is_removed:
        return gone(node)
    if not node.pid:
        return f"{node.name} was not started yet: start {node.name}"
    how = "is already stopped" if (node.exit_status or 0) == 0 else f"already {node.ending}"
    return f"{node.name} {how}: start {node.name} brings it back"


def gone(node: NodeProcess) -> str:
    """What is said of a removed node."""
    return f"{node.name} was removed from the cluster for good: add another node"


RUNNING: Final = Fit("running", lambda node: node.running, _ended)

ENDED: Final = Fit(
    "stopped",
    lambda node: not node.running and not node.is_removed,
    lambda node: gone(node) if node.is_removed else f"{node.name} already runs (pid {node.pid})",
)

MOVING: Final = Fit(
    "running",
    lambda node: node.is_at_work,
    lambda node: (
        f"{node.name} is already paused: resume {node.name} lets it go on"
        if node.running
        else _ended(node)
    ),
)

PAUSED: Final = Fit(
    "paused",
    lambda node: node.running and node.is_paused,
    lambda node: f"{node.name} is not paused" if node.running else _ended(node),
)

MEMBERS: Final = Fit("a member", lambda node: not node.is_removed, gone)

LEARNERS: Final = Fit(
    "a learner",
    lambda node: node.is_learner and not node.is_removed,
    lambda node: gone(node) if node.is_removed else f"{node.name} is already a voter",
)


def choose(
    nodes: Sequence[NodeProcess],
    words: Iterable[str],
    leader: str | None,
    fit: Fit,
    chooser: Random,
) -> list[NodeProcess]:
    """The nodes that these words mean, each once; LauncherError unless every one is fit.

    A word may have several names with commas between. `all` means all that are fit; `follower` and
    `random` mean one of them, which no earlier word has named.
    """
    chosen: dict[str, NodeProcess] = {}
    for word in filter(None, ",".join(words).split(",")):
        for node in _meant(nodes, word, leader, fit, chooser, chosen):
            if not fit.holds(node):
                raise LauncherError(fit.why_not(node))
            chosen[node.name] = node
    return list(chosen.values())


def find(nodes: Sequence[NodeProcess], word: str) -> NodeProcess:
    """The node of this name, in any case of letters."""
    for node in nodes:
        if node.name.casefold() == word.casefold():
            return node
    names = [node.name for node in nodes if not node.is_removed]
    meant = suggestion(word, [*names, *GROUPS])
    raise LauncherError(f"there is no node {word}{meant}; there are {', '.join(names)}")


def suggestion(word: str, known: Iterable[str]) -> str:
    """The words ` (did you mean X?)`, or none if no known word is much like it."""
    close = difflib.get_close_matches(word.casefold(), list(known), 1, SIMILARITY)
    return f" (did you mean {close[0]}?)" if close else ""


def _meant(
    nodes: Sequence[NodeProcess],
    word: str,
    leader: str | None,
    fit: Fit,
    chooser: Random,
    chosen: Iterable[str],
) -> list[NodeProcess]:
    if word.casefold() not in GROUPS:
        return [find(nodes, word)]
    group = word.casefold()
    if group == "leader":
        if leader is None:
            raise LauncherError("no leader is known just now")
        return [find(nodes, leader)]
    left = [node for node in nodes if fit.holds(node) and node.name not in chosen]
    if group == "follower":
        left = [node for node in left if node.name != leader and not node.is_learner]
    if not left:
        raise LauncherError(f"no {'follower' if group == 'follower' else 'node'} is {fit.word}")
    return left if group == "all" else [chooser.choice(left)]
