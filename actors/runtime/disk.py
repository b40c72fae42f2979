"""DiskWaits: where an actor waits for its disk: in the loop while that is fast, else in a thread.

To wait in the loop is the shortest way, but everything else on the node waits, too: clients' reads,
watches, heartbeats. So the waits are measured, and slow ones move to a thread of their own until
they are fast again. Refuses to know what is waited for.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final

from actors.language.metrics import Histogram
from actors.runtime.overruns import ALARMING_MS, NS_PER_MS, tell_slow

OF_WAITS: Final = 16
SLOW_MS: Final = 4
SLOW_WAITS: Final = 8
"""When half of the last 16 waits took 4 ms and more, the next ones are waited for in a thread. A
few may be chance: on a busy machine a thread that has waited has to wait again, for a core."""

FAST_MS: Final = 2
FAST_WAITS: Final = 14
"""When 14 of the last 16 waits took less than 2 ms, they are waited for in the loop again: a thread
costs a put two hand-overs more."""

_ALL: Final = (1 << OF_WAITS) - 1

Work = Callable[[], None]


def nothing() -> None:
    """What is done before a wait that needs nothing first."""


class DiskWaits:
    """The waits of one actor, one at a time, and how long they took; `clock_ns` is monotonic."""

    def __init__(self, name: str, clock_ns: Callable[[], int] = time.monotonic_ns) -> None:
        self._name = name
        self._clock_ns = clock_ns
        self._thread: ThreadPoolExecutor | None = None
        self._under_way: Future[None] | None = None
        self._fast, self._slow = _ALL, 0
        self.durations = Histogram()
        self.is_slow = False

    def run(self, work: Work, done: Work, first: Work = nothing) -> bool:
        """Do `first`, then `work`, which waits for the disk: True if that is done; it may raise.

        False: both are under way in a thread, which calls `done` at their end, whatever that is;
        then call `end`. Only `work` is measured.
        """
        assert self._under_way is None, "one wait at a time"
        if not self.is_slow:
            self._run(work, first)
            return True
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, thread_name_prefix=self._name)
        self._under_way = self._thread.submit(self._run, work, first)
        self._under_way.add_done_callback(lambda _: done())
        return False

    @property
    def is_busy(self) -> bool:
        """Whether work is in the thread, or nobody has taken note of its end yet."""
        return self._under_way is not None

    @property
    def is_over(self) -> bool:
        """Whether the work in the thread is over, and nobody has taken note of that yet."""
        return self._under_way is not None and self._under_way.done()

    def end(self) -> None:
        """Take note of the end of the work, and wait for it; raises what it has raised."""
        assert self._under_way is not None, "a wait is under way"
        under_way, self._under_way = self._under_way, None
        under_way.result()

    def close(self) -> None:
        """Wait for what is under way."""
        if self._thread is not None:
            self._thread.shutdown()

    def _run(self, work: Work, first: Work) -> None:
        first()
        began_ns = self._clock_ns()
        work()
        self._note(self._clock_ns() - began_ns)

    def _note(self, took_ns: int) -> None:
        """Learn from a wait where the next one should be: the switch has hysteresis."""
        self.durations.add(took_ns)
        took_ms = took_ns // NS_PER_MS
        if took_ms >= ALARMING_MS:
            tell_slow(self._name, f"the {self._name} took {took_ms} ms: the disk is slow", took_ms)
        # A bit for each of the last waits: this one shifts the oldest out.
        self._fast = (self._fast << 1 | (took_ns < FAST_MS * NS_PER_MS)) & _ALL
        self._slow = (self._slow << 1 | (took_ns >= SLOW_MS * NS_PER_MS)) & _ALL
        if self.is_slow:
            self.is_slow = self._fast.bit_count() < FAST_WAITS
        else:
            self.is_slow = self._slow.bit_count() >= SLOW_WAITS
