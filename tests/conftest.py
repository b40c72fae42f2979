"""For the whole suite: each test's marker, and no process of a test outlives it, however that ends.

Random tests are judged by what they find, never by how long an example took.
"""

from __future__ import annotations

import os
import select
import time
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Final

import hypothesis
import pytest

from tests.guard import Guard, let_children_hear_signals
from tests.limits import HANG_SECONDS
from tests.markers import QUICK, Quiet, marker_of

TESTS: Final = Path(__file__).parent
QUIET: Final = Quiet()

hypothesis.settings.register_profile("without a clock", deadline=None)
hypothesis.settings.load_profile("without a clock")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give each test its marker, so that `-m quick` finds it."""
    for item in items:
        if not item.path.is_relative_to(TESTS):
            continue  # a test of this file, which runs one that stands elsewhere
        marked = [marker.name for marker in item.iter_markers()]
        try:
            marker = marker_of(item.path.relative_to(TESTS), marked)
        except ValueError as error:
            raise pytest.UsageError(f"{item.nodeid}: {error}") from None
        if marker not in marked:
            item.add_marker(marker)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """While a quick test runs, with all that it uses, no process may start."""
    if item.get_closest_marker(QUICK) is None:
        return (yield)
    with QUIET.kept():
        return (yield)


@pytest.fixture(scope="session", autouse=True)
def no_process_is_left_behind() -> Iterator[None]:
    """At the end all have ended by themselves; the guard is for other ends than this."""
    let_children_hear_signals()
    with QUIET.broken():
        guard = Guard()
    yield
    deadline = time.monotonic() + HANG_SECONDS
    left = [pid for pid in guard.left() if not _ends(pid, deadline)]
    names = ", ".join(f"{pid} ({_command(pid)})" for pid in left)
    guard.dismiss()
    if left:
        pytest.fail(f"processes were left behind: {names}")


def _ends(pid: int, deadline: float) -> bool:
    """Whether a process ends by itself before the deadline."""
    try:
        pidfd = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    poller = select.poll()
    poller.register(pidfd, select.POLLIN)
    ended = bool(poller.poll(max(0.0, deadline - time.monotonic()) * 1000))
    os.close(pidfd)
    return ended


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode().strip()
    except OSError:
        return "ended meanwhile"
