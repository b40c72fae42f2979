"""Requests of several steps at a gateway: to log in, and to give a user a password."""

from __future__ import annotations

from typing import Any

import pytest

from actors.gateway.passwords import fits, hash_password
from actors.language.auth import (
    NOBODY,
    NODE,
    AuthNews,
    AuthState,
    Principal,
    UserAdd,
    UserSecret,
)
from actors.language.codec import decode_command
from actors.language.messages import Computed, Propose, Question, Read, Replies
from actors.language.queries import Permit
from actors.language.results import Done, Failure, UserSecretDone
from tests.gateway.bench import FIRST_TICKET, ONE, SETTINGS, TIMEOUT_MS, TWO, Bench

SECRET = b"s" * 32
KNOWN = UserSecretDone(8, 7, hash_password("right", b"salt", 1), 5, SECRET)
FAILED = "etcdserver: authentication failed, invalid user ID or password"
TOO_MANY = "etcdserver: too many requests"


def log_in(bench: Bench, password: str = "right", known: object = KNOWN) -> None:
    """Ask for a token; the store answers what it knows of the user."""
    bench.ask(op="authenticate", name="ann", password=password)
    (read,) = bench.probes.raft.take()
    (question,) = read.questions
    assert question[1:] == (UserSecret("ann"), NODE)
    bench.actor.receive(Replies(((question.ticket, known),)))  # type: ignore[arg-type]


def go_on(bench: Bench) -> None:
    """What was computed beside the loop is told."""
    while (message := bench.actor.mailbox.pop()) is not None:
        assert message == Computed()
        bench.actor.receive(message)


def test_the_right_password_gives_a_token_that_says_who_asks() -> None:
    bench = Bench()
    log_in(bench)
    assert bench.door.replies(ONE) == [], "it is checked beside the loop"
    go_on(bench)
    (reply,) = bench.door.replies(ONE)
    assert (reply["header"]["revision"], reply["TTL"]) == (8, 300)
    bench.actor.receive(AuthNews(AuthState(True, 5, SECRET), (), is_whole=True))
    bench.ask(op="put", key="k", token=reply["token"])
    (proposal,) = bench.proposed()
    assert decode_command(proposal.command)[2] == Principal(7, 5)
    bench.ask(op="range", key="k", serializable=True, token=reply["token"])
    (local,) = bench.probes.store.take()
    assert local.questions[0].principal == Principal(7, 5)


@pytest.mark.parametrize(
    ("password", "known", "text"),
    [
        ("wrong", KNOWN, FAILED),
        ("right", KNOWN._replace(user_id=0, password=b""), FAILED),
        (
            "",
            KNOWN._replace(password=b""),
            "auth: authentication failed, password was given for no password user",
        ),
        ("right", Failure("AuthNotEnabled"), "etcdserver: authentication is not enabled"),
    ],
)
def test_nobody_else_gets_a_token(password: str, known: object, text: str) -> None:
    bench = Bench()
    log_in(bench, password, known)
    go_on(bench)
    assert [error["message"] for error in bench.errors()] == [text]


def test_after_a_wrong_password_the_next_waits_and_others_do_not(
    caplog: pytest.LogCaptureFixture,
) -> None:
    bench = Bench()
    log_in(bench, "wrong")
    go_on(bench)
    assert [error["message"] for error in bench.errors()] == [FAILED]
    assert "a wrong password, or none, for user 'ann': 1 in a row" in caplog.text
    log_in(bench)
    go_on(bench)
    assert bench.door.replies(ONE) == []
    bench.ask(TWO, op="put", key="k")
    assert len(bench.proposed()) == 1
    bench.wait(100)
    go_on(bench)
    assert bench.door.replies(ONE)[0]["token"]


def test_too_many_passwords_for_a_name_are_refused() -> None:
    bench = Bench()
    log_in(bench, "wrong")
    go_on(bench)
    bench.errors()
    for _ in range(5):
        log_in(bench)
    assert [error["message"] for error in bench.errors()] == [TOO_MANY]


def test_a_password_that_waits_too_long_is_answered_like_any_request() -> None:
    bench = Bench()
    bench.ask(op="authenticate", name="ann", password="right")
    bench.wait(TIMEOUT_MS)
    assert [error["message"] for error in bench.errors()] == ["etcdserver: request timed out"]
    bench.actor.receive(Replies(((FIRST_TICKET, KNOWN),)))
    go_on(bench)
    assert bench.door.replies(ONE) == []


def test_a_user_is_proposed_with_the_hash_of_the_password_when_that_is_allowed() -> None:
    bench = Bench()
    bench.ask(op="user_add", name="ann", password="right", session=5, seq=2, ack=1)
    (read,) = bench.probes.raft.take()
    assert read == Read((Question(FIRST_TICKET, Permit(UserAdd("ann")), NOBODY),))
    assert isinstance(read, Read) and not bench.probes.store.take()
    bench.actor.receive(Replies(((FIRST_TICKET, Done(8)),)))
    assert bench.probes.raft.take() == [], "it is hashed beside the loop"
    go_on(bench)
    (proposal,) = bench.proposed()
    command, sequence, _ = decode_command(proposal.command)
    assert isinstance(command, UserAdd) and fits("right", command.password)
    assert sequence is not None and tuple(sequence) == (5, 2, 1)
    bench.actor.receive(Replies(((proposal.ticket, Done(9)),)))
    assert bench.door.replies(ONE)[0]["header"]["revision"] == 9


def test_nothing_is_hashed_for_somebody_who_may_not_add_users() -> None:
    bench = Bench()
    bench.ask(op="user_change_password", name="ann", password="right")
    bench.actor.receive(Replies(((FIRST_TICKET, Failure("PermissionDenied")),)))
    assert [error["code"] for error in bench.errors()] == [7]
    assert bench.actor.mailbox.pop() is None


def test_a_user_without_a_password_is_proposed_at_once() -> None:
    bench = Bench()
    bench.ask(op="user_add", name="ann", options={"no_password": True})
    (message,) = bench.probes.raft.take()
    assert isinstance(message, Propose)
    assert decode_command(message.proposals[0].command)[0] == UserAdd("ann", b"")


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"options": {"no_pass": True}}, 'unknown field "no_pass" in user-options'),
        ({"options": 5}, 'field "options" of user_add must be a map, not int'),
        ({"password": b"x"}, 'field "password" of user_add must be text, not bytes'),
        ({"password": "x" * 600}, ""),
        ({"password": "x" * 1_025}, "a password has at most 1,024 bytes"),
    ],
)
def test_what_is_no_user_is_refused_with_the_reason(fields: dict[str, Any], text: str) -> None:
    bench = Bench(SETTINGS._replace(request_bytes_max=10_000))
    bench.ask(op="user_add", name="ann", **fields)
    assert [error["message"] for error in bench.errors()] == (
        [f"leasehold: {text}"] if text else []
    )
