"""Sheet: what stands below the story in the live view: nodes, latency, progress, the prompt.

Pure: it makes lines for a size, and says where the cursor belongs. Where there is little room it
leaves out what matters least.
"""

from __future__ import annotations

from typing import Final

from cluster.launcher.screens.canvas import Picture
from cluster.launcher.screens.editor import Shown
from cluster.launcher.screens.lines import StyledLine, cut, harmless, width
from cluster.launcher.screens.sparkline import ASCII, BLOCKS, Sparkline
from cluster.launcher.screens.table import NodeTable
from cluster.launcher.screens.view import ClusterView
from cluster.launcher.story.happenings import Happening

PROMPT: Final = "leasehold> "

PROGRESS_SECONDS: Final = 30.0
"""Progress of which nothing was heard for this time is not shown any more."""

BAR_CELLS: Final = 20
CHOICES_ROWS_MAX: Final = 3

BLANK: Final[StyledLine] = (("", ""),)


class Sheet:
    """Remembers what it was told, and draws it. `is_utf8`: the terminal can show blocks."""

    def __init__(self, *, is_utf8: bool = True) -> None:
        self.table = NodeTable()
        self._is_utf8 = is_utf8
        self._sparkline = Sparkline(BLOCKS if is_utf8 else ASCII)
        self._progress: dict[tuple[str, str], Happening] = {}

    def tell(self, happening: Happening) -> None:
        """Something has happened."""
        self._sparkline.tell(happening)
        if happening.kind == "progress":
            fields = happening.fields
            key = (str(fields.get("what")), str(fields.get("victim")))
            if 0 < fields.get("done", 0) < fields.get("total", 0):
                self._progress[key] = happening
            else:
                self._progress.pop(key, None)
        elif happening.kind == "verdict":
            # A show may end early, with all that it was about.
            self._progress = {k: told for k, told in self._progress.items() if k[1]}

    def picture(
        self, view: ClusterView | None, shown: Shown | None, columns: int, rows: int, now: float
    ) -> Picture:
        """At most `rows` lines of at most `columns` cells; without `shown` there is no prompt."""
        nodes = self.table.lines(view, columns) if view is not None else []
        notes = [*self._links(view), *self._bars(now)]
        spark = self._sparkline.lines(columns)
        prompt, column = _prompt(shown, columns) if shown is not None else ([], 0)
        choices = _choices(shown.choices, columns) if shown is not None else []
        room = rows - len(prompt)
        nodes = _shortened(nodes, room)
        room -= len(nodes)
        # What matters more is given its room first.
        parts: dict[str, list[StyledLine]] = {}
        for name, lines in (("choices", choices), ("notes", notes), ("spark", spark)):
            parts[name] = lines if len(lines) <= room else []
            room -= len(parts[name])
        body = [*nodes, *parts["notes"]]
        for part in (parts["spark"], prompt):
            if body and part and room > 0:
                body, room = [*body, BLANK], room - 1
            body += part
        if nodes and room > 0:
            body = [BLANK, *body]
        lines = [cut(line, columns) for line in [*body, *parts["choices"]]]
        return Picture(lines, max(0, len(body) - 1), column)

    def _links(self, view: ClusterView | None) -> list[StyledLine]:
        if view is None or not view.links:
            return []
        return [(("links: ", "dim"), (harmless("; ".join(view.links)), "yellow"))]

    def _bars(self, now: float) -> list[StyledLine]:
        return [
            self._bar(happening)
            for happening in self._progress.values()
            if now - happening.at < PROGRESS_SECONDS
        ]

    def _bar(self, happening: Happening) -> StyledLine:
        fields = happening.fields
        share = min(1.0, fields.get("done", 0) / max(1, fields.get("total", 0)))
        full, empty = "█░" if self._is_utf8 else "#."
        cells = int(share * BAR_CELLS)
        head = " ".join(filter(None, (fields.get("victim"), fields.get("what"))))
        bar = full * cells + empty * (BAR_CELLS - cells)
        return ((f"{harmless(head)} ", ""), (bar, "cyan"), (f" {share:.0%}", ""))


def _shortened(nodes: list[StyledLine], rows: int) -> list[StyledLine]:
    """The table, or as much of it as there is room for."""
    if len(nodes) <= rows:
        return nodes
    if rows < 1:
        return []
    left_out = len(nodes) - rows + 1
    return [*nodes[: rows - 1], ((f"and {left_out} more", "dim"),)]


def _prompt(shown: Shown, columns: int) -> tuple[list[StyledLine], int]:
    """The line with the prompt, and the cursor's column; of a long line what is around it."""
    search = shown.search
    head = PROMPT if search is None else f"(search) {harmless(search)}: "
    before, after = harmless(shown.before), harmless(shown.after)
    room = max(1, columns - width(head) - 1)
    while width(before) > room:
        before = before[max(1, len(before) - room) :]
    line: StyledLine = ((head, "bold"), (before, ""), (after, ""))
    return [line], min(width(head + before), columns - 1)


def _choices(words: tuple[str, ...], columns: int) -> list[StyledLine]:
    """The words to choose from, in as many lines as are allowed."""
    rows: list[list[str]] = [[]]
    for word in map(harmless, words):
        if rows[-1] and width("  ".join([*rows[-1], word])) > columns:
            rows.append([])
        rows[-1].append(word)
    shown = rows[:CHOICES_ROWS_MAX]
    left_out = len(words) - sum(map(len, shown))
    if left_out:
        shown[-1][-1:] = [f"and {left_out + 1} more"]
    return [(("  ".join(row), "cyan"),) for row in shown if row]
