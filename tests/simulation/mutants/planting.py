"""What a planted bug is: a context in which some function of a node or of a client is replaced.

All are mistakes that were made in real systems, or that a careless edit would make here. `PLANTED`
holds them by their names, in the order in which they are defined.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any, Final

Mutant = Callable[[], AbstractContextManager[Any]]

PLANTED: Final[dict[str, Mutant]] = {}
OF_LIVES: Final[set[str]] = set()
OF_ROLLBACKS: Final[set[str]] = set()
OF_RIGHTS: Final[set[str]] = set()
OF_WORLDS: Final[dict[str, str]] = {}


def mutant(plant: Mutant) -> Mutant:
    """Keep a function that plants a bug: the simulation must find it."""
    PLANTED[plant.__name__] = plant
    return plant


def mutant_of_lives(plant: Mutant) -> Mutant:
    """Likewise, of a bug that shows only where clients outlive clusters (`lives`)."""
    OF_LIVES.add(plant.__name__)
    return mutant(plant)


def mutant_of_rollbacks(plant: Mutant) -> Mutant:
    """Likewise, of a bug that shows only where a disk was put back (`rollback`)."""
    OF_ROLLBACKS.add(plant.__name__)
    return mutant(plant)


def mutant_of_rights(plant: Mutant) -> Mutant:
    """Likewise, of a bug that shows only where rights change meanwhile (`rights`)."""
    OF_RIGHTS.add(plant.__name__)
    return mutant(plant)


def mutant_of_a_world(world: str) -> Callable[[Mutant], Mutant]:
    """Likewise, of a bug that few seeds show, and this small world does (`tests/spec`)."""

    def keep(plant: Mutant) -> Mutant:
        OF_WORLDS[plant.__name__] = world
        return mutant(plant)

    return keep


@contextmanager
def both(*patches: AbstractContextManager[Any]) -> Iterator[None]:
    """Several changes that make one mistake."""
    with ExitStack() as stack:
        for each in patches:
            stack.enter_context(each)
        yield
