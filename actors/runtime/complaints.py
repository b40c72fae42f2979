"""Complaints: what others sent and this node ignored, counted by kind and said once a minute.

Who is at fault may send as fast as the network carries: the log must not grow at that pace. Knows
nothing of what is complained about.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final

EVERY_MS: Final = 60_000
"""A kind of complaint is said at once when it is new, and then at most once in this time."""

KINDS_MAX: Final = 256
"""Beyond it all others count as one kind: kinds are the program's, but may name who is meant."""

_OTHERS: Final = "others"


class _Kind:
    """One kind: when it was last said, how often it came since, and its latest text."""

    __slots__ = ("said_ms", "text", "unsaid")

    def __init__(self, said_ms: int) -> None:
        self.said_ms = said_ms
        self.unsaid = 0
        self.text = ""


class Complaints:
    """One actor's, in its thread; `clock` is in milliseconds."""

    def __init__(self, clock: Callable[[], int], log: logging.Logger) -> None:
        self._clock = clock
        self._log = log
        self._kinds: dict[str, _Kind] = {}
        self.count = 0

    def say(self, key: str, text: str) -> None:
        """Count one of the kind `key`; log `text` unless that kind was said within a minute."""
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
        """Say the counts that are due; a kind that did not come for a minute is forgotten."""
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
