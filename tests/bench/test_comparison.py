"""The comparison with etcd: its rows, tables and plot, and our side of a few rows, small."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from math import isnan, nan
from pathlib import Path
from xml.etree import ElementTree

import pytest

from cluster.launcher.local import LocalCluster
from tests.bench import etcd, plot
from tests.bench.comparison import KEYS, plan
from tests.bench.generator import Part, Report, merged, split
from tests.bench.measure import NOT_MEASURED, Measurement, cpu_seconds, median_of, table
from tests.bench.rows import ROWS, Row, chosen, measure_own
from tests.limits import UNHURRIED

quick = pytest.mark.quick
DIRECTORY = Path("binaries")


@quick
def test_medians_are_taken_of_each_figure() -> None:
    rounds = [Measurement(100, 2, 4, 9), Measurement(300, 1, 5, 7), Measurement(200, 3, 6, 8)]
    assert median_of(rounds)[:4] == (200, 2, 5, 8)
    assert isnan(median_of([NOT_MEASURED] * 3).rate)


@quick
def test_table_shows_both_sides_and_ratios_and_a_dash_for_what_was_not_measured() -> None:
    theirs, own = Measurement(200, 2, 5, 8, 1.5, 0.5), Measurement(600, 1, 2, 3, 1.25, 0.25)
    rows = [
        ("put 64", theirs, own),
        ("txn 64", NOT_MEASURED, own),
        ("keep-alive", Measurement(200, nan, nan, nan, 1, 1), own),
    ]
    lines = [line.split() for line in table(rows)[2:5]]
    measured = ["600", "1.00", "2.00", "1.2", "0.25"]
    assert lines == [
        ["put", "64", "200", "2.00", "5.00", "1.5", "0.50", *measured, "3.00x", "0.50x", "0.40x"],
        ["txn", "64", *"-----", *measured, *"---"],
        ["keep-alive", "200", "-", "-", "1.0", "1.00", *measured, "3.00x", "-", "-"],
    ]


@quick
def test_rows_are_chosen_by_operation_or_with_their_clients() -> None:
    assert [row.name for row in chosen(["get-64", "lease"])] == ["get 64", "lease 1", "lease 64"]
    assert "put 1,000, 5 nodes" in [row.name for row in chosen(["put"])]
    with pytest.raises(ValueError, match="no rows pat, put-2; there are get, get-1,"):
        chosen(["pat", "put", "put-2"])


@quick
def test_rows_have_different_names() -> None:
    assert len({row.name for row in ROWS}) == len(ROWS)


@quick
def test_plan_has_everything_unless_it_is_told_what() -> None:
    assert plan(DIRECTORY, 5, [], 1).rows == list(ROWS)
    assert plan(DIRECTORY, 5, [], 1).keys == KEYS
    few = plan(DIRECTORY, 5, ["put-64"], 0.001)
    assert ([row.total for row in few.rows], few.with_keys) == ([64], False)
    only_keys = plan(DIRECTORY, 5, ["keys"], 0.1)
    assert (only_keys.rows, only_keys.keys) == ([], KEYS // 10)


@quick
def test_load_is_split_into_parts_that_make_the_whole() -> None:
    part = Part("put", ("tcp://a",), clients=1_000, connections=100, total=40_001, keys=10)
    parts = split(part, 3)
    assert len({each.seed for each in parts}) == 3
    assert sum(each.clients for each in parts) == 1_000
    assert sum(each.connections for each in parts) == 100
    assert sum(each.total for each in parts) == 40_001


@quick
def test_reports_are_merged_from_the_first_beginning_to_the_last_end() -> None:
    reports = [
        Report(10, 12, 1.0, 300, [1, 2, 3]),
        Report(10.5, 14, 2.0, 500, [4, 5]),
        Report(9, 15, 0.5, 7, [1_000]),
    ]
    assert merged(reports, [0, 1], 7.5) == Measurement(160, 3, 4, 5, 1.5, 0.7)


@quick
@pytest.mark.parametrize(
    ("report", "printed", "figures"),
    [
        (
            etcd.LOADED,
            "put conns=1 clients=1 total=9: 955 op/s p50=0.98ms p99=2.1ms p999=3ms max=4.5ms",
            ("955", "0.98", "2.1", "4.5"),
        ),
        (
            etcd.WATCHED,
            "watchers=9 puts=5 putters=4: puts 7/s, events delivered 650/s, lat p50=2ms p99=31.5ms",
            ("650", "2", "31.5"),
        ),
        (etcd.KEPT_ALIVE, "keepalive-once 9300/s", ("9300",)),
    ],
)
def test_figures_are_found_in_what_a_load_program_prints(
    report: re.Pattern[str], printed: str, figures: tuple[str, ...]
) -> None:
    found = report.search(printed)
    assert found is not None
    assert found.groups() == figures


@quick
def test_processor_time_of_a_process_grows_with_its_work() -> None:
    before, used = cpu_seconds([os.getpid()]), time.process_time()
    while time.process_time() < used + 0.05:
        pass
    assert cpu_seconds([os.getpid()]) > before


# --- the plot ---------------------------------------------------------------------------------


def points() -> dict[tuple[str, int], tuple[Measurement, Measurement]]:
    """Both sides of everything that is in the plot."""
    return {
        (operation, clients): (
            Measurement(1_000 * clients, 1, clients / 2, 1),
            Measurement(2_500 * clients, 1, clients / 4, 1),
        )
        for operation in plot.OPERATIONS
        for clients in plot.CLIENTS
    }


@quick
def test_plot_is_a_picture_with_every_point_of_both_systems() -> None:
    text = plot.svg(points())
    root = ElementTree.fromstring(text)
    tags = [element.tag.rpartition("}")[2] for element in root.iter()]
    panels = len(plot.OPERATIONS) * len(plot.FIGURES)
    assert tags.count("polyline") == 2 * panels
    assert tags.count("circle") == 2 * len(plot.CLIENTS) * panels + 2
    assert {"2,500,000", "250", "1,000"} <= {element.text for element in root.iter()}
    assert "prefers-color-scheme: dark" in text


@quick
def test_plot_is_the_same_for_the_same_measurements() -> None:
    assert plot.svg(points()) == plot.svg(points())


@quick
def test_higher_value_is_drawn_higher() -> None:
    scale = plot.Scale(0, 2)
    assert [round(scale.height(value)) for value in (1, 10, 100)] == [
        0,
        plot.PANEL_HEIGHT // 2,
        plot.PANEL_HEIGHT,
    ]


@quick
def test_plot_says_what_it_lacks() -> None:
    few = points()
    del few["get", 64]
    with pytest.raises(ValueError, match="the plot needs get with 64 clients"):
        plot.svg(few)


# --- our side, small --------------------------------------------------------------------------


@pytest.fixture(scope="module")
def cluster() -> Iterator[LocalCluster]:
    with LocalCluster(node_flags=UNHURRIED) as three:
        yield three


ONE_OF_EACH = {row.operation: row for row in reversed(ROWS) if row.nodes == 3}


@pytest.mark.parametrize("row", ONE_OF_EACH.values(), ids=lambda row: row.operation)
def test_row_is_measured_with_the_processor_time_of_both_sides(
    cluster: LocalCluster, row: Row
) -> None:
    clients = min(row.clients, 20)
    small = row._replace(clients=clients, total=100, keys=min(row.keys, 20))
    figures = measure_own(cluster, small)
    assert figures.rate > 0
    assert 0 < figures.p50_ms <= figures.p99_ms <= figures.max_ms
    assert figures.load_cores > 0
    assert figures.node_cores >= 0


def test_load_of_many_clients_is_made_by_several_processes(cluster: LocalCluster) -> None:
    figures = measure_own(cluster, Row("put", 600, 1_200))
    assert figures.rate > 0
