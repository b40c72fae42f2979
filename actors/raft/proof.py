"""Proof: whether this member may take part, which messages it may hear, and why it must stop.

A member takes part if its disk can show what it has promised. A member that cannot show it is let
in step by step; probation.py says why. Refuses to know how two logs are compared: trial.py does.
"""

from __future__ import annotations

from actors.language.members import NOBODY
from actors.raft.elector import Elector
from actors.raft.elector_events import NOTHING, ElectorEvents
from actors.raft.facts import Cause
from actors.raft.leader import Leader
from actors.raft.membership import decode
from actors.raft.outbox import Outbox
from actors.raft.outcome import Contradicted, Ending, Removed, WasHere
from actors.raft.probation import Probation
from actors.raft.replica import Replica
from actors.raft.roster import Roster
from actors.raft.rpc import (
    AppendRequest,
    Doubt,
    Heartbeat,
    Message,
    RemovedNotice,
    SnapshotChunk,
    VoteRequest,
    Welcome,
)
from actors.raft.trial import Trial
from cluster.schemes import places


class Proof:
    """Whether one member may take part.

    `takes_part` is False while it asks on probation, and once its log is known to be wrong.
    `ending` is why it must stop. A removed member takes part until its process ends, for the others
    may need it.
    """

    def __init__(
        self,
        own_id: int,
        elector: Elector,
        replica: Replica,
        roster: Roster,
        outbox: Outbox,
        trial: Trial,
    ) -> None:
        self._own_id = own_id
        self._elector = elector
        self._replica = replica
        self._roster = roster
        self._outbox = outbox
        self._trial = trial
        self.ending: Ending | None = None
        self._maybe_catch_up()

    # --- on probation ---

    def welcomed(self, answer: Welcome) -> bool:
        """Take an answer to what this member asked on its probation; False if it did not ask."""
        probation = self._elector.probation
        if probation is None or self.ending is not None or answer.member_id != self._own_id:
            return False
        return probation.take(answer)

    def weigh(self, answer: Welcome) -> Ending | None:
        """Why an answer means that this member must stop; if it does not, begin to catch up.

        Catching up begins only once there are enough answers.
        """
        own_id = self._own_id
        membership = decode(answer.membership)
        if membership.has_removed(own_id):
            former = [each for each in membership.former if each.id == own_id]
            urls = places(url for each in former for url in each.peer_urls)
            here = [each.id for each in membership.peers if urls & places(each.peer_urls)]
            return Removed(here[0] if here else NOBODY)
        if answer.was_here:
            return WasHere(answer.client_urls)
        self._maybe_catch_up()
        return None

    def _maybe_catch_up(self) -> None:
        """Take part, without a vote, once enough others have answered."""
        probation = self._elector.probation
        if probation is not None and probation.is_asking and not self._awaited(probation):
            probation.is_asking = False
            self._elector.give_vote_away(probation.term)
        self._look()

    def _awaited(self, probation: Probation) -> bool:
        """Whether an answer is still needed, perhaps of a voter that is not known yet (None)."""
        return probation.awaited(self._own_id, self._roster.latest) != frozenset()

    def admitted(self) -> None:
        """The probation is over: the elector has forgotten it."""
        self._look()

    def is_proven(self) -> bool:
        """Whether no promise of an earlier life can be lost any more, by what is durable here."""
        elector, probation = self._elector, self._elector.probation
        if probation is None or not self.takes_part or elector.is_unsaved:
            return False
        goal = probation.goal(elector.term, elector.leader)
        stable_index = self._replica.stable_index
        if goal is None or stable_index < goal:
            return False
        # An entry of this term, from its leader, has all that was committed before it (5.4.3).
        return self._replica.log.term(stable_index) == elector.term

    # --- whom it hears ---

    def may_hear(self, message: Message) -> bool:
        """Whether a message may be looked at; the sender of another may be told why not."""
        if not self.takes_part:
            self._turn_away(message)
            return False
        # A removed member may address its message to the member that was at these URLs before this
        # one, so the target is looked at later.
        if message.source in self._roster.removed:
            if isinstance(message, VoteRequest):
                # It stands because it was away when it was removed, and has not heard of that.
                term = self._elector.term
                self._outbox.say(RemovedNotice(self._own_id, message.source, term))
            return False
        probation = self._elector.probation
        if message.target != self._own_id or probation is None:
            return message.target == self._own_id
        match message:
            case AppendRequest() | Heartbeat() | SnapshotChunk():
                # A leader's stream may count on what an earlier life has acknowledged.
                return probation.may_follow(message.source, message.term, message.stream)
        return True

    def _turn_away(self, message: Message) -> None:
        if isinstance(message, Doubt) and isinstance(self.ending, Contradicted):
            self._trial.confess_to(message, self.ending)

    # --- the end ---

    def note_removed(self) -> None:
        """This member is removed: it must stop, but takes part until it has."""
        self.ending = self.ending or Removed()

    def end(self, ending: Ending, now_ms: int) -> ElectorEvents:
        """Take no part any more, and drop what was about to be said: it may not be true."""
        self.ending = ending
        self._look()
        is_leader = isinstance(self._elector.role, Leader)
        events = self._elector.step_down(now_ms, Cause.WRONG_LOG) if is_leader else NOTHING
        self._outbox.clear()
        self._confess()
        return events

    def how_it_ends(self) -> Ending | None:
        """Why this member must stop, if it must."""
        if self._roster.is_removed:
            self.note_removed()
        return self.ending

    def wait_aside(self, now_ms: int) -> None:
        """Let time pass for a member that takes no part.

        A member whose log is wrong says so again each time, for a message may be lost.
        """
        self._confess()
        self._elector.wait(now_ms)

    def _confess(self) -> None:
        if isinstance(self.ending, Contradicted):
            self._trial.confess(self.ending, self._roster.members)

    def _look(self) -> None:
        probation = self._elector.probation
        is_asking = probation is not None and probation.is_asking
        # A removed member is needed by the others until its process ends.
        is_over = isinstance(self.ending, WasHere | Contradicted)
        self.takes_part = not is_over and not is_asking
