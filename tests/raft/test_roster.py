"""The roster alone, and as a replica keeps it: who counts at which place, and what follows."""

from __future__ import annotations

from actors.language.entries import Entry, Proposal
from actors.language.members import AddMember, RemoveMember
from actors.raft.membership import Health, Membership, encode, plan
from actors.raft.roster import NO_INDEX, Roster
from tests.raft.harness import peer, voters
from tests.raft.parts import Parts

ALL = Health(frozenset({1, 2, 3, 4}), frozenset(), frozenset())


def changed(now: Membership, change: AddMember | RemoveMember) -> Membership:
    """The first membership of a change."""
    planned = plan(now, change, ALL)
    assert isinstance(planned, Membership)
    return planned


WITH_LEARNER = changed(voters(3), AddMember(peer(4), learner=True))
WITHOUT_1 = changed(voters(3), RemoveMember(1))


def test_a_membership_holds_from_when_it_is_appended_though_it_is_not_committed() -> None:
    roster = Roster(1, 0, voters(3), 0)
    roster.add(5, WITH_LEARNER, commit=4)
    assert (roster.latest, roster.committed) == (WITH_LEARNER, voters(3))
    assert roster.configuration.learners == {4}
    assert (roster.is_settled, roster.next_index) == (False, 5)
    roster.commit_to(5)
    assert (roster.committed, roster.is_settled, roster.next_index) == (
        WITH_LEARNER,
        True,
        NO_INDEX,
    )


def test_a_membership_whose_entry_is_replaced_holds_no_more() -> None:
    roster = Roster(1, 0, voters(3), 0)
    roster.add(5, WITH_LEARNER, commit=4)
    roster.cut_from(5, commit=4)
    assert (roster.latest, roster.is_settled) == (voters(3), True)


def test_who_is_left_out_may_stand_until_that_is_committed() -> None:
    final = WITHOUT_1.final()
    roster = Roster(1, 0, WITHOUT_1, 0)
    assert (roster.is_voter, roster.is_half_done, roster.is_removed) == (True, True, False)
    roster.add(3, final, commit=2)
    assert (roster.is_voter, roster.may_stand, roster.is_removed) == (False, True, False)
    roster.commit_to(3)
    assert (roster.may_stand, roster.is_removed) == (False, True)
    assert roster.removed == {1}


def test_a_change_is_half_done_only_while_its_joint_membership_is_the_last_and_committed() -> None:
    roster = Roster(2, 0, voters(3), 0)
    roster.add(2, WITHOUT_1, commit=1)
    assert not roster.is_half_done
    roster.commit_to(2)
    assert roster.is_half_done
    roster.add(3, WITHOUT_1.final(), commit=2)
    assert not roster.is_half_done


def test_it_tells_who_the_members_were_at_a_place() -> None:
    roster = Roster(1, 2, voters(3), 2)
    roster.add(5, WITH_LEARNER, commit=2)
    expected = [voters(3), voters(3), WITH_LEARNER, WITH_LEARNER]
    assert [roster.at(index) for index in (1, 4, 5, 9)] == expected


def test_a_snapshot_brings_other_members() -> None:
    roster = Roster(1, 0, voters(3), 0)
    roster.add(5, WITH_LEARNER, commit=4)
    roster.restart(9, voters(2), commit=9)
    assert (roster.latest, roster.committed, len(roster.held)) == (voters(2), voters(2), 1)


def test_what_changes_only_with_the_members_is_not_made_anew_by_a_put() -> None:
    parts = Parts()
    before = dict(vars(parts.roster))
    parts.replica.append(1, 0, [Proposal(1, 7, b"x")])
    parts.replica.commit_to(1)
    assert all(vars(parts.roster)[name] is kept for name, kept in before.items())


def test_it_learns_of_members_from_the_log_that_a_member_starts_with() -> None:
    parts = Parts()
    entry = Entry(1, 1, 0, 1, 0, encode(WITH_LEARNER))
    parts.log.append([entry])
    parts.replica._note_memberships([entry])
    assert parts.roster.latest == WITH_LEARNER
    parts.replica.commit_to(1)
    assert parts.roster.is_settled
