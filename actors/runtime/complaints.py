"""Complaints: messages that this node ignored, counted by kind and logged once a minute.

A faulty sender may send as fast as the network carries, and the log must not grow at that rate.
Refuses to know what the complaints are about.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final

EVERY_MS: Final = 60_000
"""A new kind of complaint is logged at once, and after that once in this time at most."""

KINDS_MAX: Final = 256
"""Beyond this number all others count as one kind: a kind's name may have a sender's id in it."""

_OTHERS: Final = "others"


class _Kind:
    """One kind: when it was last logged, how often it has come since, and its latest text."""

    __slots__ = ("said_ms", "text", "unsaid")

    def __init__(self, said_ms: int) -> None:
        self.said_ms = said_ms
        self.unsaid = 0
        self.text = ""


class Complaints:
    """The complaints of one actor, for its thread; `clock` gives milliseconds."""

    def __init__(self, clock: Callable[[], int], log: logging.Logger) -> None:
        self._clock = clock
        self._log = log
        self._kinds: dict[str, _Kind] = {}
        self.count = 0

    def say(self, key: str, text: str) -> None:
        """Count a complaint of the kind `key`; log it unless its kind was, within EVERY_MS."""
        self.count += 1
        now_ms = self._clock()
        kind = self._kinds.get(key)
        if kind is None and len(self._kinds) >= KINDS_MAX:
            key = _OTHERS
            kind = self._kinds.get(key)
        if kind is None:
            self._kinds[key] = _Kind(now_ms)
            self._log.warning("%s", text)
            return
        kind.unsaid += 1
        kind.text = text
        self._say_if_due(kind, now_ms)

    def tick(self, now_ms: int) -> None:
        """Log the counts that are due; forget the kinds that have not come for EVERY_MS."""
        for key, kind in list(self._kinds.items()):
            if now_ms - kind.said_ms < EVERY_MS:
                continue
            if kind.unsaid:
                self._say_if_due(kind, now_ms)
            else:
                del self._kinds[key]

    def _say_if_due(self, kind: _Kind, now_ms: int) -> None:
        past_ms = now_ms - kind.said_ms
        if past_ms < EVERY_MS:
            return
        self._log.warning("%s (%d times in %d s)", kind.text, kind.unsaid, past_ms // 1_000)
        kind.said_ms, kind.unsaid = now_ms, 0
