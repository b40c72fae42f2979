"""Proposals at members that do not lead: passed on, held, refused, lost, and what is said of it."""

from __future__ import annotations

from actors.language.entries import Proposal
from actors.language.members import NOBODY
from actors.raft.outcome import Decided
from actors.raft.proposals import HELD_PROPOSALS_MAX, FailedProposals
from actors.raft.rpc import AppendRequest, AppendResponse, ForwardRefusal, ForwardRequest, Heartbeat
from tests.raft.harness import (
    ELECTION_MS,
    HEARTBEAT_MS,
    HOLD_MS,
    Cluster,
    Solo,
    make_core,
)


def failures(decided: list[Decided]) -> list[FailedProposals]:
    """All failures of a burst."""
    return [failed for each in decided for failed in each.failed]


def test_a_follower_passes_proposals_on_and_answers_when_its_own_log_has_them() -> None:
    cluster = Cluster()
    cluster.elect(1)
    tickets = cluster.propose(3, b"a", b"b")
    assert cluster.commands(3) == [b"a", b"b"]
    assert [(e.origin, e.ticket) for e in cluster.committed[3][1:]] == [(3, t) for t in tickets]
    assert not cluster.failed[3]


def test_what_a_follower_proposes_for_nobody_to_wait_for_enters_the_log_once() -> None:
    """An alarm, say, or its part of an integrity check."""
    cluster = Cluster()
    cluster.elect(1)
    for origin in (3, NOBODY):
        cluster.cores[3].propose([Proposal(origin, 0, b"by %d" % origin)], cluster.now_ms)
        cluster.flush(3)
    cluster.settle()
    assert cluster.commands(1) == [b"by 3"]
    assert not cluster.cores[3].under_way()


def test_without_a_leader_what_nobody_waits_for_is_not_held() -> None:
    cluster = Cluster()
    cluster.cores[3].propose([Proposal(3, 0, b"lost")], cluster.now_ms)
    cluster.elect(1)
    assert cluster.commands(3) == []


def test_proposals_are_held_while_no_leader_is_known() -> None:
    cluster = Cluster()
    cluster.propose(3, b"early")
    cluster.elect(1)
    assert cluster.commands(3) == [b"early"]


def test_a_member_that_wins_proposes_what_it_holds_itself() -> None:
    cluster = Cluster()
    cluster.propose(1, b"early")
    cluster.elect(1)
    assert cluster.commands(1) == [b"early"]


def test_held_proposals_are_limited_in_number() -> None:
    solo = Solo(make_core())
    decided = solo.propose(*[b"x"] * (HELD_PROPOSALS_MAX + 3)).decided
    (failed,) = failures(decided)
    assert (failed.name, failed.outcome_unknown) == ("TooManyRequests", False)
    assert failed.tickets == tuple(range(HELD_PROPOSALS_MAX + 1, HELD_PROPOSALS_MAX + 4))


def test_held_proposals_that_wait_too_long_fail_and_surely_had_no_effect() -> None:
    solo = Solo(make_core())
    solo.propose(b"x", first_ticket=7)
    solo.now_ms += HOLD_MS + 1
    assert failures(solo.tick().decided) == [FailedProposals((7,), "Timeout", False)]


def test_passed_on_proposals_that_wait_too_long_fail_with_an_unknown_outcome() -> None:
    solo = Solo(make_core())
    solo.step(Heartbeat(2, 1, 1, 1, 0, 0, 0, 0, True))
    assert solo.propose(b"x", first_ticket=7).only(ForwardRequest).target == 2
    solo.now_ms += HOLD_MS + 1
    assert failures(solo.tick().decided) == [FailedProposals((7,), "Timeout", True)]


def test_a_proposal_passed_on_to_a_leader_that_is_lost_fails_with_an_unknown_outcome() -> None:
    cluster = Cluster()
    cluster.elect(1)
    cluster.drop = lambda m: isinstance(m, ForwardRequest)
    tickets = cluster.propose(3, b"lost")
    cluster.crash(1)
    cluster.heal()
    cluster.elect(2)
    assert cluster.failed[3] == [FailedProposals(tuple(tickets), "LeaderChanged", True)]
    assert cluster.commands(3) == []


def test_a_passed_on_proposal_that_is_in_the_log_is_answered_whoever_leads() -> None:
    cluster = Cluster()
    cluster.elect(1)
    cluster.drop = lambda m: isinstance(m, AppendResponse)
    cluster.propose(3, b"in the log of 3")
    cluster.crash(1)
    cluster.heal()
    cluster.elect(2)
    assert cluster.commands(3) == [b"in the log of 3"]
    assert not cluster.failed[3]


def test_an_entry_that_is_superseded_fails_its_ticket_with_an_unknown_outcome() -> None:
    cluster = Cluster()
    cluster.elect(1)
    cluster.isolate(1)
    tickets = cluster.propose(1, b"superseded")
    cluster.elect(2)
    cluster.heal()
    cluster.run(2 * ELECTION_MS)
    assert cluster.failed[1] == [FailedProposals(tuple(tickets), "LeaderChanged", True)]


def test_an_entry_that_is_superseded_fails_only_the_tickets_of_this_member() -> None:
    cluster = Cluster()
    cluster.elect(1)
    cluster.drop = lambda m: isinstance(m, AppendRequest)
    tickets = cluster.propose(3, b"in the log of 1 only")
    cluster.isolate(1)
    cluster.elect(2)
    cluster.heal()
    cluster.run(2 * ELECTION_MS)
    assert not cluster.failed[1]
    assert cluster.failed[3] == [FailedProposals(tuple(tickets), "LeaderChanged", True)]


def test_a_member_that_does_not_lead_refuses_and_the_sender_asks_whoever_does() -> None:
    solo = Solo(make_core())
    said = solo.step(ForwardRequest(2, 1, 0, (Proposal(2, 5, b"x"), Proposal(2, 6, b"y"))))
    assert said.only(ForwardRefusal) == ForwardRefusal(1, 2, 0, (5, 6), "")


def test_a_refused_proposal_is_held_and_passed_on_again() -> None:
    cluster = Cluster()
    cluster.elect(1)
    cluster.propose(3, b"x")
    proposal = (Proposal(3, 99, b"y"),)
    cluster.cores[3].propose(proposal, cluster.now_ms)
    cluster.flush(3)
    cluster.flying.clear()
    cluster.step(ForwardRefusal(1, 3, 1, (99,), ""))
    cluster.run(3 * HEARTBEAT_MS)
    assert cluster.commands(3) == [b"x", b"y"]


def test_a_refusal_of_a_busy_leader_fails_the_proposal_at_once() -> None:
    solo = Solo(make_core())
    solo.step(Heartbeat(2, 1, 1, 1, 0, 0, 0, 0, True))
    solo.propose(b"x", first_ticket=7)
    decided = solo.step(ForwardRefusal(2, 1, 1, (7, 8), "TooManyRequests")).decided
    assert failures(decided) == [FailedProposals((7,), "TooManyRequests", False)]


def test_a_late_refusal_for_a_ticket_that_is_settled_does_nothing() -> None:
    cluster = Cluster()
    cluster.elect(1)
    (ticket,) = cluster.propose(3, b"x")
    cluster.step(ForwardRefusal(1, 3, 1, (ticket,), ""))
    cluster.run(2 * HEARTBEAT_MS)
    assert cluster.commands(3) == [b"x"]
    assert not cluster.failed[3]


def test_a_proposal_of_nobody_is_dropped_away_from_the_leader() -> None:
    cluster = Cluster()
    cluster.elect(1)
    cluster.cores[3].propose([Proposal(NOBODY, 0, b"expire")], cluster.now_ms)
    cluster.flush(3)
    assert not cluster.flying
    cluster.cores[1].propose([Proposal(NOBODY, 0, b"expire")], cluster.now_ms)
    cluster.flush(1)
    cluster.settle()
    assert cluster.commands(1) == [b"expire"]


def test_a_busy_leader_refuses_its_own_clients_and_those_of_others() -> None:
    cluster = Cluster()
    cluster.elect(1)
    cluster.drop = lambda m: isinstance(m, AppendResponse)
    cluster.propose(1, bytes(64 * 2**20 - 4096))
    own = cluster.propose(1, bytes(8192))
    others = cluster.propose(3, bytes(8192))
    assert cluster.failed[1] == [FailedProposals(tuple(own), "TooManyRequests", False)]
    assert cluster.failed[3] == [FailedProposals(tuple(others), "TooManyRequests", False)]
