"""Child processes: how they find this program's modules, and how one is waited for."""

from __future__ import annotations

import os
import select
from pathlib import Path
from typing import Final

IMPORT_ROOT: Final = Path(__file__).resolve().parents[1]
"""Where `cluster` and `actors` are."""


def import_environment() -> dict[str, str]:
    """This process's environment, in which a child finds the modules that this process has."""
    environment = dict(os.environ)
    search = [str(IMPORT_ROOT), environment.get("PYTHONPATH", "")]
    environment["PYTHONPATH"] = os.pathsep.join(part for part in search if part)
    return environment


def is_readable(fd: int, timeout_seconds: float) -> bool:
    """Whether a descriptor is readable, or its other end is gone, within this time."""
    poller = select.poll()
    poller.register(fd, select.POLLIN)
    return bool(poller.poll(timeout_seconds * 1_000))
