"""What the system tells a node: the time of its wall clock, and the memory that it takes."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

_PAGE_BYTES: Final = os.sysconf("SC_PAGE_SIZE")
_RESIDENT: Final = 1
"""The field of /proc/self/statm that counts resident pages."""


class System(NamedTuple):
    """Both as they are when they are asked for; a simulation has its own."""

    wall_ms: Callable[[], int]
    resident_bytes: Callable[[], int]


def _wall_ms() -> int:
    return time.time_ns() // 1_000_000


def _resident_bytes() -> int:
    pages = Path("/proc/self/statm").read_text(encoding="ascii").split()
    return int(pages[_RESIDENT]) * _PAGE_BYTES


THIS_SYSTEM: Final = System(_wall_ms, _resident_bytes)
