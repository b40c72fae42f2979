"""Movers: the requests that wait for the end of a transfer of leadership, and their answers.

Refuses to know when a transfer begins and ends: the core does.
"""

from __future__ import annotations

from actors.language.messages import Failed, HandOver, Moved, MoveLeader
from actors.language.results import Failure
from cluster.faults import MaybeFault

Mover = MoveLeader | HandOver
"""A request for a transfer: a client's, by its ticket, or that of a node that is to stop."""


class Movers:
    """The requests at one member, by the target of their transfer."""

    def __init__(self) -> None:
        self._waiting: dict[int, list[Mover]] = {}

    def wait(self, mover: Mover, target: int) -> None:
        """Let a request wait for the transfer to this target."""
        self._waiting.setdefault(target, []).append(mover)

    def ended(self, target: int, *, succeeded: bool) -> list[Moved | Failed | HandOver]:
        """A transfer is over: returns the answer to each request that waits for it."""
        name: MaybeFault = "" if succeeded else "TimeoutLeaderTransfer"
        return [answer(mover, name) for mover in self._waiting.pop(target, ())]


def answer(mover: Mover, failure: MaybeFault) -> Moved | Failed | HandOver:
    """The answer to one request; `failure` names an error, or is "". A node that stops is called in
    either case."""
    if isinstance(mover, HandOver):
        return mover
    if failure:
        return Failed((mover.ticket,), Failure(failure), outcome_unknown=False)
    return Moved(mover.ticket)
