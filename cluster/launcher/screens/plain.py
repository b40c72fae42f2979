"""PlainScreen: lines with the time, for pipes, files and terminals that cannot show a table."""

from __future__ import annotations

import os
import sys
import time
from datetime import datetime
from typing import Final, TextIO

from cluster.launcher.screens.view import ClusterView, line_of
from cluster.launcher.story.happenings import Happening

REVISION_LINE_SECONDS: Final = 5.0
"""When only the revision has changed, a line is written this often."""

INPUT_BYTES: Final = 4_096


class PlainScreen:
    """Writes to a stream; reads commands from stdin if that is a pipe or a file."""

    def __init__(self, out: TextIO, prefix: str = "", *, statuses: bool = True) -> None:
        self._out = out
        self._prefix = prefix
        self._statuses = statuses
        self._listening = False
        self._typed = b""
        self._shown: ClusterView | None = None
        self._shown_at = 0.0

    def open(self) -> None:
        # A terminal is not read: this screen also runs in the background, where reading the
        # terminal would stop the process.
        self._listening = self._statuses and not sys.stdin.closed and not sys.stdin.isatty()

    def close(self) -> None:
        self._listening = False

    def wake(self) -> None:
        """Do nothing: this screen has not changed the terminal."""

    def tell(self, happening: Happening) -> None:
        line = line_of(happening)
        if line:
            self.say(line)

    def clear(self) -> None:
        """Do nothing: what is written is written."""

    def say(self, text: str) -> None:
        head = self._prefix or datetime.now().strftime("%H:%M:%S.%f")[:-3] + "  "
        write(self._out, head + text.replace("\n", "\n" + " " * len(head)) + "\n")

    def show(self, view: ClusterView) -> None:
        if not self._statuses or view == self._shown:
            return
        now = time.monotonic()
        if self._shown is not None and _outline(view) == _outline(self._shown):
            moved = view.revision != self._shown.revision
            if not moved or now - self._shown_at < REVISION_LINE_SECONDS:
                return
        self._shown = view
        self._shown_at = now
        self.say(view.line())

    def input_fd(self) -> int | None:
        return sys.stdin.fileno() if self._listening else None

    def typed(self) -> list[str]:
        data = os.read(sys.stdin.fileno(), INPUT_BYTES)
        self._listening = bool(data)  # at the end of the input the cluster runs on
        *lines, self._typed = (self._typed + data).split(b"\n")
        return [line.decode(errors="replace") for line in lines]


def write(out: TextIO, text: str) -> None:
    """Write at once. If nobody reads any more, the cluster still goes on."""
    try:
        out.write(text)
        out.flush()
    except BrokenPipeError:
        # Send later writes, and Python's own flush at exit, to nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), out.fileno())


def _outline(view: ClusterView) -> tuple[object, ...]:
    return view.leader, view.term, [(row.name, row.state, row.pid) for row in view.nodes]
