"""Reception: when to ask the door which connections have ended.

The door knows which have ended and why; the actor decides what follows.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class Reception:
    """The reception of one door, which wants a `look` every `look_ms`, or never: None.

    `due_ms` is the time of the next look.
    """

    def __init__(self, look: Callable[[], list[Any]], look_ms: int | None, now_ms: int) -> None:
        self.due_ms = None if look_ms is None else now_ms + look_ms
        self._look = look
        self._look_ms = look_ms

    def news(self, now_ms: int) -> list[Any]:
        """What the door reports since the last look; nothing if it is not time for another."""
        if self._look_ms is None or self.due_ms is None or now_ms < self.due_ms:
            return []
        self.due_ms = now_ms + self._look_ms
        return self._look()
