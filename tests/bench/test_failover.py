"""The comparison of write outages: how an outage is measured, its table, and its plot."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from tests.bench import failover, failover_plot
from tests.bench.writer import INTERVAL_SECONDS, SteadyWriter

pytestmark = pytest.mark.quick


def outages() -> failover.Outages:
    """The outages of every system and fault, made up."""
    return {
        system: {
            fault.name: [ms + 10 * number for number in range(30)] for fault in failover.FAULTS
        }
        for system, ms in zip(failover.SYSTEMS, (0.0, 20.0, 110.0, 1_200.0), strict=True)
    }


def test_an_outage_is_the_longest_gap_since_the_fault_less_the_interval_of_puts() -> None:
    writer = SteadyWriter(["127.0.0.1:1"])
    # Two nodes answer at once, so the times are not in order.
    writer.acknowledged = [0.0, 9.0, 10.0, 10.005, 10.105, 10.11, 10.104, 10.15]
    assert writer.gap_ms(9.95) == pytest.approx(1_000 * (0.099 - INTERVAL_SECONDS))
    assert writer.gap_ms(10.15) == 0


def test_figures_of_a_fault_are_on_a_line() -> None:
    figures = failover.line("etcd", "kill", [float(ms) for ms in range(1, 101)])
    assert figures.split("ms: ")[1].split() == [
        "p50",
        "50.0",
        "p90",
        "90.0",
        "p99",
        "99.0",
        "max",
        "100.0",
    ]


def test_plot_has_a_dot_for_each_outage_and_says_what_was_not_measured() -> None:
    measured = outages()
    dots = sum(len(row) for of in measured.values() for row in of.values())
    del measured["etcd"]["restart of a follower"]
    text = failover_plot.svg(measured)
    tags = [element.tag.rpartition("}")[2] for element in ElementTree.fromstring(text).iter()]
    assert tags.count("circle") == dots - 30
    assert "not measured" in text and "1,340 / 1,490" in text
    assert "prefers-color-scheme: dark" in text
    assert failover_plot.svg(measured) == text
