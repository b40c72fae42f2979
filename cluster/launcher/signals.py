"""Signals as a descriptor to poll, and those that arrived in order. It decides nothing."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from types import FrameType
from typing import Any, Final, Self

STOPPING: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
TERMINAL: Final = (signal.SIGCONT, signal.SIGWINCH)
CHILDREN: Final = (signal.SIGCHLD,)
"""A child has ended, or was paused, or goes on."""


class Interrupted(KeyboardInterrupt):
    """A stopping signal came while `Signals.interrupting` was set."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


class Signals:
    """Catches the process's signals within a `with` block of the main thread.

    While `interrupting` is set, the next stopping signal raises Interrupted in the main thread.
    That also clears `interrupting`, so the clean-up that follows is not interrupted.
    """

    def __init__(self) -> None:
        self.interrupting = False
        self.fd = -1
        self._write_fd = self._woken_before = -1
        self._arrived: list[int] = []
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        self.fd, self._write_fd = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        # The system may hand a signal to any thread; this one, which handles it, must wake up.
        self._woken_before = signal.set_wakeup_fd(self._write_fd, warn_on_full_buffer=False)
        for number in (*STOPPING, *TERMINAL, *CHILDREN):
            before = signal.getsignal(number)
            if number == signal.SIGHUP and before == signal.SIG_IGN:
                continue  # started by nohup: ignore it
            self._before[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, *_: object) -> None:
        for number, before in self._before.items():
            signal.signal(number, before)
        signal.set_wakeup_fd(self._woken_before)
        os.close(self.fd)
        os.close(self._write_fd)

    def take(self) -> list[int]:
        """The signals since the last call; call when `fd` is readable."""
        with suppress(BlockingIOError):
            os.read(self.fd, 4096)
        arrived, self._arrived = self._arrived, []
        return arrived

    def _handle(self, number: int, _frame: FrameType | None) -> None:
        if self.interrupting and number in STOPPING:
            self.interrupting = False
            raise Interrupted(number)
        self._arrived.append(number)
        with suppress(BlockingIOError):  # the pipe is full of wake-ups already
            os.write(self._write_fd, b"!")
