"""Connections whose watches are being ended: events still on their way to them must not be sent.

Watch may have sent events before it hears of the end. When it has, it confirms the end, behind the
last of those frames. Why a connection's watches end, the actor decides.
"""

from __future__ import annotations

from collections.abc import Iterable

from actors.language.messages import Connection, ConnectionGone


class Departures:
    """The departures of one gateway; to `connections` no events are sent."""

    def __init__(self) -> None:
        self.connections: set[Connection] = set()

    def begin(self, connection: Connection, reason: str) -> list[ConnectionGone]:
        """What to tell Watch, unless it was told; the reason is for a client that still listens."""
        if connection in self.connections:
            return []
        self.connections.add(connection)
        return [ConnectionGone(connection, reason)]

    def confirmed(self, ended: Iterable[Connection]) -> None:
        """No event of their old watches is on its way any more: they may watch anew."""
        self.connections.difference_update(ended)
