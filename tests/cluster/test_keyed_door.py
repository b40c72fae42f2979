"""The clients' door where clients need keys, on real sockets: who comes in, and as whom."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
import zmq

from cluster.client_lock import FRONT, ClientLock
from cluster.curve import KeyPair, new_pair, z85
from cluster.door import ClientDoor
from cluster.etcd.link.zmtp import Dealer, frame, opening
from cluster.gatekeeper import Gatekeeper
from cluster.links import ZAP_DOMAIN
from cluster.visitors import NO_KEY, ClosedForCause, Gone
from tests.chaos.hostile.zmtp import Connection
from tests.limits import HANG_MS, HANG_SECONDS
from tests.probes import ManualClock

ANY_PORT = "tcp://127.0.0.1:*"
REQUEST_BYTES_MAX = 1_000_000
TRIES, TRY_SECONDS = 200, 0.1


class Bench:
    """A door with a lock, a port for the front, and clients of it."""

    def __init__(self) -> None:
        self.context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self.node, self.clock = new_pair(), ManualClock()
        self.lock = ClientLock(self.node)
        self.gatekeeper = Gatekeeper(self.context)
        self.gatekeeper.guard(ZAP_DOMAIN, self.lock.judge)
        self.door = ClientDoor(
            self.context, (ANY_PORT,), self.clock, REQUEST_BYTES_MAX, self.lock, ANY_PORT
        )

    def client(
        self, own: KeyPair | None, server: KeyPair | None = None, name: bytes = b""
    ) -> zmq.Socket[bytes]:
        made = self.context.socket(zmq.DEALER)
        made.linger = 0
        made.setsockopt(zmq.IMMEDIATE, 1)
        if name:
            made.setsockopt(zmq.ROUTING_ID, name)
        if own is not None:
            made.setsockopt(zmq.CURVE_SERVERKEY, z85((server or self.node).public))
            made.setsockopt(zmq.CURVE_PUBLICKEY, z85(own.public))
            made.setsockopt(zmq.CURVE_SECRETKEY, z85(own.secret))
        made.connect(self.door.endpoint)
        return made

    def said(self, client: zmq.Socket[bytes], text: bytes = b"hello") -> bytes:
        """Send a request; the name of the connection that it came by."""
        assert client.poll(HANG_MS, zmq.POLLOUT), "it was not let in"
        client.send(text)
        ((route, payload),) = self.take()
        assert payload == text
        return route[0]

    def take(self) -> list[tuple[tuple[bytes, ...], bytes]]:
        deadline = time.monotonic() + HANG_SECONDS
        while time.monotonic() < deadline:
            if items := self.door.drain(10):
                return items
            zmq.select([self.door._socket], [], [], 0.01)
        raise AssertionError("nothing comes in")

    def news(self) -> list[ClosedForCause | Gone]:
        """What the door says of connections, once it says something."""
        deadline = time.monotonic() + HANG_SECONDS
        while time.monotonic() < deadline:
            self.door.drain(10)
            if news := self.door.look():
                return news
            zmq.select([self.door._socket], [], [], 0.01)
        raise AssertionError("no news")

    def close(self) -> None:
        self.door.close()
        self.gatekeeper.close()
        self.context.destroy(linger=0)


@pytest.fixture
def bench() -> Iterator[Bench]:
    """A door of its own for each test."""
    made = Bench()
    yield made
    made.close()


def test_any_key_comes_in_and_is_known_by_its_connection(bench: Bench) -> None:
    pairs = [new_pair(), new_pair()]
    names = [bench.said(bench.client(pair)) for pair in pairs]
    assert bench.door.keys == {
        name: bytes.fromhex(pair.public) for name, pair in zip(names, pairs, strict=True)
    }


def test_the_key_of_a_connection_is_forgotten_with_it(bench: Bench) -> None:
    client = bench.client(new_pair())
    name = bench.said(client)
    client.close()
    assert Gone(name) in bench.news()
    assert bench.door.keys == {}


def test_a_client_without_a_key_does_not_come_in(bench: Bench) -> None:
    client = bench.client(None)
    (closed,) = bench.news()
    assert isinstance(closed, ClosedForCause) and closed.reason == NO_KEY
    assert not client.poll(0, zmq.POLLOUT)


def test_a_client_talks_to_no_node_but_the_one_that_it_means(bench: Bench) -> None:
    client = bench.client(new_pair(), server=new_pair())
    assert bench.news()
    assert not client.poll(0, zmq.POLLOUT)


def test_the_front_comes_in_with_its_password_and_has_no_key(bench: Bench) -> None:
    front = Connection(("127.0.0.1", bench.door.front_port))
    front.socket.settimeout(HANG_SECONDS)
    dealer = Dealer(REQUEST_BYTES_MAX, bench.lock.password)
    front.socket.sendall(opening(bench.lock.password))
    while not dealer.is_ready:
        dealer.receive(front.socket.recv(1_000))
        front.socket.sendall(dealer.to_send)
        dealer.to_send = b""
    front.socket.sendall(frame(b"from the front"))
    ((route, payload),) = bench.take()
    assert payload == b"from the front"
    assert bench.door.keys == {route[0]: b""}
    assert bench.door.send(route, b"answer")
    assert dealer.receive(front.socket.recv(1_000)) == [b"answer"]


def test_what_was_taken_of_a_sealed_connection_counts_as_no_message_without_an_end(
    bench: Bench,
) -> None:
    """The system counts sealed bytes. Else a busy client would be cut after 300,000 requests."""
    client = bench.client(new_pair())
    visitor = bench.door.visitors.find(bench.said(client))
    assert visitor is not None
    sizes = (1, 100, 221, 222, 223, 255, 256, 70_000)
    visitor.look()
    before = visitor.incoming
    for size in sizes:
        client.send_multipart([b"a route", b"", bytes(size)])
    taken: list[object] = []
    while len(taken) < len(sizes):
        taken += bench.take()
    visitor.look()
    assert visitor.incoming == before


def test_nobody_else_comes_in_where_the_front_does(bench: Bench) -> None:
    for name, password in ((FRONT, "0" * 64), ("root", bench.lock.password)):
        client = bench.context.socket(zmq.DEALER)
        client.linger = 0
        client.setsockopt(zmq.IMMEDIATE, 1)
        client.setsockopt(zmq.PLAIN_USERNAME, name.encode())
        client.setsockopt(zmq.PLAIN_PASSWORD, password.encode())
        client.connect(f"tcp://127.0.0.1:{bench.door.front_port}")
        assert bench.news()
        assert not client.poll(0, zmq.POLLOUT)
    bare = bench.context.socket(zmq.DEALER)
    bare.linger = 0
    bare.setsockopt(zmq.IMMEDIATE, 1)
    bare.connect(f"tcp://127.0.0.1:{bench.door.front_port}")
    assert bench.news()
    assert not bare.poll(0, zmq.POLLOUT)


def test_a_name_stays_with_its_key_until_its_end_is_known(bench: Bench) -> None:
    """Whoever takes the name of a client that has just left must not be taken for that client."""
    root, thief = new_pair(), new_pair()
    victim = bench.client(root, name=b"root")
    assert bench.said(victim) == b"root"
    # As when the report of the end is late: the door still knows the connection.
    bench.door.visitors.follow = lambda: None  # type: ignore[method-assign]
    victim.close()
    for _ in range(TRIES):
        # libzmq gives the name away only when it has itself forgotten who had it.
        with bench.client(thief, name=b"root") as intruder:
            assert intruder.poll(HANG_MS, zmq.POLLOUT)
            intruder.send_multipart([b"put", b"as root"])
            has_come, _, _ = zmq.select([bench.door._socket], [], [], TRY_SECONDS)
            assert bench.door.drain(10) == []
        if has_come:
            break
    else:
        raise AssertionError("the name is not given away")
    assert bench.door.keys == {b"root": bytes.fromhex(root.public)}


def test_a_door_changes_its_key_and_keeps_its_ports(bench: Bench) -> None:
    following, endpoint = new_pair(), bench.door.endpoint
    before = bench.client(new_pair())
    bench.said(before)
    bench.door.serve(following)
    assert bench.door.endpoint == endpoint
    bench.said(bench.client(new_pair(), server=following), b"under the next key")
