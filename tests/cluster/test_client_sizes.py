"""Requests that may be too large for a node: the client's core asks before it sends them."""

from __future__ import annotations

from typing import Any

from cluster.client.engine.call import ATTEMPT_SECONDS, Call
from cluster.client.engine.login import Account
from cluster.errors import InvalidArgumentError, OutcomeUnknownError
from tests.cluster.rig import Rig

TOO_LARGE = "etcdserver: request is too large"
USUAL_BYTES_MAX = 1_572_864
RAISED_BYTES_MAX = 8_388_608
LARGE, MODERATE = 3_000_000, 1_000_000


def put(rig: Rig, size: int = LARGE) -> Call:
    """A put with a value of this many bytes that can be sent now."""
    call = Call({"op": "put", "key": b"k", "value": bytes(size)}, 5.0, write=True)
    rig.core.calls.begin(call, rig.now)
    return call


def put_in_session(rig: Rig, size: int = LARGE) -> Call:
    """The same, with a session that is opened for it."""
    call = put(rig, size)
    rig.open_session()
    return call


def question(rig: Rig) -> tuple[str, dict[str, Any]]:
    """The one frame that was sent, which asks a node for its limit."""
    endpoint, request = rig.one()
    assert request["op"] == "status"
    return endpoint, request


def request(rig: Rig) -> tuple[str, dict[str, Any]]:
    """The one frame that was sent, which is the put."""
    endpoint, sent = rig.one()
    assert sent["op"] == "put"
    return endpoint, sent


def test_a_large_request_is_sent_where_the_node_takes_it() -> None:
    rig = Rig()
    call = put_in_session(rig)
    asked = question(rig)
    rig.answer(asked, maxRequestBytes=RAISED_BYTES_MAX)
    sent = request(rig)
    assert sent[0] == asked[0]
    rig.answer(sent)
    assert rig.core.completed == [call]
    assert (call.error, call.attempts) == (None, 1)


def test_what_is_too_large_for_the_node_is_refused_and_never_sent() -> None:
    rig = Rig()
    call = put_in_session(rig)
    rig.answer(question(rig), maxRequestBytes=USUAL_BYTES_MAX)
    assert isinstance(call.error, InvalidArgumentError)
    assert call.error.message == TOO_LARGE
    assert rig.sent() == []


def test_a_connection_is_asked_once() -> None:
    rig = Rig("a", exactly_once=False)
    put(rig)
    rig.answer(question(rig), maxRequestBytes=RAISED_BYTES_MAX)
    rig.answer(request(rig))
    put(rig)
    rig.answer(request(rig))
    rig.core.endpoint_down("a", rig.now)
    rig.core.endpoint_up("a", rig.now)
    put(rig)
    question(rig)


def test_a_node_that_does_not_tell_its_limit_is_sent_everything() -> None:
    rig = Rig(exactly_once=False)
    put(rig)
    rig.answer(question(rig))
    request(rig)


def test_what_usual_nodes_take_is_sent_without_a_question() -> None:
    rig = Rig()
    put_in_session(rig, MODERATE)
    request(rig)


def test_what_had_no_answer_is_not_sent_again_without_a_question() -> None:
    rig = Rig("a")
    call = put_in_session(rig, MODERATE)
    request(rig)
    rig.core.endpoint_down("a", rig.now)
    rig.core.endpoint_up("a", rig.now)
    rig.answer(question(rig), maxRequestBytes=1_000)
    # The node may have had another limit at the time of the first attempt.
    assert isinstance(call.error, OutcomeUnknownError)
    assert TOO_LARGE in call.error.message


def test_a_node_that_dies_with_the_question_leaves_no_doubt() -> None:
    rig = Rig(exactly_once=False)
    call = put(rig)
    first, _ = question(rig)
    rig.core.endpoint_down(first, rig.now)
    asked = question(rig)
    assert asked[0] != first
    rig.answer(asked, maxRequestBytes=RAISED_BYTES_MAX)
    rig.answer(request(rig))
    assert call.error is None
    assert rig.core.completed == [call]


def test_a_silent_node_is_left_for_another_one() -> None:
    rig = Rig()
    call = put_in_session(rig)
    asked = question(rig)
    rig.advance(ATTEMPT_SECONDS)
    again = question(rig)
    assert again[0] != asked[0]
    # The late answer is none to the put, nor one of the second node.
    rig.answer(asked, maxRequestBytes=USUAL_BYTES_MAX)
    assert rig.sent() == []
    rig.answer(again, maxRequestBytes=RAISED_BYTES_MAX)
    rig.answer(request(rig))
    assert rig.core.completed == [call]
    assert call.error is None


def test_a_kill_under_a_large_write_moves_it_to_the_next_node() -> None:
    rig = Rig()
    call = put_in_session(rig)
    rig.answer(question(rig), maxRequestBytes=RAISED_BYTES_MAX)
    first, sent = request(rig)
    rig.core.endpoint_down(first, rig.now)
    rig.answer(question(rig), maxRequestBytes=RAISED_BYTES_MAX)
    second, again = request(rig)
    assert second != first
    assert again == sent
    rig.answer((second, again))
    assert rig.core.completed == [call]


def test_the_late_answer_to_a_write_counts_while_another_node_is_asked() -> None:
    rig = Rig()
    call = put_in_session(rig)
    rig.answer(question(rig), maxRequestBytes=RAISED_BYTES_MAX)
    sent = request(rig)
    rig.advance(ATTEMPT_SECONDS)
    question(rig)
    rig.answer(sent)
    assert rig.core.completed == [call]
    assert call.error is None


def test_a_refused_question_is_no_verdict_on_the_write_before_it() -> None:
    rig = Rig()
    call = put_in_session(rig)
    rig.answer(question(rig), maxRequestBytes=RAISED_BYTES_MAX)
    first, _ = request(rig)
    rig.core.endpoint_down(first, rig.now)
    rig.refuse(question(rig), "RequestTooLarge")
    assert isinstance(call.error, OutcomeUnknownError)


def test_a_question_without_answer_leaves_no_doubt_when_the_time_is_over() -> None:
    rig = Rig()
    call = put_in_session(rig)
    rig.advance(5.0)
    assert call.error is not None
    assert not call.error.maybe_applied


def test_a_question_is_asked_by_the_user() -> None:
    rig = Rig(exactly_once=False, credentials=Account("u", "p"))
    put(rig)
    rig.answer(rig.one(), token="t", TTL=300)
    assert question(rig)[1]["token"] == "t"
