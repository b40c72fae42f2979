"""Gaps: how long nobody was served, from when requests were sent and when they were answered.

Pure: times are seconds of one clock.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from itertools import pairwise
from math import inf
from typing import NamedTuple


class Gap(NamedTuple):
    """A time without an answer, though one was due."""

    began: float
    ended: float

    @property
    def ms(self) -> float:
        """Its length in milliseconds."""
        return 1000 * (self.ended - self.began)

    def overlap_ms(self, others: Iterable[tuple[float, float]]) -> float:
        """How much of it these times cover, in milliseconds."""
        return sum(
            1000 * max(0.0, min(ended, self.ended) - max(began, self.began))
            for began, ended in others
        )


NO_GAP = Gap(0.0, 0.0)


def longest_gap(answered: Sequence[float], sent: Sequence[float], cause: float) -> Gap:
    """The longest time between two answers that follow each other, the later after the cause.

    Both are in order. Between two answers, nobody was refused before the next request was sent. But
    around the cause, that is when the fault came: whoever had asked right then would have waited.
    """
    longest = NO_GAP
    for before, after in pairwise((-inf, *answered)):
        if after <= cause:
            continue
        began = max(before, cause)
        if before > cause:
            place = bisect_left(sent, before)
            began = sent[place] if place < len(sent) else after
        gap = Gap(began, after)
        if gap.ms > longest.ms:
            longest = gap
    return longest
