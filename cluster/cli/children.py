"""The programs that leasectl runs for its user, and Go's texts for how they fail."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence


class StartError(Exception):
    """The program could not be started; the text is Go's."""


def run(command: Sequence[str], variables: Mapping[str, str]) -> int:
    """Run a program with further environment variables; its status, negative for a signal."""
    try:
        return subprocess.run(command, env={**os.environ, **variables}, check=False).returncode
    except FileNotFoundError:
        if os.sep in command[0]:
            raise StartError(f"fork/exec {command[0]}: no such file or directory") from None
        raise StartError(f'exec: "{command[0]}": executable file not found in $PATH') from None
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise StartError(f"fork/exec {command[0]}: {reason}") from None


def ending(status: int) -> str:
    """How a failed program ended: `exit status 3`, `signal: killed`."""
    if status > 0:
        return f"exit status {status}"
    return f"signal: {(signal.strsignal(-status) or str(-status)).lower()}"
