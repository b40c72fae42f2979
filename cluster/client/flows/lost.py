"""Lost: an event that is true in time even when nothing was running to set it.

The moment at which a lease expires is known beforehand. A process that was frozen beyond it must
not believe for an instant that it still holds the lease. So each question looks at the clock.
"""

from __future__ import annotations

from collections.abc import Callable

from cluster.client.flows.deadlines import deadline_in, left_until
from cluster.client.flows.shell import Signal


class Lost:
    """Whether what a program holds is lost: set by its owner, or by time when its lease has ended.

    A program that was frozen beyond that moment sees it as soon as it goes on.
    """

    def __init__(self, signal: Signal, seconds_left: Callable[[], float]) -> None:
        self._signal = signal
        self._seconds_left = seconds_left

    def _set(self) -> None:
        """Say that it is lost."""
        self._signal.set()

    def is_set(self) -> bool:
        """Whether it is lost, now."""
        return self._signal.is_set() or self._seconds_left() <= 0

    async def wait(self, timeout: float | None = None) -> bool:
        """Wait until it is lost, for at most `timeout` seconds (None: without limit); whether it
        is lost."""
        deadline = deadline_in(timeout)
        while not self.is_set():
            patience = left_until(deadline)
            if patience == 0:
                return False
            left = max(0.0, self._seconds_left())
            # A renewal meanwhile moves the lease's end: the loop then waits again.
            await self._signal.wait(left if patience is None else min(left, patience))
        return True
