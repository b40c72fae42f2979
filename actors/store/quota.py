"""Whether a member's store is too full: when it should raise its NOSPACE alarm, and when clear it.

It counts the bytes in use, not the size of the file: pages that a compaction frees are used again.
It decides for this member only; what an alarm forbids on all members, `alarms.py` says.
"""

from __future__ import annotations

from typing import Final

LOW_WATER_PERCENT: Final = 90
"""A member clears the alarm that it raised when less than 90 % of its quota is in use."""

NEAR_BYTES: Final = 64 * 1024 * 1024
"""Only if there is less room than 64 MiB does the gateway compare a request with it."""


class Quota:
    """The quota of one member; 0 is no limit. `has_alarm`: the alarm stands at the start."""

    def __init__(self, limit_bytes: int, has_alarm: bool) -> None:
        self._limit_bytes = limit_bytes
        self._low_bytes = limit_bytes * LOW_WATER_PERCENT // 100
        # An alarm that was raised by hand is not cleared here. One that stands at the start counts
        # as this member's own, since an earlier run may have raised it.
        self._is_own = has_alarm
        self._was_refused = False

    def room(self, used_bytes: int) -> int | None:
        """How many bytes may be added; None when that is plenty."""
        if not self._limit_bytes:
            return None
        room = max(0, self._limit_bytes - used_bytes)
        return room if room < NEAR_BYTES else None

    def is_tight(self, used_bytes: int) -> bool:
        """Whether the bytes in use have reached the low-water mark."""
        return bool(self._limit_bytes) and used_bytes >= self._low_bytes

    def refused(self) -> None:
        """A request was refused that needs more room than there is."""
        self._was_refused = True

    def wish(self, used_bytes: int, has_alarm: bool) -> bool | None:
        """Whether the alarm should be raised (True) or cleared (False); None: leave it as it is.

        Between the low-water mark and the limit, only a refusal raises it. Below the mark a refusal
        does not: the request was large, and smaller ones still have room.
        """
        is_tight = self.is_tight(used_bytes)
        self._was_refused &= is_tight
        is_full = is_tight and (used_bytes > self._limit_bytes or self._was_refused)
        if is_full:
            self._is_own = True
            return None if has_alarm else True
        return False if has_alarm and self._is_own and not is_tight else None
