"""Reception: when to look what has become of connections.

The door knows why connections end and which have gone; what then happens, others decide.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class Reception:
    """That of one door, which wants a `look` every `look_ms`, or never; `due_ms` is the next."""

    def __init__(self, look: Callable[[], list[Any]], look_ms: int | None, now_ms: int) -> None:
        self.due_ms = None if look_ms is None else now_ms + look_ms
        self._look = look
        self._look_ms = look_ms

    def news(self, now_ms: int) -> list[Any]:
        """What the door has to say since the last look, if it is time for another."""
        if self._look_ms is None or self.due_ms is None or now_ms < self.due_ms:
            return []
        self.due_ms = now_ms + self._look_ms
        return self._look()
