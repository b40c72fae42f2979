"""PlainScreen: lines with the time, for pipes, files and terminals that cannot show a table."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from datetime import datetime
from typing import Final, TextIO

from cluster.launcher.screens.line_input import LineInput
from cluster.launcher.screens.outlet import Outlet
from cluster.launcher.screens.view import ClusterView
from cluster.launcher.screens.wording import TIME_GAP, StoryEntry, entry_of, time_of_day
from cluster.launcher.story.happenings import Happening

SETTLED_SECONDS: Final = 0.5
"""A state of the cluster has its line once it has lasted this long: an election has a few."""


class PlainScreen:
    """Writes to a stream; reads commands from stdin.

    With a `prefix`, lines begin with it instead of the time. `statuses` False: the lines of the
    cluster's state are left out, and stdin is somebody else's. `clock` is monotonic, in seconds.
    """

    def __init__(
        self,
        out: TextIO,
        prefix: str = "",
        *,
        statuses: bool = True,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._outlet = Outlet(out.fileno())
        self._prefix = prefix
        self._statuses = statuses
        self._clock = clock
        self._input = LineInput()
        self._told: object = None
        self._seen: object = None
        self._seen_at = 0.0

    def open(self) -> None:
        if self._statuses:
            self._input.open()

    def close(self) -> None:
        self._input.close()
        self._outlet.close()

    def wake(self) -> None:
        """Do nothing: this screen has not changed the terminal."""

    def clear(self) -> None:
        """Do nothing: what is written is written."""

    def tell(self, happening: Happening) -> None:
        if (entry := entry_of(happening)) is not None:
            self._write(entry)

    def say(self, text: str) -> None:
        self._write(StoryEntry("", text, ""))

    def show(self, view: ClusterView) -> None:
        # The numbers change all the time, for the probe client writes.
        outline = view.leader, view.term, [(row.name, row.state, row.pid) for row in view.nodes]
        now = self._clock()
        if outline != self._seen:
            self._seen, self._seen_at = outline, now
        is_settled = self._told is None or now - self._seen_at >= SETTLED_SECONDS
        if self._statuses and is_settled and outline != self._told:
            self._told = outline
            self._write(StoryEntry(time_of_day(datetime.now()), view.line(), ""))

    def input_fd(self) -> int | None:
        return self._input.descriptor

    def typed(self) -> list[str]:
        return self._input.lines()

    def _write(self, entry: StoryEntry) -> None:
        head = self._prefix or (entry.time + TIME_GAP if entry.time else "")
        text = head + entry.text.replace("\n", "\n" + " " * len(head)) + "\n"
        if self._outlet.is_idle and (dropped := self._outlet.take_dropped()):
            text = f"{self._prefix}{dropped} lines are left out here: nobody read them\n{text}"
        self._outlet.put(text.encode("utf-8", "replace"))


def write(out: TextIO, text: str) -> None:
    """Write at once. If nobody reads any more, the cluster still goes on."""
    try:
        out.write(text)
        out.flush()
    except BrokenPipeError:
        # Send later writes, and Python's own flush at exit, to nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), out.fileno())
