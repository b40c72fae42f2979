"""Progress: whom to tell how far they are - those who asked, and those who hear nothing else.

Whoever asks is answered once all that had happened by then was delivered, never before: the answer
says that nothing is on its way. Knows nothing of bytes, and takes the time from others.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple

from actors.watch.audience import Connection, Watch
from actors.watch.hub import Hub

DEFERRED_PER_CONNECTION_MAX: Final = 1_000


class _Deferred(NamedTuple):
    """A request that waits until everything up to a revision was delivered."""

    request_id: bytes
    revision: int


class Progress:
    """What is known of the watches of one hub."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        # Who was told of events since the last look; of those who want to know how far they are.
        self._told: set[tuple[Connection, int]] = set()
        self._deferred: dict[Connection, list[_Deferred]] = {}

    def ask(self, connection: Connection, request_id: bytes) -> bool:
        """Somebody asks how far a connection is; False: too many of its requests wait already."""
        waiting = self._deferred.setdefault(connection, [])
        if len(waiting) >= DEFERRED_PER_CONNECTION_MAX:
            return False
        waiting.append(_Deferred(request_id, self._hub.revision))
        return True

    def answers(self) -> list[tuple[Connection, bytes, int]]:
        """Connections and requests that need not wait any more, with how far they are."""
        ready = []
        for connection, waiting in list(self._deferred.items()):
            delivered = self._hub.delivered(connection)
            while waiting and waiting[0].revision <= delivered:
                ready.append((connection, waiting.pop(0).request_id, delivered))
            if not waiting:
                del self._deferred[connection]
        return ready

    def forget(self, connection: Connection) -> None:
        """Nobody asks for this connection any more."""
        self._deferred.pop(connection, None)

    def heard(self, watches: Iterable[Watch]) -> None:
        """These were told of events."""
        self._told.update((watch.connection, watch.watch_id) for watch in watches)

    def quiet(self) -> Iterable[Watch]:
        """The watches that want to know how far they are and heard nothing since the last call."""
        told, self._told = self._told, set()
        return [
            watch
            for watches in self._hub.followers()
            for watch in watches
            if (watch.connection, watch.watch_id) not in told
        ]
