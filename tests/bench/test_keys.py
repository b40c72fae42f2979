"""The table of what keys, users and TLS cost, without a cluster."""

from __future__ import annotations

import pytest

from tests.bench.keys import COLUMNS, HEADING, SIDES, lines, side_named
from tests.bench.measure import Measurement

pytestmark = pytest.mark.quick


def rounds(*rates: float) -> list[Measurement]:
    return [Measurement(rate, 1.0, 2.0, 3.0, 1.5, 0.25) for rate in rates]


def test_each_side_is_held_to_the_first_one_of_the_same_round() -> None:
    # The machine was slow in the second round, for all.
    first, other = lines([rounds(1_000, 100, 2_000), rounds(950, 90, 1_000)])
    figures = [dict(zip(COLUMNS, line.split(), strict=True)) for line in (first, other)]
    assert [each["/s"] for each in figures] == ["1,000", "950"]
    assert [each["ratio"] for each in figures] == ["1.00", "0.90"]
    assert [each["us"] for each in figures] == ["1500.0", "1578.9"]
    assert len(HEADING) == 19 + len(first) == 19 + len(other)


def test_a_side_is_known_by_its_name() -> None:
    assert [side_named(side.name) for side in SIDES] == list(SIDES)
    with pytest.raises(ValueError, match="no side TSL"):
        side_named("TSL")
