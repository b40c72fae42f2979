"""Changing who the members are: joint consensus, learners, removal, and what is refused."""

from __future__ import annotations

import pytest

from actors.language.entries import Entry
from actors.language.members import (
    NOBODY,
    AddMember,
    MemberChange,
    Peer,
    PromoteMember,
    RemoveMember,
    ReplaceMember,
    UpdateMember,
)
from actors.raft.health import STARTING_TIMES, health_of
from actors.raft.leader import Leader
from actors.raft.log import RaftLog
from actors.raft.membership import (
    FORMER_MAX,
    Health,
    Membership,
    decode,
    encode,
    first_membership,
    plan,
    read,
)
from actors.raft.outcome import Certain
from actors.raft.progress import Contact
from actors.raft.roles import Candidate
from actors.raft.rpc import AppendRequest, RemovedNotice, VoteRequest
from cluster.schemes import etcd_url
from tests.raft.harness import ELECTION_MS, HEARTBEAT_MS, START_MS, Cluster, peer, voters

EVERYBODY = Health(frozenset(range(1, 10)), frozenset(), frozenset(range(1, 10)))
CHANGES: list[MemberChange] = [
    AddMember(peer(4), learner=False),
    AddMember(peer(4), learner=True),
    RemoveMember(3),
    ReplaceMember(3, peer(4)),
    UpdateMember(3, ("tcp://elsewhere:1",)),
    PromoteMember(3),
]


def failure(cluster: Cluster, member: int) -> str:
    """The name of the one failure that a member reported."""
    (failed,) = cluster.failed[member]
    return failed.name


def members_of(cluster: Cluster, member: int) -> set[int]:
    """Who votes, as far as a member's committed membership says."""
    return set(cluster.cores[member].roster.committed.voters)


@pytest.mark.parametrize("change", CHANGES[:5])
def test_a_membership_survives_its_encoding(change: MemberChange) -> None:
    planned = plan(voters(3), change, EVERYBODY)
    assert isinstance(planned, Membership)
    packed = encode(planned._replace(answer=(3, 4)))
    assert read(packed) is not None
    again = decode(packed)
    assert again._replace(peers=tuple(sorted(again.peers))) == planned._replace(
        peers=tuple(sorted(planned.peers)), answer=(3, 4)
    )


def by_http(given: Peer) -> tuple[str, ...]:
    """A member's URLs in etcd's spelling: the same places."""
    return tuple(map(etcd_url, given.peer_urls))


@pytest.mark.parametrize("damaged", [b"{}", b"[]", b"nonsense", b'{"peers":[[1]],"voters":[1]}'])
def test_what_is_no_membership_is_an_error(damaged: bytes) -> None:
    with pytest.raises(ValueError):
        decode(damaged)


@pytest.mark.parametrize(
    ("change", "name"),
    [
        (AddMember(peer(3), False), "MemberExist"),
        (AddMember(peer(3)._replace(id=9), False), "PeerURLExist"),
        (RemoveMember(9), "MemberNotFound"),
        (UpdateMember(9, ("tcp://a:1",)), "MemberNotFound"),
        (UpdateMember(3, peer(2).peer_urls), "PeerURLExist"),
        (AddMember(Peer(9, by_http(peer(3))), False), "PeerURLExist"),
        (UpdateMember(3, by_http(peer(2))), "PeerURLExist"),
        (PromoteMember(3), "MemberNotLearner"),
        (PromoteMember(9), "MemberNotFound"),
        (ReplaceMember(9, peer(4)), "MemberNotFound"),
        (ReplaceMember(3, peer(2)), "MemberExist"),
    ],
)
def test_what_etcd_refuses_is_refused_under_its_name(change: MemberChange, name: str) -> None:
    assert plan(voters(3), change, EVERYBODY) == name


def test_the_last_voter_cannot_be_removed() -> None:
    assert plan(voters(1), RemoveMember(1), EVERYBODY) == "MemberNotEnoughStarted"


def test_a_change_that_would_lose_the_quorum_is_refused() -> None:
    two_up = Health(frozenset({1, 2}), frozenset(), frozenset())
    assert plan(voters(3), RemoveMember(2), two_up) == "Unhealthy"
    assert (
        plan(voters(3), RemoveMember(2), two_up._replace(unstarted=frozenset({3})))
        == "MemberNotEnoughStarted"
    )
    assert plan(voters(3), AddMember(peer(4), False), two_up) == "Unhealthy"
    assert isinstance(plan(voters(3), RemoveMember(3), two_up), Membership)
    assert isinstance(plan(voters(3), ReplaceMember(3, peer(4)), two_up), Membership)


def test_a_new_leader_does_not_count_on_members_that_it_has_not_heard() -> None:
    cluster = Cluster()
    cluster.crash(3)
    cluster.elect(1)
    cluster.change(1, RemoveMember(2))
    cluster.run(STARTING_TIMES * ELECTION_MS)
    cluster.change(1, RemoveMember(2))
    # At first it may still hear of member 3, and only then it is sure.
    assert [failed.name for failed in cluster.failed[1]] == ["Unhealthy", "MemberNotEnoughStarted"]
    assert members_of(cluster, 1) == {1, 2, 3}


def test_a_removed_member_never_comes_back() -> None:
    without = plan(voters(3), RemoveMember(3), EVERYBODY)
    assert isinstance(without, Membership)
    assert plan(without.final(), AddMember(peer(3), False), EVERYBODY) == "MemberExist"


def test_the_last_removed_members_are_remembered_in_the_order_of_their_removal() -> None:
    membership = voters(3)
    for member in range(4, 4 + FORMER_MAX + 8):
        added = plan(membership, AddMember(peer(member), learner=True), EVERYBODY)
        assert isinstance(added, Membership)
        removed = plan(added, RemoveMember(member), EVERYBODY)
        assert isinstance(removed, Membership)
        membership = decode(encode(removed))
    last = range(12, 4 + FORMER_MAX + 8)
    assert [each.id for each in membership.former] == list(last)
    assert plan(membership, AddMember(peer(12), learner=True), EVERYBODY) == "MemberExist"
    assert not membership.has_removed(11)


def far_from_the_first_index(lacking: int) -> Leader:
    """A leader of a log that begins at ten billion, and a learner that lacks some entries."""
    start = 10_000_000_000
    times = [Entry(start + n, 3, 1_000 + n, 0, 0, b"x") for n in range(1, 101)]
    log = RaftLog(start, 3, times)
    members = first_membership((peer(1),))._replace(learners=frozenset({2}))
    leader = Leader(1, 3, members.configuration, log, 2_000, START_MS)
    progress = leader.peers[2]
    progress.contact = Contact.HEARD
    progress.match = log.last_index - lacking
    return leader


@pytest.mark.parametrize(
    ("lacking", "late_ms", "ready"),
    [
        (0, ELECTION_MS - 1, True),
        (1, 0, False),
        (99, 0, False),
        (100, 0, False),
    ],
)
def test_a_learner_is_ready_when_it_lacks_nothing_old_wherever_the_log_begins(
    lacking: int, late_ms: int, ready: bool
) -> None:
    leader = far_from_the_first_index(lacking)
    health = health_of(leader, START_MS + late_ms, ELECTION_MS)
    assert (2 in health.caught_up) == ready


def test_a_learner_may_lack_what_is_newer_than_an_election_timeout() -> None:
    leader = far_from_the_first_index(0)
    now_ms = START_MS + 5
    fresh = [Entry(leader.log.last_index + n, 3, 2_004, 0, 0, b"x") for n in range(1, 50)]
    leader.log.append(fresh)
    assert 2 in health_of(leader, now_ms, ELECTION_MS).caught_up
    leader.peers[2].heard_ms = now_ms + ELECTION_MS
    assert 2 not in health_of(leader, now_ms + ELECTION_MS, ELECTION_MS).caught_up


def test_a_lone_voter_says_that_a_second_one_is_certain_once_it_has_saved_so() -> None:
    cluster = Cluster(1)
    cluster.elect(1)
    cluster.run(2 * HEARTBEAT_MS)
    core = cluster.cores[1]
    core.change_members(AddMember(peer(2), learner=False), 77, cluster.now_ms)
    assert core.decided(cluster.now_ms).certain is None, "a crash would undo it"
    core.output(cluster.now_ms)
    core.persisted(cluster.now_ms)
    certain = core.decided(cluster.now_ms).certain
    assert certain == Certain(77, core.roster.latest)
    assert not core.roster.is_settled
    assert core.decided(cluster.now_ms).certain is None, "it is said once"


@pytest.mark.parametrize("change", [AddMember(peer(4), learner=True), RemoveMember(3)])
def test_other_changes_are_answered_when_they_are_done(change: MemberChange) -> None:
    cluster = Cluster()
    cluster.elect(1)
    cluster.run(2 * HEARTBEAT_MS)
    core = cluster.cores[1]
    core.change_members(change, 77, cluster.now_ms)
    core.output(cluster.now_ms)
    core.persisted(cluster.now_ms)
    assert core.decided(cluster.now_ms).certain is None


def test_a_member_is_added_by_a_joint_membership_and_the_asker_is_answered_at_the_end() -> None:
    cluster = Cluster()
    cluster.elect(1)
    cluster.run(2 * HEARTBEAT_MS)
    cluster.change(2, AddMember(peer(4), learner=False))
    cluster.join(4)
    cluster.run(4 * HEARTBEAT_MS)
    assert members_of(cluster, 1) == {1, 2, 3, 4}
    changes = [e for e in cluster.committed[1] if read(e.command)]
    joint, final = (decode(entry.command) for entry in changes)
    assert joint.is_joint and not final.is_joint
    assert (changes[0].ticket, (changes[1].origin, changes[1].ticket)) == (0, (2, 77))
    cluster.propose(1, b"after")
    cluster.run(2 * HEARTBEAT_MS)
    assert cluster.commands(4)[-1] == b"after"


def test_a_joint_membership_needs_a_majority_of_both_sets() -> None:
    cluster = Cluster()
    cluster.elect(1)
    cluster.run(2 * HEARTBEAT_MS)
    cluster.join(4)
    cluster.join(5)
    for new in (4, 5):
        cluster.change(1, AddMember(peer(new), learner=True))
        cluster.run(2 * HEARTBEAT_MS)
        cluster.change(1, PromoteMember(new))
        cluster.run(2 * HEARTBEAT_MS)
    assert members_of(cluster, 1) == {1, 2, 3, 4, 5}
    cluster.isolate(3)
    cluster.isolate(4)
    cluster.propose(1, b"three of five are enough")
    assert cluster.commands(1)[-1] == b"three of five are enough"
    cluster.isolate(5)
    cluster.propose(1, b"two are not")
    assert cluster.commands(1)[-1] != b"two are not"


def test_no_change_begins_before_the_leader_has_committed_in_its_term() -> None:
    cluster = Cluster()
    cluster.drop = lambda message: isinstance(message, AppendRequest)
    cluster.elect(1)
    cluster.change(1, AddMember(peer(4), learner=True))
    assert failure(cluster, 1) == "Unhealthy"


def test_only_one_change_is_under_way() -> None:
    cluster = Cluster()
    cluster.elect(1)
    cluster.run(2 * HEARTBEAT_MS)
    cluster.drop = lambda message: isinstance(message, AppendRequest)
    cluster.change(1, AddMember(peer(4), learner=True))
    cluster.change(1, AddMember(peer(5), learner=True), ticket=78)
    assert failure(cluster, 1) == "Unhealthy"


def test_a_learner_gets_the_log_but_neither_counts_nor_stands() -> None:
    cluster = Cluster()
    cluster.elect(1)
    cluster.run(2 * HEARTBEAT_MS)
    cluster.change(1, AddMember(peer(4), learner=True))
    learner = cluster.join(4)
    cluster.run(2 * HEARTBEAT_MS)
    assert learner.roster.is_learner
    cluster.isolate(2)
    cluster.isolate(3)
    cluster.propose(1, b"no quorum")
    assert b"no quorum" not in cluster.commands(1)
    cluster.crash(1)
    cluster.run(10 * ELECTION_MS)
    assert not isinstance(learner.role, Candidate)
    assert learner.leader == NOBODY, "it does not name one that has been silent for so long"
    asked = [m for m in cluster.log if isinstance(m, VoteRequest) and m.source == 4]
    assert all(m.pre and m.last_index == 0 for m in asked), "it only asks whether it is removed"


def test_a_learner_that_lags_is_not_promoted_until_it_has_caught_up() -> None:
    cluster = Cluster()
    cluster.elect(1)
    cluster.propose(1, *[b"x"] * 50)
    cluster.change(1, AddMember(peer(4), learner=True))
    cluster.run(2 * HEARTBEAT_MS)
    cluster.change(1, PromoteMember(4))
    assert failure(cluster, 1) == "LearnerNotReady"
    cluster.join(4)
    cluster.run(4 * HEARTBEAT_MS)
    cluster.change(1, PromoteMember(4))
    cluster.run(2 * HEARTBEAT_MS)
    assert members_of(cluster, 1) == {1, 2, 3, 4}


def test_a_removed_member_is_told_and_disturbs_nobody() -> None:
    cluster = Cluster()
    cluster.elect(1)
    cluster.run(2 * HEARTBEAT_MS)
    cluster.change(1, RemoveMember(3))
    term = cluster.cores[1].term
    cluster.run(10 * ELECTION_MS)
    assert members_of(cluster, 1) == {1, 2}
    assert 3 in cluster.removed
    assert cluster.removed == {3}
    assert (cluster.leader, cluster.cores[1].term) == (1, term)


def test_a_removed_member_is_told_by_who_lives_where_it_asks_for_somebody_else() -> None:
    cluster = Cluster()
    cluster.elect(1)
    cluster.run(2 * HEARTBEAT_MS)
    cluster.isolate(3)
    cluster.change(1, RemoveMember(3))
    cluster.run(2 * HEARTBEAT_MS)
    core = cluster.cores[1]
    core.step(VoteRequest(3, 9, core.term + 1, True, 0, 0, False), cluster.now_ms)
    cluster.flush(1)
    assert RemovedNotice(1, 3, core.term) in cluster.log
    core.step(VoteRequest(2, 9, core.term + 1, True, 0, 0, False), cluster.now_ms)
    cluster.flush(1)
    assert [m for m in cluster.log if isinstance(m, RemovedNotice)] == [
        RemovedNotice(1, 3, core.term)
    ]


def test_a_learner_that_was_removed_while_it_was_away_is_told() -> None:
    cluster = Cluster()
    cluster.elect(1)
    cluster.run(2 * HEARTBEAT_MS)
    cluster.change(1, AddMember(peer(4), learner=True))
    cluster.join(4)
    cluster.run(4 * HEARTBEAT_MS)
    cluster.isolate(4)
    cluster.change(1, RemoveMember(4))
    cluster.run(2 * HEARTBEAT_MS)
    cluster.heal()
    term = cluster.cores[1].term
    cluster.run(4 * ELECTION_MS)
    assert cluster.removed == {4}
    assert (cluster.leader, cluster.cores[1].term) == (1, term), "it has disturbed nobody"


def test_a_leader_that_removes_itself_steps_down_and_another_leads() -> None:
    cluster = Cluster()
    cluster.elect(1)
    cluster.run(2 * HEARTBEAT_MS)
    cluster.change(1, RemoveMember(1))
    cluster.run(10 * ELECTION_MS)
    assert 1 in cluster.removed
    assert cluster.leader in {2, 3}
    assert members_of(cluster, cluster.leader) == {2, 3}
    cluster.propose(cluster.leader, b"life goes on")
    assert cluster.commands(cluster.leader)[-1] == b"life goes on"


def test_one_member_is_replaced_by_another_in_one_step() -> None:
    cluster = Cluster()
    cluster.elect(1)
    cluster.run(2 * HEARTBEAT_MS)
    cluster.crash(3)
    cluster.run(2 * ELECTION_MS)
    cluster.change(1, ReplaceMember(3, peer(4)))
    cluster.join(4)
    cluster.run(4 * HEARTBEAT_MS)
    assert members_of(cluster, 1) == {1, 2, 4}


def test_whoever_leads_next_finishes_a_change_that_was_half_done() -> None:
    cluster = Cluster(5)
    cluster.elect(1)
    cluster.run(2 * HEARTBEAT_MS)
    cluster.change(1, RemoveMember(5))
    joint_only = [e for e in cluster.committed[1] if read(e.command)][:1]
    again = Cluster(5)
    again.elect(1)
    again.run(2 * HEARTBEAT_MS)
    again.drop = lambda m: (
        isinstance(m, AppendRequest)
        and any(read(e.command) and not decode(e.command).is_joint for e in m.entries)
    )
    again.change(1, RemoveMember(5))
    assert again.cores[1].roster.committed.is_joint
    again.crash(1)
    again.heal()
    again.run(10 * ELECTION_MS)
    assert members_of(again, again.leader) == {1, 2, 3, 4}
    assert joint_only


def test_a_leader_that_is_being_removed_stands_again_as_long_as_that_is_not_committed() -> None:
    cluster = Cluster()
    cluster.elect(1)
    cluster.run(2 * HEARTBEAT_MS)
    cluster.drop = lambda m: (
        isinstance(m, AppendRequest)
        and any(read(e.command) and not decode(e.command).is_joint for e in m.entries)
    )
    cluster.change(1, ReplaceMember(1, peer(4)))
    cluster.join(4)
    cluster.run(4 * HEARTBEAT_MS)
    assert members_of(cluster, 1) == {2, 3, 4}
    assert cluster.cores[2].roster.committed.is_joint
    cluster.crash(3)
    cluster.crash(1)
    cluster.restart(1)
    cluster.heal()
    # Without 3 neither 2 nor 4 can win: member 1 has the longer log, and a vote in both.
    cluster.run(10 * ELECTION_MS)
    assert cluster.leader in {2, 4}
    assert cluster.removed == {1}


def test_an_uncommitted_membership_is_undone_when_it_is_truncated() -> None:
    cluster = Cluster()
    cluster.elect(1)
    cluster.run(2 * HEARTBEAT_MS)
    cluster.isolate(1)
    cluster.change(1, AddMember(peer(4), learner=True))
    assert cluster.cores[1].roster.latest.learners == {4}
    cluster.elect(2)
    cluster.heal()
    cluster.run(4 * HEARTBEAT_MS)
    assert cluster.cores[1].roster.latest.learners == frozenset()


def test_a_restart_remembers_a_membership_that_is_not_committed() -> None:
    cluster = Cluster()
    cluster.elect(1)
    cluster.run(2 * HEARTBEAT_MS)
    cluster.isolate(1)
    cluster.change(1, AddMember(peer(4), learner=True))
    cluster.crash(1)
    core = cluster.restart(1)
    assert core.roster.latest.learners == {4}
