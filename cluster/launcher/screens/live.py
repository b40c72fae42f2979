"""LiveScreen: the story as it happens, and below it the nodes, the latency and the prompt.

It refuses to know what a line typed means. What has happened scrolls away upwards as in any
terminal, and can be read there later. The sheet with the nodes and the prompt stays below.
"""

from __future__ import annotations

import os
import sys
import time
from collections import deque
from collections.abc import Iterable, Iterator
from typing import Final

from cluster.launcher.screens.canvas import NOTHING, Canvas, Picture
from cluster.launcher.screens.editor import QUIT, LineEditor
from cluster.launcher.screens.line_input import LineInput
from cluster.launcher.screens.lines import StyledLine, harmless, wrapped
from cluster.launcher.screens.sheet import PROMPT, Sheet
from cluster.launcher.screens.view import ClusterView
from cluster.launcher.screens.wording import TIME_GAP, StoryEntry, entry_of, was_typed
from cluster.launcher.story.happenings import Happening

INPUT_BYTES: Final = 4_096

ENTRIES_KEPT: Final = 200
"""The number of entries of the story that are drawn again when the terminal gets another size."""

ENTRIES_WAITING_MAX: Final = 5_000
"""While the terminal is behind, or in other hands, the newest entries wait for it."""

DRAW_SECONDS: Final = 0.1
"""What happens sooner after a drawing waits for the next call of `show`."""

CLEAR_KEY: Final = b"\x0c"


class LiveScreen:
    """A Screen for a stdout that is a terminal. Where stdin is none, there is no prompt."""

    def __init__(self, editor: LineEditor) -> None:
        self._canvas = Canvas()
        self._piped = LineInput()
        self._editor = editor
        self._sheet = Sheet(is_utf8=self._canvas.is_utf8)
        self._view: ClusterView | None = None
        self._new: deque[StoryEntry] = deque(maxlen=ENTRIES_WAITING_MAX)
        self._entries: deque[StoryEntry] = deque(maxlen=ENTRIES_KEPT)
        self._columns = 0
        self._drawn_at = 0.0

    def open(self) -> None:
        self._canvas.open()
        if not self._canvas.reads_keys:
            self._piped.open()
        self._draw()

    def close(self) -> None:
        story = list(_rows(self._new, self._canvas.size().columns))
        self._canvas.close(NOTHING, story)

    def wake(self) -> None:
        self._canvas.wake()
        self._draw()

    def clear(self) -> None:
        self._entries.clear()
        self._canvas.clear()
        self._draw()

    def tell(self, happening: Happening) -> None:
        self._sheet.tell(happening)
        entry = entry_of(happening)
        if entry is not None and not was_typed(happening):
            self._add(entry)

    def say(self, text: str) -> None:
        self._add(StoryEntry("", text, ""))

    def show(self, view: ClusterView) -> None:
        self._view = view
        self._draw()

    def input_fd(self) -> int | None:
        if not self._canvas.reads_keys:
            return self._piped.descriptor
        return sys.stdin.fileno() if self._canvas.is_in_foreground else None

    def typed(self) -> Iterator[str]:
        for line in self._keyed() if self._canvas.reads_keys else self._piped.lines():
            self._add(StoryEntry("", PROMPT + line, "bold"))
            yield line
        self._draw()

    def _keyed(self) -> list[str]:
        """The lines that the keys complete."""
        try:
            data = os.read(sys.stdin.fileno(), INPUT_BYTES)
        except OSError:
            data = b""
        if not data:  # the terminal is gone
            return [QUIT]
        if CLEAR_KEY in data:
            self.clear()
        return self._editor.feed(data.replace(CLEAR_KEY, b""))

    # --- drawing ---

    def _add(self, entry: StoryEntry) -> None:
        self._new.append(entry)
        if time.monotonic() - self._drawn_at >= DRAW_SECONDS:
            self._draw()

    def _draw(self) -> None:
        """Draw what is new; while the terminal is behind or in other hands, a later call does."""
        if not self._canvas.is_ready:
            return
        # Looked at once: between two looks the terminal may get another size.
        size = self._canvas.size()
        picture = self._picture(size)
        self._entries += self._new
        self._canvas.draw(
            size,
            picture,
            list(_rows(self._new, self._columns)),
            lambda: list(_rows(self._entries, self._columns)),
        )
        self._new.clear()
        self._drawn_at = time.monotonic()

    def _picture(self, size: os.terminal_size) -> Picture:
        columns, lines = size
        if columns != self._columns:
            self._columns = columns
            self._sheet.table.forget_widths()
        shown = self._editor.shown if self._canvas.reads_keys else None
        return self._sheet.picture(self._view, shown, columns, lines - 1, time.monotonic())


def _rows(entries: Iterable[StoryEntry], columns: int) -> Iterator[StyledLine]:
    """The lines of entries: the text beside the time, the rest of a long text below it."""
    for entry in entries:
        head = entry.time + TIME_GAP if entry.time else ""
        if columns < 2 * len(head):  # too narrow for two columns
            head = ""
        for text in wrapped(entry.text, columns - len(head)):
            yield ((head, "dim"), (harmless(text), entry.style))
            head = " " * len(head)
