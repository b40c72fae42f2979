"""The shapes of SVG as text: elements, escaped texts, axes. It refuses to know what is drawn."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from html import escape
from math import ceil, floor, log10
from typing import Final, NamedTuple

FONT: Final = "-apple-system, 'Segoe UI', 'DejaVu Sans', Helvetica, sans-serif"
MONOSPACE: Final = "ui-monospace, 'SF Mono', Menlo, 'DejaVu Sans Mono', Consolas, monospace"

TIME_STEPS: Final = (0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1_800, 3_600, 7_200)
"""Seconds between two marks of an axis of time, where they are round."""

_NOT_XML: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What a document of XML must not have, not even escaped."""


def text(words: str) -> str:
    """Any words as XML and HTML may have them, in an element or an attribute."""
    return escape(_NOT_XML.sub("\N{REPLACEMENT CHARACTER}", words))


def number(value: float) -> str:
    """A coordinate, to a tenth."""
    return f"{value:.1f}".removesuffix(".0")


def element(name: str, *children: str, **attributes: str | float) -> str:
    """An element of SVG or HTML: `class_` is the attribute class, `text_anchor` text-anchor.

    The children are markup already (`text` makes some of words); values of attributes are escaped.
    """
    head = name
    for key, value in attributes.items():
        written = number(value) if isinstance(value, int | float) else text(value)
        head += f' {key.rstrip("_").replace("_", "-")}="{written}"'
    return f"<{head}>{''.join(children)}</{name}>" if children else f"<{head}/>"


def label(words: str, x: float, y: float, class_: str = "text", **attributes: str | float) -> str:
    """Words at a place."""
    return element("text", text(words), x=x, y=y, class_=class_, **attributes)


def line(x1: float, y1: float, x2: float, y2: float, class_: str) -> str:
    """A straight line."""
    return element("line", x1=x1, y1=y1, x2=x2, y2=y2, class_=class_)


def drawing(title: str, width: float, height: float, *shapes: str, font: str = FONT) -> str:
    """A whole picture of these shapes; the title is for whoever does not see it."""
    return element(
        "svg",
        element("title", text(title)),
        *shapes,
        xmlns="http://www.w3.org/2000/svg",
        viewBox=f"0 0 {number(width)} {number(height)}",
        role="img",
        aria_label=title,
        font_family=font,
    )


class Axis(NamedTuple):
    """A piece of an axis: from value `low` at coordinate `start` to `high` at `end`, in proportion.

    With `by_decades` equal steps are equal ratios, and both values are above 0.
    """

    low: float
    high: float
    start: float
    end: float
    by_decades: bool = False

    def at(self, value: float) -> float:
        """The coordinate of a value; one outside is moved to the nearer end."""
        value = min(max(value, self.low), self.high)
        if self.by_decades:
            share = log10(value / self.low) / log10(self.high / self.low)
        else:
            share = (value - self.low) / (self.high - self.low)
        return self.start + share * (self.end - self.start)

    def decade_marks(self) -> Iterator[float]:
        """The powers of ten from the low end to the high one, of an axis by decades."""
        mark = self.low
        while mark <= self.high * 1.001:
            yield mark
            mark *= 10


def decades(values: Sequence[float]) -> tuple[float, float]:
    """The powers of ten below and above all these values (above 0), not the same."""
    low, high = floor(log10(min(values))), ceil(log10(max(values)))
    return 10.0**low, 10.0 ** max(high, low + 1)


def time_marks(seconds: float, marks_max: int = 10) -> list[float]:
    """Round times from 0 to so many seconds, `marks_max` of them at most beside the 0."""
    step = next((step for step in TIME_STEPS if seconds / step <= marks_max), seconds / marks_max)
    return [step * number for number in range(floor(seconds / step) + 1)]


def time_label(seconds: float) -> str:
    """A time on an axis: `0.4 s`, `90 s`, `12 min`."""
    if seconds >= 120 and seconds % 60 == 0:
        return f"{seconds / 60:g} min"
    return f"{seconds:.4g} s"
