"""The table of nodes and the sparkline, as a person reads them at several widths."""

from __future__ import annotations

from typing import Any

import pytest

from cluster.launcher.screens.lines import cut, harmless, joined, plain, width, wrapped
from cluster.launcher.screens.sparkline import ASCII, LEVELS_MS, Sparkline
from cluster.launcher.screens.table import (
    COLUMNS,
    DROPPED,
    WANTED,
    NodeTable,
    duration_text,
    size_text,
)
from cluster.launcher.screens.view import ClusterView, NodeView
from cluster.launcher.story.happenings import Happening
from tests.launcher.views import FOLLOWER, KILLED, VIEW, node


def drawn(columns: int, view: ClusterView = VIEW) -> str:
    return joined(NodeTable().lines(view, columns))


AT_60 = """\
node state    term commit lag  rev    db hash     rtt
n1   leader      3  12451   0 8123 1.2MB 3fa9c1 0.3ms
n2   follower    3  12451   0 8123 1.2MB 3fa9c1 0.3ms
n3   killed      -      -   -    -     - -          -"""

AT_80 = """\
node state    term commit applied lag  rev    db hash     rtt sync vote   pid
n1   leader      3  12451   12451   0 8123 1.2MB 3fa9c1 0.3ms <1ms n1   43127
n2   follower    3  12451   12451   0 8123 1.2MB 3fa9c1 0.3ms <1ms n1   43128
n3   killed      -      -       -   -    -     - -          -    - -        -"""

AT_120 = """\
node  state     term  commit  applied  lag   rev  keys      db  hash       rtt   sync  vote  peers\
    pid  try
n1    leader       3   12451    12451    0  8123   812  1.2 MB  3fa9c1  0.3 ms  <1 ms  n1    2/2  \
  43127  kill -9 43127
n2    follower     3   12451    12451    0  8123   812  1.2 MB  3fa9c1  0.3 ms  <1 ms  n1    2/2  \
  43128  kill -9 43128
n3    killed       -       -        -    -     -     -       -  -            -      -  -     -    \
      -  restart n3"""


@pytest.mark.parametrize(("columns", "text"), [(60, AT_60), (80, AT_80), (120, AT_120)])
def test_what_matters_least_is_left_out_where_it_is_narrow(columns: int, text: str) -> None:
    assert drawn(columns) == text


def test_in_a_wide_terminal_nothing_is_missing() -> None:
    assert drawn(170).splitlines()[0].split() == [column.title for column in COLUMNS]


def test_at_any_width_names_and_states_remain() -> None:
    assert drawn(10) == "node state\nn1   leader\nn2   follower\nn3   killed"
    assert {*DROPPED, "node", "state"} == {column.title for column in COLUMNS}


def test_in_80_cells_all_that_a_watcher_needs_is_readable_with_millions_of_entries_too() -> None:
    grown: dict[str, Any] = {"revision": 1_012_345, "commit": 1_145_678, "applied": 1_133_333}
    sizes: dict[str, Any] = {
        "term": 12,
        "db_size": 190_000_000,
        "round_trip_ms": 12.3,
        "sync_p99_ms": 16.0,
    }
    lags = node("n2", state="catching up", caught_up=0.634, lag=12_345, **grown)
    view = VIEW._replace(nodes=(node(**grown, **sizes), lags, KILLED))
    assert drawn(80, view).splitlines()[:3] == [
        "node state   term  commit applied   lag     rev    db hash     rtt  sync vote",
        "n1   leader    12 1145678 1133333     0 1012345 181MB 3fa9c1  12ms <16ms n1",
        "n2   has 63%    3 1145678 1133333 12345 1012345 1.2MB 3fa9c1 0.3ms  <1ms n1",
    ]
    assert {*WANTED, "node", "state"} == set(drawn(80, view).splitlines()[0].split())


@pytest.mark.parametrize("columns", [20, 40, 60, 70, 80, 90, 100, 120, 140])
def test_no_line_is_wider_than_the_terminal(columns: int) -> None:
    assert all(width(plain(line)) <= columns for line in NodeTable().lines(VIEW, columns))


def cells(row: NodeView) -> dict[str, str]:
    """A node's cells by the titles of their columns."""
    return {column.title: column.cell(row) for column in COLUMNS}


def test_a_value_that_nobody_can_tell_is_a_hyphen() -> None:
    known = ("node", "state", "try", "clients")
    assert {text for title, text in cells(KILLED).items() if title not in known} == {"-"}


def test_a_node_that_catches_up_says_how_far_it_is() -> None:
    lagging = node(state="catching up", caught_up=0.634, lag=4_000)
    assert cells(lagging)["state"] == "catching up 63%"


def test_a_hash_that_differs_is_marked_without_colour_too() -> None:
    assert cells(node(agrees=False))["hash"] == "3fa9c1!"


@pytest.mark.parametrize(("p99_ms", "text"), [(None, "-"), (1.0, "<1 ms"), (16.0, "<16 ms")])
def test_the_p99_of_syncs_is_shown_as_the_bound_it_is(p99_ms: float | None, text: str) -> None:
    assert cells(node(sync_p99_ms=p99_ms))["sync"] == text


def test_columns_do_not_become_narrower_while_people_look() -> None:
    table = NodeTable()
    wide = table.lines(VIEW._replace(nodes=(node(revision=1_000_000), FOLLOWER, KILLED)), 80)
    later = table.lines(VIEW, 80)
    assert width(plain(later[1])) == width(plain(wide[1]))
    table.forget_widths()
    assert joined(table.lines(VIEW, 80)) == drawn(80)


def test_names_of_a_remote_cluster_take_their_cells_and_move_no_cursor() -> None:
    view = VIEW._replace(nodes=(node("\u8282\u70b9"), node("a\x1b[2Jb")))
    titles, first, second = joined(NodeTable().lines(view, 15)).splitlines()
    assert titles == "node   state"
    assert first == "\u8282\u70b9   leader"
    assert second == "a\ufffd[2Jb leader"


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0 B"), (999, "999 B"), (20_480, "20 KB"), (1_258_291, "1.2 MB"), (9 << 30, "9.0 GB")],
)
def test_sizes_read_well(size: int, text: str) -> None:
    assert size_text(size) == text


@pytest.mark.parametrize(
    ("ms", "text"), [(None, "-"), (0.31, "0.3 ms"), (84.2, "84 ms"), (1_240, "1.2 s")]
)
def test_durations_read_well(ms: float | None, text: str) -> None:
    assert duration_text(ms) == text


# --- lines ------------------------------------------------------------------------------------


def test_a_line_is_cut_by_cells() -> None:
    line = (("ab", "red"), ("\u8282\u70b9", ""), ("cd", ""))
    assert [plain(cut(line, columns)) for columns in (1, 4, 5, 99)] == [
        "a",
        "ab\u8282",
        "ab\u8282 ",
        "ab\u8282\u70b9cd",
    ]


def test_long_texts_are_broken_at_blanks_if_there_are_any() -> None:
    assert list(wrapped("n1 leads now\n\nterm 3", 8)) == ["n1 leads", "now", "", "term 3"]
    assert list(wrapped("abcdefghij", 4)) == ["abcd", "efgh", "ij"]
    assert list(wrapped("  no writes for 6 s", 11)) == ["  no writes", "  for 6 s"]
    assert list(wrapped("        indented", 10)) == ["indented"]
    assert list(wrapped("\u8282\u70b9", 1)) == ["\u8282", "\u70b9"]


def test_control_characters_do_not_reach_the_terminal() -> None:
    assert harmless("a\x1b[31mb\x9bc\x7f") == "a\ufffd[31mb\ufffdc\ufffd"


# --- the sparkline ----------------------------------------------------------------------------


def happened(at: float, kind: str, **fields: Any) -> Happening:
    return Happening(at, 1_700_000_000 + at, kind, "", "", fields)


def probe(at: float, p99_ms: float | None, failed: int = 0) -> Happening:
    return happened(at, "probe", writes=90, reads=90, p50_ms=p99_ms, p99_ms=p99_ms, failed=failed)


def spark(*happenings: Happening, columns: int = 60) -> list[str]:
    sparkline = Sparkline()
    for happening in happenings:
        sparkline.tell(happening)
    return [plain(line).rstrip() for line in sparkline.lines(columns)]


def test_a_fault_stands_below_the_second_that_it_made_slow() -> None:
    lines = spark(
        *(probe(at + 0.02, 0.9) for at in range(1, 21)),
        happened(20.5, "died", victim="n1"),
        probe(21.02, 84.0),
        *(probe(at + 0.02, 0.9) for at in range(22, 37)),
    )
    assert lines == [
        "p99  ▁▁▁▁▁▁▁▁▁▁▁▁▁▁▆▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁  now 0.9 ms, worst 84 ms",
        "                   ▲ n1 died",
    ]


def test_a_second_without_an_answer_is_no_latency() -> None:
    (line,) = spark(probe(1.0, 1.5), probe(2.0, None), probe(4.0, 700.0), columns=80)
    assert line.split("  now")[0].rstrip().endswith("▂✗ █")


def test_marks_that_are_near_each_other_lose_their_labels_not_their_places() -> None:
    faults = [
        happened(10.2, "died", victim="n1"),
        happened(12.2, "fault", what="isolate", victims=["n2"]),
        happened(39.5, "fault", what="heal", victims=["n1", "n2", "n3"]),
    ]
    lines = spark(*faults, *(probe(float(at), 0.5) for at in range(1, 41)), columns=86)
    assert lines[1].strip() == "▲ ▲ isolate n2               ▲ heal n1 n2 n3"


def test_each_level_has_its_character_also_without_utf_8() -> None:
    sparkline = Sparkline(ASCII)
    for at, bound in enumerate((0, *LEVELS_MS), 1):
        sparkline.tell(probe(float(at), bound))
    (line,) = sparkline.lines(60)
    assert "_.-=+*%#" in plain(line) and plain(line).isascii()


def test_before_the_first_probe_there_is_no_sparkline_and_in_no_room_no_line() -> None:
    assert spark(happened(1.0, "died", victim="n1")) == []
    assert [width(line) for line in spark(probe(1.0, 1.0), columns=20)] == [20]
