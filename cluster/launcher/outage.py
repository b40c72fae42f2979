"""What the death of a node did to writes: from the death to the first write acknowledged after it.

Pure: times are arguments, in seconds of one clock. Sends no probe and prints nothing.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Outage:
    """One death, or several before writes were acknowledged again."""

    began_at: float
    leader_before: str | None
    leader_died: bool
    quorum_lost: bool
    acknowledged_at: float | None = None

    def another_death(self, name: str, *, quorum_lost: bool) -> None:
        """A further node died before writes were back: the outage goes on from the first death."""
        self.leader_died = self.leader_died or name == self.leader_before
        self.quorum_lost = self.quorum_lost or quorum_lost
        self.acknowledged_at = None

    def report(self, leader: str, term: int) -> str:
        """One line, once a write was acknowledged and the leader is known."""
        assert self.acknowledged_at is not None
        took = duration(self.acknowledged_at - self.began_at)
        if self.quorum_lost:
            return f"writes are back: {leader} leads (term {term}), they waited for {took}"
        if self.leader_died:
            return f"{leader} leads now (term {term}): writes were unavailable for {took}"
        if leader != self.leader_before:
            return f"{leader} leads now (term {term}): the next write was done after {took}"
        return f"writes went on: {leader} still leads (term {term}), unavailable for 0 ms"


def duration(seconds: float) -> str:
    """A length of time as people say it: `34 ms`, `1.2 s`, `3 min 5 s`."""
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 100:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s"
