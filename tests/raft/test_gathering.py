"""What waits in a member before the core sees it: proposals, questions, and who moves the lead."""

from __future__ import annotations

import pytest

from actors.language.commands import Range
from actors.language.entries import Proposal
from actors.language.messages import Failed, HandOver, Moved, MoveLeader, Question
from actors.language.queries import Status
from actors.language.results import Failure
from actors.raft.gathering import ENOUGH_PROPOSALS, WAIT_MS, Gathering
from actors.raft.last_words import LAST_WORDS_MS, LastWords
from actors.raft.movers import Movers, answer
from actors.raft.outcome import Contradicted, Removed, WasHere
from actors.raft.readers import QUESTIONS_WAITING_MAX, SLOW_READ_MS, Readers

NOW_MS = 5_000
RANGE = Range(b"k")


def gathering(*, is_under_way: bool, proposals: int = 1) -> Gathering:
    made = Gathering(lambda: is_under_way)
    made.proposals += [Proposal(1, ticket, b"x") for ticket in range(proposals)]
    return made


def test_a_proposal_waits_for_company_only_while_something_is_under_way() -> None:
    assert not gathering(is_under_way=False).should_wait(NOW_MS)
    assert gathering(is_under_way=True).should_wait(NOW_MS)


def test_it_does_not_wait_for_long() -> None:
    few = gathering(is_under_way=True)
    assert few.should_wait(NOW_MS)
    assert few.until_ms == NOW_MS + WAIT_MS
    few.proposals.append(Proposal(1, 9, b"y"))
    assert few.should_wait(NOW_MS + WAIT_MS - 1)
    assert not few.should_wait(NOW_MS + WAIT_MS)
    assert [each.ticket for each in few.take()] == [0, 9]
    assert not few.proposals
    assert few.should_wait(NOW_MS + WAIT_MS), "the next ones have their own time"


def test_enough_proposals_do_not_wait() -> None:
    assert gathering(is_under_way=True, proposals=ENOUGH_PROPOSALS - 1).should_wait(NOW_MS)
    assert not gathering(is_under_way=True, proposals=ENOUGH_PROPOSALS).should_wait(NOW_MS)


# --- questions --------------------------------------------------------------------------------


def asked(*tickets: int) -> list[Question]:
    return [Question(ticket, RANGE) for ticket in tickets]


def test_questions_of_one_burst_are_one_read() -> None:
    readers = Readers()
    assert readers.take_in(asked(1, 2)) == ([], [])
    readers.begin(7, NOW_MS)
    readers.take_in(asked(3))
    assert readers.confirmed(7, NOW_MS) == asked(1, 2)
    assert readers.waiting == asked(3)
    assert readers.confirmed(7, NOW_MS) == []


def test_a_status_waits_for_nothing() -> None:
    readers = Readers()
    assert readers.take_in([Question(1, Status()), *asked(2)]) == ([1], [])
    assert readers.waiting == asked(2)


def test_questions_that_wait_are_bounded() -> None:
    readers = Readers()
    readers.take_in(asked(*range(QUESTIONS_WAITING_MAX)))
    assert readers.take_in(asked(70_000, 70_001)) == ([], [70_000, 70_001])
    assert len(readers.waiting) == QUESTIONS_WAITING_MAX


def test_reads_that_nobody_waits_for_any_more_are_given_up_oldest_first() -> None:
    readers = Readers()
    for read_id in (1, 2, 3):
        readers.take_in(asked(read_id))
        readers.begin(read_id, NOW_MS + read_id)
    assert readers.give_up(NOW_MS + 3) == [1, 2]
    assert readers.confirmed(2, NOW_MS) == []
    assert readers.confirmed(3, NOW_MS) == asked(3)


def test_reads_that_take_long_are_counted_as_slow_and_those_given_up_as_well() -> None:
    readers = Readers()
    for read_id in (1, 2, 3):
        readers.take_in(asked(read_id))
        readers.begin(read_id, NOW_MS)
    readers.confirmed(1, NOW_MS + SLOW_READ_MS - 1)
    assert readers.slow == 0
    readers.confirmed(2, NOW_MS + SLOW_READ_MS)
    assert readers.slow == 1
    readers.give_up(NOW_MS + 1)
    assert readers.slow == 2


# --- transfers of leadership ------------------------------------------------------------------


def test_all_who_wait_for_a_transfer_hear_how_it_ended() -> None:
    movers = Movers()
    stop = HandOver(lambda: None)
    for mover in (MoveLeader(2, 7), stop, MoveLeader(2, 8)):
        movers.wait(mover, 2)
    movers.wait(MoveLeader(3, 9), 3)
    assert movers.ended(2, succeeded=True) == [Moved(7), stop, Moved(8)]
    assert movers.ended(2, succeeded=True) == []
    late = Failed((9,), Failure("TimeoutLeaderTransfer"), outcome_unknown=False)
    assert movers.ended(3, succeeded=False) == [late]


def test_what_refuses_a_transfer_is_said_and_a_node_that_stops_goes_on_stopping() -> None:
    refused = Failed((7,), Failure("NotLeader"), outcome_unknown=False)
    assert answer(MoveLeader(2, 7), "NotLeader") == refused
    stop = HandOver(lambda: None)
    assert answer(stop, "NotLeader") == stop


# --- ends -------------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", [Removed(2), WasHere(())])
def test_a_member_that_was_removed_or_was_here_before_stops_at_once(
    ending: Removed | WasHere,
) -> None:
    words = LastWords()
    words.begin(ending, NOW_MS)
    assert words.take_due(NOW_MS) == ending
    assert words.take_due(NOW_MS + 1) is None, "it is said once"
    assert words.due_ms is None


def test_one_that_is_wrong_says_so_first() -> None:
    words, ending = LastWords(), Contradicted(9, 1, 0, 2)
    words.begin(ending, NOW_MS)
    words.begin(Removed(), NOW_MS)
    assert words.due_ms == NOW_MS + LAST_WORDS_MS
    assert words.take_due(NOW_MS + LAST_WORDS_MS - 1) is None
    assert words.take_due(NOW_MS + LAST_WORDS_MS) == ending
