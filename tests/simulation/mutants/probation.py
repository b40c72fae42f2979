"""Planted bugs in what a member with an empty disk, or a rolled back one, may do."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any
from unittest.mock import patch

from actors.raft.actor import RaftActor
from actors.raft.core import RaftCore
from actors.raft.disk.mark import Mark
from actors.raft.leader import Leader
from actors.raft.membership import Membership
from actors.raft.outcome import Contradicted
from actors.raft.probation import Probation
from actors.raft.proof import Proof
from actors.raft.rpc import AppendRequest, Confession, Contradiction, Doubt, Message
from actors.raft.trial import Trial
from tests.simulation.mutants.planting import both, mutant, mutant_of_rollbacks


@mutant
def probation_votes() -> AbstractContextManager[Any]:
    """A member that catches up grants its vote to whoever holds more than it does now."""
    return patch.object(Probation, "may_vote_for", lambda *_: True)


@mutant
def probation_asks_too_few() -> AbstractContextManager[Any]:
    """One answer is enough."""
    awaited = Probation.awaited

    def careless(probation: Probation, own_id: int, known: Membership) -> frozenset[int] | None:
        _, *answered = probation.memberships(known)
        return frozenset() if answered else awaited(probation, own_id, known)

    return patch.object(Probation, "awaited", careless)


@mutant
def probation_adopts_no_term() -> AbstractContextManager[Any]:
    """The vote of the greatest term is not given away."""
    return patch.object(Probation, "term", property(lambda probation: 0))


@mutant
def probation_ends_at_the_wrong_index() -> AbstractContextManager[Any]:
    """Any entry will do, of any term."""
    return patch.object(Proof, "is_proven", lambda proof: proof.takes_part)


@mutant
def the_mark_goes_before_anything_is_proven() -> AbstractContextManager[Any]:
    """Once it catches up, a crash makes a full member of one that may have forgotten everything."""
    receive, remove = RaftActor.receive, Mark.remove

    def remove_if_there(mark: Mark) -> None:
        if mark.stands():
            remove(mark)

    def careless(actor: RaftActor, message: Any) -> None:
        receive(actor, message)
        probation = actor.core.probation
        if probation is not None and not probation.is_asking:
            actor.mark.remove()

    return both(
        patch.object(RaftActor, "receive", careless),
        patch.object(Mark, "remove", remove_if_there),
    )


@mutant
def a_leader_counts_what_an_earlier_life_acknowledged() -> AbstractContextManager[Any]:
    """The stream to a member that may have forgotten goes on as if nothing had happened."""
    return patch.object(Leader, "begin_anew", lambda leader, member, life, now_ms: None)


@mutant
def a_name_is_published_on_probation() -> AbstractContextManager[Any]:
    """What it proposes goes to the leader, and speaks against it after a restart."""
    propose = RaftCore.propose

    def careless(core: RaftCore, proposals: Any, now_ms: int) -> None:
        with patch.object(core.elector, "probation", None):
            propose(core, proposals, now_ms)

    return patch.object(RaftCore, "propose", careless)


@mutant_of_rollbacks
def the_right_one_stops() -> AbstractContextManager[Any]:
    """Whoever sees a leader contradict what it has committed takes itself for the wrong one."""
    step = RaftCore.step

    def careless(core: RaftCore, message: Message, now_ms: int) -> None:
        index = None
        if isinstance(message, AppendRequest) and message.term >= core.term:
            index = core.replica.contradiction(message)
        if index is None:
            step(core, message, now_ms)
            return
        # The leader's log is taken for its word, proven, that this one's is wrong.
        word = Contradiction(message.source, message.target, message.term, index, 0, 0)
        ending = Contradicted(index, message.term, 0, message.source)
        with patch.object(Trial, "take_word", lambda *_: ending):
            step(core, word, now_ms)

    return patch.object(RaftCore, "step", careless)


@mutant_of_rollbacks
def a_rolled_back_disk_goes_on() -> AbstractContextManager[Any]:
    """A member that lacks what it has acknowledged only waits for it."""
    take_word = Trial.take_word

    def careless(
        trial: Trial, message: Contradiction | Confession | Doubt, now_ms: int
    ) -> Contradicted | None:
        ending = take_word(trial, message, now_ms)
        is_lacking = ending is not None and not ending.term
        return None if is_lacking else ending

    return patch.object(Trial, "take_word", careless)
