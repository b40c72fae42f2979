"""Neighbours: which members no longer hear each other, and which do again, a sentence for each.

A node that is cut off, or that hangs, loses all others, and they lose it: that is one change. Pure.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping
from math import inf
from typing import Final, NamedTuple

from cluster.launcher.story.happenings import CONNECTION, Happening
from cluster.launcher.story.words import all_of

GATHER_SECONDS: Final = 1.0
"""What is told within this time about the same node becomes one line: members notice that another
one is silent at different times."""

AGAIN_SECONDS: Final = 10.0
LOSSES_TOLD: Final = 2
"""When two nodes lose each other again and again, this number of losses is told, and what they do
within AGAIN_SECONDS from the last of these on is counted."""

ENDED_SECONDS: Final = 2.0
"""A node that is missed this near to its end is not missed for another reason."""

Pair = frozenset[str]


class NeighbourChange(NamedTuple):
    """One sentence; `nodes` are those that it is about, the most concerned first."""

    text: str
    nodes: tuple[str, ...]
    last: Happening


class NeighbourNews:
    """What nodes told of each other in the last moments."""

    def __init__(self) -> None:
        self._lost: list[Happening] = []
        self._found: list[Happening] = []
        # Of each two nodes: those that were told to be apart, and when that was told, the last time
        # and the times before.
        self._apart: set[Pair] = set()
        self._told_at: dict[Pair, deque[float]] = {}
        # What two nodes did since, if they come and go: whether they found each other, each time.
        self._held_back: dict[Pair, list[tuple[bool, Happening]]] = {}

    @property
    def due(self) -> float:
        """When `take` has something."""
        dues = [told[0].at + GATHER_SECONDS for told in (self._lost, self._found) if told]
        dues += [self._told_at[pair][-1] + AGAIN_SECONDS for pair in self._held_back]
        return min(dues, default=inf)

    def lost(self, happening: Happening) -> None:
        """A node no longer hears another one."""
        self._lost.append(happening)

    def found(self, happening: Happening) -> None:
        """A node hears another one again."""
        self._found.append(happening)

    def take(self, now: float, ended_at: Mapping[str, float]) -> list[NeighbourChange]:
        """The changes that are complete by now, but not those that an end explains."""
        changes: list[NeighbourChange] = []
        if self._lost and self._lost[0].at + GATHER_SECONDS <= now:
            told, self._lost = self._lost, []
            news = [each for each in told if not _is_explained(each, ended_at)]
            changes += [_lost_of(*group) for group in _by_node(self._news(news, False, now))]
        if self._found and self._found[0].at + GATHER_SECONDS <= now:
            told, self._found = self._found, []
            changes += [_found_of(*group) for group in _by_node(self._news(told, True, now))]
        return changes + self._summed_up(now)

    def _news(self, told: list[Happening], is_good: bool, now: float) -> list[Happening]:
        """What is told at once: that two lost each other, and found each other again."""
        news = []
        for pair in dict.fromkeys(map(_pair, told)):
            of_pair = [each for each in told if _pair(each) == pair]
            if pair in self._held_back:
                self._held_back[pair].append((is_good, of_pair[-1]))
            elif is_good != (pair in self._apart):
                continue  # the other one has told it, or the end of a process says it all
            elif is_good or not self._comes_and_goes(pair, now):
                self._note(pair, is_good, now)
                news += of_pair
            else:
                self._held_back[pair] = [(is_good, of_pair[-1])]
        return news

    def _comes_and_goes(self, pair: Pair, now: float) -> bool:
        """Whether two nodes have lost each other too often to tell it each time."""
        told_at = self._told_at.get(pair)
        if told_at is None or len(told_at) < LOSSES_TOLD:
            return False
        return now < told_at[0] + AGAIN_SECONDS

    def _note(self, pair: Pair, is_good: bool, now: float) -> None:
        if is_good:
            self._apart.discard(pair)
        else:
            self._apart.add(pair)
            self._told_at.setdefault(pair, deque(maxlen=LOSSES_TOLD)).append(now)

    def _summed_up(self, now: float) -> list[NeighbourChange]:
        """What was held back for long enough: the last change, and how often two came and went."""
        lasts: dict[bool, list[Happening]] = {True: [], False: []}
        most = 0
        for pair, changes in list(self._held_back.items()):
            if self._told_at[pair][-1] + AGAIN_SECONDS <= now:
                del self._held_back[pair]
                is_good, last = changes[-1]
                self._note(pair, is_good, now)
                lasts[is_good].append(last)
                most = max(most, sum(not good for good, _ in changes))
        groups = [_found_of(*group) for group in _by_node(lasts[True])]
        groups += [_lost_of(*group) for group in _by_node(lasts[False])]
        times = f" ({most} times in {AGAIN_SECONDS:.0f} s)" if most > 1 else ""
        return [change._replace(text=change.text + times) for change in groups]


def _pair(told: Happening) -> Pair:
    return frozenset((told.source, told.fields["peer"]))


def _is_explained(lost: Happening, ended_at: Mapping[str, float]) -> bool:
    return any(abs(lost.at - ended_at.get(node, -inf)) < ENDED_SECONDS for node in _pair(lost))


def _by_node(told: list[Happening]) -> list[tuple[str, list[Happening]]]:
    """What was told, by the nodes that it is about: first those that most of it is about."""
    groups = []
    while told:
        peers = Counter(each.fields["peer"] for each in told)
        counts = peers + Counter(each.source for each in told)
        # Of two that lost each other, it is about the one that is missed.
        node = max(counts, key=lambda name: (counts[name], peers[name]))
        groups.append((node, [each for each in told if node in _pair(each)]))
        told = [each for each in told if node not in _pair(each)]
    return groups


def _sides(node: str, group: list[Happening]) -> tuple[list[str], list[str], list[str]]:
    """Who told it of the node, of whom the node told it, and all of them."""
    by_others = dict.fromkeys(each.source for each in group if each.source != node)
    of_others = dict.fromkeys(each.fields["peer"] for each in group if each.source == node)
    return list(by_others), list(of_others), sorted({*by_others, *of_others})


def _lost_of(node: str, group: list[Happening]) -> NeighbourChange:
    by_others, of_others, both = _sides(node, group)
    if by_others and of_others:
        text = f"{node} is apart from {all_of(both)}: neither side hears the other"
    elif of_others:
        text = f"{node} does not hear {all_of(of_others)} any more"
    elif all(each.fields["how"] == CONNECTION for each in group):
        text = f"the connections of {all_of(by_others)} to {node} broke"
    else:
        text = f"{node} does not answer {all_of(by_others)} any more"
    return NeighbourChange(text, (node, *both), group[-1])


def _found_of(node: str, group: list[Happening]) -> NeighbourChange:
    by_others, of_others, both = _sides(node, group)
    away = f"after {max(each.fields['away_ms'] for each in group) / 1000:.1f} s"
    if by_others and of_others:
        text = f"{node} is together with {all_of(both)} again, {away}"
    elif of_others:
        text = f"{node} hears {all_of(of_others)} again, {away}"
    else:
        hear = "hears" if len(by_others) == 1 else "hear"
        text = f"{all_of(by_others)} {hear} {node} again, {away}"
    return NeighbourChange(text, (node, *both), group[-1])
