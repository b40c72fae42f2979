"""Canvas: the lower part of a terminal, drawn again and again, with what scrolls away above it.

It owns the terminal's mode, its size and the cursor. A picture is drawn over the picture before;
when the terminal gets another size, or was in other hands, everything is drawn anew. It refuses to
know what is drawn.
"""

from __future__ import annotations

import os
import sys
import termios
import tty
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import Any, Final, NamedTuple

from cluster.launcher.screens import painter
from cluster.launcher.screens.lines import StyledLine
from cluster.launcher.screens.outlet import Outlet
from cluster.launcher.screens.terminal import is_in_foreground

SIZE_UNKNOWN: Final = os.terminal_size((80, 24))


class Picture(NamedTuple):
    """The lines from top to bottom, and the cursor's row and column in them."""

    lines: list[StyledLine]
    row: int
    column: int


class Canvas:
    """The terminal behind stdout; if stdin is one too, keys can be read one by one."""

    def __init__(self) -> None:
        self._descriptor = sys.stdout.fileno()
        self._outlet = Outlet(self._descriptor)
        self._painter = painter.Painter(sys.stdout)
        self._mode: list[Any] | None = None
        self._size: os.terminal_size | None = None
        self._cursor_row = 0
        self._drawn: Picture | None = None

    @property
    def reads_keys(self) -> bool:
        """Whether the user can type here."""
        return self._mode is not None

    @property
    def is_utf8(self) -> bool:
        """Whether the terminal can show blocks and arrows."""
        return (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"

    @property
    def is_ready(self) -> bool:
        """Whether a picture would be shown now: the terminal is ours, and is not behind."""
        return self._outlet.is_idle and self.is_in_foreground

    @property
    def is_in_foreground(self) -> bool:
        """Whether the terminal is ours: to read it from the background would stop the process."""
        return is_in_foreground(self._descriptor)

    def open(self) -> None:
        """Take the terminal."""
        if sys.stdin is not None and sys.stdin.isatty():
            self._mode = termios.tcgetattr(sys.stdin)
        self._size = self.size()
        self._take()

    def wake(self) -> None:
        """The process was stopped and goes on. What others have written meanwhile stays above."""
        self._cursor_row, self._drawn = 0, None
        self._take()

    def clear(self) -> None:
        """The next picture is drawn in an empty terminal."""
        self._size = None

    def size(self) -> os.terminal_size:
        """The terminal's size now, without the last column: there, terminals differ."""
        try:
            columns, lines = os.get_terminal_size(self._descriptor)
        except OSError:
            columns, lines = SIZE_UNKNOWN
        if not (columns and lines):
            columns, lines = SIZE_UNKNOWN
        return os.terminal_size((max(1, columns - 1), lines))

    def draw(
        self,
        size: os.terminal_size,
        picture: Picture,
        story: Sequence[StyledLine],
        whole: Callable[[], list[StyledLine]],
    ) -> None:
        """Show a picture made for this size, and above it the lines of the story that are new.

        `whole` gives the lines of the story so far, for a terminal that has another size: nobody
        knows what stands where in it. `picture` is not higher than the terminal.
        """
        if size != self._size:
            room = max(1, size.lines - len(picture.lines))
            self._put(painter.CLEAR, whole()[-room:], picture)
        elif story or picture != self._drawn:
            self._put(painter.up(self._cursor_row), story, picture)
        self._size = size

    def close(self, picture: Picture, story: Sequence[StyledLine]) -> None:
        """Show the last of all, and leave the terminal as it was, with the cursor below.

        It is shown also to a terminal that is behind; one that takes nothing is not waited for.
        """
        self._put(painter.up(self._cursor_row), story, picture)
        below = "\n" * min(1, len(picture.lines)) + painter.CLEAR_BELOW
        pastes = painter.LEAVE_PASTES if self.reads_keys else ""
        self._outlet.put((below + painter.SHOW_CURSOR + pastes).encode())
        self._outlet.close()
        if self._mode is not None:
            with suppress(termios.error):  # the terminal is gone
                termios.tcsetattr(sys.stdin, termios.TCSANOW, self._mode)
            self._mode = None

    def _take(self) -> None:
        if not self.is_in_foreground:
            return
        begin = painter.HIDE_CURSOR
        if self.reads_keys:
            with suppress(termios.error):
                tty.setcbreak(sys.stdin, termios.TCSANOW)
            begin = painter.MARK_PASTES
        self._outlet.put(begin.encode())

    def _put(self, head: str, story: Iterable[StyledLine], picture: Picture) -> None:
        lines = self._painter.rows([*story, *(picture.lines or [()])])
        below = len(picture.lines) - 1 - picture.row
        cursor = painter.up(below) + painter.right(picture.column)
        whole = (painter.BEGIN, head, lines, painter.CLEAR_BELOW, cursor, painter.END)
        self._outlet.put("".join(whole).encode("utf-8", "replace"))
        self._drawn, self._cursor_row = picture, picture.row


NOTHING: Final = Picture([], 0, 0)
