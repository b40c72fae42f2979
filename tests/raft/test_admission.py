"""Which messages of peers reach the core: every reason to ignore one, and what must pass."""

from __future__ import annotations

import pytest

from actors.language.entries import Entry, Proposal
from actors.language.members import AddMember, PromoteMember, RemoveMember
from actors.raft.admission import (
    MEMBERS_VOUCHED_MAX,
    MISDIRECTED,
    NO_VOTER,
    NOT_SENT,
    NUMBER,
    ORIGIN,
    OWN_NAME,
    REMOVED,
    STRANGER,
    TERM,
    TERM_MAX,
    TERM_STEP_MAX,
    UNCONFIRMED,
    VOUCHERS_MAX,
    Admission,
)
from actors.raft.core import RaftCore
from actors.raft.log import RaftLog
from actors.raft.membership import UNKNOWN_MEMBERS, Membership, encode, first_membership, plan
from actors.raft.outcome import CoreConfig, Recovered
from actors.raft.rpc import (
    AppendRequest,
    AppendResponse,
    ChangeRefusal,
    ChangeRequest,
    ForwardRefusal,
    ForwardRequest,
    HardState,
    Heartbeat,
    HeartbeatResponse,
    Message,
    ReadRequest,
    ReadResponse,
    RemovedNotice,
    SnapshotAck,
    SnapshotChunk,
    TimeoutNow,
    VoteRequest,
    VoteResponse,
)
from tests.raft.harness import ELECTION_MS, HEARTBEAT_MS, HOLD_MS, START_MS, Cluster, peer, voters
from tests.raft.test_membership import EVERYBODY

OWN, OTHER, LEARNER, STRANGE = 1, 2, 4, 9
SHIFTED = 1 << 62


def planned(now: Membership, change: AddMember | RemoveMember | PromoteMember) -> Membership:
    after = plan(now, change, EVERYBODY._replace(caught_up=frozenset({LEARNER})))
    assert isinstance(after, Membership)
    return after


WITH_LEARNER = planned(voters(3), AddMember(peer(LEARNER), learner=True))
WITHOUT_3 = planned(voters(3), RemoveMember(3))


def core_of(*memberships: Membership, term: int = 5, commit: int = 0) -> RaftCore:
    """A follower whose log holds these memberships, the first before its first entry."""
    first, *rest = memberships
    entries = [Entry(n, 1, 0, 0, 0, encode(each)) for n, each in enumerate(rest, 1)]
    state = HardState(term, 0, commit)
    recovered = Recovered(state, RaftLog(0, 0, entries), first, 0, 0)
    return RaftCore(
        CoreConfig(OWN, HEARTBEAT_MS, ELECTION_MS, HOLD_MS), recovered, START_MS, lambda limit: 0
    )


def of(source: int, target: int = OWN, term: int = 5) -> list[Message]:
    """A message of every kind that a member may send, none out of bounds."""
    head = (source, target, term)
    return [
        AppendRequest(*head, 5, 0, 0, 0, ()),
        AppendResponse(*head, 5, 0, False, 0, 0),
        Heartbeat(*head, 5, 0, 0, 0, 0, True),
        HeartbeatResponse(*head, 5, 0, 0, 0),
        ForwardRequest(*head, (Proposal(source, 1, b""),)),
        ReadRequest(*head, 1),
        ReadResponse(*head, 1, 0, 0),
        VoteRequest(*head, False, 0, 0),
        VoteResponse(*head, False, True),
        ForwardRefusal(*head, (1,), ""),
        SnapshotChunk(*head, 5, 7, 9, 1, 1, 0, 0, b"x"),
        SnapshotAck(*head, 7, 1),
        TimeoutNow(*head),
        ChangeRequest(*head, 1, RemoveMember(3)),
        ChangeRefusal(*head, 1, "Unhealthy"),
    ]


def refusals(core: RaftCore, messages: list[Message]) -> set[str]:
    return {Admission(core).refusal(message) for message in messages}


def test_what_a_voter_says_passes() -> None:
    assert refusals(core_of(voters(3)), of(OTHER)) == {""}


def test_a_stranger_is_heard_in_nothing() -> None:
    assert refusals(core_of(voters(3)), of(STRANGE)) == {STRANGER}
    assert refusals(core_of(voters(3)), [RemovedNotice(STRANGE, OWN, 5)]) == {STRANGER}


def test_a_message_in_the_own_name_is_none() -> None:
    assert refusals(core_of(voters(3)), of(OWN)) == {OWN_NAME}


def test_what_is_meant_for_another_is_ignored() -> None:
    assert refusals(core_of(voters(3)), of(OTHER, target=3)) == {MISDIRECTED}


def test_a_learner_says_nothing_that_only_a_voter_says() -> None:
    admission = Admission(core_of(WITH_LEARNER))
    heard = {type(m) for m in of(LEARNER) if not admission.refusal(m)}
    assert heard == {
        AppendResponse,
        HeartbeatResponse,
        ForwardRequest,
        ReadRequest,
        VoteRequest,
        SnapshotAck,
        ChangeRequest,
    }
    assert {admission.refusal(m) for m in of(LEARNER) if type(m) not in heard} == {NO_VOTER}


@pytest.mark.parametrize("commit", [0, 1, 2])
def test_those_of_each_membership_that_is_not_replaced_for_good_are_heard(commit: int) -> None:
    core = core_of(voters(3), WITH_LEARNER, planned(WITH_LEARNER, PromoteMember(4)), commit=commit)
    assert refusals(core, of(LEARNER)) == {""}


def test_one_that_is_being_removed_is_heard_until_that_is_committed() -> None:
    going = core_of(voters(3), WITHOUT_3, WITHOUT_3.final(), commit=1)
    assert refusals(going, of(3)) == {""}
    gone = Admission(core_of(voters(3), WITHOUT_3, WITHOUT_3.final(), commit=2))
    assert {type(m) for m in of(3) if not gone.refusal(m)} == {VoteRequest}
    assert {gone.refusal(m) for m in of(3)} == {"", REMOVED}
    assert not gone.is_known(3)
    assert gone.refusal(VoteRequest(3, 99, 5, True, 0, 0)) == "", "it may mean one here before"


# --- numbers ---------------------------------------------------------------------------------


@pytest.mark.parametrize("message", of(OTHER, term=5 + TERM_STEP_MAX + 1))
def test_no_message_takes_the_terms_there_are(message: Message) -> None:
    assert Admission(core_of(voters(3))).refusal(message) == TERM
    assert Admission(core_of(voters(3))).refusal(message._replace(term=message.term - 1)) == ""


def test_a_member_that_joins_takes_any_term_but_the_last() -> None:
    core = core_of(voters(3), term=0)
    assert refusals(core, of(OTHER, term=TERM_MAX)) == {""}
    assert refusals(core, of(OTHER, term=TERM_MAX + 1)) == {TERM}


@pytest.mark.parametrize(
    "message",
    [
        AppendRequest(OTHER, OWN, 5, 5, SHIFTED + 1, 0, 0, ()),
        AppendRequest(OTHER, OWN, 5, 5, 0, 6, 0, ()),
        AppendRequest(OTHER, OWN, 5, 5, 0, 0, SHIFTED + 1, ()),
        AppendRequest(OTHER, OWN, 5, 5, 1, 4, 0, (Entry(2, 3, 0, 0, 0, b""),)),
        AppendRequest(OTHER, OWN, 5, 5, 1, 4, 0, (Entry(2, 6, 0, 0, 0, b""),)),
        AppendRequest(OTHER, OWN, 5, 5, 1, 4, 0, (Entry(2, 5, SHIFTED, 0, 0, b""),)),
        AppendResponse(OTHER, OWN, 5, 5, SHIFTED + 1, True, 0, 0),
        AppendResponse(OTHER, OWN, 5, 5, 1, True, 0, 6),
        Heartbeat(OTHER, OWN, 5, 5, SHIFTED + 1, 0, 0, 0, True),
        Heartbeat(OTHER, OWN, 5, 5, 0, SHIFTED + 1, 0, 0, True),
        Heartbeat(OTHER, OWN, 5, 5, 0, 0, 0, SHIFTED, True),
        HeartbeatResponse(OTHER, OWN, 5, 5, 0, SHIFTED + 1, 0),
        ForwardRequest(OTHER, OWN, 5, (Proposal(OTHER, (1 << 63) + 1, b""),)),
        ReadResponse(OTHER, OWN, 5, 1, SHIFTED + 1, 0),
        ReadResponse(OTHER, OWN, 5, 1, 0, SHIFTED),
        VoteRequest(OTHER, OWN, 5, False, SHIFTED + 1, 0),
        VoteRequest(OTHER, OWN, 5, False, 0, 6),
        SnapshotChunk(OTHER, OWN, 5, 5, 7, SHIFTED + 1, 1, 1, 0, 0, b"x"),
        SnapshotChunk(OTHER, OWN, 5, 5, 7, 9, 6, 1, 0, 0, b"x"),
        ChangeRequest(OTHER, OWN, 5, (1 << 63) + 1, RemoveMember(3)),
    ],
)
def test_a_number_out_of_bounds_is_ignored(message: Message) -> None:
    assert Admission(core_of(voters(3))).refusal(message) == NUMBER


@pytest.mark.parametrize("origin", [0, 3, STRANGE])
def test_proposals_are_the_senders_own(origin: int) -> None:
    message = ForwardRequest(OTHER, OWN, 5, (Proposal(OTHER, 1, b""), Proposal(origin, 1, b"")))
    assert Admission(core_of(voters(3))).refusal(message) == ORIGIN


def test_a_leader_hears_no_rival_and_no_answer_to_what_it_never_sent() -> None:
    cluster = Cluster()
    cluster.elect(1)
    core = cluster.cores[1]
    admission, term, last_index = Admission(core), core.term, core.replica.log.last_index
    kinds = {type(m) for m in of(OTHER, term=term) if admission.refusal(m)}
    assert kinds == {AppendRequest, Heartbeat, SnapshotChunk}
    answer = HeartbeatResponse(OTHER, OWN, term, term, last_index, 99, 0)
    assert admission.refusal(answer) == ""
    assert admission.refusal(answer._replace(sent_index=last_index + 1)) == NOT_SENT
    assert admission.refusal(answer._replace(read_id=1)) == NOT_SENT


# --- what others say of who is a member ------------------------------------------------------


def test_one_that_another_member_vouches_for_is_heard() -> None:
    admission = Admission(core_of(WITH_LEARNER))
    claim = Heartbeat(STRANGE, OWN, 5, 5, 0, 0, 0, 0, True)
    promoted = claim._replace(source=LEARNER)
    assert admission.is_news(claim, admission.refusal(claim))
    assert admission.is_news(promoted, admission.refusal(promoted))
    now = first_membership(tuple(peer(each) for each in (2, LEARNER, STRANGE)))
    assert admission.vouch(2, now)
    assert [admission.refusal(each) for each in (claim, promoted)] == ["", ""]


def test_only_who_may_lead_or_wants_to_is_asked_about() -> None:
    admission = Admission(core_of(voters(3)))
    asked = {type(m) for m in of(STRANGE) if admission.is_news(m, admission.refusal(m))}
    assert asked == {AppendRequest, Heartbeat, SnapshotChunk, VoteRequest}
    assert not any(admission.is_news(m, TERM) for m in of(OTHER))


def test_one_that_was_removed_is_not_vouched_for() -> None:
    admission = Admission(core_of(voters(3), WITHOUT_3, WITHOUT_3.final(), commit=2))
    admission.vouch(2, voters(3))
    assert not admission.is_known(3)


def test_what_is_kept_of_what_others_say_is_bounded() -> None:
    admission = Admission(core_of(UNKNOWN_MEMBERS))
    many = first_membership(tuple(peer(each) for each in range(1, MEMBERS_VOUCHED_MAX + 2)))
    assert not admission.vouch(2, many)
    for source in range(100, 100 + 2 * VOUCHERS_MAX):
        assert admission.vouch(source, first_membership((peer(source),)))
    known = [each for each in range(100, 100 + 2 * VOUCHERS_MAX) if admission.is_known(each)]
    assert known == list(range(100 + VOUCHERS_MAX, 100 + 2 * VOUCHERS_MAX))


# --- removal ---------------------------------------------------------------------------------


def told(core: RaftCore, *sources: int) -> list[str]:
    admission = Admission(core)
    return [admission.refusal(RemovedNotice(source, OWN, 5)) for source in sources]


def test_a_removal_is_believed_when_most_of_the_others_say_so() -> None:
    assert told(core_of(voters(3)), 2, 2, 3) == [UNCONFIRMED, UNCONFIRMED, ""]
    assert told(core_of(voters(5)), 2, 3, 4) == [UNCONFIRMED, UNCONFIRMED, ""]
    assert told(core_of(WITH_LEARNER), 2, LEARNER, 3) == [UNCONFIRMED, UNCONFIRMED, ""]


def test_in_a_joint_membership_most_of_both_must_say_so() -> None:
    joint = planned(voters(2), RemoveMember(OWN))
    assert told(core_of(joint), 2) == [""]
    larger = planned(voters(3), AddMember(peer(4), learner=False))
    assert told(core_of(larger), 2, 4, 3) == [UNCONFIRMED, UNCONFIRMED, ""]


def test_when_those_it_knows_are_gone_it_believes_most_of_those_they_were_replaced_by() -> None:
    admission = Admission(core_of(voters(5)))
    now = first_membership((peer(2), peer(6), peer(7)))._replace(former=(peer(OWN),))
    notice = RemovedNotice(2, OWN, 5)
    assert admission.refusal(notice) == UNCONFIRMED
    assert admission.is_news(notice, UNCONFIRMED)
    admission.vouch(2, now)
    assert admission.refusal(notice) == UNCONFIRMED
    admission.vouch(6, now)
    assert admission.refusal(notice) == ""


def test_nobody_removes_the_only_member() -> None:
    admission = Admission(core_of(voters(1)))
    admission.vouch(2, voters(1))
    assert admission.refusal(RemovedNotice(2, OWN, 5)) == STRANGER
