"""Connections whose watches are being ended: what is on its way to their events must not be sent.

Who leaves, and why, others decide; the end is confirmed by Watch, with the last frames before it.
"""

from __future__ import annotations

from collections.abc import Iterable

from actors.language.messages import Connection, ConnectionGone


class Departures:
    """Those of one gateway; `connections` are told no events."""

    def __init__(self) -> None:
        self.connections: set[Connection] = set()

    def begin(self, connection: Connection, reason: str) -> list[ConnectionGone]:
        """What to tell, unless it was told already; with a reason the client still listens."""
        if connection in self.connections:
            return []
        self.connections.add(connection)
        return [ConnectionGone(connection, reason)]

    def confirmed(self, ended: Iterable[Connection]) -> None:
        """Nothing of their watches is on its way any more: there may be new ones."""
        self.connections.difference_update(ended)
