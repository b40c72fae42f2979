"""Random programs on an etcd and a node: replies, errors and watch events must be the same.

`python -m tests.differential --programs 2000` runs more of them, and shrinks what it finds.
"""

from __future__ import annotations

import subprocess
import sys
from random import Random

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from cluster.launcher.local import IMPORT_ROOT
from tests.differential.etcd import MISSING, binaries
from tests.differential.generator import MOOD, operation_of
from tests.differential.language import Op
from tests.differential.report import report
from tests.differential.runner import Pair

EXAMPLES = 30
OPERATIONS = 100

CALM = {kind: weight for kind, weight in MOOD.items() if kind not in {"no_space", "corrupt"}}


def _operation(seed: int) -> Op:
    return operation_of(Random(seed), CALM)


@pytest.mark.campaign
@pytest.mark.parametrize(("programs", "way"), [(120, ()), (60, ("--grpc",))])
def test_many_programs_are_answered_alike(programs: int, way: tuple[str, ...]) -> None:
    if binaries() is None:
        pytest.skip(MISSING)
    ended = subprocess.run(
        [sys.executable, "-m", "tests.differential", f"--programs={programs}", *way],
        cwd=IMPORT_ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert f"{programs} programs" in ended.stdout.splitlines()[-1]


# One number makes one operation, whatever stands before it: so hypothesis can take operations away
# without changing the others.
@settings(
    max_examples=EXAMPLES,
    phases=[Phase.generate, Phase.shrink],
    suppress_health_check=list(HealthCheck),
)
@pytest.mark.campaign
@given(program=st.lists(st.integers(0, 2**32 - 1).map(_operation), max_size=OPERATIONS))
def test_programs_that_hypothesis_makes_are_answered_alike(pair: Pair, program: list[Op]) -> None:
    found = pair.run(program)
    assert found is None, report(program, found)
