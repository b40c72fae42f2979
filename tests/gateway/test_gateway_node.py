"""A started gateway on a real socket: what REQ and DEALER clients see on the wire."""

from __future__ import annotations

import queue
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
import zmq

from actors.gateway.actor import GatewayActor
from actors.gateway.intake import GatewaySettings
from actors.gateway.tokens import Token, seal
from actors.language.auth import AuthNews, AuthState, User
from actors.language.commands import Range
from actors.language.limits import UserLimits
from actors.language.messages import Deliver, Propose, Read, Replies, WatchOpen
from actors.language.results import PutDone, RangeDone, Result
from actors.runtime import base
from actors.runtime.base import Ring
from actors.runtime.loop import Loop
from actors.runtime.mailbox import Mailbox, monotonic_ms
from cluster.door import ClientDoor
from cluster.wire import frames_in, pack, unpack
from tests.limits import HANG_MS, HANG_SECONDS
from tests.probes import Probe
from tests.twins import NO_SYSTEM, AtOnce

SETTINGS = GatewaySettings(
    cluster_id=11,
    member_id=22,
    version="1.2.3",
    request_bytes_max=1_500_000,
    lease_ttl_ms_min=450,
    request_timeout_ms=100,
    first_ticket=1,
)


ANN = User(7, "ann", b"", roles=("r",))
LIMITS = UserLimits(bytes_per_second=1)
"""A first request is let in, and the next one more than a minute later."""


class Answering(Probe):
    """Raft and store in one: answers each request at once, but no read at revision 404."""

    gateway: Mailbox

    def tell(self, message: Any) -> None:
        match message:
            case Propose(proposals):
                self._reply([(ticket, PutDone(8)) for _, ticket, _ in proposals])
            case Read(questions):
                answered = [q.ticket for q in questions if q.query != Range(b"k", revision=404)]
                self._reply([(ticket, RangeDone(8, (), False, 0)) for ticket in answered])
            case WatchOpen(connection):
                self.gateway.tell(Deliver(((connection, pack("event 1")), (connection, pack(2)))))
            case _:
                super().tell(message)

    def _reply(self, replies: Sequence[tuple[int, Result]]) -> None:
        self.gateway.tell(Replies(tuple(replies)))


class Clients:
    """Makes clients of a started gateway."""

    def __init__(
        self, context: zmq.Context[zmq.Socket[bytes]], endpoint: str, gateway: Mailbox
    ) -> None:
        self.gateway = gateway
        self._context = context
        self._endpoint = endpoint

    def connect(self, kind: int) -> zmq.Socket[bytes]:
        socket = self._context.socket(kind)
        socket.linger = 0
        socket.rcvtimeo = HANG_MS
        socket.connect(self._endpoint)
        return socket


@pytest.fixture
def clients(monkeypatch: pytest.MonkeyPatch) -> Iterator[Clients]:
    failures: list[str] = []
    monkeypatch.setattr(base, "fail_stop", failures.append)
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    doors: queue.Queue[ClientDoor] = queue.Queue()

    def open_door() -> ClientDoor:
        door = ClientDoor(context, ("tcp://127.0.0.1:0",), monotonic_ms, SETTINGS.request_bytes_max)
        doors.put(door)
        return door

    neighbour = Answering()
    actor = GatewayActor(
        SETTINGS, open_door, monotonic_ms, NO_SYSTEM, random_bits=lambda bits: bits, beside=AtOnce()
    )
    actor.join(Ring(actor.mailbox, neighbour, neighbour, neighbour, neighbour))
    neighbour.gateway = actor.mailbox
    loop = Loop()
    reference = actor.begin(loop)
    loop.start()
    yield Clients(context, doors.get(timeout=HANG_SECONDS).endpoint, actor.mailbox)
    reference.stop(timeout=HANG_SECONDS)
    context.destroy(linger=0)
    assert failures == []


def call(socket: zmq.Socket[bytes], **request: Any) -> Any:
    socket.send(pack(request))
    return unpack(socket.recv())


def test_a_req_socket_is_a_client(clients: Clients) -> None:
    with clients.connect(zmq.REQ) as socket:
        reply = call(socket, op="put", key="k", value="v")
        assert reply["header"]["revision"] == 8
        assert call(socket, op="range", key="k", id=5)["id"] == 5
        assert "unknown operation" in call(socket, op="oops")["error"]["message"]
        assert call(socket, op="put", key="k")["header"]["member_id"] == 22


def test_a_dealer_pipelines_and_gets_every_reply(clients: Clients) -> None:
    with clients.connect(zmq.DEALER) as socket:
        for number in range(500):
            socket.send(pack({"op": "put", "key": "k", "id": number}))
        assert sorted(unpack(socket.recv())["id"] for _ in range(500)) == list(range(500))


def test_the_requests_of_a_batch_are_answered_in_batches(clients: Clients) -> None:
    asked = [pack({"op": "put", "key": "k", "id": number}) for number in range(50)]
    wrong = {50: pack({"op": "oops", "id": 50}), 51: b"\xc1", 52: pack([b"x", b"y"]), 53: b""}
    with clients.connect(zmq.DEALER) as socket:
        socket.send(pack([*asked, *wrong.values()]))
        frames = 0
        replies: list[Any] = []
        while len(replies) < len(asked) + len(wrong):
            frames += 1
            replies += [unpack(each) for each in frames_in(socket.recv())]
    assert frames <= len(wrong)
    done = [each["id"] for each in replies if "header" in each]
    assert done == list(range(50))
    refused = [each for each in replies if "error" in each]
    assert [each.get("id") for each in refused] == [50, None, None, None]


def test_who_has_sent_no_batch_gets_none(clients: Clients) -> None:
    with clients.connect(zmq.DEALER) as one, clients.connect(zmq.DEALER) as other:
        one.send(pack([pack({"op": "put", "key": "k"})] * 2))
        for number in range(100):
            other.send(pack({"op": "put", "key": "k", "id": number}))
        assert [unpack(other.recv())["id"] for _ in range(100)] == list(range(100))
        assert all("header" in unpack(each) for each in frames_in(one.recv()))


def test_a_batch_is_refused_where_each_request_has_one_reply(clients: Clients) -> None:
    batch = pack([pack({"op": "put", "key": "k"})] * 2)
    with clients.connect(zmq.REQ) as socket:
        socket.send(batch)
        assert "a list of 1 to 64 requests" in unpack(socket.recv())["error"]["message"]


def test_a_dealer_is_sent_its_events_in_order(clients: Clients) -> None:
    with clients.connect(zmq.DEALER) as socket:
        assert call(socket, op="watch_create", key="k") == "event 1"
        assert unpack(socket.recv()) == 2


def test_a_users_requests_are_counted_over_all_connections(clients: Clients) -> None:
    secret = b"s" * 32
    state, limits = AuthState(True, 1, secret), (("r", LIMITS),)
    clients.gateway.tell(AuthNews(state, ((7, ANN),), is_whole=True, limits=limits))
    tokens = [seal(secret, Token(user_id, 1, 2**40)) for user_id in (7, 8)]
    put = {"op": "put", "key": "k", "value": "v" * 100}
    with clients.connect(zmq.DEALER) as one, clients.connect(zmq.REQ) as other:
        assert "header" in call(one, token=tokens[0], **put)
        for socket in (one, other):
            error = call(socket, token=tokens[0], **put)["error"]
            assert error == {"code": 8, "message": "etcdserver: too many requests"}
            assert "header" in call(socket, token=tokens[1], **put), "another user"


def test_a_request_that_nobody_answers_times_out(clients: Clients) -> None:
    with clients.connect(zmq.REQ) as socket:
        reply = call(socket, op="range", key="k", revision=404)
        assert reply["error"] == {"code": 14, "message": "etcdserver: request timed out"}


def test_malformed_frames_are_answered_and_the_connection_lives_on(clients: Clients) -> None:
    with clients.connect(zmq.DEALER) as socket:
        for frames in ([b""], [b"\xc1"], [b"x", b"y"], [b"", b""], [b"", b"x", b"y"]):
            socket.send_multipart(frames)
            assert "error" in unpack(socket.recv_multipart()[-1])
        assert "header" in call(socket, op="put", key="k")


def test_a_request_that_is_too_large_keeps_its_id(clients: Clients) -> None:
    with clients.connect(zmq.DEALER) as socket:
        reply = call(socket, op="put", key="k", value=b"v" * 1_500_000, id="big")
        assert reply["id"] == "big"
        assert reply["error"]["message"] == "etcdserver: request is too large"
