"""Tape: what pages have been told, numbered, so that a page that was away is told the rest.

What comes by the second (messages, samples) has its own room and does not drive out what happened.
Pure: texts in, texts out.
"""

from __future__ import annotations

from collections import deque
from heapq import merge
from typing import Final, Literal, NamedTuple

Lane = Literal["happenings", "views", "passing"]

KEPT: Final[dict[Lane, int]] = {"happenings": 10_000, "views": 3_000, "passing": 3_000}
"""How many of each are kept. Views come five times a second while something changes, and what is
passing twenty times: the last minutes of both."""


class Item(NamedTuple):
    """One thing that pages are told; `text` is JSON without line breaks."""

    number: int
    text: str


class Tape:
    """The newest items, in the order of their numbers. The first number is 1."""

    def __init__(self) -> None:
        self._lanes: dict[Lane, deque[Item]] = {
            lane: deque(maxlen=items_max) for lane, items_max in KEPT.items()
        }
        self.last = 0

    def add(self, lane: Lane, text: str) -> None:
        """Keep an item."""
        self.last += 1
        self._lanes[lane].append(Item(self.last, text))

    def after(self, number: int) -> list[Item]:
        """The kept items after this number, oldest first."""
        return list(merge(*(_after(lane, number) for lane in self._lanes.values())))


def _after(lane: deque[Item], number: int) -> list[Item]:
    """The end of a lane; it is short where a page is told as things happen."""
    found: list[Item] = []
    for item in reversed(lane):
        if item.number <= number:
            break
        found.append(item)
    found.reverse()
    return found
