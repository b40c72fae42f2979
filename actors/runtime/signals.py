"""What signals do to a node: those of STOPPING stop it gracefully, and SIGUSR1 prints its stacks.

Refuses to know what a node is.
"""

from __future__ import annotations

import faulthandler
import logging
import os
import signal
import sys
from types import FrameType
from typing import Final

from cluster.processes import is_readable

STOPPING: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGHUP)

log = logging.getLogger("leasehold")


class Stopping:
    """Set when the process is to stop; `reason` names the signal, if it was one.

    It is no threading.Event: a signal that comes while another one is handled would wait for ever
    for the lock of that event, which its own thread holds.
    """

    def __init__(self) -> None:
        self.reason = ""
        self._event = os.eventfd(0, os.EFD_CLOEXEC)

    def take(self, number: int, frame: FrameType | None) -> None:
        """The handler of a signal."""
        self.reason = self.reason or signal.Signals(number).name
        self.set()

    def set(self) -> None:
        """Ask the process to stop; any thread may."""
        os.eventfd_write(self._event, 1)

    def wait(self, seconds: float) -> bool:
        """Wait for `set`, for this long at most; whether it was called."""
        return is_readable(self._event, seconds)


def stop_at_signals() -> Stopping:
    """Let signals stop the node gracefully, and SIGUSR1 print all stacks. Main thread only.

    Under nohup SIGHUP stays ignored.
    """
    stopping = Stopping()
    for number in STOPPING:
        if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, stopping.take)
    signal.signal(signal.SIGUSR1, _say_what_was_shown)
    faulthandler.register(signal.SIGUSR1, file=sys.stderr, all_threads=True, chain=True)
    return stopping


def _say_what_was_shown(number: int, frame: FrameType | None) -> None:
    log.info("SIGUSR1: the stacks of all threads are above")
