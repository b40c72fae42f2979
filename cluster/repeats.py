"""Repeats: the same line again and again, written once a minute, with the number of its times.

A faulty sender may send as fast as the network carries, and no log may grow at that rate. Refuses
to know what a line is, and reads no clock.
"""

from __future__ import annotations

from typing import Final, Generic, NamedTuple, TypeVar

EVERY_MS: Final = 60_000
"""A new line is written at once, and after that once in this time at most."""

LINE_KEYS_MAX: Final = 256
"""Beyond this number all others count as one: a key may have a sender's id in it."""

_OTHERS: Final = "others"

Line = TypeVar("Line")


class Due(NamedTuple, Generic[Line]):
    """A line to write. It has come `times` times in `past_ms`; 0 times: it is new."""

    line: Line
    times: int
    past_ms: int


class _Key(Generic[Line]):
    """One key: its latest line, when it was last written, and how often it has come since."""

    __slots__ = ("line", "said_ms", "unsaid")

    def __init__(self, line: Line, said_ms: int) -> None:
        self.line = line
        self.said_ms = said_ms
        self.unsaid = 0

    def say(self, now_ms: int) -> Due[Line]:
        """Its latest line, with the times that were not written before."""
        due = Due(self.line, self.unsaid, now_ms - self.said_ms)
        self.said_ms, self.unsaid = now_ms, 0
        return due


class Repeats(Generic[Line]):
    """The lines of one log, by their keys."""

    def __init__(self) -> None:
        self._keys: dict[str, _Key[Line]] = {}

    def take(self, key: str, line: Line, now_ms: int) -> Due[Line] | None:
        """What to write for this line; None: nothing now, it is counted."""
        found = self._keys.get(key)
        if found is None and len(self._keys) >= LINE_KEYS_MAX:
            self._forget(now_ms)
            if len(self._keys) >= LINE_KEYS_MAX:
                key = _OTHERS
                found = self._keys.get(key)
        if found is None:
            self._keys[key] = _Key(line, now_ms)
            return Due(line, 0, 0)
        if not found.unsaid and now_ms - found.said_ms >= EVERY_MS:
            found.line, found.said_ms = line, now_ms
            return Due(line, 0, 0)  # it was quiet for the whole time: it is new again
        found.line = line
        found.unsaid += 1
        return found.say(now_ms) if now_ms - found.said_ms >= EVERY_MS else None

    def due(self, now_ms: int) -> list[Due[Line]]:
        """The lines whose times are to be written by now."""
        return [
            key.say(now_ms)
            for key in self._keys.values()
            if key.unsaid and now_ms - key.said_ms >= EVERY_MS
        ]

    def rest(self, now_ms: int) -> list[Due[Line]]:
        """All lines with times that were not written: the log ends."""
        return [key.say(now_ms) for key in self._keys.values() if key.unsaid]

    def _forget(self, now_ms: int) -> None:
        """Forget the keys that were quiet for EVERY_MS."""
        quiet = [
            name
            for name, key in self._keys.items()
            if not key.unsaid and now_ms - key.said_ms >= EVERY_MS
        ]
        for name in quiet:
            del self._keys[name]
