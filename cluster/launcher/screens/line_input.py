"""LineInput: the lines that come from stdin, without waiting for them.

It refuses to know what a line means. A terminal edits its lines itself here; it is read only in the
foreground, for to read it from the background would stop the process.
"""

from __future__ import annotations

import os
import sys
from typing import Final

from cluster.launcher.screens.terminal import is_in_foreground

INPUT_BYTES: Final = 4_096

LINE_BYTES_MAX: Final = 1 << 20
"""A longer line is no command: what was read of it is forgotten."""


class LineInput:
    """The lines typed; at the end of a pipe or a file the cluster runs on."""

    def __init__(self) -> None:
        self._is_open = False
        self._unfinished = b""

    @property
    def descriptor(self) -> int | None:
        """What to wait for; None if nothing is to be read now."""
        if not self._is_open:
            return None
        descriptor = sys.stdin.fileno()
        return descriptor if not sys.stdin.isatty() or is_in_foreground(descriptor) else None

    def open(self) -> None:
        """Begin to read, if there is a stdin."""
        self._is_open = not (sys.stdin is None or sys.stdin.closed)

    def close(self) -> None:
        """Read no more."""
        self._is_open = False

    def lines(self) -> list[str]:
        """The lines that have arrived whole; call it when the descriptor is readable."""
        try:
            data = os.read(sys.stdin.fileno(), INPUT_BYTES)
        except OSError:  # a terminal that is gone
            data = b""
        if not data:
            self.close()
            data = b"\n" if self._unfinished else b""
        *whole, unfinished = (self._unfinished + data).split(b"\n")
        self._unfinished = unfinished if len(unfinished) <= LINE_BYTES_MAX else b""
        return [line.decode(errors="replace") for line in whole]
