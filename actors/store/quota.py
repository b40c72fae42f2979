"""When a member's store is too full, and when no more: whether it should raise or clear its alarm.

It counts bytes in use, not the size of the file: pages that a compaction frees are used again. It
decides about this member only; what an alarm forbids, and everywhere, is the machine's.
"""

from __future__ import annotations

from typing import Final

LOW_WATER_PERCENT: Final = 90
"""An alarm that this member has raised is cleared when less than so much of the quota is in use."""

NEAR_BYTES: Final = 64 * 1024 * 1024
"""With more room than this nobody needs to know how much there is."""


class Quota:
    """One member's. A limit of 0 is none. `has_alarm`: an earlier run may have raised it."""

    def __init__(self, limit_bytes: int, has_alarm: bool) -> None:
        self._limit_bytes = limit_bytes
        self._low_bytes = limit_bytes * LOW_WATER_PERCENT // 100
        # What an operator raises by hand is not ours to clear, unless we did so earlier.
        self._is_own = has_alarm
        self._was_refused = False

    def room(self, used_bytes: int) -> int | None:
        """How many bytes may be added; None when that is plenty."""
        if not self._limit_bytes:
            return None
        room = max(0, self._limit_bytes - used_bytes)
        return room if room < NEAR_BYTES else None

    def is_tight(self, used_bytes: int) -> bool:
        """Whether it is above the low-water mark."""
        return bool(self._limit_bytes) and used_bytes >= self._low_bytes

    def refused(self) -> None:
        """Something was refused that needs more room than there is."""
        self._was_refused = True

    def wish(self, used_bytes: int, has_alarm: bool) -> bool | None:
        """Whether the alarm should be raised (True) or cleared (False); None: let it be.

        Between the low-water mark and the limit only a refusal raises it. Below the mark none
        does: what was refused was too large, and smaller things have room.
        """
        is_tight = self.is_tight(used_bytes)
        self._was_refused &= is_tight
        is_full = is_tight and (used_bytes > self._limit_bytes or self._was_refused)
        if is_full:
            self._is_own = True
            return None if has_alarm else True
        return False if has_alarm and self._is_own and not is_tight else None
