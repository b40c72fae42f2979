"""LiveScreen: a live table of the nodes, with the events above it and a prompt below it.

It owns the terminal's mode while it is open. It reads keys one by one, so that events can appear
while the user types a command.
"""

from __future__ import annotations

import codecs
import os
import re
import sys
import termios
import tty
from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from cluster.launcher.screens.view import ClusterView, line_of
from cluster.launcher.story.happenings import Happening

if TYPE_CHECKING:
    from rich.console import RenderableType

PROMPT: Final = "leasehold> "
INPUT_BYTES: Final = 1_024
HISTORY_LINES_MAX: Final = 100

NARROW_COLUMNS: Final = 76
"""In a narrower terminal the table has no column of client addresses, which the banner has too."""

STYLES: Final = {
    "leader": "bold green",
    "follower": "green",
    "learner": "cyan",
    "removed": "dim",
    "starting": "yellow",
    "silent": "yellow",
    "paused": "bold yellow",
    "failed": "bold red",
    "stopped": "dim",
    "killed": "bold red",
}


class LineEditor:
    """Makes lines of keys: backspace, Ctrl-U, Ctrl-W, the arrows for history; Ctrl-D quits."""

    def __init__(self) -> None:
        self.text = ""
        self._history: list[str] = []
        self._place = 0
        self._decode = codecs.getincrementaldecoder("utf-8")("replace").decode

    def feed(self, data: bytes) -> list[str]:
        """Take typed bytes; the lines that they complete."""
        lines: list[str] = []
        for key in re.findall(r"\x1b\[[0-9;]*[A-Za-z~]|\x1b.?|.", self._decode(data), re.DOTALL):
            if key in "\r\n":
                lines.append(self._finish())
            elif key == "\x04":
                if not self.text:
                    lines.append("quit")
            else:
                self._edit(key)
        return lines

    def _finish(self) -> str:
        line, self.text = self.text, ""
        if line.strip():
            self._history = [*self._history, line][-HISTORY_LINES_MAX:]
        self._place = len(self._history)
        return line

    def _edit(self, key: str) -> None:
        match key:
            case "\x7f" | "\x08":
                self.text = self.text[:-1]
            case "\x15":
                self.text = ""
            case "\x17":
                self.text = re.sub(r"\S*\s*$", "", self.text)
            case "\x1b[A" | "\x1b[B":
                self._place += -1 if key == "\x1b[A" else 1
                self._place = max(0, min(self._place, len(self._history)))
                self.text = [*self._history, ""][self._place]
            case _ if key.isprintable():
                self.text += key


class LiveScreen:
    """A Screen for a stdout that is a terminal; it takes commands if stdin is one too."""

    def __init__(self) -> None:
        from rich.console import Console  # noqa: PLC0415
        from rich.live import Live  # noqa: PLC0415

        self._console = Console(highlight=False)
        self._live = Live(console=self._console, auto_refresh=False, transient=True)
        self._editor = LineEditor()
        self._view: ClusterView | None = None
        self._spoken = False
        self._mode: list[Any] | None = None

    def open(self) -> None:
        if sys.stdin.isatty():
            self._mode = termios.tcgetattr(sys.stdin)
            tty.setcbreak(sys.stdin, termios.TCSADRAIN)
        self._live.start()

    def close(self) -> None:
        self._live.stop()
        if self._mode is not None:
            termios.tcsetattr(sys.stdin, termios.TCSADRAIN, self._mode)
            self._mode = None

    def wake(self) -> None:
        if self._mode is not None:
            tty.setcbreak(sys.stdin, termios.TCSADRAIN)
        self._draw()

    def tell(self, happening: Happening) -> None:
        line = line_of(happening)
        if line:
            self.say(line)

    def clear(self) -> None:
        self._console.clear()
        self._draw()

    def say(self, text: str) -> None:
        stamp = datetime.now().strftime("%H:%M:%S.%f")[:-3]
        self._print(stamp, text)

    def show(self, view: ClusterView) -> None:
        if view != self._view:
            self._view = view
            self._draw()

    def input_fd(self) -> int | None:
        return sys.stdin.fileno() if self._mode is not None else None

    def typed(self) -> Iterator[str]:
        data = os.read(sys.stdin.fileno(), INPUT_BYTES)
        for line in self._editor.feed(data) if data else ["quit"]:
            self._print(PROMPT.strip(), line)
            yield line
        self._draw()

    def _print(self, head: str, text: str) -> None:
        from rich.table import Table  # noqa: PLC0415

        grid = Table.grid("", "", padding=(0, 1, 0, 0))
        grid.columns[0].style = "dim"
        grid.columns[0].no_wrap = True
        grid.add_row(head, text)
        self._spoken = True
        # One print for all lines, because each print draws the table again below it.
        self._console.print(grid)

    def _draw(self) -> None:
        if self._view is not None:
            self._live.update(self._render(self._view), refresh=True)

    def _render(self, view: ClusterView) -> RenderableType:
        from rich.console import Group  # noqa: PLC0415
        from rich.table import Table  # noqa: PLC0415
        from rich.text import Text  # noqa: PLC0415

        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
        narrow = self._console.width < NARROW_COLUMNS
        for title in ("node", "state", "term", "revision", "pid", "try", "clients"):
            if not (narrow and title == "clients"):
                table.add_column(title, no_wrap=True)
        for row in view.nodes:
            cells: list[RenderableType] = [
                row.name,
                Text(row.state, style=STYLES[row.state]),
                str(row.term or "-"),
                str(row.revision or "-"),
                str(row.pid or "-"),
                row.note,
            ]
            table.add_row(*cells, *(() if narrow else (row.endpoint,)))
        lines: list[RenderableType] = ["", table] if self._spoken else [table]
        if self._mode is not None:
            prompt = Text.assemble((PROMPT, "bold"), self._editor.text, (" ", "reverse"))
            lines += ["", prompt]
        return Group(*lines)
