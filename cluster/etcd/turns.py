"""Turns: work that comes in any number at once, begun a few pieces in each turn of the loop.

So others are served in between. Refuses to know what the work is.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

Begin = Callable[[], None]


class Turns:
    """Begins up to `at_once` pieces of work in a turn of the loop, in the order of their coming."""

    def __init__(self, loop: asyncio.AbstractEventLoop, at_once: int) -> None:
        self._loop = loop
        self._at_once = at_once
        self._begun = 0
        self._waiting: deque[Begin] = deque()

    def enter(self, begin: Begin) -> None:
        """Begin it in this turn, or in a later one."""
        if not self._begun:
            self._loop.call_soon(self._next_turn)
        self._begun += 1
        if self._begun > self._at_once or self._waiting:
            self._waiting.append(begin)
        else:
            begin()

    def _next_turn(self) -> None:
        waiting = self._waiting
        self._begun = min(self._at_once, len(waiting))
        if waiting:
            self._loop.call_soon(self._next_turn)
        for _ in range(self._begun):
            waiting.popleft()()
