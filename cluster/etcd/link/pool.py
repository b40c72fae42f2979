"""Pool: what all links and streams of a front share: the node's address, and spare connections.

A connection whose client has gone, with no call under way, is kept for the next client: so a client
that asks once and leaves costs no handshake with the node. Each link and each stream has a
connection of its own, because the node's limits and its fairness are per connection.
"""

from __future__ import annotations

import itertools
from typing import Final

from cluster.etcd.link.connection import Loop, NodeAddress, NodeConnection
from cluster.etcd.link.gate import Gate

SPARE_MAX: Final = 16
"""The number of connections that are kept for clients to come."""


class Pool:
    """The connections of one front to its node; `is_up` when the node was there when last asked."""

    def __init__(self, loop: Loop, address: NodeAddress) -> None:
        self.loop = loop
        self.address = address
        self.is_up = False
        self.gate = Gate(loop)
        self._numbers = itertools.count(1)
        self._spare: list[NodeConnection] = []

    def take(self) -> NodeConnection:
        """A connection for one owner: a spare one, or a new one."""
        while self._spare:
            connection = self._spare.pop()
            if connection.is_open:
                return connection  # others have ended meanwhile
        return NodeConnection(self.loop, self.address, self.gate)

    def give_back(self, connection: NodeConnection) -> None:
        """Keep a connection for the next owner. No reply to its last owner may be to come."""
        if connection.is_open and len(self._spare) < SPARE_MAX:
            connection.release()
            self._spare.append(connection)
        else:
            connection.close()

    def next_number(self) -> int:
        """A number for a call, which no other call of this front has."""
        return next(self._numbers)
