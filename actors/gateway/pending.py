"""Requests that wait for their answers: whose they are, and until when they may wait."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from actors.gateway.routes import Route


class Pending(NamedTuple):
    """A request that waits for its answer; `mutates` decides what a failure must say.

    `added` is the id of the member that it adds to the cluster, if it does; `ids` is how many were
    tried for the session that it opens.
    """

    connection: Route
    request_id: bytes
    mutates: bool
    deadline_ms: int
    added: int = 0
    ids: int = 0


def overdue(waiting: dict[int, Pending], now_ms: int) -> Iterator[int]:
    """The tickets that have waited too long, where deadlines stand in order."""
    for ticket, pending in waiting.items():
        if pending.deadline_ms > now_ms:
            break
        yield ticket
