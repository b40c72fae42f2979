"""A client with a user: it logs in, shows its token, renews it, and repeats what it was refused."""

from __future__ import annotations

from typing import Any

import pytest

from cluster.client.api import Client
from cluster.client.engine.call import Call
from cluster.client.engine.login import LOGINS_MAX, Account
from cluster.client.engine.notices import WatchEnded, WatchOpened
from cluster.errors import (
    AuthenticationError,
    DeadlineExceededError,
    LeaseholdError,
    OutcomeUnknownError,
    PermissionDeniedError,
    ResourceExhaustedError,
)
from cluster.faults import FAULTS, FaultName
from tests.cluster.rig import HEADER, Rig

TTL = 300


def rig(**options: Any) -> Rig:
    return Rig(credentials=Account("alice", "secret"), **options)


def log_in(client: Rig, token: str = "one", ttl: int = TTL) -> None:
    """Answer the login that the client has asked for."""
    frame = client.one()
    assert frame[1]["op"] == "authenticate"
    assert (frame[1]["name"], frame[1]["password"]) == ("alice", "secret")
    client.answer(frame, token=token, TTL=ttl)


def logged_in(**options: Any) -> Rig:
    """A client whose token is `one`, with nothing under way."""
    client = rig(**options)
    client.call()
    log_in(client)
    client.answer(client.one())
    client.core.completed.clear()
    return client


def error_of(call: Call) -> LeaseholdError:
    assert call.error is not None
    return call.error


def test_the_first_request_waits_for_a_token_and_shows_it() -> None:
    client = rig()
    first, second = client.call(), client.call()
    log_in(client)
    frames = client.sent()
    assert [request["token"] for _, request in frames] == ["one", "one"]
    for frame in frames:
        client.answer(frame)
    assert first.reply
    assert second.reply


def test_a_client_without_a_user_shows_nothing() -> None:
    client = Rig()
    client.call()
    assert "token" not in client.one()[1]


def test_a_write_waits_for_a_token_then_for_a_session_which_shows_it_too() -> None:
    client = rig()
    client.call("put", write=True)
    log_in(client)
    frame = client.one()
    assert (frame[1]["op"], frame[1]["token"]) == ("session_open", "one")
    client.answer(frame, session=5)
    assert client.one()[1]["token"] == "one"


def test_a_wrong_password_ends_the_requests_that_wait() -> None:
    client = rig()
    calls = [client.call(), client.call()]
    client.refuse(client.one(), "AuthFailed")
    for call in calls:
        assert type(error_of(call)) is AuthenticationError
        assert error_of(call).message == FAULTS["AuthFailed"].message
    client.call()
    log_in(client)


def test_while_authentication_is_off_nothing_is_shown() -> None:
    client = rig()
    client.call()
    client.refuse(client.one(), "AuthNotEnabled")
    assert "token" not in client.one()[1]
    client.call()
    assert client.one()[1]["op"] == "range"


def test_authentication_that_comes_on_makes_the_client_log_in() -> None:
    client = rig()
    client.call()
    client.refuse(client.one(), "AuthNotEnabled")
    client.refuse(client.one(), "UserEmpty")
    log_in(client)
    assert client.one()[1]["token"] == "one"


def test_a_request_whose_token_is_refused_is_repeated_with_a_new_one() -> None:
    client = logged_in()
    call = client.call()
    client.refuse(client.one(), "InvalidAuthToken")
    log_in(client, "two")
    frame = client.one()
    assert frame[1]["token"] == "two"
    client.answer(frame)
    assert call.reply


def test_requests_refused_together_cost_one_login() -> None:
    client = logged_in()
    for _ in range(3):
        client.call()
    for frame in client.sent():
        client.refuse(frame, "InvalidAuthToken")
    log_in(client, "two")
    assert [request["token"] for _, request in client.sent()] == ["two"] * 3


def test_a_token_refused_again_and_again_is_an_error() -> None:
    client = logged_in()
    call = client.call()
    for _ in range(LOGINS_MAX):
        client.refuse(client.one(), "InvalidAuthToken")
        log_in(client, "two")
    client.refuse(client.one(), "InvalidAuthToken")
    assert error_of(call).message == FAULTS["InvalidAuthToken"].message


def test_a_write_keeps_its_number_over_a_login() -> None:
    client = logged_in()
    client.call("put", write=True)
    client.open_session()
    frame = client.one()
    client.refuse(frame, "InvalidAuthToken")
    log_in(client, "two")
    again = client.one()[1]
    assert (again["session"], again["seq"]) == (frame[1]["session"], frame[1]["seq"])


@pytest.mark.parametrize("name", ["InvalidAuthToken", "PermissionDenied", "UserEmpty"])
def test_a_refusal_after_a_lost_answer_leaves_the_outcome_unknown(name: FaultName) -> None:
    client = logged_in()
    call = client.call("put", write=True)
    client.open_session()
    lost, _ = client.one()
    client.core.endpoint_down(lost, client.now)
    for _ in range(LOGINS_MAX if name != "PermissionDenied" else 0):
        client.refuse(client.one(), name)
        log_in(client, "two")
    client.refuse(client.one(), name)
    assert type(error_of(call)) is OutcomeUnknownError


def test_a_write_without_a_session_is_repeated_only_if_it_was_surely_not_applied() -> None:
    client = logged_in(exactly_once=False)
    client.call("put", write=True)
    client.refuse(client.one(), "InvalidAuthToken")
    log_in(client, "two")
    lost = client.call("put", write=True)
    frames = client.sent()
    assert [request["token"] for _, request in frames] == ["two", "two"]
    client.core.endpoint_down(frames[0][0], client.now)
    assert type(error_of(lost)) is OutcomeUnknownError


def test_a_write_beyond_a_users_rate_was_surely_not_applied_and_is_repeated_after_a_pause() -> None:
    client = logged_in(exactly_once=False)
    call = client.call("put", write=True)
    while call.error is None:
        for frame in client.sent():
            client.refuse(frame, "TooManyRequests")
            assert not client.sent(), "not at once"
        client.advance(0.001)
    assert 1 < call.attempts < 100
    error = error_of(call)
    assert type(error) is DeadlineExceededError and not error.maybe_applied
    assert "too many requests" in str(error)


def test_a_lease_beyond_a_users_limit_is_not_asked_for_again() -> None:
    client = logged_in()
    call = client.call("lease_grant")
    client.refuse(client.one(), "TooManyLeasesOfUser")
    error = error_of(call)
    assert type(error) is ResourceExhaustedError and not error.retryable


def test_a_used_token_is_renewed_before_it_ends() -> None:
    client = logged_in()
    client.advance(TTL * 0.7)
    client.call()
    frames = {request["op"]: (name, request) for name, request in client.sent()}
    assert frames["range"][1]["token"] == "one"
    client.answer(frames["authenticate"], token="two", TTL=TTL)
    client.call()
    assert client.one()[1]["token"] == "two"


def test_an_unused_token_is_not_renewed() -> None:
    client = logged_in()
    client.advance(TTL * 2)
    assert not client.sent()
    client.call()
    log_in(client, "two")
    assert client.one()[1]["token"] == "two"


def test_a_renewal_that_fails_leaves_the_token_and_is_tried_again_later() -> None:
    client = logged_in()
    client.advance(TTL * 0.7)
    client.call()
    frames = {request["op"]: (name, request) for name, request in client.sent()}
    client.refuse(frames["authenticate"], "TooManyRequests")
    client.call()
    tokens = [r["token"] for _, r in client.sent() if r["op"] == "range"]
    assert tokens == ["one"]


def test_a_watch_that_is_opened_again_shows_the_new_token() -> None:
    client = logged_in()
    client.core.watches.open(1, {"op": "watch_create", "key": b"k"}, 5.0, client.now)
    frame = client.one()
    client.answer(frame, watch_id=frame[1]["watch_id"], created=True)
    client.advance(TTL * 2)
    client.core.endpoint_down(frame[0], client.now)
    log_in(client, "two")
    name, request = client.one()
    assert (request["op"], request["token"]) == ("watch_create", "two")
    assert name != frame[0]


def open_watch(client: Rig) -> tuple[str, dict[str, Any]]:
    client.core.watches.open(1, {"op": "watch_create", "key": b"k"}, 5.0, client.now)
    return client.one()


def refuse_watch(client: Rig, frame: tuple[str, dict[str, Any]], name: FaultName) -> None:
    reason = FAULTS[name].message
    client.answer(frame, watch_id=-1, created=True, canceled=True, cancel_reason=reason)


def test_a_watch_whose_token_is_refused_is_opened_with_a_new_one() -> None:
    client = logged_in()
    refuse_watch(client, open_watch(client), "InvalidAuthToken")
    log_in(client, "two")
    *_, frame = client.sent()
    assert (frame[1]["op"], frame[1]["token"]) == ("watch_create", "two")
    client.answer(frame, watch_id=frame[1]["watch_id"], created=True)
    assert isinstance(client.core.notices[-1], WatchOpened)


def test_a_watch_that_is_forbidden_says_so() -> None:
    client = logged_in()
    refuse_watch(client, open_watch(client), "PermissionDenied")
    assert isinstance(ended(client), PermissionDeniedError)


def test_a_watch_ends_when_the_rights_to_its_keys_have_gone() -> None:
    client = logged_in()
    name, request = open_watch(client)
    client.answer((name, request), watch_id=request["watch_id"], created=True)
    reason = FAULTS["PermissionDenied"].message
    told = {"watch_id": request["watch_id"], "canceled": True, "cancel_reason": reason}
    client.core.reply(name, {"header": HEADER, **told}, client.now)
    assert isinstance(ended(client), PermissionDeniedError)


def test_a_watch_of_nobody_is_told_why_it_is_refused() -> None:
    client = Rig()
    refuse_watch(client, open_watch(client), "UserEmpty")
    assert ended(client).message == FAULTS["UserEmpty"].message


def ended(client: Rig) -> LeaseholdError:
    notice = client.core.notices[-1]
    assert isinstance(notice, WatchEnded)
    return notice.error


def test_a_request_that_waits_for_a_token_ends_in_time() -> None:
    client = rig(up=False)
    call = client.call(timeout=2.0)
    client.advance(6.0)
    assert isinstance(error_of(call), DeadlineExceededError | LeaseholdError)
    assert not client.sent()


def test_closing_ends_the_login_and_what_waits_for_it() -> None:
    client = rig()
    call = client.call()
    client.core.close(client.now)
    assert error_of(call).message == "the client was closed"


@pytest.mark.parametrize("given", [{"user": "a"}, {"password": "b"}, {"user": 1, "password": "b"}])
def test_user_and_password_go_together(given: dict[str, Any]) -> None:
    with pytest.raises(TypeError, match="user and password go together"):
        Client(**given)


def test_a_password_is_never_printed() -> None:
    assert "secret" not in repr(Account("alice", "secret"))
