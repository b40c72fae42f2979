"""Lost: an event that tells the truth even when no thread had the time to set it.

What is held by a lease is held until a moment that is known beforehand. A process that was frozen
must not believe a moment longer that it holds it, so whoever asks has the clock looked at.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable


class Lost(threading.Event):
    """Set by `set`, or by the time: as soon as `seconds_left` returns nothing above 0."""

    def __init__(self, seconds_left: Callable[[], float]) -> None:
        super().__init__()
        self._seconds_left = seconds_left

    def is_set(self) -> bool:
        """Whether it is lost, now."""
        return super().is_set() or self._seconds_left() <= 0

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until it is lost, or for so many seconds; whether it is lost."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while not self.is_set():
            left = max(0.0, self._seconds_left())
            if deadline is not None:
                patience = deadline - time.monotonic()
                if patience <= 0:
                    return False
                left = min(left, patience)
            # A renewal meanwhile moves the end: then there is another round.
            super().wait(min(left, threading.TIMEOUT_MAX))
        return True
