"""Laggards: the watches that must read history before they can follow, and whose turn it is.

Those that have seen the same are one audience and read together. Turns go round the connections, so
that one with a great many watches does not keep the others waiting. Who is behind, and why, is the
hub's to know, and what they read the store's.
"""

from __future__ import annotations

from actors.watch.audience import Audience, Connection, Watch


class Laggards:
    """Audiences by the revision that they need next."""

    def __init__(self) -> None:
        self._audiences: dict[int, Audience] = {}
        # The revisions that each connection's watches need, in the order of turns.
        self._turns: dict[Connection, set[int]] = {}

    def __bool__(self) -> bool:
        return bool(self._audiences)

    def add(self, watch: Watch, revision: int) -> Audience:
        """Let a watch read from a revision on when its turn comes; returns where it waits."""
        audience = self._audiences.get(revision)
        if audience is None:
            audience = self._audiences[revision] = Audience(revision)
        audience.add(watch)
        self._turns.setdefault(watch.connection, set()).add(revision)
        return audience

    def remove(self, watch: Watch, audience: Audience) -> None:
        """Forget a watch that waits in this audience."""
        audience.remove(watch)
        if watch.connection not in audience.connections:
            self._needs_no_more(watch.connection, audience.revision)
        if not audience:
            del self._audiences[audience.revision]

    def take(self) -> Audience | None:
        """The audience whose turn it is, which is not among the laggards any more."""
        revisions = next(iter(self._turns.values()), None)
        if revisions is None:
            return None
        audience = self._audiences.pop(min(revisions))
        for connection in audience.connections:
            self._needs_no_more(connection, audience.revision)
            if connection in self._turns:  # it has other watches that wait: they come last now
                self._turns[connection] = self._turns.pop(connection)
        return audience

    def put_back(self, audience: Audience) -> bool:
        """Let an audience that was taken go on from its revision; False: there is one already."""
        if audience.revision in self._audiences:
            return False
        self._audiences[audience.revision] = audience
        for connection in audience.connections:
            self._turns.setdefault(connection, set()).add(audience.revision)
        return True

    def _needs_no_more(self, connection: Connection, revision: int) -> None:
        revisions = self._turns[connection]
        revisions.remove(revision)
        if not revisions:
            del self._turns[connection]
