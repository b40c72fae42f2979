"""Laggards: the watches that must read history before they are live, and whose turn it is.

Watches that need the same revision next are one audience and read together. Turns go round the
connections, so that one with very many watches does not keep the others waiting. The hub knows why
a watch is behind, and the store reads.
"""

from __future__ import annotations

from actors.language.messages import Connection
from actors.watch.audience import Audience, Watch


class Laggards:
    """Audiences by the revision that they need next."""

    def __init__(self) -> None:
        self._audiences: dict[int, Audience] = {}
        # The revisions that each connection's watches need next; connections in order of turns.
        self._turns: dict[Connection, set[int]] = {}

    def __bool__(self) -> bool:
        return bool(self._audiences)

    def add(self, watch: Watch, revision: int) -> Audience:
        """Let a watch read from a revision on when its turn comes; returns its audience."""
        audience = self._audiences.get(revision)
        if audience is None:
            audience = self._audiences[revision] = Audience(revision)
        audience.add(watch)
        self._turns.setdefault(watch.connection, set()).add(revision)
        return audience

    def remove(self, watch: Watch, audience: Audience) -> None:
        """Remove a watch that waits in this audience."""
        audience.remove(watch)
        if watch.connection not in audience.connections:
            self._needs_no_more(watch.connection, audience.revision)
        if not audience:
            del self._audiences[audience.revision]

    def take(self) -> Audience | None:
        """Remove and return the audience whose turn it is; None if no watch waits."""
        revisions = next(iter(self._turns.values()), None)
        if revisions is None:
            return None
        # The oldest first: a compaction would end those watches first.
        audience = self._audiences.pop(min(revisions))
        for connection in audience.connections:
            self._needs_no_more(connection, audience.revision)
            if connection in self._turns:  # its other watches wait for their next turn, the last
                self._turns[connection] = self._turns.pop(connection)
        return audience

    def put_back(self, audience: Audience) -> bool:
        """Put an audience that was taken back, to go on from its revision.

        False if another audience needs that revision next: its watches are to be added there.
        """
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
