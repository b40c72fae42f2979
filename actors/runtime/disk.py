"""DiskWaits: where an actor waits for its disk: in the loop while that is fast, else in a thread.

To wait in the loop is the shortest way, but everything else on the node waits, too: clients' reads,
watches, heartbeats. So the waits are measured, and slow ones move to a thread of their own until
they are fast again. Refuses to know what is waited for.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from actors.language.metrics import Histogram

OF_WAITS: Final = 16
SLOW_MS: Final = 4
SLOW_WAITS: Final = 8
"""When half of the last 16 waits took 4 ms and more, the next ones are waited for in a thread. A
few may be chance: on a busy machine a thread that has waited has to wait again, for a core."""

FAST_MS: Final = 2
FAST_WAITS: Final = 14
"""When 14 of the last 16 waits took less than 2 ms, they are waited for in the loop again: a thread
costs a put two hand-overs more."""

_NS_PER_MS: Final = 1_000_000
_ALL: Final = (1 << OF_WAITS) - 1

Done = Callable[[OSError | None], None]
"""Told the end of a wait, in the thread in which it was waited: None, or the error."""


class DiskWaits:
    """The waits of one actor, one at a time, and how long they took; `clock_ns` is monotonic."""

    def __init__(self, name: str, clock_ns: Callable[[], int] = time.monotonic_ns) -> None:
        self._name = name
        self._clock_ns = clock_ns
        self._thread: ThreadPoolExecutor | None = None
        self._fast, self._slow = _ALL, 0
        self.durations = Histogram()
        self.is_slow = False
        self.is_busy = False

    def run(self, work: Callable[[], None], done: Done) -> bool:
        """Do work that waits for the disk: True if that is done, and may have raised OSError.

        False: it is under way in a thread, which calls `done` at its end; then call `ended`.
        """
        assert not self.is_busy, "one wait at a time"
        if not self.is_slow:
            began_ns = self._clock_ns()
            work()
            self._note(self._clock_ns() - began_ns)
            return True
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, thread_name_prefix=self._name)
        self.is_busy = True
        self._thread.submit(self._run, work, done)
        return False

    def ended(self) -> None:
        """The end of a wait in a thread has been told."""
        self.is_busy = False

    def close(self) -> None:
        """Wait for what is under way."""
        if self._thread is not None:
            self._thread.shutdown()

    def _run(self, work: Callable[[], None], done: Done) -> None:
        error: OSError | None = None
        began_ns = self._clock_ns()
        try:
            work()
        except OSError as raised:
            error = raised
        self._note(self._clock_ns() - began_ns)
        done(error)

    def _note(self, took_ns: int) -> None:
        """Learn from a wait where the next one should be: the switch has hysteresis."""
        self.durations.add(took_ns)
        # A bit for each of the last waits: this one shifts the oldest out.
        self._fast = (self._fast << 1 | (took_ns < FAST_MS * _NS_PER_MS)) & _ALL
        self._slow = (self._slow << 1 | (took_ns >= SLOW_MS * _NS_PER_MS)) & _ALL
        if self.is_slow:
            self.is_slow = self._fast.bit_count() < FAST_WAITS
        else:
            self.is_slow = self._slow.bit_count() >= SLOW_WAITS
