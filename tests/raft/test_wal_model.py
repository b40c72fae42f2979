"""Random lives of the log, whole and with bugs planted in it: the model must find each of them."""

from __future__ import annotations

import pytest

from tests.raft.wal_model import first_finding
from tests.raft.wal_mutants import WAL_MUTANTS
from tests.simulation.mutants.planting import Mutant

SEEDS = 100
SEEDS_OF_A_MUTANT_MAX = 1_000


def test_a_log_holds_after_any_crash_what_it_held_before_or_after_the_step() -> None:
    seed, finding = first_finding(SEEDS)
    assert not finding, f"tests.raft.wal_model.Life({seed}).live(): {finding}"


@pytest.mark.parametrize("mutant", WAL_MUTANTS)
def test_a_planted_bug_of_the_log_is_found(mutant: Mutant) -> None:
    with mutant():
        seed, finding = first_finding(SEEDS_OF_A_MUTANT_MAX)
    assert finding, f"{mutant.__name__} survived {seed} seeds"
