"""Every test has one marker of its cost, and a quick one starts no process."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests import conftest
from tests.markers import MARKERS, marker_of


def test_every_test_is_quick_or_a_process_or_a_campaign(request: pytest.FixtureRequest) -> None:
    for item in request.session.items:
        found = [marker.name for marker in item.iter_markers() if marker.name in MARKERS]
        assert len(found) == 1, item.nodeid


@pytest.mark.parametrize(
    ("path", "marked", "expected"),
    [
        ("raft/test_log.py", (), "quick"),
        ("system/test_crash.py", (), "process"),
        ("simulation/test_simulation.py", (), "campaign"),
        ("raft/test_log.py", ("parametrize", "process"), "process"),
        ("system/test_crash.py", ("quick",), "quick"),
        ("test_tidy.py", (), "quick"),
    ],
)
def test_a_test_has_its_own_marker_or_that_of_its_folder(
    path: str, marked: tuple[str, ...], expected: str
) -> None:
    assert marker_of(Path(path), marked) == expected


def test_a_test_that_has_two_is_refused() -> None:
    with pytest.raises(ValueError, match="one of these markers, not process and quick"):
        marker_of(Path("raft/test_log.py"), ("quick", "process"))


def test_a_quick_test_cannot_start_a_process() -> None:
    with pytest.raises(RuntimeError, match="a quick test starts a process"):
        subprocess.run([sys.executable, "-c", ""], check=True)
    with pytest.raises(RuntimeError, match="a quick test starts a process"):
        os.fork()


def test_a_process_may_start_where_the_quiet_is_broken() -> None:
    with conftest.QUIET.broken():
        subprocess.run([sys.executable, "-c", ""], check=True)
