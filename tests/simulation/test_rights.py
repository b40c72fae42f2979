"""Rights change while requests are under way, without a wrong answer; planted bugs are found."""

from __future__ import annotations

import os

import pytest

from tests.simulation import planted, rights
from tests.simulation.mutants.planting import OF_RIGHTS
from tests.simulation.test_simulation import seed_of_the_code

FRESH_SEEDS = 40
HUNT_SEEDS = 60

MET = (
    "changes of rights",
    "entries: InvalidAuthToken",
    "entries: PermissionDenied",
    "entries: UserEmpty",
    "reads denied",
    "restarts",
    "retries",
    "sessions of others",
    "watches ended",
)


def test_fresh_seeds_find_nothing_and_meet_everything(capsys: pytest.CaptureFixture[str]) -> None:
    first = int(os.environ.get("SIMULATION_SEED") or seed_of_the_code())
    found = rights.table(first, FRESH_SEEDS)
    told = capsys.readouterr().out
    assert not found, told
    for what in MET:
        assert what in told, told


def test_a_seed_replays_bit_for_bit() -> None:
    assert rights.run(7) == rights.run(7)


@pytest.mark.parametrize("name", sorted(OF_RIGHTS))
def test_a_planted_bug_is_found(name: str) -> None:
    assert planted.hunt((name, HUNT_SEEDS)).finding
