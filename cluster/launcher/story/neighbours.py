"""Neighbours: which members no longer hear each other, and which do again, a sentence for each.

A node that is cut off, or that hangs, loses all others, and they lose it: that is one change. Pure.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from math import inf
from typing import Final, NamedTuple

from cluster.launcher.story.happenings import Happening
from cluster.launcher.story.words import all_of

GATHER_SECONDS: Final = 0.5
"""What is told within this time about the same node becomes one line: members notice that another
one is silent at different times."""

AGAIN_SECONDS: Final = 10.0
"""What a node that comes and goes does within this time after a line about it is only counted."""

ENDED_SECONDS: Final = 2.0
"""A node that is missed this near to its end is not missed for another reason."""

CONNECTION: Final = "connection"


class NeighbourChange(NamedTuple):
    """One sentence; `of` is the node that it is most about, `nodes` are all of them.

    `is_good`: they hear each other again.
    """

    text: str
    of: str
    nodes: tuple[str, ...]
    last: Happening
    is_good: bool


class NeighbourNews:
    """What nodes told of each other in the last moments."""

    def __init__(self) -> None:
        self._lost: list[Happening] = []
        self._found: list[Happening] = []
        # When the last loss of a node was told, and whether its last line was good.
        self._lost_at: dict[str, float] = {}
        self._was_good: dict[str, bool] = {}
        self._held_back: dict[str, list[NeighbourChange]] = {}

    @property
    def due(self) -> float:
        """When `take` has something."""
        dues = [told[0].at + GATHER_SECONDS for told in (self._lost, self._found) if told]
        dues += [self._lost_at[node] + AGAIN_SECONDS for node in self._held_back]
        return min(dues, default=inf)

    def lost(self, happening: Happening) -> None:
        """A node no longer hears another one."""
        self._lost.append(happening)

    def found(self, happening: Happening) -> None:
        """A node hears another one again."""
        self._found.append(happening)

    def take(self, now: float, ended_at: Mapping[str, float]) -> list[NeighbourChange]:
        """The changes that are complete by now, but not those that an end explains."""
        changes = []
        if self._lost and self._lost[0].at + GATHER_SECONDS <= now:
            told, self._lost = self._lost, []
            told = [each for each in told if not _is_explained(each, ended_at)]
            changes += [_lost_of(node, group) for node, group in _by_node(told)]
        if self._found and self._found[0].at + GATHER_SECONDS <= now:
            told, self._found = self._found, []
            changes += [_found_of(node, group) for node, group in _by_node(told)]
        return [*self._sparsely(changes, now), *self._summed_up(now)]

    def _sparsely(self, changes: list[NeighbourChange], now: float) -> list[NeighbourChange]:
        """What is told at once: the first loss of a node, and that it was found again."""
        told = []
        for change in changes:
            node = change.of
            is_new = self._lost_at.get(node, -inf) + AGAIN_SECONDS <= now
            if node in self._held_back:
                self._held_back[node].append(change)
            elif is_new or (change.is_good and not self._was_good[node]):
                self._note(change, now)
                told.append(change)
            elif self._was_good[node]:
                self._held_back[node] = [change]
        return told

    def _note(self, change: NeighbourChange, now: float) -> None:
        self._was_good[change.of] = change.is_good
        if not change.is_good:
            self._lost_at[change.of] = now

    def _summed_up(self, now: float) -> list[NeighbourChange]:
        """What was held back for long enough: a node's last change, and how often it came."""
        told = []
        for node, changes in list(self._held_back.items()):
            if self._lost_at[node] + AGAIN_SECONDS <= now:
                del self._held_back[node]
                self._lost_at[node] = now
                self._was_good[node] = changes[-1].is_good
                last, losses = changes[-1], sum(not change.is_good for change in changes)
                times = f" ({losses} times in {AGAIN_SECONDS:.0f} s)" if losses > 1 else ""
                told.append(last._replace(text=last.text + times))
        return told


def _is_explained(lost: Happening, ended_at: Mapping[str, float]) -> bool:
    return abs(lost.at - ended_at.get(lost.fields["peer"], -inf)) < ENDED_SECONDS


def _by_node(told: list[Happening]) -> list[tuple[str, list[Happening]]]:
    """What was told, by the nodes that it is about: first those that most of it is about."""
    groups = []
    while told:
        peers = Counter(each.fields["peer"] for each in told)
        counts = peers + Counter(each.source for each in told)
        # Of two that lost each other, it is about the one that is missed.
        node = max(counts, key=lambda name: (counts[name], peers[name]))
        groups.append((node, [each for each in told if node in (each.source, each.fields["peer"])]))
        told = [each for each in told if node not in (each.source, each.fields["peer"])]
    return groups


def _sides(node: str, group: list[Happening]) -> tuple[list[str], list[str]]:
    """Who told it of the node, and of whom the node told it."""
    by_others = dict.fromkeys(each.source for each in group if each.source != node)
    of_others = dict.fromkeys(each.fields["peer"] for each in group if each.source == node)
    return list(by_others), list(of_others)


def _lost_of(node: str, group: list[Happening]) -> NeighbourChange:
    by_others, of_others = _sides(node, group)
    both = list(dict.fromkeys([*by_others, *of_others]))
    if by_others and of_others:
        text = f"{node} is apart from {all_of(both)}: neither side hears the other"
    elif of_others:
        text = f"{node} does not hear {all_of(of_others)} any more"
    elif all(each.fields["how"] == CONNECTION for each in group):
        text = f"the connections of {all_of(by_others)} to {node} broke"
    else:
        text = f"{node} does not answer {all_of(by_others)} any more"
    return NeighbourChange(text, node, (node, *both), group[-1], is_good=False)


def _found_of(node: str, group: list[Happening]) -> NeighbourChange:
    by_others, of_others = _sides(node, group)
    both = list(dict.fromkeys([*by_others, *of_others]))
    away = f"after {max(each.fields['away_ms'] for each in group) / 1000:.1f} s"
    if by_others and of_others:
        text = f"{node} is together with {all_of(both)} again, {away}"
    elif of_others:
        text = f"{node} hears {all_of(of_others)} again, {away}"
    else:
        hear = "hears" if len(by_others) == 1 else "hear"
        text = f"{all_of(by_others)} {hear} {node} again, {away}"
    return NeighbourChange(text, node, (node, *both), group[-1], is_good=True)
