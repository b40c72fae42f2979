"""Answers that take long to encode, done in portions between turns.

It decides how many wait, whose turn it is, and for how long. Knows nothing of results or sockets:
`replies.py` makes the bytes. Times are milliseconds of the caller's clock.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from typing import Final

from actors.gateway.tickets import Pending
from actors.language.encoding import Packing

ENCODING_MS: Final = 3
"""After 3 ms everything else on the node has its turn."""

ENCODING_MAX: Final = 8
"""At most 8 answers are encoded side by side: each is in memory twice meanwhile."""


class LongAnswers:
    """The long answers of one gateway, with their requests, in `under_way`."""

    def __init__(self) -> None:
        self.under_way: deque[tuple[Pending, Packing]] = deque()

    def begin(self, pending: Pending, packing: Packing) -> bool:
        """Encode an answer from now on; False, and nothing is done, if too many are under way.

        The answer to a change is always taken: the change is made.
        """
        if len(self.under_way) >= ENCODING_MAX and not pending.mutates:
            return False
        self.under_way.append((pending, packing))
        return True

    def work(self, clock: Callable[[], int]) -> Iterator[tuple[Pending, bytes]]:
        """Do a slice of the work, in turns; the answers that are whole then."""
        until_ms = clock() + ENCODING_MS
        while self.under_way:
            pending, packing = self.under_way.popleft()
            try:
                next(packing)
            except StopIteration as end:
                yield pending, end.value
            else:
                self.under_way.append((pending, packing))
            if clock() >= until_ms:
                return
