"""Bookmarks: which watches to tell how far they are, because they asked or have had no events.

A question is answered when everything that had happened before it was delivered: the answer tells
the client that no older event is on its way. Knows nothing of bytes or of time.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple

from actors.language.messages import Connection
from actors.watch.audience import Watch
from actors.watch.hub import Hub

DEFERRED_PER_CONNECTION_MAX: Final = 1_000
"""How many questions of a connection may wait for their answers; one more is refused."""


class _Deferred(NamedTuple):
    """A request that waits until everything up to a revision was delivered."""

    request_id: bytes
    revision: int


class Bookmarks:
    """Questions of the connections of one hub, and which of its watches have had events."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        # The watches with progress notifications that were told events since `quiet` last looked.
        self._told: set[tuple[Connection, int]] = set()
        self._deferred: dict[Connection, list[_Deferred]] = {}

    def ask(self, connection: Connection, request_id: bytes) -> bool:
        """A client asks how far its watches are; False: too many of its questions wait already."""
        waiting = self._deferred.setdefault(connection, [])
        if len(waiting) >= DEFERRED_PER_CONNECTION_MAX:
            return False
        waiting.append(_Deferred(request_id, self._hub.revision))
        return True

    def answers(self) -> list[tuple[Connection, bytes, int]]:
        """The questions that can be answered now: connection, request id, delivered revision."""
        ready = []
        for connection, waiting in list(self._deferred.items()):
            # As far as the slowest watch of the connection: the answer is for all of them.
            delivered = self._hub.delivered(connection)
            while waiting and waiting[0].revision <= delivered:
                ready.append((connection, waiting.pop(0).request_id, delivered))
            if not waiting:
                del self._deferred[connection]
        return ready

    def forget(self, connection: Connection) -> None:
        """A connection has ended: its questions need no answer."""
        self._deferred.pop(connection, None)

    def heard(self, watches: Iterable[Watch]) -> None:
        """These watches were told events."""
        self._told.update((watch.connection, watch.watch_id) for watch in watches)

    def quiet(self) -> Iterable[Watch]:
        """The watches with progress notifications that had no events since the last call."""
        told, self._told = self._told, set()
        return [
            watch
            for watches in self._hub.followers()
            for watch in watches
            if (watch.connection, watch.watch_id) not in told
        ]
