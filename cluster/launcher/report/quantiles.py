"""Percentiles of few values, and how reports write them."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil
from typing import Final

FIGURES: Final = {"p50": 50, "p90": 90, "p99": 99, "max": 100}
"""What is told of several values: the name, and the percentage that do not exceed it."""


def percentile(values: Sequence[float], percent: float) -> float:
    """The least value that `percent` of all do not exceed; the values are in any order."""
    ordered = sorted(values)
    return ordered[max(0, ceil(len(ordered) * percent / 100) - 1)]


def milliseconds(value: float | None) -> str:
    """A duration in ms as a table has it; a dash where there is none."""
    if value is None:
        return "-"
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}"
