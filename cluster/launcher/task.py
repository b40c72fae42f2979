"""Task: the command that `run_cluster.py -- CMD ARGS` runs against its cluster."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from typing import Final

from cluster.launcher.nodes.layout import LauncherError
from cluster.processes import is_readable

EXIT_NOT_FOUND: Final = 127
EXIT_NOT_EXECUTABLE: Final = 126

INTERRUPTS: Final = (None, signal.SIGTERM, signal.SIGKILL)
"""The signals that the first, second and third Ctrl-C send to the task. The first sends none: the
terminal has sent SIGINT to the task already."""


class TaskError(LauncherError):
    """The command could not be started; `status` is a shell's exit status for that."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class Task:
    """The running command. It shares the terminal, stdin and stdout with its launcher, and has
    these variables in its environment."""

    def __init__(self, command: Sequence[str], variables: Mapping[str, str]) -> None:
        try:
            self._process = subprocess.Popen(command, env={**os.environ, **variables})
        except FileNotFoundError:
            raise TaskError(f"{command[0]}: command not found", EXIT_NOT_FOUND) from None
        except OSError as error:
            reason = error.strerror or "cannot be run"
            raise TaskError(f"{command[0]}: {reason}", EXIT_NOT_EXECUTABLE) from None
        self.pidfd = os.pidfd_open(self._process.pid)
        self._interrupts = 0

    @property
    def status(self) -> int:
        """The exit status, as a shell has it: 128 + N for signal N."""
        code = self._process.returncode
        assert code is not None, "the task has not ended"
        return code if code >= 0 else 128 - code

    def reap(self) -> bool:
        """Whether the command has ended."""
        return is_readable(self.pidfd, 0.0) and self._process.wait() is not None

    def interrupt(self, number: int) -> bool:
        """Pass a stopping signal on to the task (INTERRUPTS for Ctrl-C).

        Always true: the launcher goes on until the task has ended.
        """
        passed_on: int | None = number
        if number == signal.SIGINT:
            passed_on = INTERRUPTS[min(self._interrupts, len(INTERRUPTS) - 1)]
            self._interrupts += 1
        if passed_on is not None:
            self._process.send_signal(passed_on)
        return True

    def end(self) -> None:
        """Kill the command if it still runs, and close its pidfd."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        os.close(self.pidfd)
