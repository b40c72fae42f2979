"""RaftActor, not started, on probation: whom it asks, what it answers, and when the mark goes."""

from __future__ import annotations

import logging

import pytest

from actors.language.members import PublishedMember
from actors.language.messages import Accuse, PeerFrames, Published
from actors.raft.codec import encode_join
from actors.raft.inquiry import INQUIRE_EVERY_MS, SAY_AFTER_MS, SAY_EVERY_MS
from actors.raft.last_words import LAST_WORDS_MS
from actors.raft.membership import encode
from actors.raft.outcome import Contradicted, WasHere
from actors.raft.probation import Probation
from actors.raft.rpc import (
    AppendRequest,
    Confession,
    Contradiction,
    Doubt,
    JoinRequest,
    VoteRequest,
    VoteResponse,
    Welcome,
)
from tests.log_lines import written
from tests.raft.harness import entries, entry, voters
from tests.raft.test_raft_actor import CODEC, SAVED, Shell

NONCE = 77
CLUSTER = 7


def starting() -> Shell:
    """A founder of three, with an empty disk."""
    return Shell(terms=(1,), probation=Probation(NONCE), asked_urls=("tcp://flag:2380",))


def answer(shell: Shell, *sources: int, was_here: bool = False, term: int = 1) -> None:
    """Members answer what was asked."""
    welcomes = [
        Welcome(
            source, 1, CLUSTER, NONCE, encode(voters(3)), was_here, term, 1, term, 0, ("tcp://c:1",)
        )
        for source in sources
    ]
    shell.burst(PeerFrames(tuple(CODEC.encode_welcome(welcome) for welcome in welcomes)))


def test_it_asks_the_others_and_whom_its_flags_name_again_and_again() -> None:
    shell = starting()
    first, shell.recorder.asked_at = shell.recorder.asked_at, []
    assert {2, 3} < set(first) and len(first) == 3, "one of them is known by its URL alone"
    shell.wait(INQUIRE_EVERY_MS)
    assert shell.recorder.asked_at == first


def test_the_mark_is_removed_before_it_votes_and_after_what_it_adopts_is_saved() -> None:
    shell = starting()
    answer(shell, 2, 3)
    happened = shell.recorder.take()
    saved = next(place for place, each in enumerate(happened) if each[0] is SAVED)
    assert "disk" in happened[saved:] and "disk" not in happened[:saved]
    assert not shell.mark.stands()
    shell.hear(VoteRequest(2, 1, 2, False, 1, 1))
    (vote,) = [each for each in shell.recorder.take() if isinstance(each, VoteResponse)]
    assert vote.granted
    shell.recorder.asked_at.clear()
    shell.wait(INQUIRE_EVERY_MS)
    assert shell.recorder.asked_at == []
    assert shell.recorder.linked == {2, 3}


def test_the_mark_stays_while_it_catches_up() -> None:
    shell = starting()
    answer(shell, 2, 3, term=5)
    shell.hear(VoteRequest(2, 1, 6, False, 9, 4))
    (vote,) = [each for each in shell.recorder.take() if isinstance(each, VoteResponse)]
    assert not vote.granted and shell.mark.stands()


def test_an_answer_that_comes_when_enough_others_have_answered_is_no_fault(
    caplog: pytest.LogCaptureFixture,
) -> None:
    shell = starting()
    answer(shell, 2, 3)
    with caplog.at_level(logging.WARNING):
        answer(shell, 3)
    assert not shell.mark.stands() and written(caplog.records) == []


def test_one_that_was_here_ends_at_once_and_keeps_its_mark() -> None:
    shell = starting()
    answer(shell, 3, was_here=True)
    answer(shell, 2)
    shell.wait(INQUIRE_EVERY_MS)
    assert shell.recorder.take().count(WasHere(("tcp://c:1",))) == 1
    assert shell.mark.stands()


def test_it_says_whom_it_waits_for_and_no_more_than_once_a_minute(
    caplog: pytest.LogCaptureFixture,
) -> None:
    shell = starting()
    answer(shell, 2)
    with caplog.at_level(logging.WARNING):
        for _ in range(2 * SAY_EVERY_MS // INQUIRE_EVERY_MS):
            shell.wait(INQUIRE_EVERY_MS)
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == 2
    assert "tcp://host3:2380" in said[0] and "tcp://host2:2380" not in said[0]
    assert SAY_AFTER_MS > INQUIRE_EVERY_MS


# --- who is asked -----------------------------------------------------------------------------


def ask(shell: Shell, member_id: int = 2) -> list[Welcome]:
    """A member on probation asks; what it is answered."""
    shell.recorder.welcomed.clear()
    request = JoinRequest(NONCE, member_id, (f"tcp://host{member_id}:2380",), on_probation=True)
    shell.burst(PeerFrames((encode_join(request),)))
    return shell.recorder.welcomed


def test_nobody_is_answered_before_it_is_known_who_has_been_here() -> None:
    shell = Shell(terms=(1,))
    assert ask(shell) == []
    published = [PublishedMember(n, f"n{n}", (f"tcp://client{n}:2379",)) for n in (1, 2)]
    shell.burst(Published(tuple(published)))
    (welcome,) = ask(shell)
    assert (welcome.was_here, welcome.term, welcome.last_index) == (True, 1, 1)
    assert welcome.client_urls == ("tcp://client1:2379",)
    (welcome,) = ask(shell, member_id=3)
    assert not welcome.was_here


def test_one_whose_proposals_are_in_the_log_was_here_though_nothing_of_it_is_applied() -> None:
    shell = Shell(terms=(1,))
    shell.burst(Published(()))
    shell.hear(AppendRequest(3, 1, 3, 3, 1, 1, 0, (entry(2, 3, b"its name", origin=2),)))
    (welcome,) = ask(shell)
    assert welcome.was_here
    (welcome,) = ask(shell, member_id=3)
    assert not welcome.was_here


def test_who_is_on_probation_itself_answers_that_it_knows_nothing() -> None:
    shell = starting()
    shell.burst(Published(()))
    (welcome,) = ask(shell)
    assert (welcome.was_here, welcome.term, welcome.last_index, welcome.stream) == (False, 1, 1, 0)


def test_an_answer_to_a_question_of_nobody_here_opens_no_links() -> None:
    shell = Shell(terms=(1,))
    linked = set(shell.recorder.linked)
    stranger = Welcome(9, 1, CLUSTER, NONCE, encode(voters(9)), False, 9, 9, 9, 0, ())
    shell.burst(PeerFrames((CODEC.encode_welcome(stranger),)))
    assert (shell.recorder.linked, shell.core.term) == (linked, 1)


# --- contradictions ---------------------------------------------------------------------------


def test_a_wrong_member_says_so_and_stops_a_moment_later() -> None:
    shell = Shell(terms=(1,))
    shell.lead()
    shell.hear(Contradiction(2, 1, 2, 9, 1))
    (doubt,) = [each for each in shell.recorder.take() if isinstance(each, Doubt)]
    shell.hear(Contradiction(2, 1, 2, 9, 1, doubt.nonce))
    told = [each for each in shell.recorder.take() if isinstance(each, Confession)]
    assert [each.target for each in told] == [2, 3]
    shell.wait(LAST_WORDS_MS)
    happened = shell.recorder.take()
    assert Confession(1, 2, 2, 9) in happened and Contradicted(9, 1, 0, 2) in happened


def test_the_alarm_is_raised_for_a_member_that_confesses() -> None:
    shell = Shell(terms=(1,))
    shell.hear(Confession(3, 1, 1, 1))
    (doubt,) = [each for each in shell.recorder.take() if isinstance(each, Doubt)]
    shell.hear(Confession(3, 1, 1, 1, doubt.nonce))
    assert Accuse(3) in shell.recorder.take()


def test_two_logs_that_do_not_come_together_are_named_once_a_minute(
    caplog: pytest.LogCaptureFixture,
) -> None:
    shell = Shell(terms=(1,))
    shell.hear(AppendRequest(2, 1, 3, 3, 1, 1, 2, entries(2, 3)))
    with caplog.at_level(logging.WARNING):
        for _ in range(10):
            shell.hear(AppendRequest(2, 1, 3, 3, 2, 1, 2, entries(3, 3)))
    said = [each for each in written(caplog.records) if "contradict" in each]
    assert said == ["the log of 2 and the log of this member contradict each other"]
