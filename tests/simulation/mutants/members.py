"""Planted bugs in changes of the members."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any
from unittest.mock import patch

from actors.language.members import MemberChange
from actors.raft.leader import Leader
from actors.raft.log import RaftLog
from actors.raft.member_changes import MemberChanges
from actors.raft.membership import Health, Membership, plan
from actors.raft.quorum import Configuration
from actors.raft.replica import Replica
from actors.raft.roster import Roster
from tests.simulation.mutants.planting import mutant


@mutant
def changes_before_the_own_term_is_committed() -> AbstractContextManager[Any]:
    """A new leader changes the members at once (the single-server bug, raft-dev 2015)."""
    may_begin = MemberChanges.may_begin

    def careless(changes: MemberChanges, leader: Leader) -> bool:
        with patch.object(leader, "start_index", 0):
            return may_begin(changes, leader)

    return patch.object(MemberChanges, "may_begin", careless)


@mutant
def several_changes_at_a_time() -> AbstractContextManager[Any]:
    """A change begins while the one before it is not committed."""
    commit_to = Roster.commit_to

    def careless(roster: Roster, commit: int) -> None:
        commit_to(roster, commit)
        roster.is_settled = True
        roster.is_half_done = roster.latest.is_joint

    return patch.object(Roster, "commit_to", careless)


@mutant
def only_the_new_voters_count() -> AbstractContextManager[Any]:
    """In a joint membership the old voters are not asked any more."""
    return patch.object(Configuration, "sets", lambda configuration: (configuration.voters,))


@mutant
def learners_count() -> AbstractContextManager[Any]:
    """Learners are part of the majority."""

    def sets(configuration: Configuration) -> tuple[frozenset[int], ...]:
        voters = configuration.voters | configuration.learners
        return (voters, configuration.outgoing) if configuration.outgoing else (voters,)

    return patch.object(Configuration, "sets", sets)


@mutant
def voters_change_in_one_step() -> AbstractContextManager[Any]:
    """Several voters change at once without a joint membership."""

    def careless(now: Membership, change: MemberChange, health: Health) -> Membership | str:
        planned = plan(now, change, health)
        return planned if isinstance(planned, str) else planned.final()

    return patch("actors.raft.membership.plan", careless)


@mutant
def a_change_ends_before_it_is_committed() -> AbstractContextManager[Any]:
    """The final membership is appended right behind the joint one (Zeebe 60086)."""

    commit_to = Roster.commit_to

    def careless(roster: Roster, commit: int) -> None:
        commit_to(roster, commit)
        roster.is_half_done = roster.latest.is_joint

    return patch.object(Roster, "commit_to", careless)


@mutant
def a_restart_forgets_uncommitted_members() -> AbstractContextManager[Any]:
    """What the log says of members counts only if it is committed when it is read (Zeebe 57389)."""
    init = Replica.__init__

    def careless(
        replica: Replica, own_id: int, log: RaftLog, roster: Roster, *arguments: Any
    ) -> None:
        init(replica, own_id, log, roster, *arguments)
        roster.cut_from(replica.commit + 1, replica.commit)

    return patch.object(Replica, "__init__", careless)


@mutant
def truncation_keeps_the_members() -> AbstractContextManager[Any]:
    """A membership holds though its entry was replaced."""
    return patch.object(Roster, "cut_from", lambda roster, index, commit: None)


@mutant
def a_change_begins_while_the_last_is_half_done() -> AbstractContextManager[Any]:
    """A committed joint membership counts as done, though nobody has left it yet."""
    may_begin = MemberChanges.may_begin

    def careless(changes: MemberChanges, leader: Leader) -> bool:
        with patch.object(Membership, "is_joint", False):
            return may_begin(changes, leader)

    return patch.object(MemberChanges, "may_begin", careless)
