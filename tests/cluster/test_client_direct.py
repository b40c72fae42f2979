"""Direct ways: what the client's core does to reach a member without its front. No socket."""

from __future__ import annotations

from typing import Any

import pytest

from cluster.client.engine.call import Call
from cluster.client.engine.calling import CallOptions
from cluster.client.engine.core import Core
from cluster.client.engine.direct import (
    AGAIN_SECONDS,
    ANSWER_SECONDS,
    ASK_AFTER_SECONDS,
    CALM_SECONDS,
    LOSSES_MAX,
    Dial,
)
from tests.cluster.rig import HEADER, Rig

FRONT = "h:1"
URL = "tcp://h:2"
DIRECT = f"{FRONT} ({URL})"
URLS = ("http://h:1", URL)
STRANGERS = {"cluster": {**HEADER, "cluster_id": 8}, "member": {**HEADER, "member_id": 2}}


class Ways(Rig):
    """A client of an endpoint that has a front, and perhaps of others that have none."""

    def __init__(self, *others: str) -> None:
        super().__init__(FRONT, up=False)
        options = CallOptions(5.0, exactly_once=False)
        self.core = Core([FRONT, *others], options, lambda: 0.5, 0, {FRONT: "tcp://h:1"})
        for name in self.core.endpoints.names:
            self.core.endpoint_up(name, self.now)

    def dialled(self) -> list[Dial]:
        dials = self.core.dials.copy()
        self.core.dials.clear()
        return dials

    def learn(self, *urls: str) -> None:
        """The client asks by its endpoint, and is told these URLs of its member."""
        self.advance(ASK_AFTER_SECONDS)
        name, request = self.one()
        assert (name, request["op"]) == (FRONT, "member_list")
        self.tell((name, request), *urls)

    def tell(self, frame: tuple[str, dict[str, Any]], *urls: str, **fields: Any) -> None:
        member = {"ID": HEADER["member_id"], "name": "n", "peerURLs": [], "clientURLs": list(urls)}
        other = {"ID": 99, "name": "o", "peerURLs": [], "clientURLs": ["http://o:1", "tcp://o:2"]}
        self.answer(frame, members=[other, member], **fields)

    def connect(self, connection: str = DIRECT, **fields: Any) -> None:
        """The connection comes up, and its node says who it is."""
        self.core.endpoint_up(connection, self.now)
        frame = self.one()
        assert frame[0] == connection
        self.tell(frame, *URLS, **fields)

    def move(self) -> None:
        self.learn(*URLS)
        assert self.dialled() == [Dial(DIRECT, URL)]
        self.connect()

    def begin(self, call: Call) -> tuple[str, dict[str, Any]]:
        """A call that is sent once, however long the answer takes; its frame."""
        call.slow = True
        self.core.calls.begin(call, self.now)
        return self.one()

    def goes_to(self) -> str:
        """The connection that the next request takes."""
        self.call()
        frame = self.one()
        self.answer(frame)
        return frame[0]


def test_later_requests_go_directly_and_those_under_way_stay() -> None:
    rig = Ways()
    staying = Call({"op": "range", "key": b"k"}, 60.0)
    under_way = rig.begin(staying)
    rig.learn(*URLS)
    assert rig.goes_to() == FRONT  # no request waits for the trial
    rig.connect()
    assert rig.goes_to() == DIRECT
    rig.answer(under_way)
    assert staying.reply is not None
    assert staying.attempts == 1


def test_a_program_that_ends_soon_asks_for_nothing() -> None:
    rig = Ways()
    rig.advance(ASK_AFTER_SECONDS / 2)
    rig.core.close(rig.now)
    assert (rig.sent(), rig.dialled()) == ([], [])


@pytest.mark.parametrize(
    "urls", [(), (URL,), URLS[:1], ("http://h:2", "tcp://h:1"), ("tcp://", "http://x")]
)
def test_without_another_address_beside_a_front_nothing_is_tried(urls: tuple[str, ...]) -> None:
    rig = Ways()
    rig.learn(*urls)
    rig.advance(1_000)
    assert (rig.sent(), rig.dialled()) == ([], [])
    assert rig.goes_to() == FRONT


def test_an_address_that_cannot_be_reached_is_tried_once() -> None:
    rig = Ways()
    rig.learn(*URLS)
    rig.dialled()
    rig.advance(ANSWER_SECONDS)
    assert rig.dialled() == [Dial(DIRECT, "")]
    assert not rig.core.endpoints.set_aside(DIRECT, "refused"), "it is no news for the log"
    rig.core.endpoint_up(DIRECT, rig.now)  # too late
    rig.core.endpoint_down(DIRECT, rig.now)
    rig.advance(1_000)
    assert (rig.sent(), rig.dialled()) == ([], [])
    assert rig.goes_to() == FRONT


def test_the_next_address_of_the_member_is_tried_when_one_fails() -> None:
    rig = Ways()
    rig.learn(*URLS, "tcp://i:2")
    rig.dialled()
    rig.advance(ANSWER_SECONDS)
    other = f"{FRONT} (tcp://i:2)"
    assert rig.dialled() == [Dial(DIRECT, ""), Dial(other, "tcp://i:2")]
    rig.connect(other)
    assert rig.goes_to() == other


@pytest.mark.parametrize("header", STRANGERS.values(), ids=STRANGERS)
def test_another_node_at_the_direct_address_gets_no_request(header: dict[str, int]) -> None:
    rig = Ways()
    rig.learn(*URLS)
    rig.dialled()
    rig.connect(header=header)
    assert rig.dialled() == [Dial(DIRECT, "")]
    assert rig.goes_to() == FRONT


def test_questions_without_a_good_answer_move_nothing_to_another_endpoint() -> None:
    rig = Ways("other")
    rig.core.watches.open(1, {"op": "watch_create", "key": b"k"}, 5.0, rig.now)
    name, request = rig.one()
    rig.answer((name, request), watch_id=request["watch_id"], created=True)
    rig.advance(ASK_AFTER_SECONDS)
    assert rig.one()[1]["op"] == "member_list"
    rig.advance(ANSWER_SECONDS)
    assert rig.sent() == []
    rig.core.endpoint_down(FRONT, rig.now)
    assert rig.one()[0] == "other"


def test_a_trial_that_is_refused_or_breaks_moves_nothing_to_another_endpoint() -> None:
    rig = Ways("other")
    rig.learn(*URLS)
    rig.core.endpoint_up(DIRECT, rig.now)
    _, request = rig.one()
    error = {"code": 14, "message": "etcdserver: no leader"}
    rig.core.reply(DIRECT, {"id": request["id"], "error": error}, rig.now)
    assert rig.goes_to() == FRONT
    rig.core.endpoint_down(DIRECT, rig.now)
    rig.advance(ANSWER_SECONDS)
    assert rig.dialled() == [Dial(DIRECT, URL), Dial(DIRECT, "")]
    assert rig.goes_to() == FRONT


def test_a_broken_direct_connection_costs_no_answer_and_is_tried_again_later() -> None:
    rig = Ways()
    rig.move()
    call = rig.call()
    assert rig.one()[0] == DIRECT
    rig.core.endpoint_down(DIRECT, rig.now)
    frame = rig.one()
    assert frame[0] == FRONT
    rig.answer(frame)
    assert call.reply is not None
    assert rig.dialled() == [Dial(DIRECT, "")]
    rig.advance(AGAIN_SECONDS)
    rig.tell(rig.one(), *URLS)
    assert rig.dialled() == [Dial(DIRECT, URL)]
    rig.connect()
    assert rig.goes_to() == DIRECT


def test_direct_connections_that_break_again_and_again_are_given_up() -> None:
    rig = Ways()
    rig.move()
    for _ in range(LOSSES_MAX - 1):
        rig.core.endpoint_down(DIRECT, rig.now)
        rig.advance(AGAIN_SECONDS)
        rig.tell(rig.one(), *URLS)
        rig.connect()
    rig.core.endpoint_down(DIRECT, rig.now)
    rig.advance(1_000)
    assert rig.sent() == []
    rig.core.endpoint_down(FRONT, rig.now)
    rig.core.endpoint_up(FRONT, rig.now)
    rig.dialled()
    rig.move()
    assert rig.goes_to() == DIRECT
    rig.core.endpoint_down(DIRECT, rig.now)
    rig.advance(AGAIN_SECONDS)
    assert rig.one()[1]["op"] == "member_list", "the count began anew"


def test_a_front_that_breaks_stops_no_request_that_goes_directly() -> None:
    rig = Ways("other")
    rig.move()
    direct = rig.call()
    frame = rig.one()
    rig.core.endpoint_down(FRONT, rig.now)
    assert rig.core.endpoints.any_up
    assert rig.goes_to() == DIRECT
    rig.answer(frame)
    assert (direct.attempts, direct.error) == (1, None)


def test_a_call_for_one_endpoint_only_goes_directly_too() -> None:
    rig = Ways()
    rig.move()
    rig.call(pinned=FRONT)
    assert rig.one()[0] == DIRECT


def test_no_request_overtakes_an_asynchronous_one() -> None:
    rig = Ways()
    call = Call({"op": "put", "key": b"k"}, 60.0)
    call.pipelined = True
    under_way = rig.begin(call)
    rig.learn(*URLS)
    rig.connect()
    assert rig.goes_to() == FRONT
    rig.answer(under_way)
    assert rig.goes_to() == FRONT  # until the next look
    rig.advance(CALM_SECONDS)
    assert rig.goes_to() == DIRECT


def test_a_watch_stays_where_it_is_until_its_connection_breaks() -> None:
    rig = Ways()
    rig.core.watches.open(1, {"op": "watch_create", "key": b"k"}, 5.0, rig.now)
    name, request = rig.one()
    rig.answer((name, request), watch_id=request["watch_id"], created=True)
    rig.move()
    assert rig.sent() == []
    rig.core.endpoint_down(FRONT, rig.now)
    name, request = rig.one()
    assert (name, request["op"]) == (DIRECT, "watch_create")
    assert request["start_revision"] == HEADER["revision"] + 1


def test_a_client_that_closes_during_a_trial_hangs_up() -> None:
    rig = Ways()
    rig.learn(*URLS, "tcp://i:2")
    rig.dialled()
    rig.core.close(rig.now)
    assert rig.dialled() == [Dial(DIRECT, "")]
    assert rig.core.calls.outstanding == 0
