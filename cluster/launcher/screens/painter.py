"""Painter: lines of styled text as the bytes that a terminal shows, in the colours that it has.

rich knows the terminals, and obeys NO_COLOR. Cursor movements are here, too: what they mean for
the picture is the business of the live screen.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final, TextIO

from cluster.launcher.screens.lines import StyledLine

if TYPE_CHECKING:
    from rich.style import Style

BEGIN: Final = "\x1b[?2026h"
END: Final = "\x1b[?2026l"
"""Around a picture: a terminal that knows these shows it at once; the others ignore them."""

CLEAR: Final = "\x1b[H\x1b[2J"
CLEAR_LINE: Final = "\x1b[K"
CLEAR_BELOW: Final = "\x1b[J"
HIDE_CURSOR: Final = "\x1b[?25l"
SHOW_CURSOR: Final = "\x1b[?25h"
MARK_PASTES: Final = "\x1b[?2004h"
LEAVE_PASTES: Final = "\x1b[?2004l"


def up(rows: int) -> str:
    """Move the cursor to the line that many rows above, and to its begin."""
    return f"\r\x1b[{rows}A" if rows > 0 else "\r"


def right(columns: int) -> str:
    """Move the cursor to the right."""
    return f"\x1b[{columns}C" if columns > 0 else ""


class Painter:
    """Paints for the terminal behind a stream."""

    def __init__(self, stream: TextIO) -> None:
        from rich.color import ColorSystem  # noqa: PLC0415 - loaded only where it is needed
        from rich.console import Console  # noqa: PLC0415

        systems = {
            "standard": ColorSystem.STANDARD,
            "256": ColorSystem.EIGHT_BIT,
            "truecolor": ColorSystem.TRUECOLOR,
        }
        console = Console(file=stream)
        self._system = systems.get(console.color_system or "")
        self._has_colours = not console.no_color
        self._styles: dict[str, Style] = {}

    def painted(self, line: StyledLine) -> str:
        """One line, with the codes of its styles."""
        return "".join(
            self._style(style).render(text, color_system=self._system) for text, style in line
        )

    def rows(self, lines: Iterable[StyledLine]) -> str:
        """Lines one below the other over what stood there; the cursor stays behind the last."""
        return "\n".join("\r" + self.painted(line) + CLEAR_LINE for line in lines)

    def _style(self, words: str) -> Style:
        if words not in self._styles:
            from rich.style import Style  # noqa: PLC0415

            style = Style.parse(words)
            self._styles[words] = style if self._has_colours else style.without_color
        return self._styles[words]
