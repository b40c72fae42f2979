"""Durations in a histogram: each belongs to the first bound that it does not exceed."""

from __future__ import annotations

import pytest

from actors.language.metrics import DISK_BOUNDS, TRIP_BOUNDS, TRIP_FIRST_NS, Histogram

MS = 1_000_000


@pytest.mark.parametrize(
    ("took_ns", "bound"),
    [
        (0, 0.001),
        (1, 0.001),
        (MS, 0.001),
        (MS + 1, 0.002),
        (2 * MS, 0.002),
        (2 * MS + 1, 0.004),
        (3 * MS, 0.004),
        (4_096 * MS + 1, 8.192),
        (8_192 * MS, 8.192),
        (8_192 * MS + 1, None),
        (10**15, None),
    ],
)
def test_a_duration_counts_from_its_bound_on(took_ns: int, bound: float | None) -> None:
    histogram = Histogram()
    histogram.add(took_ns)
    bounds, counts, total = histogram.read()
    assert len(counts) == len(bounds) + 1
    assert counts[-1] == 1
    assert total == took_ns / 1e9
    first = next((each for each, count in zip(bounds, counts, strict=False) if count), None)
    assert first == bound


def test_the_bounds_are_those_of_etcds_histograms() -> None:
    disk = Histogram().read().bounds
    assert (len(disk), disk[0], disk[1], disk[-1]) == (DISK_BOUNDS, 0.001, 0.002, 8.192)
    trips = Histogram(TRIP_FIRST_NS, TRIP_BOUNDS).read().bounds
    assert (len(trips), trips[0], trips[1], trips[-1]) == (TRIP_BOUNDS, 0.0001, 0.0002, 3.2768)


def test_counts_are_of_all_up_to_the_bound() -> None:
    histogram = Histogram()
    for milliseconds in (1, 1, 3, 100_000):
        histogram.add(milliseconds * MS)
    assert histogram.read().counts[:4] == (2, 2, 3, 3)
    assert histogram.read().counts[-1] == 4
