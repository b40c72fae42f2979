"""Clients outlive clusters without a wrong answer, and bugs planted in that are found."""

from __future__ import annotations

import os

import pytest

from tests.simulation import lives, planted
from tests.simulation.mutants.planting import OF_LIVES
from tests.simulation.test_simulation import seed_of_the_code

FRESH_SEEDS = 60
HUNT_SEEDS = 40


def test_fresh_lives_find_nothing_and_meet_everything(capsys: pytest.CaptureFixture[str]) -> None:
    first = int(os.environ.get("SIMULATION_SEED") or seed_of_the_code())
    found = lives.table(first, FRESH_SEEDS)
    told = capsys.readouterr().out
    assert not found, told
    for what in ("acknowledged late", "applied: SessionNotFound", "outcomes unknown", *lives.ACTS):
        assert what in told, told


def test_a_seed_replays_bit_for_bit() -> None:
    assert lives.run(7) == lives.run(7)


@pytest.mark.parametrize("name", sorted(OF_LIVES))
def test_a_planted_bug_is_found(name: str) -> None:
    assert planted.hunt((name, HUNT_SEEDS)).finding
