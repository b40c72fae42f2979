"""A process beside the one that measures, so that neither delays the other.

It is a module of this folder that is run with arguments: it prepares, says that it is ready, and
hears by its standard input when to begin or to end. What it says is the module's business.
"""

from __future__ import annotations

import subprocess
import sys
from typing import Final

from cluster.processes import IMPORT_ROOT

READY: Final = "ready\n"


def start(module: str, *arguments: str) -> subprocess.Popen[str]:
    """Run a module with these arguments; its standard input and output are pipes."""
    return subprocess.Popen(
        [sys.executable, "-m", module, *arguments],
        cwd=IMPORT_ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def wait_until_ready(process: subprocess.Popen[str]) -> None:
    """Wait until it has prepared; AssertionError if it has failed instead."""
    assert process.stdout is not None
    assert process.stdout.readline() == READY, "a process beside the measuring one failed"


def say(text: str) -> None:
    """Say something to the process that measures, at once."""
    sys.stdout.write(text)
    sys.stdout.flush()


def say_ready() -> None:
    """Say that it has prepared."""
    say(READY)
