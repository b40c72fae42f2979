"""Lines of styled text, cut to a width: what screens draw, before it becomes a terminal's bytes.

Widths are in cells: some characters take two, and some none.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

Span = tuple[str, str]
"""A text, and its style in rich's words; an empty style is none."""

StyledLine = tuple[Span, ...]

CONTROLS: Final = dict.fromkeys((*range(32), *range(127, 160)), "\ufffd")
"""Control characters do not reach the terminal: they could move the cursor, or worse."""


def plain(line: StyledLine) -> str:
    """The line's text."""
    return "".join(text for text, _ in line)


def width(text: str) -> int:
    """The number of cells that a text takes."""
    from rich.cells import cell_len  # noqa: PLC0415 - loaded only where something is drawn

    return cell_len(text)


def harmless(text: str) -> str:
    """The text without control characters."""
    return text.translate(CONTROLS)


def cut(line: StyledLine, columns: int) -> StyledLine:
    """The line's beginning, as far as it fits."""
    from rich.cells import set_cell_size  # noqa: PLC0415

    kept: list[Span] = []
    left = columns
    for text, style in line:
        needed = width(text)
        if needed > left:
            kept.append((set_cell_size(text, left), style))
            break
        kept.append((text, style))
        left -= needed
    return tuple(kept)


def padded(text: str, columns: int, *, right: bool = False) -> str:
    """The text with blanks to fill the columns; `right`: before it."""
    blanks = " " * (columns - width(text))
    return blanks + text if right else text + blanks


def wrapped(text: str, columns: int) -> Iterator[str]:
    """The text in lines that fit, broken at blanks where there are any.

    The rest of an indented line is indented, too.
    """
    for line in text.split("\n"):
        words = line.expandtabs(4)
        indent = " " * (len(words) - len(words.lstrip()))
        if 2 * len(indent) > columns:
            indent = ""
        for part in _broken(words.lstrip(), columns - len(indent)):
            yield indent + part


def _broken(text: str, columns: int) -> Iterator[str]:
    while width(text) > columns and len(text) > 1:
        place = _fitting(text, columns)
        blank = text.rfind(" ", 1, place + 1)
        end = blank if blank > 0 else place
        yield text[:end].rstrip()
        text = text[end:].lstrip()
    yield text


def _fitting(text: str, columns: int) -> int:
    """The number of characters that fit; at least one, so that all of a text is shown at last."""
    left = columns
    for place, character in enumerate(text):
        left -= width(character)
        if left < 0:
            return max(1, place)
    return len(text)


def joined(lines: Iterable[StyledLine]) -> str:
    """The texts of the lines, one below the other, without blanks at their ends."""
    return "\n".join(plain(line).rstrip() for line in lines)
