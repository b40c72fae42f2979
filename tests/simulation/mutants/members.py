"""Planted bugs in changes of the members."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any
from unittest.mock import patch

from actors.language.members import Change
from actors.raft.core import RaftCore
from actors.raft.leader import Leader
from actors.raft.membership import Health, Membership, plan
from actors.raft.quorum import Configuration
from actors.raft.replica import Replica
from tests.simulation.mutants.planting import mutant


@mutant
def changes_before_the_own_term_is_committed() -> AbstractContextManager[Any]:
    """A new leader changes the members at once (the single-server bug, raft-dev 2015)."""
    begin = RaftCore._begin_change

    def careless(core: RaftCore, leader: Leader, *arguments: Any) -> str:
        start, leader.start_index = leader.start_index, 0
        try:
            return begin(core, leader, *arguments)
        finally:
            leader.start_index = start

    return patch.object(RaftCore, "_begin_change", careless)


@mutant
def several_changes_at_a_time() -> AbstractContextManager[Any]:
    """A change begins while the one before it is not committed."""
    return patch.object(Replica, "membership_committed", property(lambda replica: True))


@mutant
def only_the_new_voters_count() -> AbstractContextManager[Any]:
    """In a joint membership the old voters are not asked any more."""
    return patch.object(Configuration, "_sets", lambda configuration: (configuration.voters,))


@mutant
def learners_count() -> AbstractContextManager[Any]:
    """Learners are part of the majority."""

    def sets(configuration: Configuration) -> tuple[frozenset[int], ...]:
        voters = configuration.voters | configuration.learners
        return (voters, configuration.outgoing) if configuration.outgoing else (voters,)

    return patch.object(Configuration, "_sets", sets)


@mutant
def voters_change_in_one_step() -> AbstractContextManager[Any]:
    """Several voters change at once without a joint membership."""

    def careless(now: Membership, change: Change, health: Health) -> Membership | str:
        planned = plan(now, change, health)
        return planned if isinstance(planned, str) else planned.final()

    return patch("actors.raft.membership.plan", careless)


@mutant
def a_change_ends_before_it_is_committed() -> AbstractContextManager[Any]:
    """The final membership is appended right behind the joint one (Zeebe 60086)."""

    def careless(core: RaftCore, leader: Leader, now_ms: int) -> None:
        joint = core.replica.membership
        if joint.is_joint:
            core._append_membership(leader, joint.final(), joint.answer, now_ms)

    return patch.object(RaftCore, "_finish_change", careless)


@mutant
def a_restart_forgets_uncommitted_members() -> AbstractContextManager[Any]:
    """What the log says of members counts only if it is committed when it is read (Zeebe 57389)."""
    init = Replica.__init__

    def careless(replica: Replica, *arguments: Any) -> None:
        init(replica, *arguments)
        held = [pair for pair in replica._memberships if pair[0] <= replica.commit]
        replica._memberships = held or replica._memberships[:1]

    return patch.object(Replica, "__init__", careless)


@mutant
def truncation_keeps_the_members() -> AbstractContextManager[Any]:
    """A membership holds though its entry was replaced."""
    truncate = Replica._truncate_from

    def careless(replica: Replica, index: int) -> None:
        kept = list(replica._memberships)
        truncate(replica, index)
        replica._memberships = kept

    return patch.object(Replica, "_truncate_from", careless)


@mutant
def a_change_begins_while_the_last_is_half_done() -> AbstractContextManager[Any]:
    """A committed joint membership counts as done, though nobody has left it yet."""
    begin = RaftCore._begin_change

    def careless(core: RaftCore, leader: Leader, *arguments: Any) -> str:
        with patch.object(Membership, "is_joint", False):
            return begin(core, leader, *arguments)

    return patch.object(RaftCore, "_begin_change", careless)
