"""Ends every process that this one has started, however this one ends: also by kill -9.

A guard is a process of its own. It hears by the end of its standard input that whoever called it is
gone, and kills all that carry the caller's mark: an environment variable, which every descendant
inherits that runs a program. So no test, worker, node or tool has to see to it by itself.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[1]
PREFIX: Final = "LEASEHOLD-TEST-"
"""Hyphens: no flag's environment variable looks like this."""

LOOKS_IN_VAIN: Final = 2
"""A process that is just being started shows its mark a moment later."""

LOOK_MS: Final = 100
KILL_MS: Final = 1_000


class Guard:
    """Call one early: only what is started from then on carries the mark."""

    def __init__(self) -> None:
        self.mark = f"{PREFIX}{uuid.uuid4().hex}"
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.guard", self.mark],
            stdin=subprocess.PIPE,  # never written: its end is the news
            cwd=ROOT,
            start_new_session=True,  # Ctrl-C is not meant for it
        )
        os.environ[self.mark] = "1"

    def left(self) -> list[int]:
        """The processes that carry the mark."""
        return marked(self.mark)

    def dismiss(self) -> None:
        """Have everything ended that is left, and wait until it is."""
        os.environ.pop(self.mark, None)
        self._process.communicate()


_called: list[Guard] = []


def end_all_with_this_process() -> None:
    """For a program that starts processes: none outlives it, and each can be interrupted."""
    let_children_hear_signals()
    _called.append(Guard())


def let_children_hear_signals() -> None:
    """Ignore no signal in a way that this process's children inherit.

    Who starts a program in the background of a script, or with nohup, lets it ignore signals, and
    with it all that it starts: what a test interrupts would go on. A handler is not inherited, not
    even one that does nothing.
    """
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGQUIT):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, lambda *_: None)


def marked(mark: str) -> list[int]:
    """The processes that carry a mark, but this one."""
    needle = f"{mark}=".encode()
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if needle in (process / "environ").read_bytes() and int(process.name) != os.getpid():
                found.append(int(process.name))
        except OSError:
            continue  # it has just ended, or it is somebody else's
    return found


def main(mark: str) -> None:
    """Wait for the caller's end; then kill until nobody carries the mark."""
    sys.stdin.buffer.read()
    in_vain = 0
    while in_vain < LOOKS_IN_VAIN:
        found = marked(mark)
        in_vain = 0 if found else in_vain + 1
        _wait_for_ends(_killed(found), KILL_MS if found else LOOK_MS)


def _killed(pids: Iterable[int]) -> list[int]:
    """Kill these processes; their pidfds."""
    opened = []
    for pid in pids:
        with suppress(ProcessLookupError):
            opened.append(os.pidfd_open(pid))
            signal.pidfd_send_signal(opened[-1], signal.SIGKILL)
    return opened


def _wait_for_ends(pidfds: list[int], timeout_ms: int) -> None:
    poller = select.poll()
    for pidfd in pidfds:
        poller.register(pidfd, select.POLLIN)
    poller.poll(timeout_ms)
    for pidfd in pidfds:
        os.close(pidfd)


if __name__ == "__main__":
    main(sys.argv[1])
