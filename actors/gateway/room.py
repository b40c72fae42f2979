"""RoomToSend: whether so little waits for clients that watches may be told more of the past.

Watch asks after what it has told. While too much waits, it gets no answer; if that lasts, the
connections with the most lose what waits for them. Owns the limit. Who waits for what, the outbox
knows.
"""

from __future__ import annotations

from typing import Final

from actors.gateway.outbox import ClientOutbox
from actors.language.messages import Connection

LOOK_MS: Final = 20
"""How often to look again whether there is room."""


class RoomToSend:
    """The room in one outbox; `due_ms`: when Watch waits and it is time to look again.

    There is room while no more than `bytes_max` wait. If there was none for `patience_ms`, some
    connections are `overdue`. With the door's own limits no room stays taken: above the same number
    of bytes, the door ends those that read slowly.
    """

    def __init__(self, outbox: ClientOutbox, bytes_max: int, patience_ms: int) -> None:
        self.due_ms: int | None = None
        self._outbox = outbox
        self._bytes_max = bytes_max
        self._patience_ms = patience_ms
        self._since_ms = 0

    def ask(self, now_ms: int) -> None:
        """Watch waits for room from now on."""
        self.due_ms = self._since_ms = now_ms

    def is_there(self, now_ms: int) -> bool:
        """Whether it is time to look, and there is room: then Watch waits no longer."""
        if self.due_ms is None or now_ms < self.due_ms:
            return False
        if self._outbox.waiting_within(self._bytes_max):
            self.due_ms = None
            return True
        self.due_ms = now_ms + LOOK_MS
        return False

    def overdue(self, now_ms: int) -> list[Connection]:
        """The connections to drop, when there has been no room for long.

        Down to half of the limit: at the limit itself there would soon be no room again.
        """
        if self.due_ms is None or now_ms - self._since_ms < self._patience_ms:
            return []
        self._since_ms = now_ms
        return self._outbox.largest_above(self._bytes_max // 2)
