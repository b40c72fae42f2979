"""`-w table`: tables drawn with `+---+` and `|`, for the commands that have one in etcdctl."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from cluster.cli.output import emit
from cluster.cli.printers import (
    EndpointHash,
    EndpointHealth,
    EndpointStatus,
    Printer,
    hash_rows,
    member_rows,
    status_rows,
    truth,
)
from cluster.values import format_duration

if TYPE_CHECKING:
    from cluster.client.results import MemberListResult

MEMBER_COLUMNS: Final = ("ID", "STATUS", "NAME", "PEER ADDRS", "CLIENT ADDRS", "IS LEARNER")
HEALTH_COLUMNS: Final = ("ENDPOINT", "HEALTH", "TOOK", "ERROR")
HASH_COLUMNS: Final = ("ENDPOINT", "HASH")
STATUS_COLUMNS: Final = (
    "ENDPOINT",
    "ID",
    "VERSION",
    "DB SIZE",
    "IS LEADER",
    "IS LEARNER",
    "RAFT TERM",
    "RAFT INDEX",
    "RAFT APPLIED INDEX",
    "ERRORS",
)


class TablePrinter(Printer):
    """Prints tables of members and endpoints."""

    commands = frozenset({"member list", "endpoint status", "endpoint health", "endpoint hashkv"})

    def member_list(self, result: MemberListResult) -> None:
        _table(MEMBER_COLUMNS, member_rows(result))

    def endpoint_status(self, rows: list[EndpointStatus]) -> None:
        _table(STATUS_COLUMNS, status_rows(rows))

    def endpoint_health(self, rows: list[EndpointHealth]) -> None:
        cells = [
            [row.endpoint, truth(not row.error), format_duration(row.took_seconds), row.error]
            for row in rows
        ]
        _table(HEALTH_COLUMNS, cells)

    def endpoint_hash(self, rows: list[EndpointHash]) -> None:
        _table(HASH_COLUMNS, hash_rows(rows))


def _table(columns: tuple[str, ...], rows: list[list[str]]) -> None:
    """A table with centred headings and cells aligned to the right, as etcdctl draws it."""
    widths = [max(map(len, column)) for column in zip(columns, *rows, strict=True)]
    rule = "+" + "+".join("-" * (width + 2) for width in widths) + "+"
    headings = [_centred(name, width) for name, width in zip(columns, widths, strict=True)]
    lines = [rule, _row(headings), rule]
    for row in rows:
        lines.append(_row([cell.rjust(width) for cell, width in zip(row, widths, strict=True)]))
    emit(*(line.encode() for line in [*lines, rule]))


def _centred(name: str, width: int) -> str:
    left = (width - len(name)) // 2
    return (" " * left + name).ljust(width)


def _row(cells: list[str]) -> str:
    return "| " + " | ".join(cells) + " |"
