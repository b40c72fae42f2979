"""What the terminal is that this process has: whether it is ours, and what it can show."""

from __future__ import annotations

import os
import sys


def can_move_cursor() -> bool:
    """Whether stdout is a terminal that can move its cursor."""
    return sys.stdout.isatty() and os.environ.get("TERM", "dumb") not in {"", "dumb"}


def is_in_foreground(descriptor: int) -> bool:
    """Whether this process is in the foreground of the terminal behind a descriptor.

    It is not if the terminal is gone, or is not the one that controls this process.
    """
    try:
        return os.tcgetpgrp(descriptor) == os.getpgrp()
    except OSError:
        return False
