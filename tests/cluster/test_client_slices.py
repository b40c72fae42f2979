"""The slices of a long wait."""

from __future__ import annotations

from itertools import islice
from types import SimpleNamespace

import pytest

from cluster.client.threads.shell import SLICE_SECONDS, slices


class Clock:
    """Stands still but for what is waited."""

    def __init__(self) -> None:
        self.now = 100.0

    def wait(self, seconds: float) -> float:
        """Let a wait of a slice pass."""
        self.now += seconds
        return seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(
        "cluster.client.threads.shell.time", SimpleNamespace(monotonic=lambda: clock.now)
    )
    return clock


@pytest.mark.parametrize("timeout", [0, 0.125, SLICE_SECONDS, 1, 10.625])
def test_the_slices_are_short_and_together_as_long_as_the_wait(
    clock: Clock, timeout: float
) -> None:
    waited = [clock.wait(seconds) for seconds in slices(timeout)]
    assert waited and max(waited) <= SLICE_SECONDS
    assert sum(waited) == timeout


def test_time_that_is_over_is_one_look(clock: Clock) -> None:
    assert list(slices(-1)) == [0]


def test_a_slice_that_takes_longer_makes_the_rest_shorter(clock: Clock) -> None:
    waits = slices(10)
    next(waits)
    clock.wait(9.875)
    assert list(waits) == [0.125]


def test_a_wait_without_an_end_has_none() -> None:
    assert list(islice(slices(None), 1_000)) == [SLICE_SECONDS] * 1_000
