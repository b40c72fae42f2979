"""Who is to be told how a transfer of leadership ends.

When one begins and ends is the core's business; telling is the actor's.
"""

from __future__ import annotations

from actors.language.messages import Failed, HandOver, Moved, MoveLeader
from actors.language.results import Failure
from cluster.errors import MaybeFault

Mover = MoveLeader | HandOver
"""Who waits for the end of a transfer: a client, or the node that stops, which is a call."""


class Movers:
    """Those of one member, by the target of the transfer that they wait for."""

    def __init__(self) -> None:
        self._waiting: dict[int, list[Mover]] = {}

    def wait(self, mover: Mover, target: int) -> None:
        """A transfer to this target has begun."""
        self._waiting.setdefault(target, []).append(mover)

    def ended(self, target: int, *, succeeded: bool) -> list[Moved | Failed | HandOver]:
        """A transfer is over: an answer for each who waits, or whom to call."""
        name: MaybeFault = "" if succeeded else "TimeoutLeaderTransfer"
        return [answer(mover, name) for mover in self._waiting.pop(target, ())]


def answer(mover: Mover, failure: MaybeFault) -> Moved | Failed | HandOver:
    """How it went, for one; with a failure's name it did not. Who stops is called either way."""
    if isinstance(mover, HandOver):
        return mover
    if failure:
        return Failed((mover.ticket,), Failure(failure), outcome_unknown=False)
    return Moved(mover.ticket)
