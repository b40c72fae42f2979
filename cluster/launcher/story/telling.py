"""Storyteller: tells in the journal what several happenings in it mean.

A part of the launcher's main loop.
"""

from __future__ import annotations

from collections.abc import Iterable, Set

from cluster.launcher.story.explaining import Explaining
from cluster.launcher.story.happenings import LAUNCHER, Happening
from cluster.launcher.story.journal import Journal


class Storyteller:
    """Reads a journal, and adds a happening of the kind "explained" for each change."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._explaining = Explaining()
        self._forget = journal.read_by(self._explaining.hear)

    @property
    def due(self) -> float:
        """When `serve` must be called next (time.monotonic seconds)."""
        return self._explaining.due

    def fds(self) -> Iterable[int]:
        """It waits for no descriptor."""
        return ()

    def serve(self, ready: Set[int], now: float) -> None:
        """Tell the sentences that are complete, each with the time of what completed it."""
        for line in self._explaining.take(now):
            at, wall = line.last.at, line.last.wall
            fields = {"about": line.about, "victims": list(line.victims)}
            self._journal.add(Happening(at, wall, "explained", LAUNCHER, line.text, fields))

    def close(self) -> None:
        """The loop has ended."""
        self._forget()
