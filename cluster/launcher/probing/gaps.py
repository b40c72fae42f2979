"""Gaps: how long nobody was served, from when requests were sent and when they were answered.

Pure: times are seconds of one clock.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from itertools import pairwise
from math import inf
from typing import NamedTuple


class Gap(NamedTuple):
    """A time in which somebody asked in vain."""

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


def longest_gap(answered: Iterable[float], sent: Iterable[float], cause: float) -> Gap:
    """The longest time between two answers that follow each other, the later after the cause.

    Between two answers, nobody was refused before the next request was sent. But around the cause
    the gap begins with the cause: whoever had asked right then would have waited.
    """
    asked = sorted(sent)
    longest = NO_GAP
    for before, after in pairwise((-inf, *sorted(answered))):
        if after <= cause:
            continue
        began = max(before, cause)
        if before > cause:
            place = bisect_left(asked, before)
            began = asked[place] if place < len(asked) else after
        longest = max(longest, Gap(began, after), key=lambda gap: gap.ms)
    return longest
