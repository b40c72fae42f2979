"""FirstCommand: a command that is the whole purpose of a run, such as `run_cluster.py tour`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Set

from cluster.launcher.commands.desk import Asker
from cluster.launcher.errands.errand import FOREVER


class FirstCommand:
    """A part of the main loop that does one command, and calls `finish` at the command's end."""

    via = conversation = "command line"
    is_there = True

    def __init__(
        self, line: str, obey: Callable[[str, Asker], None], finish: Callable[[], None]
    ) -> None:
        self.due = 0.0
        self.has_succeeded = False
        self._line = line
        self._obey = obey
        self._finish = finish

    def fds(self) -> Iterable[int]:
        """Nothing to wait for."""
        return ()

    def serve(self, ready: Set[int], now: float) -> None:
        """Begin the command, once."""
        if self.due == 0.0:
            self.due = FOREVER
            self._obey(self._line, self)

    def close(self) -> None:
        """Nothing to close."""

    def say(self, text: str) -> None:
        """The command tells in the journal."""

    def clear(self) -> None:
        """There is no screen."""

    def done(self, error: str = "") -> None:
        """The command has ended, and the run with it."""
        self.has_succeeded = not error
        self._finish()
