"""Two logs that contradict what is committed: the wrong member stops, the right one never does."""

from __future__ import annotations

from actors.raft.leader import Leader
from actors.raft.outcome import Contradicted
from actors.raft.rpc import (
    AppendRequest,
    AppendResponse,
    Confession,
    Contradiction,
    Doubt,
    HardState,
    Heartbeat,
    HeartbeatResponse,
    Message,
    VoteResponse,
)
from tests.raft.harness import (
    HEARTBEAT_MS,
    Flushed,
    Solo,
    entries,
    make_core,
    terms_of,
)

OWN = 1
NONCE = 1
"""What member 1 draws: its chance gives 0."""


def follower(*terms: int, commit: int) -> Solo:
    """Member 1 of three with a log of these terms."""
    return Solo(make_core(OWN, 3, terms, HardState(terms[-1], 0, commit)))


def leader(*terms: int, commit: int) -> Solo:
    """Member 1, which leads the term after these from the entry behind them."""
    solo = follower(*terms, commit=commit)
    solo.tick()
    for pre in (True, False):
        solo.step(VoteResponse(2, OWN, terms[-1] + 1, pre, True))
    return solo


def ending(flushed: Flushed) -> object:
    return flushed.decided[-1].ending


def accused(flushed: Flushed) -> tuple[int, ...]:
    return tuple(each for one in flushed.decided for each in one.accused)


def confirm(
    solo: Solo, evidence: Message, index: int, entry_term: int, acknowledged: bool = False
) -> Flushed:
    """Member 1 sees something of member 2, asks back, and is answered."""
    flushed = solo.step(evidence)
    assert ending(flushed) is None, "nobody ends because a frame says so"
    term = solo.core.term
    assert flushed.only(Doubt) == Doubt(OWN, 2, term, index, NONCE, acknowledged)
    return solo.step(Contradiction(2, OWN, term, index, entry_term, NONCE))


# --- the right one ----------------------------------------------------------------------------


def test_a_follower_tells_a_leader_that_contradicts_what_it_has_committed() -> None:
    solo = follower(1, 1, 2, commit=3)
    flushed = solo.step(AppendRequest(2, OWN, 4, 4, 1, 1, 3, entries(2, 4, 4)))
    assert flushed.said == [Contradiction(OWN, 2, 4, 2, 1)]
    assert flushed.decided[-1].at_odds == (2,)
    assert (terms_of(solo.core.replica.log), ending(flushed)) == ([1, 1, 2], None)


def test_a_follower_tells_so_too_where_only_the_entry_before_is_otherwise() -> None:
    solo = follower(1, 1, 2, commit=3)
    flushed = solo.step(AppendRequest(2, OWN, 4, 4, 3, 4, 3, entries(4, 4)))
    assert flushed.said == [Contradiction(OWN, 2, 4, 3, 2)]


def test_what_is_not_committed_is_replaced_as_ever() -> None:
    solo = follower(1, 1, 2, commit=2)
    flushed = solo.step(AppendRequest(2, OWN, 4, 4, 2, 1, 2, entries(3, 4)))
    assert flushed.only(AppendResponse).index == 3
    assert terms_of(solo.core.replica.log) == [1, 1, 4]


def test_an_answer_beyond_what_was_sent_says_what_is_committed() -> None:
    solo = follower(1, 1, 2, commit=3)
    answer = solo.step(AppendRequest(2, OWN, 4, 4, 1, 1, 1, ())).only(AppendResponse)
    assert (answer.index, answer.hint_index, answer.hint_term) == (3, 3, 2)


def test_who_is_asked_says_what_it_has_committed_and_nothing_of_what_it_has_not() -> None:
    solo = follower(1, 1, 2, commit=2)
    assert solo.step(Doubt(3, OWN, 2, 2, 9)).said == [Contradiction(OWN, 3, 2, 2, 1, 9)]
    assert solo.step(Doubt(3, OWN, 2, 3, 9)).said == []


def test_a_leader_says_only_of_what_a_member_has_acknowledged_that_it_must_be_there() -> None:
    """Else a heartbeat in the leader's name would end a member that lags."""
    solo = leader(1, 1, 2, commit=3)
    question = Doubt(2, OWN, 3, 3, 9, True)
    assert solo.step(question).said == []
    stream = solo.core.peers.streams()[2]
    solo.step(AppendResponse(2, OWN, 3, stream, 3, False, 0, 0))
    assert Contradiction(OWN, 2, 3, 3, 2, 9) in solo.step(question).said


def test_a_leader_that_has_committed_the_earlier_entry_tells_so_and_goes_on() -> None:
    solo = leader(1, 1, 2, commit=3)
    flushed = confirm(solo, Contradiction(2, OWN, 3, 2, 2), 2, 2)
    assert Contradiction(OWN, 2, 3, 2, 1) in flushed.said
    assert (accused(flushed), ending(flushed)) == ((2,), None)
    assert isinstance(solo.core.role, Leader)


def test_who_agrees_or_has_compacted_the_place_away_is_not_touched() -> None:
    solo = leader(1, 1, 2, commit=3)
    solo.flush()
    solo.core.compact(2, 0, 0)
    for index, term in ((3, 2), (1, 9)):
        flushed = solo.step(Contradiction(2, OWN, 3, index, term))
        assert (flushed.said, ending(flushed), accused(flushed)) == ([], None, ())


def test_a_follower_that_lacks_an_entry_only_lags() -> None:
    for index in (2, 9):
        solo = follower(1, 1, commit=1)
        solo.step(Heartbeat(2, OWN, 3, 3, 1, 1, 0, 0, True))
        assert ending(confirm(solo, Contradiction(2, OWN, 3, index, 2), index, 2)) is None


def test_a_confession_that_is_confirmed_raises_the_alarm_for_who_makes_it() -> None:
    solo = follower(1, 1, commit=2)
    flushed = solo.step(Confession(3, OWN, 1, 2))
    assert (flushed.said, accused(flushed)) == ([Doubt(OWN, 3, 1, 2, NONCE)], ())
    assert accused(solo.step(Confession(3, OWN, 1, 2, NONCE))) == (3,)


# --- the wrong one ----------------------------------------------------------------------------


def test_a_leader_that_lacks_what_is_committed_stops_and_says_so_to_all() -> None:
    solo = leader(1, 1, commit=2)
    flushed = confirm(solo, Contradiction(2, OWN, 2, 7, 1), 7, 1)
    assert ending(flushed) == Contradicted(7, 1, 0, 2)
    assert flushed.said == [Confession(OWN, 2, 2, 7), Confession(OWN, 3, 2, 7)]
    assert not isinstance(solo.core.role, Leader)


def test_a_leader_with_a_later_entry_there_stops() -> None:
    solo = leader(1, 1, 3, commit=3)
    flushed = confirm(solo, Contradiction(2, OWN, 4, 3, 2), 3, 2)
    assert ending(flushed) == Contradicted(3, 2, 3, 2)


def test_a_leader_that_gets_an_acknowledgement_of_more_than_there_is_stops() -> None:
    solo = leader(1, 1, commit=2)
    stream = solo.core.peers.streams()[2]
    flushed = confirm(solo, AppendResponse(2, OWN, 2, stream, 9, False, 9, 1), 9, 1)
    assert ending(flushed) == Contradicted(9, 1, 0, 2)
    assert solo.core.replica.commit == 2


def test_an_acknowledgement_of_more_without_a_reason_counts_for_nothing() -> None:
    solo = leader(1, 1, commit=2)
    stream = solo.core.peers.streams()[2]
    flushed = solo.step(AppendResponse(2, OWN, 2, stream, 9, False, 0, 0))
    assert (flushed.said, ending(flushed), solo.core.replica.commit) == ([], None, 2)


def test_a_follower_that_has_committed_the_later_entry_stops() -> None:
    solo = follower(1, 3, commit=2)
    solo.step(Heartbeat(2, OWN, 4, 4, 0, 0, 0, 0, True))
    flushed = confirm(solo, Contradiction(2, OWN, 4, 2, 2), 2, 2)
    assert ending(flushed) == Contradicted(2, 2, 3, 2)


def test_a_follower_that_lacks_what_it_has_acknowledged_stops() -> None:
    solo = follower(1, 1, commit=1)
    flushed = confirm(solo, Heartbeat(2, OWN, 2, 2, 5, 5, 0, 0, True), 5, 2, acknowledged=True)
    assert ending(flushed) == Contradicted(5, 0, 0, 2)
    assert flushed.said == [Confession(OWN, 2, 2, 5), Confession(OWN, 3, 2, 5)]


def test_who_stops_takes_no_part_any_more_and_answers_whether_it_was_it() -> None:
    solo = leader(1, 1, commit=2)
    confirm(solo, Contradiction(2, OWN, 2, 7, 1), 7, 1)
    assert solo.step(AppendRequest(2, OWN, 3, 3, 1, 1, 1, entries(2, 3))).said == []
    assert solo.step(Doubt(3, OWN, 9, 7, 77)).said == [Confession(OWN, 3, 2, 7, 77)]
    assert {type(each) for each in solo.tick().said} == {Confession}


# --- who only pretends ------------------------------------------------------------------------


def test_an_answer_that_nobody_asked_for_or_of_another_ends_nobody() -> None:
    solo = leader(1, 1, commit=2)
    for source, nonce in ((2, NONCE), (2, 99)):
        flushed = solo.step(Contradiction(source, OWN, 2, 7, 1, nonce))
        assert (flushed.said, ending(flushed)) == ([], None)
    solo.step(Contradiction(2, OWN, 2, 7, 1))
    for source, nonce in ((3, NONCE), (2, NONCE + 1)):
        flushed = solo.step(
            Contradiction(source, OWN, 2, 7, 1, nonce), Confession(source, OWN, 2, 7, nonce)
        )
        assert (ending(flushed), accused(flushed)) == (None, ())


def test_a_flood_of_accusations_brings_one_question_a_heartbeat() -> None:
    solo = leader(1, 1, commit=2)
    flood = [Contradiction(2, OWN, 2, index, 1) for index in range(7, 90)]
    assert len(solo.step(*flood).all(Doubt)) == 1
    solo.now_ms += HEARTBEAT_MS
    assert len(solo.step(*flood).all(Doubt)) == 1


# --- no pair of members keeps each other busy -------------------------------------------------


def test_a_rejection_of_what_was_acknowledged_waits_for_the_next_heartbeat() -> None:
    solo = leader(1, 1, commit=2)
    stream = solo.core.peers.streams()[2]
    solo.step(AppendResponse(2, OWN, 2, stream, 3, False, 0, 0))
    # A lost message or a restart has it probe again, from what is known to match.
    solo.core.peer_down(2, solo.now_ms)
    probe = [each for each in solo.flush().all(AppendRequest) if each.target == 2]
    assert [each.prev_index for each in probe] == [3]
    rejection = AppendResponse(2, OWN, 2, stream, 3, True, 1, 1)
    flushed = solo.step(rejection)
    assert not flushed.all(AppendRequest)
    assert flushed.decided[-1].at_odds == (2,)
    solo.now_ms += HEARTBEAT_MS
    flushed = solo.tick()
    beat = next(each for each in flushed.all(Heartbeat) if each.target == 2)
    answer = HeartbeatResponse(2, OWN, 2, stream, beat.sent_index, 1, beat.read_id)
    assert [each.prev_index for each in solo.step(answer).all(AppendRequest)] == [3]
