"""Tickets: the requests that wait for an answer, on which connections, and until when.

A ticket is what the ring knows a request by. Each connection, and all of them together, may have so
many out. Knows nothing of what is asked.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from actors.language.messages import Connection, Ticket

REQUESTS_NODE_MAX: Final = 50_000
REQUESTS_CONNECTION_MAX: Final = 10_000
"""Requests that wait for an answer; one more is refused with `too many requests`."""

CHORE_TIMEOUT_MS: Final = 10 * 60 * 1_000
"""Work on a node's files may take so long, and so may an answer that has been begun."""


class Pending(NamedTuple):
    """A request that waits for its answer; `mutates` decides what a failure must say.

    `added` is the id of the member that it adds to the cluster, if it does; `ids` is how many were
    tried for the session that it opens.
    """

    connection: Connection
    request_id: bytes
    mutates: bool
    deadline_ms: int
    added: int = 0
    ids: int = 0


class Tickets:
    """Those of one gateway; they count up from `first`."""

    def __init__(
        self,
        first: Ticket,
        node_max: int = REQUESTS_NODE_MAX,
        connection_max: int = REQUESTS_CONNECTION_MAX,
    ) -> None:
        self._next = first
        self._node_max = node_max
        self._connection_max = connection_max
        # In the order of tickets, which is also the order of deadlines.
        self._short: dict[Ticket, Pending] = {}
        # Likewise, but with more time.
        self._chores: dict[Ticket, Pending] = {}
        self._out: dict[bytes, int] = {}

    def __iter__(self) -> Iterator[Ticket]:
        yield from self._short
        yield from self._chores

    @property
    def next_deadline_ms(self) -> int | None:
        """When the oldest request is to be given up; chores are not regarded."""
        return next(iter(self._short.values())).deadline_ms if self._short else None

    @property
    def has_chores(self) -> bool:
        """Whether any work waits that may take long."""
        return bool(self._chores)

    def issue(self, pending: Pending) -> Ticket | None:
        """A ticket for a request; None: too many are out."""
        name = pending.connection[0]
        out = self._out.get(name, 0)
        if out >= self._connection_max or len(self._short) + len(self._chores) >= self._node_max:
            return None
        self._out[name] = out + 1
        ticket = self._next
        self._next = ticket + 1
        self._short[ticket] = pending
        return ticket

    def take(self, ticket: Ticket) -> Pending | None:
        """The request has its answer; None: it was given up, or there was no such request."""
        pending = self._short.pop(ticket, None) or self._chores.pop(ticket, None)
        if pending is not None:
            name = pending.connection[0]
            out = self._out.pop(name)
            if out > 1:
                self._out[name] = out - 1
        return pending

    def give_time(self, tickets: Iterable[Ticket], now_ms: int) -> None:
        """What is being answered may take as long as work on files: it is not lost."""
        deadline_ms = now_ms + CHORE_TIMEOUT_MS
        for ticket in tickets:
            pending = self._short.pop(ticket, None)
            if pending is not None:
                self._chores[ticket] = pending._replace(deadline_ms=deadline_ms)

    def overdue(self, now_ms: int) -> tuple[Ticket, ...]:
        """The requests whose time is over."""
        return (*_overdue(self._short, now_ms), *_overdue(self._chores, now_ms))


def _overdue(waiting: dict[Ticket, Pending], now_ms: int) -> Iterator[Ticket]:
    for ticket, pending in waiting.items():
        if pending.deadline_ms > now_ms:
            break
        yield ticket
