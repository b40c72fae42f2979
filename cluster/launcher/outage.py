"""How long no write was acknowledged, after the death of a node or during a change of leaders.

Pure: times are arguments, in seconds of one clock. It sends no probe and prints nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from cluster.launcher.errands import FOREVER

HAND_OVER_SECONDS: Final = 10.0
"""If a leader that was told to hand over still leads after this time, the hand-over has failed."""


@dataclass(slots=True)
class Outage:
    """One death, or several of which the later came before writes were acknowledged again."""

    began_at: float
    leader_before: str | None
    leader_died: bool
    quorum_lost: bool
    acknowledged_at: float | None = None

    def another_death(self, name: str, *, quorum_lost: bool) -> None:
        """Another node died before writes were back: the time is measured from the first death."""
        self.leader_died = self.leader_died or name == self.leader_before
        self.quorum_lost = self.quorum_lost or quorum_lost
        self.acknowledged_at = None

    def report(self, leader: str, term: int) -> str:
        """The result in one line; call it when a write was acknowledged and the leader is known."""
        assert self.acknowledged_at is not None
        took = duration(self.acknowledged_at - self.began_at)
        if self.quorum_lost:
            return f"writes are back: {leader} leads (term {term}), they waited for {took}"
        if self.leader_died:
            return f"{leader} leads now (term {term}): writes were unavailable for {took}"
        if leader != self.leader_before:
            return f"{leader} leads now (term {term}): the next write was done after {took}"
        return f"writes went on: {leader} still leads (term {term}), unavailable for 0 ms"


@dataclass(slots=True)
class HandOverPause:
    """A leader was told to hand over: measures the longest pause between two acknowledged writes
    until another node leads."""

    leader_before: str
    began_at: float
    acknowledged_at: float
    pause: float = 0.0
    successor_at: float = FOREVER

    def acknowledged(self, now: float) -> None:
        """A write was acknowledged at `now`."""
        self.pause = max(self.pause, now - self.acknowledged_at)
        self.acknowledged_at = now

    def notice_leader(self, leader: str | None, now: float) -> None:
        """At `now`, this node is known to lead (None: no node is)."""
        if leader is not None and leader != self.leader_before:
            self.successor_at = min(self.successor_at, now)

    @property
    def is_over(self) -> bool:
        """Whether writes go on under another leader."""
        return self.acknowledged_at > self.successor_at

    def is_stale(self, now: float) -> bool:
        """Whether the hand-over has failed."""
        return now - self.began_at > HAND_OVER_SECONDS

    def report(self, leader: str, term: int) -> str:
        """The result in one line; call it when the hand-over is over."""
        took = duration(self.pause)
        before = self.leader_before
        return f"{leader} leads now (term {term}) in place of {before}: writes paused for {took}"


def duration(seconds: float) -> str:
    """A duration for people to read: `34 ms`, `1.2 s`, `3 min 5 s`."""
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 100:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s"
