"""Child processes: how they find this program's modules, and how one is found and waited for."""

from __future__ import annotations

import ctypes
import os
import select
import signal
from contextlib import suppress
from pathlib import Path
from typing import Final

IMPORT_ROOT: Final = Path(__file__).resolve().parents[1]
"""Where `cluster` and `actors` are."""

_PR_SET_PDEATHSIG: Final = 1
"""From linux/prctl.h: the signal that a process gets when the one that started it dies."""


def import_environment() -> dict[str, str]:
    """This process's environment, in which a child finds the modules that this process has."""
    environment = dict(os.environ)
    search = [str(IMPORT_ROOT), environment.get("PYTHONPATH", "")]
    environment["PYTHONPATH"] = os.pathsep.join(part for part in search if part)
    return environment


def descendants(pid: int) -> list[int]:
    """The processes that a process has started and that run, and those that they have started."""
    children: dict[int, list[int]] = {}
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it has just ended
            # After the name, which is in parentheses and may contain anything: state, parent.
            state, parent = (process / "stat").read_text().rpartition(")")[2].split()[:2]
            # One that has ended, and that nobody has waited for yet, is not among them.
            if state != "Z":
                children.setdefault(int(parent), []).append(int(process.name))
    found = [pid]
    for one in found:
        found += children.get(one, ())
    return found[1:]


def is_readable(fd: int, timeout_seconds: float) -> bool:
    """Whether a descriptor is readable, or its other end is gone, within this time."""
    poller = select.poll()
    poller.register(fd, select.POLLIN)
    return bool(poller.poll(timeout_seconds * 1_000))


def continue_when_parent_dies() -> None:
    """Let the system send SIGCONT to this process when the one that started it ends.

    A process that is stopped would not see that end, and would hold its port. One that runs is not
    disturbed.
    """
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGCONT)
