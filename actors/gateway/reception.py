"""Reception: what becomes of connections, looked at now and then; what was closed is said.

Knows why connections end and which have gone; nothing of what was asked on them.
"""

from __future__ import annotations

from actors.gateway.outbox import Door
from actors.language.messages import Connection
from actors.runtime.base import Clock, log
from actors.runtime.complaints import Complaints
from cluster.visitors import Gone, Notice


class Reception:
    """That of one door."""

    def __init__(self, door: Door, clock: Clock) -> None:
        self._door = door
        self._complaints = Complaints(clock, log)
        self.due_ms = None if door.look_ms is None else clock() + door.look_ms

    def gone(self, now_ms: int) -> list[Connection]:
        """The connections that are gone since the last look, if it is time for another."""
        if self._door.look_ms is None or self.due_ms is None or now_ms < self.due_ms:
            return []
        self.due_ms = now_ms + self._door.look_ms
        gone: list[Connection] = []
        for news in self._door.look():
            match news:
                case Gone(name):
                    gone.append((name,))
                case Notice(reason, address):
                    text = f"{reason}, from {address or 'an unknown address'}"
                    self._complaints.say(text, text)
        self._complaints.tick(now_ms)
        return gone
