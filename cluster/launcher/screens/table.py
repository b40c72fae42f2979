"""The table of nodes: its columns, what stands in them, and which are left out where it is narrow.

Values come from a ClusterView. A value that nobody can tell is `-`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from cluster.launcher.screens.lines import StyledLine, harmless, padded, width
from cluster.launcher.screens.view import ClusterView, NodeView

UNKNOWN: Final = "-"
GAP: Final = "  "

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

DROPPED: Final = (
    "clients",
    "try",
    "keys",
    "applied",
    "peers",
    "vote",
    "db",
    "sync",
    "hash",
    "rtt",
    "commit",
    "pid",
    "lag",
    "rev",
    "term",
)
"""The columns that are left out where the table is too wide, the first one first. What remains at
any width are the names and the states."""


class Column(NamedTuple):
    """A column: its title, a node's cell in it, whether it is of numbers, and a cell's style."""

    title: str
    cell: Callable[[NodeView], str]
    right: bool = False
    style: Callable[[NodeView], str] = lambda _: ""


def _number(value: int | None) -> str:
    return UNKNOWN if value is None else str(value)


def _state(row: NodeView) -> str:
    if row.state == "catching up" and row.caught_up is not None:
        return f"{row.state} {row.caught_up:.0%}"
    return row.state


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
    Column("state", _state, style=lambda row: STYLES.get(row.state, "")),
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
    Column("db", lambda row: size_text(row.db_size), right=True),
    Column("hash", _hash, style=lambda row: "" if row.agrees else "bold red"),
    Column("rtt", lambda row: duration_text(row.round_trip_ms), right=True),
    Column("sync", _sync, right=True),
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
        self._widths: dict[str, int] = {}
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
        cells = {each.title: [each.cell(row) for row in view.nodes] for each in self._columns}
        for title, texts in cells.items():
            needed = max(map(width, (title, *texts)))
            self._widths[title] = max(needed, self._widths.get(title, 0))
        kept = self._fitting(columns)
        lines = [tuple(self._titles(kept))]
        for place, row in enumerate(view.nodes):
            line: list[tuple[str, str]] = []
            for column in kept:
                text = padded(
                    cells[column.title][place], self._widths[column.title], right=column.right
                )
                line += [(text, column.style(row)), (GAP, "")]
            lines.append(tuple(line[:-1]))
        return lines

    def _titles(self, kept: list[Column]) -> list[tuple[str, str]]:
        titles = [
            padded(column.title, self._widths[column.title], right=column.right) for column in kept
        ]
        return [(GAP.join(titles), "dim")]

    def _fitting(self, columns: int) -> list[Column]:
        kept = list(self._columns)
        for dropped in DROPPED:
            widths = [self._widths[column.title] for column in kept]
            if sum(widths) + len(GAP) * (len(kept) - 1) <= columns:
                break
            kept = [column for column in kept if column.title != dropped]
        return kept
