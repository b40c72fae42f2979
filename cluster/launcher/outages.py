"""Outages: measures how long writes are unavailable, from what the journal says and from writes.

It begins to measure at a death or a pause of a node, and when a leader is told to hand over; the
main loop hands it the answers. It sends nothing itself and tells its results in the journal.
"""

from __future__ import annotations

from typing import Final

from cluster.launcher.local import LocalCluster
from cluster.launcher.outage import HandOverPause, Outage
from cluster.launcher.story.happenings import LAUNCHER, Happening

URGENT_SECONDS: Final = 0.5
"""From the beginning of an outage on, the next answers are waited for as fast as possible."""

HANDING_OVER: Final = frozenset(("transfer", "stop", "restart", "remove", "wipe"))
"""Commands that make a leader hand over, if they are for the leader."""


class Outages:
    """The outage and the hand-over that are being measured, at most one of each."""

    def __init__(self, cluster: LocalCluster) -> None:
        self._cluster = cluster
        self._outage: Outage | None = None
        self._hand_over: HandOverPause | None = None
        self._spoiled = False
        self._leader: str | None = None

    @property
    def writes_are_needed(self) -> bool:
        """Whether to try writes: to see when they work again, or how long they pause."""
        waiting = self._outage is not None and self._outage.acknowledged_at is None
        return waiting or self._hand_over is not None

    @property
    def are_measured(self) -> bool:
        """Whether a change of leaders is explained here, so that nobody else need tell of it."""
        return self._outage is not None or self._hand_over is not None

    def is_urgent(self, now: float) -> bool:
        """Whether an answer may come any moment: to draw now would delay its time."""
        events = (self._outage, self._hand_over)
        return any(e is not None and now - e.began_at < URGENT_SECONDS for e in events)

    def read(self, happening: Happening) -> None:
        """A reader of the journal."""
        fields = happening.fields
        if happening.source != LAUNCHER:
            return
        if happening.kind == "died":
            self._on_death(fields["victim"], fields["leader"])
        elif happening.kind == "fault" and fields["what"] == "pause":
            (name,) = fields["victims"]
            if name == self._leader:
                self._begin(name, happening.at, quorum_lost=False)
        elif happening.kind == "command" and fields["line"].split()[0] in HANDING_OVER:
            self._begin_hand_over(happening.at)
        elif happening.kind == "slept":
            self._spoiled = self.are_measured

    def acknowledged(self, now: float) -> None:
        """A write was acknowledged."""
        if self._outage is not None and self._outage.acknowledged_at is None:
            self._outage.acknowledged_at = now
        if self._hand_over is not None:
            self._hand_over.acknowledged(now)

    def notice_leader(self, leader: str | None, term: int, now: float) -> None:
        """This node leads now, as most nodes say; tells the result that this completes."""
        self._leader = leader or self._leader
        outage, hand_over = self._outage, self._hand_over
        if hand_over is not None:
            hand_over.notice_leader(leader, now)
            if hand_over.is_stale(now):
                self._hand_over = None
        if hand_over is not None and hand_over.is_over and leader is not None:
            self._hand_over = None
            self._tell(hand_over.report(leader, term), leader, term)
        elif outage is not None and outage.acknowledged_at is not None and leader is not None:
            self._outage = None
            self._tell(outage.report(leader, term), leader, term)

    def _on_death(self, name: str, leader: str | None) -> None:
        node = self._cluster.node(name)
        quorum_lost = not self._cluster.has_quorum
        # The planned end of a leader that hands over, or of a removed follower, is no outage.
        handed_over = self._hand_over is not None and name == self._hand_over.leader_before
        if quorum_lost or not (handed_over or (node.is_removed and name != leader)):
            self._hand_over = None
            self._begin(name, node.died_at, quorum_lost=quorum_lost)

    def _begin(self, name: str, at: float, *, quorum_lost: bool) -> None:
        if self._outage is None:
            died = name == self._leader
            self._outage = Outage(at, self._leader, died, quorum_lost)
        else:
            self._outage.another_death(name, quorum_lost=quorum_lost)
        for other in self._cluster.running:
            # The answer to a write from before the death does not prove that writes work again.
            if other.link is not None:
                other.link.forget_questions()

    def _begin_hand_over(self, at: float) -> None:
        """Measure how long writes pause until another node leads, if another one ever does."""
        if self._leader is not None and len(self._cluster.voters) > 1 and self._outage is None:
            self._hand_over = HandOverPause(self._leader, at, at)

    def _tell(self, text: str, leader: str, term: int) -> None:
        if self._spoiled:
            self._spoiled = False
            text = f"{leader} leads (term {term}); how long writes waited is not known"
        self._cluster.journal.tell("leader", text, leader=leader, term=term)
