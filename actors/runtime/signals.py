"""What signals do to a node: those of STOPPING stop it gracefully, and SIGUSR1 prints its stacks.

Refuses to know what a node is.
"""

from __future__ import annotations

import faulthandler
import logging
import os
import signal
import sys
import time
from contextlib import suppress
from types import FrameType
from typing import Final

from cluster.processes import is_readable

STOPPING: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGHUP)

WAKE_BYTES: Final = 4096

log = logging.getLogger("leasehold")


class Stopping:
    """Set when the process is to stop; `reason` names the signal, if it was one.

    It is no threading.Event: a signal that comes while another one is handled would wait for ever
    for the lock of that event, which its own thread holds.
    """

    def __init__(self) -> None:
        self.reason = ""
        self._is_set = False
        self._woken, self.wake_fd = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)

    def take(self, number: int, frame: FrameType | None) -> None:
        """The handler of a signal."""
        self.reason = self.reason or signal.Signals(number).name
        self.set()

    def set(self) -> None:
        """Ask the process to stop; any thread may."""
        self._is_set = True
        with suppress(BlockingIOError):  # it is full of wake-ups already
            os.write(self.wake_fd, b"!")

    def wait(self, seconds: float) -> bool:
        """Wait for `set`, for this long at most; whether it was called."""
        until = time.monotonic() + seconds
        while not self._is_set and is_readable(self._woken, max(0.0, until - time.monotonic())):
            os.read(self._woken, WAKE_BYTES)
        return self._is_set


def stop_at_signals() -> Stopping:
    """Let signals stop the node gracefully, and SIGUSR1 print all stacks. Main thread only.

    Under nohup SIGHUP stays ignored.
    """
    stopping = Stopping()
    # The system may hand a signal to any thread, above all when a paused process goes on. Python
    # runs the handler in this thread, which must wake up for it.
    signal.set_wakeup_fd(stopping.wake_fd, warn_on_full_buffer=False)
    for number in STOPPING:
        if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, stopping.take)
    signal.signal(signal.SIGUSR1, _show_stacks)
    return stopping


def _show_stacks(number: int, frame: FrameType | None) -> None:
    if sys.stderr is None:  # it was closed when the process began
        return
    # This thread holds the interpreter's lock, so no stack changes meanwhile. With
    # `faulthandler.register` they do: that ends the process of a busy node.
    faulthandler.dump_traceback(sys.stderr, all_threads=True)
    log.info("SIGUSR1: the stacks of all threads are above")
