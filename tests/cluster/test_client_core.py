"""The client's core without sockets, threads or clock: where requests go, what failures mean."""

from __future__ import annotations

from typing import Any

import pytest

from cluster.client.engine.call import (
    ATTEMPT_SECONDS,
    SESSION_IDLE_SECONDS_MAX,
    SESSION_WINDOW,
    Call,
)
from cluster.errors import (
    DeadlineExceededError,
    InvalidArgumentError,
    LeaseNotFoundError,
    OutcomeUnknownError,
    ProtocolError,
    UnavailableError,
)
from tests.cluster.rig import Rig

NO_LEADER = {"code": 14, "message": "etcdserver: no leader"}
NO_SESSION = {"code": 5, "message": "leasehold: session not found or expired"}
TOO_OLD = {
    "code": 11,
    "message": "leasehold: the result of this sequence number is no longer kept",
}
lost_sessions = pytest.mark.parametrize("lost", [NO_SESSION, TOO_OLD], ids=["unknown", "too old"])


def test_a_reply_completes_its_call() -> None:
    rig = Rig()
    call = rig.call()
    rig.answer(rig.one(), count=0)
    assert rig.core.completed == [call]
    assert call.reply is not None
    assert call.reply["count"] == 0


def test_requests_stay_with_the_endpoint_that_answers() -> None:
    rig = Rig()
    seen = set()
    for _ in range(5):
        rig.call()
        frame = rig.one()
        seen.add(frame[0])
        rig.answer(frame)
    assert len(seen) == 1


def test_a_read_moves_at_once_when_its_connection_breaks() -> None:
    rig = Rig()
    call = rig.call()
    first, request = rig.one()
    rig.core.endpoint_down(first, rig.now)
    second, again = rig.one()
    assert second != first
    assert again == request
    rig.answer((second, again))
    assert rig.core.completed == [call]


def test_a_silent_endpoint_is_left_long_before_the_timeout() -> None:
    rig = Rig()
    rig.call()
    first, _ = rig.one()
    rig.advance(ATTEMPT_SECONDS)
    second, _ = rig.one()
    assert second != first
    rig.call()
    assert rig.one()[0] == second


def test_a_call_waits_for_the_first_connection() -> None:
    rig = Rig(up=False)
    rig.call()
    assert rig.sent() == []
    rig.core.endpoint_up("b", rig.now)
    assert rig.one()[0] == "b"


def test_without_any_connection_the_dial_timeout_names_the_endpoints() -> None:
    rig = Rig("a:1", "b:2", up=False)
    call = rig.call(timeout=60.0)
    rig.advance(4.9)
    assert rig.core.completed == []
    rig.advance(0.2)
    assert isinstance(call.error, UnavailableError)
    assert "no endpoint answered within 5 s (a:1, b:2)" in call.error.message


def test_a_read_without_answer_ends_at_its_timeout() -> None:
    rig = Rig()
    call = rig.call()
    rig.advance(5.0)
    assert type(call.error) is DeadlineExceededError
    assert len(rig.sent()) >= 3


def test_a_write_that_was_never_sent_surely_had_no_effect() -> None:
    rig = Rig(up=False)
    call = rig.call("put", timeout=3.0, write=True)
    rig.advance(3.0)
    assert type(call.error) is DeadlineExceededError


def test_a_write_without_answer_has_an_unknown_outcome() -> None:
    rig = Rig()
    call = rig.write()
    rig.advance(5.0)
    assert isinstance(call.error, OutcomeUnknownError)
    assert rig.core.calls.outstanding == 0


def test_a_write_that_was_refused_each_time_surely_had_no_effect() -> None:
    rig = Rig()
    call = rig.write()
    while call.error is None:
        for frame in rig.sent():
            rig.answer(frame, error=NO_LEADER)
        rig.advance(0.1)
    assert type(call.error) is DeadlineExceededError
    assert call.error.message == "context deadline exceeded: etcdserver: no leader"


def test_a_retried_write_keeps_its_session_and_number() -> None:
    rig = Rig()
    rig.write()
    first, request = rig.one()
    rig.core.endpoint_down(first, rig.now)
    second, again = rig.one()
    assert (again["session"], again["seq"]) == (request["session"], request["seq"]) == (5, 1)
    assert second != first


def test_ack_is_the_lowest_number_without_an_answer() -> None:
    rig = Rig()
    rig.write()
    first = rig.one()
    rig.write()
    second = rig.one()
    rig.answer(second)
    rig.write()
    third = rig.one()
    rig.answer(first)
    rig.write()
    fourth = rig.one()
    acks = [frame[1]["ack"] for frame in (first, second, third, fourth)]
    assert acks == [1, 1, 1, 3]


def test_writes_wait_while_the_session_window_is_full() -> None:
    rig = Rig()
    rig.write()
    for _ in range(SESSION_WINDOW + 1):
        rig.call("put", write=True)
    frames = rig.sent()
    assert len(frames) == SESSION_WINDOW
    for frame in frames[1:]:
        rig.answer(frame)
    assert rig.sent() == []  # the oldest one still has no answer
    rig.answer(frames[0])
    assert [frame[1]["seq"] for frame in rig.sent()] == [SESSION_WINDOW + 1, SESSION_WINDOW + 2]


@lost_sessions
def test_a_write_refused_for_a_lost_session_goes_on_in_a_new_one(lost: dict[str, Any]) -> None:
    rig = Rig()
    call = rig.write()
    rig.answer(rig.one(), error=lost)
    rig.open_session(6)
    frame = rig.one()
    assert (frame[1]["session"], frame[1]["seq"]) == (6, 1)
    rig.answer(frame)
    assert call.error is None
    assert rig.core.completed == [call]


@lost_sessions
def test_a_retry_refused_for_a_lost_session_has_an_unknown_outcome_once(
    lost: dict[str, Any],
) -> None:
    rig = Rig()
    call = rig.write()
    rig.core.endpoint_down(rig.one()[0], rig.now)
    rig.answer(rig.one(), error=lost)
    assert isinstance(call.error, OutcomeUnknownError)
    then = rig.call("put", write=True)
    rig.open_session(6)
    rig.answer(rig.one())
    assert then.error is None


@lost_sessions
def test_an_attempt_that_surely_had_no_effect_makes_no_outcome_unknown(
    lost: dict[str, Any],
) -> None:
    rig = Rig("a")
    call = rig.write()
    rig.answer(rig.one(), error={"code": 14, "message": "etcdserver: leader changed"})
    rig.advance(0.1)
    rig.answer(rig.one(), error=lost)
    rig.advance(0.1)
    rig.open_session(6)
    rig.answer(rig.one())
    assert call.error is None


def test_writes_that_wait_for_room_in_a_lost_session_go_on_in_a_new_one() -> None:
    rig = Rig("a")
    rig.write()
    for _ in range(SESSION_WINDOW):
        waiting = rig.call("put", write=True)
    frames = rig.sent()
    rig.core.endpoint_down("a", rig.now)
    rig.core.endpoint_up("a", rig.now)
    for frame in rig.sent():
        rig.answer(frame, error=NO_SESSION)
    assert len(frames) == len(rig.core.completed) == SESSION_WINDOW
    rig.open_session(6)
    frame = rig.one()
    assert frame[1]["session"] == 6
    rig.answer(frame)
    assert (waiting.error, waiting.reply is not None) == (None, True)


def test_a_cluster_that_loses_sessions_again_and_again_is_not_asked_without_a_pause() -> None:
    rig = Rig("a")
    call = rig.write()
    asked = 0
    for session in range(6, 60):
        rig.answer(rig.one(), error=NO_SESSION)
        before = rig.now
        while not rig.core.sends and call.error is None:
            rig.advance(0.01)
        asked += rig.now == before
        if call.error is not None:
            break
        rig.open_session(session)
    assert asked == 1
    assert isinstance(call.error, DeadlineExceededError)
    assert "session not found" in call.error.message


@pytest.mark.parametrize(
    "text",
    ["etcdserver: mvcc: database space exceeded", "etcdserver: rpc not supported for learner"],
)
def test_a_refusal_says_nothing_of_an_earlier_attempt_that_was_not_answered(text: str) -> None:
    rig = Rig("a")
    call = rig.write()
    rig.sent()
    rig.core.endpoint_down("a", rig.now)
    rig.core.endpoint_up("a", rig.now)
    rig.answer(rig.one(), error={"code": 9, "message": text})
    assert isinstance(call.error, OutcomeUnknownError)


def test_a_session_that_was_idle_for_long_is_replaced() -> None:
    rig = Rig()
    rig.write()
    rig.answer(rig.one())
    rig.advance(SESSION_IDLE_SECONDS_MAX + 1)
    rig.call("put", write=True)
    rig.open_session(9)
    assert rig.one()[1]["session"] == 9


def test_writes_wait_in_order_for_the_session() -> None:
    rig = Rig()
    calls = [rig.call("put", write=True) for _ in range(3)]
    rig.open_session()
    assert [frame[1]["seq"] for frame in rig.sent()] == [1, 2, 3]
    assert [call.seq for call in calls] == [1, 2, 3]


def test_a_session_that_cannot_be_opened_fails_the_writes_that_wait() -> None:
    rig = Rig()
    call = rig.call("put", write=True)
    rig.answer(rig.one(), error={"code": 3, "message": "leasehold: unknown operation"})
    assert isinstance(call.error, InvalidArgumentError)


def test_without_a_session_an_interrupted_write_is_not_repeated() -> None:
    rig = Rig(exactly_once=False)
    call = rig.call("put", write=True)
    rig.core.endpoint_down(rig.one()[0], rig.now)
    assert isinstance(call.error, OutcomeUnknownError)
    assert rig.sent() == []


def test_without_a_session_a_refused_write_is_repeated() -> None:
    rig = Rig(exactly_once=False)
    rig.call("put", write=True)
    rig.answer(rig.one(), error=NO_LEADER)
    rig.advance(0.1)
    assert rig.one()[1]["op"] == "put"


def repeatable(rig: Rig, op: str = "member_remove") -> Call:
    """A change that finds itself done when it is repeated."""
    call = Call({"op": op}, 5.0, write=True)
    call.repeatable = True
    rig.core.calls.begin(call, rig.now)
    return call


def test_a_repeatable_write_needs_no_session_and_is_repeated() -> None:
    rig = Rig()
    call = repeatable(rig)
    first, request = rig.one()
    assert request == {"op": "member_remove", "id": call.id}
    rig.core.endpoint_down(first, rig.now)
    again = rig.one()
    assert again[1] == request
    rig.answer(again)
    assert call.error is None
    assert call.uncertain


def test_a_repeatable_write_without_answer_has_an_unknown_outcome() -> None:
    rig = Rig()
    call = repeatable(rig)
    rig.advance(5.0)
    assert isinstance(call.error, OutcomeUnknownError)


def test_an_unhealthy_cluster_is_asked_again_for_the_time_of_an_election() -> None:
    rig = Rig()
    call = repeatable(rig)
    begun = rig.now
    unhealthy = {"code": 14, "message": "etcdserver: unhealthy cluster"}
    while call.error is None:
        rig.answer(rig.one(), error=unhealthy)
        while call.error is None and not rig.core.sends:
            rig.now = rig.core.wake_at
            rig.core.tick(rig.now)
    assert 0.3 < rig.now - begun < 1.5
    assert isinstance(call.error, UnavailableError)
    assert call.error.message == "etcdserver: unhealthy cluster"


LEARNS = {"code": 9, "message": "etcdserver: rpc not supported for learner"}


def test_a_learner_is_passed_over_from_then_on() -> None:
    rig = Rig()
    call = rig.write()
    first = rig.one()
    rig.answer(first, error=LEARNS)
    second = rig.one()
    assert second[0] != first[0]
    rig.answer(second)
    assert rig.core.completed[-1] is call
    rig.call()
    assert rig.one()[0] == second[0]


def test_a_client_of_learners_only_is_told_so() -> None:
    rig = Rig()
    call = rig.call()
    asked = set()
    while call.error is None:
        frame = rig.one()
        asked.add(frame[0])
        rig.answer(frame, error=LEARNS)
    assert len(asked) == 3
    assert call.error.message == LEARNS["message"]


def test_a_learner_says_nothing_of_voters_that_have_no_leader_just_now() -> None:
    """A call that was refused everywhere goes on, as long as one who refused it is a voter."""
    rig = Rig("a", "b")
    call = rig.call()
    for _ in range(3):
        for _ in range(2):
            while not rig.core.sends:
                rig.now = rig.core.wake_at
                rig.core.tick(rig.now)
            frame = rig.one()
            rig.answer(frame, error=LEARNS if frame[0] == "a" else NO_LEADER)
    assert call.error is None
    while call.error is None:
        while not rig.core.sends and call.error is None:
            rig.now = rig.core.wake_at
            rig.core.tick(rig.now)
        if rig.core.sends:
            rig.answer(rig.one(), error=LEARNS)
    assert call.error.message == LEARNS["message"]


def test_refusals_are_retried_after_a_growing_random_delay() -> None:
    rig = Rig()
    rig.call()
    delays = []
    for _ in range(8):
        rig.answer(rig.one(), error=NO_LEADER)
        begun = rig.now
        while not rig.core.sends:
            rig.now = rig.core.wake_at
            rig.core.tick(rig.now)
        delays.append(round(rig.now - begun, 6))
    assert delays == [0.005, 0.01, 0.02, 0.04, 0.08, 0.16, 0.25, 0.25]  # chance is 0.5 here


@pytest.mark.parametrize(
    ("message", "moves"),
    [("etcdserver: no leader", True), ("etcdserver: leader changed", False)],
)
def test_only_an_endpoint_at_fault_is_left_at_once(message: str, moves: bool) -> None:
    rig = Rig()
    rig.call()
    first = rig.one()
    rig.answer(first, error={"code": 14, "message": message})
    rig.advance(0.1)
    assert (rig.one()[0] != first[0]) is moves


def test_a_final_error_ends_the_call() -> None:
    rig = Rig()
    call = rig.call()
    rig.answer(rig.one(), error={"code": 5, "message": "etcdserver: requested lease not found"})
    assert isinstance(call.error, LeaseNotFoundError)
    assert call.error.code == 5


def test_a_late_refusal_from_an_endpoint_that_was_left_is_ignored() -> None:
    rig = Rig()
    call = rig.call()
    first = rig.one()
    rig.advance(ATTEMPT_SECONDS)
    second = rig.one()
    rig.answer(first, error=NO_LEADER)
    rig.answer(second)
    assert call.error is None
    assert call.reply is not None


def test_a_late_answer_from_an_endpoint_that_was_left_counts() -> None:
    rig = Rig()
    call = rig.call()
    first = rig.one()
    rig.advance(ATTEMPT_SECONDS)
    rig.answer(first)
    rig.answer(rig.one())
    assert rig.core.completed == [call]


@pytest.mark.parametrize("message", [None, 3, (), {"id": {}}, {"id": (1,)}, {"id": 99}, {}])
def test_frames_of_no_meaning_are_ignored(message: Any) -> None:
    rig = Rig()
    call = rig.call()
    endpoint, _ = rig.one()
    rig.core.reply(endpoint, message, rig.now)
    assert call.reply is None
    assert rig.core.completed == []


@pytest.mark.parametrize("error", [1, "no", {}, {"code": "x", "message": "y"}])
def test_an_error_of_a_foreign_shape_is_a_protocol_error(error: Any) -> None:
    rig = Rig()
    call = rig.call()
    rig.answer(rig.one(), error=error)
    assert isinstance(call.error, ProtocolError)


def test_a_pinned_call_waits_for_its_own_endpoint() -> None:
    rig = Rig(up=False)
    rig.core.endpoint_up("a", rig.now)
    call = rig.call("status", pinned="b")
    assert rig.sent() == []
    rig.advance(5.0)
    assert call.error is not None
    assert "(b)" in call.error.message


def test_closing_ends_every_call() -> None:
    rig = Rig()
    write, read = rig.write(), rig.call()
    rig.core.close(rig.now)
    assert isinstance(write.error, OutcomeUnknownError)
    assert isinstance(read.error, UnavailableError)


def test_a_slow_call_is_asked_once_and_waited_for() -> None:
    rig = Rig()
    call = Call({"op": "hash_kv"}, 300.0, pinned="b")
    call.slow = True
    rig.core.calls.begin(call, rig.now)
    frame = rig.one()
    rig.advance(299.0)
    assert rig.sent() == []
    rig.answer(frame, hash=7)
    assert rig.core.completed == [call]


def test_a_slow_call_to_a_node_that_dies_waits_for_it_as_for_a_first_connection() -> None:
    rig = Rig()
    call = Call({"op": "hash_kv"}, 300.0, pinned="b")
    call.slow = True
    rig.core.calls.begin(call, rig.now)
    rig.core.endpoint_down("b", rig.now)
    rig.advance(4.9)
    assert rig.core.completed == []
    rig.advance(0.2)
    assert isinstance(call.error, UnavailableError)
    assert "no endpoint answered within 5 s (b)" in str(call.error)
