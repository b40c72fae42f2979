"""Tickets: the requests that wait for an answer, on which connections, and until when.

A ticket is the number by which the ring knows a request. The number of tickets is limited, for each
connection and for all of them together. Knows nothing of what is asked.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from actors.language.audit import Note
from actors.language.messages import Connection, Ticket

REQUESTS_NODE_MAX: Final = 50_000
REQUESTS_CONNECTION_MAX: Final = 10_000
"""The requests that may wait for an answer; one more is refused with `too many requests`."""

CHORE_TIMEOUT_MS: Final = 10 * 60 * 1_000
"""The deadline of work on a node's files, and of a long answer that was begun: ten minutes."""


class Pending(NamedTuple):
    """A request that waits for its answer.

    `mutates`: if it fails, its client must hear that its outcome is unknown. `added` is the id of
    the member that it adds, 0 if it adds none. `next` is what comes when it has its answer; None:
    that is for the client. `note` is for the audit log; None: nothing is noted.
    """

    connection: Connection
    request_id: bytes
    mutates: bool
    deadline_ms: int
    added: int = 0
    next: object = None
    note: Note | None = None


class Tickets:
    """The tickets of one gateway; they count up from `first`.

    `chores` are the requests that may take long.
    """

    def __init__(
        self,
        first: Ticket,
        node_max: int = REQUESTS_NODE_MAX,
        connection_max: int = REQUESTS_CONNECTION_MAX,
    ) -> None:
        self._next = first
        # How many more may be out.
        self._free = node_max
        self._connection_max = connection_max
        # In the order of tickets, which is also the order of deadlines: all have the same timeout.
        self._short: dict[Ticket, Pending] = {}
        # Requests with CHORE_TIMEOUT_MS, in the order of deadlines.
        self.chores: dict[Ticket, Pending] = {}
        # How many tickets each connection has out.
        self._out: defaultdict[bytes, int] = defaultdict(int)

    def __iter__(self) -> Iterator[Ticket]:
        yield from self._short
        yield from self.chores

    @property
    def next_deadline_ms(self) -> int | None:
        """When the oldest request is to be given up; chores are not counted."""
        return next(iter(self._short.values())).deadline_ms if self._short else None

    @property
    def count(self) -> int:
        """How many requests wait."""
        return len(self._short) + len(self.chores)

    def count_changes(self) -> int:
        """How many of the requests that wait change something; looks at each."""
        waiting = (*self._short.values(), *self.chores.values())
        return len([each for each in waiting if each.mutates])

    def issue(self, pending: Pending) -> Ticket | None:
        """A ticket for a request; None if too many are out."""
        name = pending.connection[0]
        if self._free <= 0 or self._out[name] >= self._connection_max:
            return None
        self._free -= 1
        self._out[name] += 1
        ticket = self._next
        self._next = ticket + 1
        self._short[ticket] = pending
        return ticket

    def take(self, ticket: Ticket) -> Pending | None:
        """The request of a ticket, which now has its answer; None if it was given up before."""
        pending = self._short.pop(ticket, None) or self.chores.pop(ticket, None)
        if pending is not None:
            name = pending.connection[0]
            self._free += 1
            self._out[name] -= 1
            if not self._out[name]:
                del self._out[name]
        return pending

    def give_time(self, tickets: Iterable[Ticket], now_ms: int) -> None:
        """Give these requests CHORE_TIMEOUT_MS: their answers are begun, so they are not lost."""
        deadline_ms = now_ms + CHORE_TIMEOUT_MS
        for ticket in tickets:
            pending = self._short.pop(ticket, None)
            if pending is not None:
                self.chores[ticket] = pending._replace(deadline_ms=deadline_ms)

    def overdue(self, now_ms: int) -> tuple[Ticket, ...]:
        """The tickets whose time is over; a copy, since the caller takes them out one by one."""
        return (*_overdue(self._short, now_ms), *_overdue(self.chores, now_ms))


def _overdue(waiting: dict[Ticket, Pending], now_ms: int) -> Iterator[Ticket]:
    for ticket, pending in waiting.items():
        if pending.deadline_ms > now_ms:
            break
        yield ticket
