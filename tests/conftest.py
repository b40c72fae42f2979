"""For the whole suite: no process that a test started outlives it."""

from __future__ import annotations

import os
import select
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

MARK = "LEASEHOLD-TEST-SESSION"  # hyphens: no flag's environment variable looks like this
ENDING_SECONDS = 10.0


@pytest.fixture(scope="session", autouse=True)
def no_process_is_left_behind() -> Iterator[None]:
    """Mark the environment that every descendant inherits, and look for the mark at the end."""
    mark = uuid.uuid4().hex
    os.environ[MARK] = mark
    yield
    deadline = time.monotonic() + ENDING_SECONDS
    left = [pid for pid in _marked(mark) if not _ends(pid, deadline)]
    if left:
        names = ", ".join(f"{pid} ({_command(pid)})" for pid in left)
        pytest.fail(f"processes were left behind: {names}")


def _marked(mark: str) -> list[int]:
    needle = f"{MARK}={mark}".encode()
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if needle in (process / "environ").read_bytes() and int(process.name) != os.getpid():
                found.append(int(process.name))
        except OSError:
            continue  # it has just ended, or it is somebody else's
    return found


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
