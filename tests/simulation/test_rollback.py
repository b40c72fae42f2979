"""A disk that is put back to an earlier state: the wrong one stops, the right one never does."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from tests.simulation import planted, rollback
from tests.simulation.mutants.planting import OF_ROLLBACKS

SEEDS = 20


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """Nodes that stop have much to say."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.parametrize("seed", range(SEEDS))
def test_wrong_members_stop_and_nothing_acknowledged_is_lost(seed: int) -> None:
    assert rollback.run(seed).finding == ""


@pytest.mark.parametrize("name", sorted(OF_ROLLBACKS))
def test_a_bug_that_is_planted_is_found(name: str) -> None:
    assert planted.hunt((name, SEEDS)).finding
