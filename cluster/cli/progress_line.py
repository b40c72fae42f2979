"""How far a long command is: a line that is written again and again, if a person looks at it."""

from __future__ import annotations

import sys
import time
from typing import Final

AGAIN_SECONDS: Final = 0.2
BAR_COLUMNS: Final = 20


class ProgressLine:
    """Shows a terminal on stderr how many of these things are done, with a bar if it is known how
    many there will be; a pipe gets nothing."""

    def __init__(self, things: str, total: int | None = None) -> None:
        self._total = total
        self._of = things if total is None else f"of {total:,} {things}"
        self._is_shown = sys.stderr.isatty()
        self._next = 0.0

    def show(self, done: int) -> None:
        """This number is done, and more follow."""
        if self._is_shown and time.monotonic() >= self._next:
            self._next = time.monotonic() + AGAIN_SECONDS
            self._write(done, "")

    def end(self, done: int) -> None:
        """This number is done, and that is all."""
        if self._is_shown:
            self._write(done, "\n")

    def _write(self, done: int, end: str) -> None:
        sys.stderr.write(f"\r{self._bar(done)}{done:,} {self._of}{end}")
        sys.stderr.flush()

    def _bar(self, done: int) -> str:
        if not self._total:
            return ""
        full = BAR_COLUMNS * min(done, self._total) // self._total
        return f"[{'#' * full:<{BAR_COLUMNS}}] "
