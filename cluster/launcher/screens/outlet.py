"""Outlet: writes to a terminal, a pipe or a file in a thread of its own, in order.

The launcher's main loop measures and must not wait for a reader: not for a slow line, a stopped
terminal (Ctrl-S), or a pipe that nobody empties. It refuses to know what is written.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from typing import Final

WAITING_BYTES_MAX: Final = 4 << 20
"""What comes while more than this waits for the reader is dropped, and counted."""

CLOSE_SECONDS: Final = 1.0
"""How long the end of the program waits for a slow reader."""


class Outlet:
    """The way to one descriptor. All methods belong to one thread; none waits, but for `close`."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._waiting: deque[bytes] = deque()
        self._waiting_bytes = 0
        self._changed = threading.Condition()
        self._closing = False
        self._is_broken = False
        self._dropped = 0
        self._thread: threading.Thread | None = None

    @property
    def is_idle(self) -> bool:
        """Whether all that was put has been written."""
        return not self._waiting_bytes

    @property
    def is_broken(self) -> bool:
        """Whether the reader is gone, so that nothing is written any more."""
        return self._is_broken

    def put(self, data: bytes) -> bool:
        """Write this after what waits; False: too much waits, and this is dropped."""
        with self._changed:
            if self._is_broken:
                return True
            if self._waiting_bytes > WAITING_BYTES_MAX:
                self._dropped += 1
                return False
            self._waiting.append(data)
            self._waiting_bytes += len(data)
            self._changed.notify()
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="screen", daemon=True)
            self._thread.start()
        return True

    def take_dropped(self) -> int:
        """The number of writes that were dropped since the last call."""
        dropped, self._dropped = self._dropped, 0
        return dropped

    def close(self) -> None:
        """Let what waits be written, for a short time."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        if self._thread is not None:
            self._thread.join(CLOSE_SECONDS)

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._closing)
                if not self._waiting:
                    return
                data = b"".join(self._waiting)
                self._waiting.clear()
            try:
                while data:
                    data = self._written(data)
            except OSError:  # the reader is gone; the cluster goes on
                self._is_broken = True
            if self._is_broken:
                with self._changed:
                    self._waiting.clear()
                    self._waiting_bytes = 0
                return

    def _written(self, data: bytes) -> bytes:
        count = os.write(self._descriptor, data)
        with self._changed:
            self._waiting_bytes -= count
        return data[count:]
