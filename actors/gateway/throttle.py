"""Throttle: how much of its clients' writes a node has under way, and what waits for its turn.

Entries are applied in order, and a linearizable read must see all entries committed before it. So
a read would wait for everything that writers have sent. Therefore writes beyond 128 KiB in flight
wait here, before the log, where no read has to wait for them; 128 KiB keep Raft and Store busy. A
small write takes as long as one of 256 bytes, and counts as one: 512 are under way at most.
Turns go round the connections, so that one with very many writes does not keep the others waiting.
Knows nothing of what a write does.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from typing import Final

from actors.language.entries import Proposal

UNDER_WAY_BYTES_MAX: Final = 128 * 1024
"""Writes are let in while fewer bytes are under way; the last one may be larger than what is left,
or a large write could never begin."""

WRITE_BYTES_MIN: Final = 256
"""A smaller write under way counts as one of this size: thousands of lease grants of 20 bytes each
would take a quarter of a second to apply, and all others would wait for them."""

WAITING_NODE_BYTES_MAX: Final = 64 * 1024 * 1024
WAITING_CONNECTION_BYTES_MAX: Final = 16 * 1024 * 1024
"""A write is refused if with it more than 64 MiB would wait, or 16 MiB of its own connection."""

Name = bytes
"""A connection's name: the first frame of the routes of its requests."""


class Throttle:
    """The proposals of one node's clients: those under way, and in `queues` those that wait."""

    def __init__(
        self,
        bytes_max: int = UNDER_WAY_BYTES_MAX,
        waiting_node_bytes_max: int = WAITING_NODE_BYTES_MAX,
        waiting_connection_bytes_max: int = WAITING_CONNECTION_BYTES_MAX,
        write_bytes_min: int = WRITE_BYTES_MIN,
    ) -> None:
        self._bytes_max = bytes_max
        self._write_bytes_min = write_bytes_min
        self._waiting_node_bytes_max = waiting_node_bytes_max
        self._waiting_connection_bytes_max = waiting_connection_bytes_max
        self._bytes = 0
        self._under_way: dict[int, int] = {}
        # The waiting proposals of each connection in order; the connections in the order of turns.
        self.queues: OrderedDict[Name, OrderedDict[int, Proposal]] = OrderedDict()
        self._names: dict[int, Name] = {}
        self._waiting_bytes: dict[Name, int] = {}
        self._all_waiting_bytes = 0

    def has_room(self, name: Name, size: int) -> bool:
        """Whether another proposal of `size` bytes may wait, if it has to."""
        own = self._waiting_bytes.get(name, 0) + size
        return (
            own <= self._waiting_connection_bytes_max
            and self._all_waiting_bytes + size <= self._waiting_node_bytes_max
        )

    def ask(self, proposals: Iterable[tuple[Name, Proposal]]) -> list[Proposal]:
        """The proposals that may go now; the others wait for their turn."""
        admitted: list[Proposal] = []
        for name, proposal in proposals:
            # While any waits, all wait: none may overtake an earlier write of its own connection.
            if self._bytes < self._bytes_max and not self.queues:
                self._count_under_way(proposal)
                admitted.append(proposal)
            else:
                self.queues.setdefault(name, OrderedDict())[proposal.ticket] = proposal
                self._names[proposal.ticket] = name
                self._count(name, len(proposal.command))
        return admitted

    def done(self, ticket: int) -> bool:
        """A proposal has its answer, or is given up; returns whether it still waited here."""
        self._bytes -= self._under_way.pop(ticket, 0)
        if ticket not in self._names:
            return False
        name = self._names[ticket]
        self._take(name, self.queues[name].pop(ticket))
        return True

    def let_in(self) -> list[Proposal]:
        """The waiting proposals that may go now, in the place of those that are done."""
        admitted: list[Proposal] = []
        queues = self.queues
        while queues and self._bytes < self._bytes_max:
            name, queue = next(iter(queues.items()))
            _, proposal = queue.popitem(last=False)
            queues.move_to_end(name)
            self._take(name, proposal)
            self._count_under_way(proposal)
            admitted.append(proposal)
        return admitted

    def _count_under_way(self, proposal: Proposal) -> None:
        size, least = len(proposal.command), self._write_bytes_min
        size = least if size < least else size
        self._under_way[proposal.ticket] = size
        self._bytes += size

    def _take(self, name: Name, proposal: Proposal) -> None:
        """A proposal has left the queue of its connection."""
        del self._names[proposal.ticket]
        if not self.queues[name]:
            del self.queues[name]
        self._count(name, -len(proposal.command))

    def _count(self, name: Name, size: int) -> None:
        self._all_waiting_bytes += size
        own = self._waiting_bytes.get(name, 0) + size
        if name in self.queues:
            self._waiting_bytes[name] = own
        else:
            del self._waiting_bytes[name]
