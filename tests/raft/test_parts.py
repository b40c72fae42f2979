"""The smaller parts of a core, each alone: outbox, forwarder, news, peers, transfers, changes."""

from __future__ import annotations

import pytest

from actors.language.entries import NO_TICKET, Proposal
from actors.language.members import NOBODY, AddMember, PromoteMember, RemoveMember
from actors.raft.facts import Cause
from actors.raft.following import Following
from actors.raft.leading import Leading
from actors.raft.member_changes import MemberChanges
from actors.raft.news import News
from actors.raft.outcome import Contradicted, LeaderNews, Removed
from actors.raft.peers import Peers
from actors.raft.probation import Probation
from actors.raft.proof import Proof
from actors.raft.proposals import FailedProposals
from actors.raft.rpc import (
    AppendRequest,
    AppendResponse,
    ChangeRefusal,
    ChangeRequest,
    Confession,
    Contradiction,
    Doubt,
    ForwardRefusal,
    ForwardRequest,
    Heartbeat,
    HeartbeatResponse,
    JoinRequest,
    ReadRequest,
    RemovedNotice,
    TimeoutNow,
    VoteRequest,
)
from actors.raft.transfers import Transfers
from actors.raft.trial import Trial
from tests.raft.harness import ELECTION_MS, START_MS, entries, peer
from tests.raft.parts import CONFIG, Parts

ACK = AppendResponse(2, 1, 1, 1, 1, False, 0, 0)
PUT = Proposal(1, 7, b"x")


def leading(parts: Parts) -> Leading:
    """What a leader does, on these parts."""
    transfers = Transfers(CONFIG, parts.elector, parts.roster, parts.outbox)
    return Leading(
        CONFIG,
        parts.replica,
        parts.roster,
        parts.outbox,
        parts.desk,
        parts.forwarder,
        transfers,
        parts.elector.facts,
    )


def changes(parts: Parts) -> MemberChanges:
    """Changes of members, on these parts."""
    return MemberChanges(CONFIG, parts.replica, parts.roster, parts.desk, parts.forwarder)


def trial(parts: Parts) -> Trial:
    """A trial whose questions have the number 5."""
    return Trial(CONFIG, parts.elector, parts.replica, parts.outbox, lambda limit: 4)


def proof(parts: Parts) -> Proof:
    """What speaks for and against a member, on these parts."""
    return Proof(1, parts.elector, parts.replica, parts.roster, parts.outbox, trial(parts))


# --- the outbox ---


def test_what_shows_a_term_that_is_not_saved_waits_for_the_save() -> None:
    parts = Parts()
    parts.outbox.say(ReadRequest(1, 2, 0, 1))
    parts.elector.give_vote_away(1)
    parts.outbox.say(ReadRequest(1, 2, 1, 2))
    assert parts.outbox.take() == (ReadRequest(1, 2, 0, 1),)
    assert parts.outbox.take_promises() == ()
    parts.outbox.saving()
    assert parts.outbox.take_promises() == (ReadRequest(1, 2, 1, 2),)
    assert (parts.outbox.take(), parts.outbox.take_promises()) == ((), ())


def test_a_new_term_drops_acknowledgements_and_no_other_promise() -> None:
    parts = Parts()
    vote = VoteRequest(1, 2, 2, False, 0, 0, False)
    parts.outbox.promise(ACK)
    parts.outbox.promise(vote)
    parts.outbox.saving()
    parts.outbox.promise(ACK)
    parts.outbox.drop_acknowledgements()
    assert parts.outbox.promises == []
    assert parts.outbox.take_promises() == (vote,)


# --- the forwarder ---


def test_proposals_are_held_until_there_is_a_leader() -> None:
    parts = Parts()
    parts.forwarder.pass_on([PUT, Proposal(1, NO_TICKET, b"nobody waits")], START_MS)
    assert not parts.outbox.messages
    parts.elector.follow(2, START_MS)
    parts.forwarder.leader_found(START_MS)
    assert parts.outbox.messages == [ForwardRequest(1, 2, 0, (PUT,))]
    assert parts.forwarder.under_way()


def test_on_probation_nothing_is_proposed_to_the_leader() -> None:
    parts = Parts(probation=Probation(5))
    parts.elector.follow(2, START_MS)
    parts.forwarder.pass_on([PUT], START_MS)
    assert parts.forwarder.ask_change(PromoteMember(4), 9) == "NoLeader"
    assert not parts.outbox.messages
    assert parts.desk.take_held() == [PUT]


def test_a_read_is_asked_of_whoever_leads_and_again_of_the_next() -> None:
    parts = Parts()
    read_id = parts.forwarder.open_read(START_MS)
    assert not parts.outbox.messages
    parts.elector.follow(2, START_MS)
    parts.forwarder.leader_found(START_MS)
    parts.forwarder.ask_reads_again(START_MS + ELECTION_MS - 1)
    assert parts.outbox.messages == [ReadRequest(1, 2, 0, read_id)]
    assert parts.forwarder.reads_due_ms() == START_MS + ELECTION_MS
    parts.forwarder.ask_reads_again(START_MS + ELECTION_MS)
    assert parts.outbox.messages == 2 * [ReadRequest(1, 2, 0, read_id)]


def test_each_origin_is_told_which_of_its_proposals_were_refused() -> None:
    parts = Parts()
    proposals = [Proposal(3, 8, b""), Proposal(2, 5, b""), Proposal(3, 9, b""), Proposal(4, 0, b"")]
    parts.forwarder.refuse(proposals, "NoSpace")
    assert parts.outbox.messages == [
        ForwardRefusal(1, 2, 0, (5,), "NoSpace"),
        ForwardRefusal(1, 3, 0, (8, 9), "NoSpace"),
    ]


# --- news and peers ---


def test_each_piece_of_news_is_told_once() -> None:
    parts = Parts()
    news = News(parts.elector, parts.roster, parts.replica)
    assert news.take_leader_news() == LeaderNews(NOBODY, 0, None, False)
    assert news.take_membership() is parts.roster.latest
    assert (news.take_leader_news(), news.take_membership()) == (None, None)
    parts.elector.follow(2, START_MS)
    assert news.take_leader_news() == LeaderNews(2, 0, None, False)


def test_a_leader_gives_its_clock_once_it_has_committed_in_its_term() -> None:
    parts = Parts()
    news = News(parts.elector, parts.roster, parts.replica)
    parts.lead()
    assert news.take_leader_news() == LeaderNews(1, 1, None, False)
    parts.replica.append(1, 0, [PUT])
    parts.replica.commit_to(1)
    assert news.take_leader_news() == LeaderNews(1, 1, (0, START_MS), False)


def test_only_a_leader_knows_of_streams_and_silence() -> None:
    parts = Parts()
    peers = Peers(CONFIG, parts.elector, parts.log, START_MS)
    assert (peers.streams(), peers.is_silent(2, START_MS)) == ({}, False)
    parts.lead()
    assert peers.streams().keys() == {2, 3}
    assert peers.is_silent(2, START_MS)
    stream = peers.stream_for(2, JoinRequest(9, 2, (), on_probation=True), START_MS)
    assert stream == peers.streams()[2] != peers.streams()[3]


def test_whose_proposals_the_log_holds_is_looked_up_now_and_then() -> None:
    parts = Parts()
    peers = Peers(CONFIG, parts.elector, parts.log, START_MS)
    assert not peers.has_proposed(1, START_MS)
    parts.replica.append(1, 0, [PUT])
    assert not peers.has_proposed(1, START_MS + ELECTION_MS - 1)
    assert peers.has_proposed(1, START_MS + ELECTION_MS)


# --- transfers ---


def test_a_transfer_needs_a_leader_and_a_voter() -> None:
    parts = Parts()
    transfers = Transfers(CONFIG, parts.elector, parts.roster, parts.outbox)
    assert transfers.begin(2, START_MS) == "NotLeader"
    parts.lead()
    assert transfers.begin(9, START_MS) == "BadLeaderTransferee"
    assert (transfers.target, transfers.due_ms) == (NOBODY, None)


def test_a_successor_is_told_as_soon_as_it_has_the_whole_log() -> None:
    parts = Parts(terms=[1])
    transfers = Transfers(CONFIG, parts.elector, parts.roster, parts.outbox)
    leader = parts.lead()
    assert transfers.begin(2, START_MS) == ""
    assert (transfers.target, parts.outbox.messages) == (2, [])
    leader.peers[2].maybe_accept(1)
    transfers.maybe_hand_over(leader)
    assert parts.outbox.messages == [TimeoutNow(1, 2, 1)]
    parts.elector.step_down(START_MS, Cause.NO_QUORUM)
    parts.elector.follow(2, START_MS)
    assert transfers.maybe_end(START_MS)
    assert [tuple(each) for each in transfers.take_ended()] == [(2, True)]


# --- changes of members ---


def test_no_change_begins_before_the_leader_has_committed_in_its_term() -> None:
    parts = Parts(terms=[1])
    leader = parts.lead(2)
    change = AddMember(peer(4), learner=True)
    changes(parts).ask(leader, change, 9, START_MS)
    assert parts.desk.take_failed() == (FailedProposals((9,), "Unhealthy", False),)
    parts.replica.append(2, 0, [PUT])
    parts.replica.commit_to(2)
    changes(parts).ask(leader, change, 9, START_MS)
    assert parts.roster.latest.learners == {4}
    assert 4 in leader.peers


def test_a_change_that_is_passed_on_to_a_member_that_does_not_lead_is_refused() -> None:
    parts = Parts()
    request = ChangeRequest(3, 1, 0, 9, RemoveMember(2))
    changes(parts).take(parts.elector.role, request, START_MS)
    assert parts.outbox.messages == [ChangeRefusal(1, 3, 0, 9, "LeaderChanged")]


def test_a_change_that_waits_for_its_newcomer_is_certain_once_it_is_saved_here() -> None:
    parts = Parts(members=1)
    leader = parts.lead()
    parts.replica.append(1, 0, [PUT])
    parts.save()
    parts.replica.commit_to(1)
    one = changes(parts)
    one.ask(leader, AddMember(peer(2), learner=False), 9, START_MS)
    assert parts.roster.latest.is_joint
    assert one.take_certain() is None
    parts.save()
    certain = one.take_certain()
    assert certain is not None and certain.ticket == 9
    parts.replica.commit_to(2)
    one.finish(leader, START_MS)
    assert parts.roster.latest.voters == {1, 2}
    assert not parts.roster.latest.outgoing


# --- leading and following ---


def test_an_entry_of_an_earlier_term_is_not_committed_by_counting() -> None:
    parts = Parts(terms=[1])
    own = leading(parts)
    leader = own.begin(2, START_MS)
    parts.elector.give_vote_away(2)
    parts.elector.lead(leader)
    leader.peers[2].maybe_accept(1)
    assert not own.maybe_commit(leader, START_MS)
    own.open_term(leader, START_MS)
    parts.save()
    leader.peers[2].maybe_accept(2)
    assert own.maybe_commit(leader, START_MS)
    assert parts.replica.commit == 2


def test_a_full_disk_takes_no_proposal_that_somebody_waits_for() -> None:
    parts = Parts()
    own, leader = leading(parts), parts.lead()
    own.is_full = True
    own.append(leader, [PUT, Proposal(3, 8, b"")], START_MS)
    own.append(leader, [Proposal(1, NO_TICKET, b"an alarm")], START_MS)
    assert parts.desk.take_failed() == (FailedProposals((7,), "NoSpace", False),)
    assert parts.outbox.messages == [ForwardRefusal(1, 3, 1, (8,), "NoSpace")]
    assert parts.log.last_index == 1


def test_a_leader_that_hears_no_quorum_is_told_so_by_its_tick() -> None:
    parts = Parts()
    own, leader = leading(parts), parts.lead()
    leader.quorum_check_due_ms = START_MS + ELECTION_MS
    assert own.maybe_tick(leader, START_MS)
    assert {type(each) for each in parts.outbox.messages} == {Heartbeat}
    assert not own.maybe_tick(leader, START_MS + ELECTION_MS)


def test_what_a_follower_answers_to_an_append_is_a_promise() -> None:
    parts = Parts()
    following = Following(parts.elector, parts.replica, parts.outbox, parts.forwarder, trial(parts))
    following.take(AppendRequest(2, 1, 1, 4, 0, 0, 0, entries(1, 1)), START_MS)
    assert parts.outbox.messages == []
    assert parts.outbox.promises == [AppendResponse(1, 2, 1, 4, 1, False, 0, 0)]
    following.take(Heartbeat(2, 1, 1, 4, 1, 1, 3, 0, True), START_MS)
    assert parts.outbox.take() == (HeartbeatResponse(1, 2, 0, 4, 1, 1, 3, False),)
    assert parts.replica.commit == 1


# --- trial and proof ---


def test_a_contradiction_ends_a_leader_only_when_it_answers_what_was_asked() -> None:
    parts = Parts(terms=[1])
    parts.lead(2)
    judge = trial(parts)
    told = Contradiction(2, 1, 2, 1, 2, 0)
    assert judge.take_word(told, START_MS) is None
    assert parts.outbox.messages == [Doubt(1, 2, 2, 1, 5, False)]
    assert judge.take_word(told._replace(nonce=6), START_MS) is None
    assert judge.take_word(told._replace(nonce=5), START_MS) == Contradicted(1, 2, 1, 2)
    assert judge.take_at_odds(None) == (2,)


def test_who_is_wrong_says_nothing_but_that_and_leads_no_more() -> None:
    parts = Parts()
    leader, own = parts.lead(), proof(parts)
    parts.outbox.promise(ACK)
    (followed,) = own.end(Contradicted(1, 1, 0, 2), START_MS)
    assert followed == (NOBODY, False, leader)
    assert parts.outbox.take() == (Confession(1, 2, 1, 1, 0), Confession(1, 3, 1, 1, 0))
    assert parts.outbox.promises == []
    assert not own.takes_part
    assert not own.may_hear(Doubt(3, 1, 1, 1, 8, False))
    assert parts.outbox.messages == [Confession(1, 3, 1, 1, 8)]


@pytest.mark.parametrize("source", [2, 3])
def test_a_removed_member_that_stands_is_told_so(source: int) -> None:
    parts = Parts()
    parts.roster.restart(1, parts.roster.latest._replace(former=(peer(3),)), commit=1)
    request = VoteRequest(source, 1, 1, True, 0, 0, False)
    assert proof(parts).may_hear(request) is (source == 2)
    told = [RemovedNotice(1, 3, 0)] if source == 3 else []
    assert parts.outbox.messages == told


def test_who_is_removed_takes_part_until_its_process_ends() -> None:
    own = proof(Parts())
    assert own.how_it_ends() is None
    own.note_removed()
    assert own.takes_part
    assert own.how_it_ends() == Removed()
