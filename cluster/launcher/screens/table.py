"""The table of nodes: its columns, what stands in them, and which are left out where it is narrow.

Values come from a ClusterView. A value that nobody can tell is `-`. Where the columns of WANTED do
not fit side by side with room between them, all columns move together: then they fit 80 cells.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from cluster.launcher.screens.lines import StyledLine, harmless, padded, width
from cluster.launcher.screens.view import ClusterView, NodeView

UNKNOWN: Final = "-"

STYLES: Final = {
    "leader": "bold green",
    "follower": "green",
    "learner": "cyan",
    "catching up": "cyan",
    "no leader": "yellow",
    "starting": "yellow",
    "silent": "yellow",
    "paused": "bold yellow",
    "isolated": "bold yellow",
    "removed": "dim",
    "stopped": "dim",
    "killed": "bold red",
}

WANTED: Final = (
    "sync",
    "vote",
    "applied",
    "db",
    "hash",
    "rtt",
    "commit",
    "lag",
    "rev",
    "term",
)
"""The columns that a person who watches a cluster needs. Where even close columns are too wide,
the first of these is left out first."""

DROPPED: Final = ("clients", "try", "keys", "peers", "pid", *WANTED)
"""The columns that are left out where the table is too wide, the first one first. What remains at
any width are the names and the states."""


class Column(NamedTuple):
    """A column: its title, a node's cell in it, whether it is of numbers, and a cell's style.

    `short` makes a cell's text short, for where columns are close.
    """

    title: str
    cell: Callable[[NodeView], str]
    right: bool = False
    style: Callable[[NodeView], str] = lambda _: ""
    short: Callable[[str], str] = lambda text: text


class TableForm(NamedTuple):
    """How columns stand beside each other: what is between them, and whether cells are short."""

    gap: str
    is_short: bool

    def cell(self, column: Column, row: NodeView) -> str:
        """A node's cell in a column."""
        text = column.cell(row)
        return column.short(text) if self.is_short else text


ROOMY: Final = TableForm("  ", is_short=False)
CLOSE: Final = TableForm(" ", is_short=True)


def _number(value: int | None) -> str:
    return UNKNOWN if value is None else str(value)


def _state(row: NodeView) -> str:
    if row.state == "catching up" and row.caught_up is not None:
        return f"{row.state} {row.caught_up:.0%}"
    return row.state


def _short_state(text: str) -> str:
    return text.replace("catching up", "has")


def _close(text: str) -> str:
    """A number and its unit, without the blank between them."""
    return text.replace(" ", "")


def size_text(size: int | None) -> str:
    """A number of bytes for people to read: `20 KB`, `1.2 MB`."""
    if size is None:
        return UNKNOWN
    number, units = float(size), iter(("KB", "MB", "GB"))
    unit = "B"
    while number >= 1000 and (larger := next(units, None)) is not None:
        number, unit = number / 1024, larger
    return f"{number:.1f} {unit}" if number < 10 and unit != "B" else f"{number:.0f} {unit}"


def duration_text(ms: float | None) -> str:
    """A duration for people to read: `0.3 ms`, `12 ms`, `1.2 s`."""
    if ms is None:
        return UNKNOWN
    if ms >= 1000:
        return f"{ms / 1000:.1f} s"
    return f"{ms:.1f} ms" if ms < 10 else f"{ms:.0f} ms"


def _sync(row: NodeView) -> str:
    """The bound of a histogram: all that is known is that the p99 is not above it."""
    return UNKNOWN if row.sync_p99_ms is None else f"<{row.sync_p99_ms:.0f} ms"


def _hash(row: NodeView) -> str:
    if row.hash is None:
        return UNKNOWN
    return f"{row.hash:08x}"[:6] + ("" if row.agrees else "!")


def _peers(row: NodeView) -> str:
    return UNKNOWN if row.connected is None else f"{row.connected}/{row.others}"


COLUMNS: Final = (
    Column("node", lambda row: harmless(row.name)),
    Column("state", _state, style=lambda row: STYLES.get(row.state, ""), short=_short_state),
    Column("term", lambda row: _number(row.term), right=True),
    Column("commit", lambda row: _number(row.commit), right=True),
    Column("applied", lambda row: _number(row.applied), right=True),
    Column(
        "lag",
        lambda row: _number(row.lag),
        right=True,
        style=lambda row: "cyan" if row.caught_up is not None else "",
    ),
    Column("rev", lambda row: _number(row.revision), right=True),
    Column("keys", lambda row: _number(row.keys), right=True),
    Column("db", lambda row: size_text(row.db_size), right=True, short=_close),
    Column("hash", _hash, style=lambda row: "" if row.agrees else "bold red"),
    Column("rtt", lambda row: duration_text(row.round_trip_ms), right=True, short=_close),
    Column("sync", _sync, right=True, short=_close),
    Column("vote", lambda row: harmless(row.vote or UNKNOWN)),
    Column(
        "peers",
        _peers,
        style=lambda row: "yellow" if row.connected != row.others else "",
    ),
    Column("pid", lambda row: str(row.pid or UNKNOWN), right=True),
    Column("try", lambda row: row.note),
    Column("clients", lambda row: harmless(row.endpoint)),
)


class NodeTable:
    """Draws views. A column keeps its width while the nodes are the same: a table must not jump."""

    def __init__(self, without: Sequence[str] = ()) -> None:
        self._columns = [column for column in COLUMNS if column.title not in without]
        self._widths: dict[tuple[TableForm, str], int] = {}
        self._names: list[str] = []

    def forget_widths(self) -> None:
        """Begin anew: the terminal has another size."""
        self._widths.clear()

    def lines(self, view: ClusterView, columns: int) -> list[StyledLine]:
        """The titles, and a line for each node, none wider than `columns` if that can be."""
        names = [row.name for row in view.nodes]
        if names != self._names:
            self._names = names
            self.forget_widths()
        form, kept = ROOMY, self._fitting(ROOMY, view, columns)
        if any(title not in {column.title for column in kept} for title in WANTED):
            form, kept = CLOSE, self._fitting(CLOSE, view, columns)
        lines = [tuple(self._titles(form, kept))]
        for row in view.nodes:
            line: list[tuple[str, str]] = []
            for column in kept:
                text = padded(
                    form.cell(column, row), self._widths[form, column.title], right=column.right
                )
                line += [(text, column.style(row)), (form.gap, "")]
            lines.append(tuple(line[:-1]))
        return lines

    def _titles(self, form: TableForm, kept: list[Column]) -> list[tuple[str, str]]:
        titles = [
            padded(column.title, self._widths[form, column.title], right=column.right)
            for column in kept
        ]
        return [(form.gap.join(titles), "dim")]

    def _fitting(self, form: TableForm, view: ClusterView, columns: int) -> list[Column]:
        """The columns that fit side by side in this form."""
        for column in self._columns:
            texts = (column.title, *(form.cell(column, row) for row in view.nodes))
            needed = max(map(width, texts))
            key = form, column.title
            self._widths[key] = max(needed, self._widths.get(key, 0))
        kept = list(self._columns)
        for dropped in DROPPED:
            widths = [self._widths[form, column.title] for column in kept]
            if sum(widths) + len(form.gap) * (len(kept) - 1) <= columns:
                break
            kept = [column for column in kept if column.title != dropped]
        return kept
