"""The comparison of the client's shells, with few requests."""

from __future__ import annotations

from tests.bench.shells import measure, sides

SOCKETS_MAX = 8
"""Of a process whose client knows one node, however many requests are under way; two of them are
the pipes of its event loop."""


def test_each_shell_has_its_figures_and_very_many_calls_take_no_more_sockets() -> None:
    said: list[str] = []
    with sides(None, said.append, size=1) as compared:
        measure(compared, 1, 1.0, said.append, under_way=[(1, 20), (2_000, 2_000)])
    head, _, *rows, sockets = said
    assert head.split() == ["raw", "sockets", "threads", "futures", "aio"]
    assert [row[:10].replace(" ", "") for row in rows] == ["put1", "get1", "put2,000", "get2,000"]
    assert [len(row[10:].split()) for row in rows] == [8, 8, 8, 8]
    assert rows[2].split()[4:6] == ["-", "-"], "that many threads are not begun"
    name, *counts = sockets.split()
    assert name == "sockets" and all(0 < int(count) <= SOCKETS_MAX for count in counts)
