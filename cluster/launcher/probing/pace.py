"""Pace: when the probe client sends its next write and read. Pure; times are arguments, in seconds.

In peace it sends little, and most writes leave no trace. Around a fault, and when answers fail to
come, it sends often enough to measure an outage to a few milliseconds.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Final

PEACE_WRITE_SECONDS: Final = 0.05
PEACE_READ_SECONDS: Final = 0.1
NUMBERED_SECONDS: Final = 0.5
"""In peace: the time from write to write, from read to read, and to the next numbered write. Nodes
tell of any change of leaders, so this rate need not measure one; it costs three nodes and the
client a few hundredths of a processor."""

CLOSE_WRITE_SECONDS: Final = 0.002
CLOSE_READ_SECONDS: Final = 0.004
"""The times from write to write and from read to read while it looks closely."""

TIRED_AFTER_SECONDS: Final = 0.5
TIRED_SECONDS: Final = 0.025
"""After this time without an acknowledgement, the time from write to write: what waits for a
majority may wait for hours."""

SUSPICIOUS_SECONDS: Final = 0.15
SUSPECTED_SECONDS: Final = 0.6
SUSPECTED_AGAIN_SECONDS: Final = 3.0
"""After SUSPICIOUS_SECONDS without an acknowledgement it looks closely for SUSPECTED_SECONDS, and
so for no fault at most every SUSPECTED_AGAIN_SECONDS: on a slow machine more load cures nothing."""


class Trace(IntEnum):
    """What the next write is."""

    NONE = 0
    NUMBERED = 1


class Pace:
    """The times of the next write and read."""

    def __init__(self, now: float) -> None:
        self.write_due = now
        self.read_due = now
        self._closely_until = now
        self._numbered_at = now
        self._acknowledged_at = now
        self._suspected_at = now

    def look_closely(self, now: float, seconds: float) -> None:
        """Send often, for this time from now on."""
        if now >= self._closely_until:
            self.write_due = self.read_due = now
        self._closely_until = max(self._closely_until, now + seconds)

    def is_close(self, now: float) -> bool:
        """Whether it sends often."""
        return now < self._closely_until

    def acknowledged(self, now: float) -> None:
        """A write was acknowledged; the first one after a long silence deserves a closer look."""
        if self.is_waiting(now):
            self.look_closely(now, SUSPECTED_SECONDS)
        self._acknowledged_at = now

    def is_waiting(self, now: float) -> bool:
        """Whether writes are no longer acknowledged."""
        return now - self._acknowledged_at > TIRED_AFTER_SECONDS

    def maybe_suspect(self, now: float) -> bool:
        """Look closely if no write was acknowledged for a while; whether it begins to."""
        silent = now - self._acknowledged_at > SUSPICIOUS_SECONDS
        if not silent or self.is_close(now) or now - self._suspected_at < SUSPECTED_AGAIN_SECONDS:
            return False
        self._suspected_at = now
        self.look_closely(now, SUSPECTED_SECONDS)
        return True

    def wrote(self, now: float) -> Trace:
        """A write is sent now: what it is to be, and the next is due in time."""
        self.write_due = _after(
            self.write_due, self._interval(now, CLOSE_WRITE_SECONDS, PEACE_WRITE_SECONDS), now
        )
        if not self.is_close(now) and now - self._numbered_at < NUMBERED_SECONDS:
            return Trace.NONE
        self._numbered_at = now
        return Trace.NUMBERED

    def read(self, now: float) -> None:
        """A read is sent now, and the next is due in time."""
        self.read_due = _after(
            self.read_due, self._interval(now, CLOSE_READ_SECONDS, PEACE_READ_SECONDS), now
        )

    def _interval(self, now: float, close_seconds: float, peace_seconds: float) -> float:
        if not self.is_close(now):
            return peace_seconds
        return TIRED_SECONDS if self.is_waiting(now) else close_seconds


def _after(due: float, interval: float, now: float) -> float:
    """The next time; what was missed is not made up for."""
    return due + interval if due + interval > now else now + interval
