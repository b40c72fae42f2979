"""A batch of very many events, told in portions between turns; what follows it waits here.

All events of one revision reach a client in one reply (or in the fragments that it asked for), so a
deletion of a million keys is one batch. It decides when a turn ends. Which watch sees what is the
hub's, and the bytes are `frames.py`'s. Times are milliseconds of the caller's clock.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from actors.language.inboxes import ToWatch
from actors.language.messages import Connection

Frames = list[tuple[Connection, bytes]]
"""Replies, each with its connection."""

EVENTS_AT_ONCE: Final = 1_000
"""A batch of more events is told in portions."""

TELLING_MS: Final = 3
TELLING_STEPS_MAX: Final = 256
"""After 3 ms, or 256 steps, a turn ends: everything else on the node has its turn."""


class LongBatch:
    """The batch under way at one node, if there is one."""

    def __init__(self, steps_max: int = TELLING_STEPS_MAX) -> None:
        self._steps_max = steps_max
        self._telling: Iterator[Frames] = iter(())
        self._waiting: list[ToWatch] = []
        # Whether a batch is being told, and everything else but a tick has to wait.
        self.is_under_way = False

    def begin(self, telling: Iterator[Frames]) -> None:
        """Tell a batch: each step gives the frames that it has made, perhaps none."""
        self._telling, self.is_under_way = telling, True

    def hold(self, message: ToWatch) -> None:
        """Keep a message until the batch is told."""
        self._waiting.append(message)

    def work(self, clock: Callable[[], int], bytes_max: int) -> Frames:
        """Do a slice of the work; returns the frames that are whole then.

        The last frame may be the one that crosses `bytes_max`.
        """
        until_ms = clock() + TELLING_MS
        told: Frames = []
        size = 0
        for _ in range(self._steps_max):
            frames = next(self._telling, None)
            if frames is None:
                self.is_under_way = False
                break
            told += frames
            size += sum([len(frame) for _, frame in frames])
            if size >= bytes_max or clock() >= until_ms:
                break
        return told

    def take_waiting(self) -> list[ToWatch]:
        """The messages that have waited, in order."""
        waiting, self._waiting = self._waiting, []
        return waiting
