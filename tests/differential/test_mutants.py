"""The comparison finds planted faults, and says where they are."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.differential.etcd import MISSING, binaries
from tests.differential.generator import program_of
from tests.differential.language import Program
from tests.differential.mutants import MUTANTS, Mutated
from tests.differential.runner import Pair
from tests.differential.servers import start_pair
from tests.differential.shrink import shrunk

PROGRAMS_MAX = 60


@pytest.fixture(scope="module")
def mutated() -> Iterator[Pair]:
    if binaries() is None:
        pytest.skip(MISSING)
    with start_pair(Mutated) as pair:
        yield pair


def _plant(pair: Pair, name: str) -> None:
    _side(pair).mutant = MUTANTS[name]


def _side(pair: Pair) -> Mutated:
    side = pair.own.side
    assert isinstance(side, Mutated)
    return side


@pytest.mark.parametrize("name", MUTANTS)
def test_fault_is_found_within_few_programs(mutated: Pair, name: str) -> None:
    _plant(mutated, name)
    seed = next(s for s in range(1, PROGRAMS_MAX) if mutated.run(program_of(s)) is not None)
    _side(mutated).mutant = None
    assert mutated.run(program_of(seed)) is None, "it differs without the fault, too"


def test_finding_shrinks_to_the_operations_that_it_takes(mutated: Pair) -> None:
    _plant(mutated, "more is never said")
    program = program_of(1)
    first = mutated.run(program)
    assert first is not None
    wanted = first.signature()

    def fails(trial: Program) -> bool:
        found = mutated.run(trial)
        return found is not None and found.signature() == wanted

    smallest = shrunk(program, fails)
    assert [operation.name for operation in smallest][-1] == "range"
    assert len(smallest) <= 3 < len(program)
