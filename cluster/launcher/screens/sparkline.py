"""Sparkline: how long the probe client's requests took, second by second, with marks of faults.

Pure: it reads happenings of the kinds `probe`, `died` and `fault`, and refuses to know who draws.
"""

from __future__ import annotations

from collections import deque
from typing import Any, Final, NamedTuple

from cluster.launcher.screens.lines import Span, StyledLine, cut, harmless, width
from cluster.launcher.screens.table import duration_text
from cluster.launcher.story.happenings import Happening

SECONDS_KEPT: Final = 300
LEVELS_MS: Final = (1, 2, 5, 10, 25, 100, 500)
"""The p99 of a second is below the first of these, between two of them, or above the last."""

LABEL_CELLS_MAX: Final = 24


class Ramp(NamedTuple):
    """The characters of a sparkline: one for each level, for a second without an answer, for a
    second of which nothing is known, and the mark of a fault."""

    levels: str
    stalled: str
    unknown: str
    mark: str


BLOCKS: Final = Ramp("▁▂▃▄▅▆▇█", "✗", " ", "▲")
ASCII: Final = Ramp("_.-=+*%#", "x", " ", "^")


class _Second(NamedTuple):
    p99_ms: float | None
    failed: int


class Sparkline:
    """The last seconds; feed it every happening."""

    def __init__(self, ramp: Ramp = BLOCKS) -> None:
        self._ramp = ramp
        self._seconds: dict[int, _Second] = {}
        self._marks: deque[tuple[int, str]] = deque(maxlen=SECONDS_KEPT)

    def tell(self, happening: Happening) -> None:
        """Something has happened."""
        fields = happening.fields
        match happening.kind:
            case "probe":
                self._add(happening.at, fields)
            case "died":
                self._marks.append((int(happening.at), f"{fields.get('victim', '')} died"))
            case "fault":
                victims = " ".join(fields.get("victims", ()))
                self._marks.append((int(happening.at), f"{fields.get('what', '')} {victims}"))

    def lines(self, columns: int) -> list[StyledLine]:
        """The sparkline with its figures, and below it the marks; nothing before the first probe.

        The newest second is the last before the figures.
        """
        if not self._seconds:
            return []
        last = max(self._seconds)
        title, figures = "p99  ", self._figures(last)
        cells = min(columns - width(title) - width(figures), SECONDS_KEPT)
        if cells < 1:
            return [cut(((title.strip() + figures, ""),), columns)]
        first = last - cells + 1
        spark = [self._cell(second) for second in range(first, last + 1)]
        line: StyledLine = ((title, "dim"), *spark, (figures, "dim"))
        marks = self._mark_line(first, last, columns - width(title))
        return [line, ((" " * width(title), ""), *marks)] if marks else [line]

    def _add(self, at: float, fields: Any) -> None:
        # Told at the end of the second that it is about.
        second = int(at - 0.5)
        self._seconds[second] = _Second(fields.get("p99_ms"), fields.get("failed", 0))
        for old in [each for each in self._seconds if each <= second - SECONDS_KEPT]:
            del self._seconds[old]

    def _cell(self, second: int) -> Span:
        known = self._seconds.get(second)
        if known is None:
            return self._ramp.unknown, ""
        if known.p99_ms is None:
            return self._ramp.stalled, "bold red"
        level = sum(1 for bound in LEVELS_MS if known.p99_ms >= bound)
        style = "red" if known.failed else ("yellow" if level >= 5 else "green")
        return self._ramp.levels[level], style

    def _figures(self, last: int) -> str:
        worst = max(each.p99_ms or 0.0 for each in self._seconds.values())
        newest = duration_text(self._seconds[last].p99_ms)
        return f"  now {newest}, worst {duration_text(worst)}"

    def _mark_line(self, first: int, last: int, columns: int) -> list[Span]:
        """The marks below their seconds; a label where there is room before the next mark."""
        shown = {place: label for place, label in self._marks if first <= place <= last}
        spans: list[Span] = []
        at = first
        for place, following in zip(
            sorted(shown), [*sorted(shown)[1:], first + columns], strict=False
        ):
            spans.append((" " * (place - at), ""))
            label = f" {harmless(shown[place])}"
            if width(label) > min(LABEL_CELLS_MAX, following - place - 2):
                label = ""
            spans.append((self._ramp.mark + label, "bold"))
            at = place + 1 + width(label)
        return spans
