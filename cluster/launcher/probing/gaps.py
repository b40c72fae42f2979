"""Gaps: how long nobody was served, from when requests were sent and when they were answered.

Pure: times are seconds of one clock.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from itertools import accumulate
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


def longest_gap(served: Iterable[tuple[float, float]], sent: Iterable[float], cause: float) -> Gap:
    """The longest wait of somebody who begins to ask at or after the cause, and asks again and
    again: until the first answer to a request that was sent then or later.

    `served` are the times at which answered requests were sent and answered, `sent` those at which
    all requests were. An answer to what was sent before does not shorten the wait: it only shows
    that somebody was served earlier. And one request that takes long makes no gap while later ones
    are answered.
    """
    after = sorted(times for times in served if times[0] >= cause)
    begins = [began for began, _ in after]
    # The first answer among this request and all later ones.
    first_ends = list(accumulate(reversed([ended for _, ended in after]), min))[::-1]
    longest = NO_GAP
    for start in (cause, *(at for at in sent if at > cause)):
        place = bisect_left(begins, start)
        if place < len(begins):
            gap = Gap(start, first_ends[place])
            longest = max(longest, gap, key=lambda each: each.ms)
    return longest
