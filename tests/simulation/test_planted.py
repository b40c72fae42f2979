"""Every planted bug can still be planted: what it replaces is where it looks for it.

That each of them is found is `python -m tests.simulation mutants`, which takes minutes.
"""

from __future__ import annotations

import pytest

from tests.simulation.mutants import MODULES
from tests.simulation.mutants.planting import PLANTED

pytestmark = pytest.mark.quick


@pytest.mark.parametrize("name", PLANTED)
def test_a_bug_can_be_planted(name: str) -> None:
    with PLANTED[name]():
        pass


def test_every_function_that_plants_a_bug_is_listed() -> None:
    for module in MODULES:
        for name, value in vars(module).items():
            is_own = getattr(value, "__module__", "") == module.__name__
            if is_own and callable(value) and not isinstance(value, type):
                assert name.startswith("_") or PLANTED.get(name) is value, f"{name} lacks @mutant"
