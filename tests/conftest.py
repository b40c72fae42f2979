"""For the whole suite: no process that a test started outlives it, however the suite ends."""

from __future__ import annotations

import os
import select
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.guard import Guard
from tests.limits import HANG_SECONDS


@pytest.fixture(scope="session", autouse=True)
def no_process_is_left_behind() -> Iterator[None]:
    """At the end all have ended by themselves; the guard is for other ends than this."""
    # Who starts the tests in the background of a script, or with nohup, lets them ignore signals,
    # and with them all that they start: what tests interrupt would go on. A handler is not passed
    # on, not even one that does nothing.
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGQUIT):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, lambda *_: None)
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
