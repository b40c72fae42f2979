"""The clients' socket on real connections: what it lets in, takes apart, bounds and cuts."""

from __future__ import annotations

import errno
import select
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
import zmq

from cluster import leavings, visitors
from cluster.door import (
    AUTOMATIC_NAME,
    BYTES_PER_LOOK_MAX,
    CLIENT_REPLIES_MAX,
    LARGE_FRAME_BYTES,
    MESSAGE_FRAMES_MAX,
    TOO_MANY_FRAMES,
    UNREAD_CONNECTION_BYTES_MAX,
    ClientDoor,
)
from cluster.links import SKIPPED_PER_LOOK_MAX, PeerDoor
from cluster.visitor import RemoteAddress, Visitor
from cluster.visitors import ClosedForCause, Gone
from cluster.wire import pack
from tests.chaos.hostile.zmtp import Connection, endless, message, version_1
from tests.limits import HANG_MS, HANG_SECONDS
from tests.probes import ManualClock

REQUEST_BYTES_MAX = 1_000_000
PAYLOAD_WORDS = 64 * 1024
HOST = "127.0.0.1"
LOOKS_MAX = 1_000
LOOKS_AT_PEACE = 10
ROUNDS = 20
TCP_SYN_SENT = 2
"""Linux's state of a connection that was asked for and not let in."""

LONG = 2_000
"""Frames of a message of far too many."""

NOT_ZMTP = [ClosedForCause(visitors.NOT_ZMTP, address) for address in (HOST, "")]
"""Of a connection that is closed at once there may be no address any more."""

Item = tuple[tuple[bytes, ...], bytes]
News = ClosedForCause | Gone


class Bench:
    """A door, the clock it looks at, and clients of it."""

    def __init__(self) -> None:
        self.context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self.clock = ManualClock()
        urls = (f"tcp://{HOST}:*",)
        self.door = ClientDoor(self.context, urls, self.clock, REQUEST_BYTES_MAX)
        self.address = (HOST, int(self.door.endpoint.rpartition(":")[2]))

    def client(self, kind: int = zmq.DEALER) -> zmq.Socket[bytes]:
        made = self.context.socket(kind)
        made.linger = 0
        made.rcvtimeo = HANG_MS
        made.connect(self.door.endpoint)
        return made

    def raw(self, identity: bytes = b"") -> Connection:
        connection = Connection(self.address)
        connection.socket.settimeout(HANG_SECONDS)
        connection.shake_hands(b"DEALER", identity)
        return connection

    def take(self, count: int = 1) -> list[Item]:
        """The next requests, however long they take."""
        items: list[Item] = []
        deadline = time.monotonic() + HANG_SECONDS
        while len(items) < count:
            assert time.monotonic() < deadline, items
            self.wait()
            items += self.door.drain(count - len(items))
        return items

    def wait(self) -> None:
        """Until something may have come, or for a moment."""
        if not self.door.must_drain():
            select.select(self.door.descriptors(), [], [], 0.01)

    def news(self, *wanted: News) -> list[Item]:
        """Look until one of these is said; the requests that came meanwhile."""
        return self._look_until(lambda said: not said.isdisjoint(wanted), wanted)

    def all_news(self, *wanted: News) -> list[Item]:
        """Look until each of these is said; the requests that came meanwhile."""
        return self._look_until(lambda said: said.issuperset(wanted), wanted)

    def _look_until(
        self, is_enough: Callable[[set[News]], bool], wanted: tuple[News, ...]
    ) -> list[Item]:
        items: list[Item] = []
        said: set[News] = set()
        for _ in range(LOOKS_MAX):
            self.wait()
            items += self.door.drain(10)
            self.clock.now_ms += visitors.LOOK_MS
            said.update(self.door.look())
            if is_enough(said):
                return items
        raise AssertionError(f"it was never said: {wanted}")

    def wait_for_visitors(self, count: int) -> None:
        """Until there are this many connections, whose news nobody asks for meanwhile."""
        deadline = time.monotonic() + HANG_SECONDS
        while len(self.door.visitors) != count:
            assert time.monotonic() < deadline
            self.wait()
            assert self.door.drain(1) == []


@pytest.fixture
def bench() -> Iterator[Bench]:
    made = Bench()
    yield made
    made.door.close()
    made.context.destroy(linger=0)


def is_closed(connection: Connection) -> bool:
    """Whether the other side ends it, within the time that there is."""
    connection.socket.settimeout(HANG_SECONDS)
    try:
        while connection.socket.recv(65_536):
            pass
    except ConnectionError:
        return True
    except TimeoutError:
        return False
    return True


def has_ended(connection: Connection) -> bool:
    """Whether the other side has ended it already."""
    poller = select.poll()
    poller.register(connection.socket, select.POLLRDHUP)
    return bool(poller.poll(0))


def test_dealers_and_reqs_are_served(bench: Bench) -> None:
    dealer, req = bench.client(), bench.client(zmq.REQ)
    dealer.send(b"one")
    [(route, payload)] = bench.take()
    assert (len(route), payload) == (1, b"one")
    assert bench.door.send(route, b"first")
    assert dealer.recv() == b"first"
    req.send(b"two")
    [(route, payload)] = bench.take()
    assert (route[1:], payload) == ((b"",), b"two")
    assert bench.door.send(route, b"second")
    assert req.recv() == b"second"


@pytest.mark.parametrize("version", [b"\x00", b"\x01", b"\x02"])
def test_older_versions_of_the_protocol_are_refused(bench: Bench, version: bytes) -> None:
    with Connection(bench.address) as connection:
        if version == b"\x00":
            connection.send(version_1(b"a request"))
        else:
            greeting = b"\xff" + bytes(8) + b"\x7f" + version + b"\x05" + b"\x00\x00"
            connection.send(greeting + b"\x00\x09a request")
        assert is_closed(connection)
    assert bench.news(*NOT_ZMTP) == []


def test_the_bytes_of_a_web_page_are_refused(bench: Bench) -> None:
    with Connection(bench.address) as connection:
        connection.send(
            b"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 400\r\n\r\n" + bytes(400)
        )
        assert is_closed(connection)
    assert bench.news(*NOT_ZMTP) == []


@pytest.mark.parametrize("asks", [True, False])
def test_a_client_that_leaves_is_no_stranger(bench: Bench, asks: bool) -> None:
    with Connection(bench.address) as connection:
        connection.shake_hands(b"DEALER")
        if asks:
            connection.send(message(b"a request"))
            assert len(bench.take()) == 1
    bench.wait_for_visitors(0)
    assert [said for said in bench.door.look() if isinstance(said, ClosedForCause)] == []
    # One that is a stranger is told apart all the same.
    test_the_bytes_of_a_web_page_are_refused(bench)


@pytest.mark.parametrize("begun", [b"", b"\xff" + bytes(8)])
def test_a_client_that_closes_in_its_handshake_is_no_stranger(bench: Bench, begun: bytes) -> None:
    with Connection(bench.address) as connection:
        connection.send(begun)
        bench.wait_for_visitors(1)
    bench.wait_for_visitors(0)
    with Connection(bench.address) as connection:
        bench.wait_for_visitors(1)
        connection.send(version_1(b"a request"))
        bench.wait_for_visitors(0)
    assert bench.door.look() == [ClosedForCause(visitors.NOT_ZMTP, HOST)]


def test_the_peers_socket_refuses_old_versions_too() -> None:
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    with socket.create_server((HOST, 0)) as free:
        address = free.getsockname()
    door = PeerDoor(context, (f"tcp://{HOST}:{address[1]}",))
    with Connection(address) as connection:
        connection.send(version_1(b"a frame"))
        assert is_closed(connection)
    assert door.drain(10) == []
    door.close()
    context.destroy(linger=0)


def test_a_message_of_several_frames_is_no_peers_message() -> None:
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    with socket.create_server((HOST, 0)) as free:
        port = free.getsockname()[1]
    door = PeerDoor(context, (f"tcp://{HOST}:{port}",))
    sender = context.socket(zmq.PUSH)
    sender.connect(f"tcp://{HOST}:{port}")
    sender.send_multipart([b"x"] * 3 * SKIPPED_PER_LOOK_MAX)
    member = context.socket(zmq.PUSH)
    member.connect(f"tcp://{HOST}:{port}")
    items: list[bytes] = []
    portions = 0
    while b"" not in items or door.must_drain():
        items += door.drain(10)
        portions += 1
    member.send(b"sound")
    while b"sound" not in items:
        items += door.drain(10)
    assert items == [b"", b"sound"]
    assert portions >= 3, "others have their turn in between"
    for each in (sender, member):
        each.close(linger=0)
    door.close()
    context.destroy(linger=0)


def test_a_peer_message_that_never_ends_is_cut() -> None:
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    with socket.create_server((HOST, 0)) as free:
        address = free.getsockname()
    door = PeerDoor(context, (f"tcp://{HOST}:{address[1]}",))
    door.visitors.incoming_connection_bytes_max = 100_000
    with Connection(address) as hostile:
        hostile.shake_hands(b"PUSH")
        hostile.send(endless(*[bytes(10_000)] * 30))
        hostile.socket.setblocking(False)
        poller = select.poll()
        poller.register(hostile.socket, select.POLLRDHUP)
        while not poller.poll(10):
            assert door.drain(10) == []
    door.close()
    context.destroy(linger=0)


def test_requests_behind_far_too_long_messages_are_served(bench: Bench) -> None:
    honest = bench.client()
    honest.send(b"0")
    [(route, _)] = bench.take()
    for number in range(1, ROUNDS):
        with bench.raw() as hostile:
            hostile.send(message(*[b"x"] * LONG))
            honest.send(b"%d" % number)
            items = bench.news(ClosedForCause(TOO_MANY_FRAMES, HOST))
            assert (items or bench.take()) == [(route, b"%d" % number)]
            assert is_closed(hostile)


def test_whoever_is_lost_behind_a_far_too_long_message_is_told(bench: Bench) -> None:
    """The names of those who have never sent anything are not known."""
    deadline = time.monotonic() + HANG_SECONDS
    for _ in range(ROUNDS):
        with bench.raw() as hostile, bench.raw() as fresh:
            hostile.send(message(*[b"x"] * LONG))
            fresh.send(message(b"request"))
            while not (items := bench.door.drain(10)) and not has_ended(fresh):
                assert time.monotonic() < deadline
                bench.wait()
        assert [payload for _, payload in items] in ([], [b"request"])


def test_a_message_of_some_frames_is_taken_whole(bench: Bench) -> None:
    client = bench.client()
    client.send_multipart([b"x"] * MESSAGE_FRAMES_MAX)
    [(route, _)] = bench.take()
    assert len(route) == MESSAGE_FRAMES_MAX
    client.send(b"goes on")
    assert bench.take() == [(route[:1], b"goes on")]


def test_a_claimed_automatic_name_ends_the_connection(bench: Bench) -> None:
    with bench.raw(identity=b"\0\1\2\3\4") as hostile:
        hostile.send(message(b"request"))
        assert bench.news(ClosedForCause(AUTOMATIC_NAME, HOST)) == []
        assert is_closed(hostile)
    client = bench.client()  # kept: what a socket that nobody holds was given may not be sent
    client.send(b"honest")
    assert [payload for _, payload in bench.take()] == [b"honest"]


def test_a_name_of_its_own_is_a_clients_right(bench: Bench) -> None:
    with bench.raw(identity=b"mine") as client:
        client.send(message(b"request"))
        assert bench.take() == [((b"mine",), b"request")]


def test_a_message_that_never_ends_is_cut(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.door.visitors.incoming_connection_bytes_max = 100_000
    with bench.raw() as hostile:
        for _ in range(30):
            hostile.send(endless(bytes(10_000)))
        bench.news(ClosedForCause(visitors.ENDLESS, HOST))
        assert is_closed(hostile)


def test_a_look_takes_few_large_requests_and_says_that_more_may_wait(bench: Bench) -> None:
    with bench.raw() as client:
        client.send(message(bytes(BYTES_PER_LOOK_MAX // 2)) * 32)
        taken: list[int] = []
        while sum(taken) < 32:
            bench.wait()
            taken.append(len(bench.door.drain(10)))
            assert taken[-1] <= 2
            assert taken[-1] < 2 or bench.door.must_drain()


def test_what_one_may_send_of_a_message_is_bounded(bench: Bench) -> None:
    bench.door.visitors.expect_messages(100_000)
    with bench.raw() as hostile:
        hostile.send(endless(*[b"x"] * 40_000))
        assert bench.news(ClosedForCause(visitors.ENDLESS, HOST)) == []
        assert is_closed(hostile)


def test_whole_messages_are_no_part_of_one(bench: Bench) -> None:
    """Whether they were taken in between or not."""
    bench.door.visitors.expect_messages(100_000)
    bench.door.visitors.incomplete_node_bytes_max = 100_000
    with bench.raw() as client:
        for _ in range(3):
            client.send(message(bytes(50_000)) * 10)
            for _ in range(10):
                bench.take()
                bench.clock.now_ms += visitors.LOOK_MS
                assert bench.door.look() == []


def test_what_all_may_send_of_messages_is_bounded_more_strictly_in_a_siege(bench: Bench) -> None:
    bench.door.visitors.incomplete_siege_bytes_max = 100_000
    with bench.raw() as more, bench.raw() as less, bench.raw() as hostile:
        more.send(endless(bytes(80_000)))
        less.send(endless(bytes(40_000)))
        for _ in range(LOOKS_AT_PEACE):
            bench.wait()
            assert bench.door.drain(10) == []
            bench.clock.now_ms += visitors.LOOK_MS
            assert bench.door.look() == []
        hostile.send(message(*[b"x"] * LONG))
        # Whoever nothing has come from before is cut if it is next behind that message.
        bench.all_news(
            ClosedForCause(TOO_MANY_FRAMES, HOST), ClosedForCause(visitors.ENDLESS, HOST)
        )
        assert is_closed(more)
        less.send(message(b"last"))
        assert [payload for _, payload in bench.take()] == [b"last"]


def test_a_batch_is_taken_apart_and_its_connection_gets_batches_until_it_ends(
    bench: Bench,
) -> None:
    with bench.raw() as one:
        one.send(message(pack([b"1", b"2", b"3"])))
        items = bench.take(3)
        assert [payload for _, payload in items] == [b"1", b"2", b"3"]
        routes = {route for route, _ in items}
        assert bench.door.batching == routes
        (route,) = routes
    bench.news(Gone(route[0]))
    assert bench.door.batching == set()


def test_the_requests_of_a_batch_count_at_a_look(bench: Bench) -> None:
    """One look takes no more than it may, but for the rest of its last batch."""
    with bench.client() as client:
        for _ in range(3):
            client.send(pack([b"x"] * 10))
        assert len(bench.take(11)) == 20
        assert bench.door.must_drain()
        assert len(bench.take(1)) == 10


@pytest.mark.parametrize(
    "batch", [pack([]), pack(["x"]), pack([b"x", 1]), pack([b"x"])[:-1], pack([b"x"] * 65)]
)
def test_what_is_no_sound_batch_is_one_request(bench: Bench, batch: bytes) -> None:
    with bench.client() as client:
        client.send(batch)
        assert [payload for _, payload in bench.take()] == [batch]
        assert bench.door.batching == set()


def test_a_connection_to_which_nothing_is_sent_unasked_has_no_batches(bench: Bench) -> None:
    """A REQ socket hears one reply for each request; a name that was chosen may be another's."""
    batch = pack([b"1", b"2"])
    with bench.raw(b"named") as named, bench.client(zmq.REQ) as client:
        client.send(batch)
        named.send(message(batch))
        assert [payload for _, payload in bench.take(2)] == [batch, batch]
    assert bench.door.batching == set()


def test_a_message_that_does_not_go_on_begins_a_siege(bench: Bench) -> None:
    bench.door.visitors.incomplete_siege_bytes_max = 100_000
    with bench.raw() as hostile:
        hostile.send(endless(bytes(200_000)))
        assert bench.news(ClosedForCause(visitors.ENDLESS, HOST)) == []
        assert is_closed(hostile)
        assert bench.clock.now_ms >= visitors.STALLED_MS


def test_what_all_have_sent_and_nobody_took_is_bounded(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.door.visitors.incoming_node_bytes_max = 100_000
    with bench.raw() as more, bench.raw() as less:
        less.send(endless(bytes(40_000)))
        more.send(endless(bytes(80_000)))
        bench.news(ClosedForCause(visitors.ENDLESS, HOST))
        assert is_closed(more)
        less.send(message(b"last"))
        assert [payload for _, payload in bench.take()] == [b"last"]


def test_very_small_messages_count_for_what_they_cost(bench: Bench) -> None:
    bench.door.visitors.incoming_node_bytes_max = 100_000
    with bench.raw() as many, bench.raw() as large:
        many.send(message(b"") * 20_000)
        large.send(endless(bytes(20_000)))
        bench.news(ClosedForCause(visitors.ENDLESS, HOST))
        assert is_closed(many)
        large.send(message(b"last"))
        while b"last" not in [payload for _, payload in bench.door.drain(10)]:
            bench.wait()


def left_behind(bench: Bench, sent: bytes) -> None:
    """A client sends this and goes away, and the door knows that, but has taken nothing of it."""
    with bench.raw() as hostile:
        hostile.send(message(b"first"))
        bench.take()
        hostile.send(sent)
        (visitor,) = bench.door.visitors._by_descriptor.values()
        while visitor.arrived < len(sent):
            bench.clock.now_ms += visitors.LOOK_MS
            bench.door.look()
    while len(bench.door.visitors):
        bench.door.visitors.follow()


def asks_to_be_let_in(bench: Bench) -> socket.socket:
    """Somebody new, whom the system has not let in yet."""
    asking = socket.socket()
    asking.setblocking(False)
    assert asking.connect_ex(bench.address) == errno.EINPROGRESS
    assert asking.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] == TCP_SYN_SENT
    return asking


def is_let_in(asking: socket.socket) -> bool:
    """Whether somebody is, within the time that there is: the system asks again each second."""
    return bool(select.select([], [asking], [], HANG_SECONDS)[1])


def test_nobody_new_is_let_in_while_many_messages_wait_that_were_left_behind(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(leavings, "LEFT_MESSAGES_MAX", 50)
    left_behind(bench, message(b"") * 1_000)
    assert bench.door.drain(49) == [] and not bench.door.visitors.leavings.is_shut
    assert bench.door.drain(1) == [] and bench.door.visitors.leavings.is_shut
    assert "lets nobody new in" in caplog.text
    with asks_to_be_let_in(bench) as asking:
        assert bench.door.drain(1_000) == []
        assert bench.door.drain(1) == [] and not bench.door.visitors.leavings.is_shut
        assert is_let_in(asking)


def test_nobody_new_is_let_in_while_much_waits_that_was_left_behind(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leavings, "LEFT_BYTES_MAX", 10_000)
    left_behind(bench, message(bytes(9_000)))
    assert not bench.door.visitors.leavings.is_shut
    left_behind(bench, message(bytes(9_000)) * 2)
    assert bench.door.visitors.leavings.is_shut
    with asks_to_be_let_in(bench) as asking:
        while bench.door.visitors.leavings.is_shut:
            assert bench.door.drain(10) == []
        assert is_let_in(asking)


def test_those_who_are_here_keep_a_share_whatever_others_left_behind(bench: Bench) -> None:
    bench.door.visitors.incoming_node_bytes_max = 100_000
    client = bench.client()
    client.send(b"first")
    bench.take()
    bench.door.visitors.leavings.bytes = 1_000_000
    client.send(bytes(20_000))
    bench.wait()
    bench.clock.now_ms += visitors.LOOK_MS
    assert bench.door.look() == []
    assert [len(payload) for _, payload in bench.take()] == [20_000]


def test_what_was_taken_since_the_last_look_is_not_less_than_nothing() -> None:
    left = leavings.Leavings()
    left.add(-1_000)
    left.add(10)
    assert left.bytes == 10


def test_members_frames_are_dropped_only_while_too_much_was_left_behind(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(leavings, "LEFT_MESSAGES_MAX", 50)
    with zmq.Context() as context, socket.create_server((HOST, 0)) as free:
        address = free.getsockname()
        free.close()
        door = PeerDoor(context, (f"tcp://{HOST}:{address[1]}",))
        with Connection(address) as hostile:
            hostile.shake_hands(b"PUSH")
            hostile.send(message(b"x") * 200)
            door.wait(HANG_MS)
            while not len(door.visitors):
                door.visitors.follow()
        while len(door.visitors):
            door.visitors.follow()
        taken: list[bytes] = []
        while door.must_drain():
            taken += door.drain(60)
        assert 0 < len(taken) < 60
        assert not door.visitors.leavings.is_shut
        door.close()


def test_a_connection_that_takes_its_time_is_not_cut(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Heartbeats and the handshake are not taken for messages that nobody took."""
    bench.door.visitors.incoming_connection_bytes_max = 2_000
    client = bench.client()
    for number in range(100):
        client.send(bytes(1_000))
        assert len(bench.take()) == 1
        bench.clock.now_ms += visitors.LOOK_MS
        assert bench.door.look() == [], number


def test_whoever_is_gone_is_told_of(bench: Bench) -> None:
    client = bench.client()
    client.send(b"here")
    [(route, _)] = bench.take()
    client.close(linger=0)
    bench.news(Gone(route[0]))
    while bench.door.send(route, b"answer") is not None:
        bench.door.drain(1)


def test_what_a_client_has_sent_that_is_gone_is_dropped(bench: Bench) -> None:
    """Also when another one has got its descriptor, and is served."""
    gone = bench.raw()
    gone.send(message(b"first"))
    [(route, _)] = bench.take()
    gone.send(message(b"more") * 1_000)
    gone.socket.close()
    deadline = time.monotonic() + HANG_SECONDS
    while bench.door.visitors.find(route[0]) is not None:
        assert time.monotonic() < deadline
        select.select([bench.door.visitors.descriptor], [], [], 0.01)
        bench.door.visitors.follow()
    with bench.raw() as other:
        for text in (b"one", b"two"):
            other.send(message(text))
        items = bench.take(2)
        while bench.door.must_drain():
            items += bench.door.drain(100)
    assert [payload for _, payload in items] == [b"one", b"two"]
    assert bench.door.visitors.find(items[0][0][0]) is not None


def test_there_are_only_so_many_connections(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(visitors, "CONNECTIONS_MAX", 2)
    first, second = bench.raw(), bench.raw()
    with first, second, Connection(bench.address) as third:
        bench.news(ClosedForCause(visitors.TOO_MANY, HOST))
        assert is_closed(third)
        second.send(message(b"served"))
        assert [payload for _, payload in bench.take()] == [b"served"]


@contextmanager
def client_that_reads_little(
    bench: Bench,
) -> Iterator[tuple[tuple[bytes, ...], zmq.Socket[bytes]]]:
    """A client that takes one message at a time, and the way to it."""
    client = bench.context.socket(zmq.DEALER)
    client.setsockopt(zmq.RCVHWM, 1)
    client.setsockopt(zmq.RCVBUF, 4_096)
    client.setsockopt(zmq.RCVTIMEO, HANG_MS)
    client.connect(bench.door.endpoint)
    client.send(b"here")
    [(route, _)] = bench.take()
    yield route, client
    client.close(linger=0)


@pytest.mark.parametrize("words", [PAYLOAD_WORDS, 3_000], ids=["large", "small"])
def test_a_client_that_does_not_read_holds_only_so_many_bytes(bench: Bench, words: int) -> None:
    with client_that_reads_little(bench) as (route, client):
        sent = 0
        while bench.door.send(route, sent.to_bytes(4, "big") * words):
            sent += 1
        # Besides, what the system has taken may be with the client already.
        assert UNREAD_CONNECTION_BYTES_MAX // (4 * words) <= sent < CLIENT_REPLIES_MAX
        assert [int.from_bytes(client.recv()[:4], "big") for _ in range(sent)] == list(range(sent))
        while not bench.door.send(route, bytes(LARGE_FRAME_BYTES)):
            pass
        assert client.recv() == bytes(LARGE_FRAME_BYTES)


def test_one_frame_may_be_larger_than_what_may_wait(bench: Bench) -> None:
    with client_that_reads_little(bench) as (route, client):
        large = bytes(2 * UNREAD_CONNECTION_BYTES_MAX)
        assert bench.door.send(route, large)
        assert client.recv() == large


@pytest.mark.parametrize("limit", ["OVERFULL_MS", "SLOW_MS"])
def test_who_reads_least_of_most_has_to_go(
    limit: str, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Soon when it reads nothing, and later also when it makes progress."""
    monkeypatch.setattr(visitors, limit, 1 << 60)
    monkeypatch.setattr(visitors, "UNREAD_BYTES_MAX", 2 * UNREAD_CONNECTION_BYTES_MAX)
    reader = bench.client()
    reader.send(b"here")
    [(route, _)] = bench.take()
    with Connection(bench.address, small_buffer=True) as hostile:
        hostile.shake_hands(b"DEALER")
        hostile.send(message(b"here"))
        [(slow, _)] = bench.take()
        assert bench.door.send(slow, bytes(3 * UNREAD_CONNECTION_BYTES_MAX))
        assert bench.door.unread(0) > 2 * UNREAD_CONNECTION_BYTES_MAX
        bench.news(ClosedForCause(visitors.UNREAD, HOST))
        assert bench.door.send(route, b"answer")
        assert reader.recv() == b"answer"


def test_a_descriptor_that_is_anothers_by_now_is_left_alone() -> None:
    mine, theirs = socket.socketpair()
    with mine, theirs, socket.create_server((HOST, 0)) as server:
        for other in (mine, server):
            visitor = Visitor(other.fileno(), RemoteAddress(HOST, 1))
            visitor.look()
            visitor.end()
            assert visitor.incoming == visitor.unread == 0
        mine.send(b"still open")
        assert theirs.recv(100) == b"still open"


def test_a_large_frame_to_a_client_that_is_gone_is_said_to_be(bench: Bench) -> None:
    assert bench.door.send((b"\0nobody",), bytes(LARGE_FRAME_BYTES)) is None


@pytest.mark.process
def test_a_door_that_nobody_closes_closes_nobodys_descriptors() -> None:
    """The descriptors of connections are libzmq's: it ends the process when one is gone."""
    script = """
import zmq
from cluster.door import ClientDoor
context = zmq.Context()
door = ClientDoor(context, ("tcp://127.0.0.1:*",), lambda: 0, 1)
client = context.socket(zmq.DEALER)
client.connect(door.endpoint)
client.send(b"x")
while not door.drain(1):
    pass
door.look()
client.close(linger=0)
"""
    ended = subprocess.run([sys.executable, "-c", script], timeout=HANG_SECONDS, check=False)
    assert ended.returncode == 0


@pytest.mark.process
@pytest.mark.parametrize("kind", ["DEALER", "PUSH"])
def test_a_connection_that_breaks_while_nobody_takes_what_it_sent_ends_nothing(kind: str) -> None:
    """libzmq would end the process at a heartbeat of a connection that it had stopped to read."""
    script = f"""
import socket, struct, time, zmq
from cluster.door import ClientDoor
from cluster.links import PeerDoor
from tests.chaos.hostile.zmtp import Connection, frame, message
context = zmq.Context()
with socket.create_server(("127.0.0.1", 0)) as free:
    address = free.getsockname()
urls = ("tcp://%s:%d" % address,)
is_client = {kind!r} == "DEALER"
door = ClientDoor(context, urls, lambda: 0, 1_000) if is_client else PeerDoor(context, urls)
has_come = lambda: door.visitors.handshakes if is_client else taken
hostile = Connection(address)
hostile.shake_hands({kind!r}.encode())
ping = frame(b"\\x04PING\\0\\0", 4)
hostile.socket.settimeout(1)
try:
    hostile.send((message(b"x") + ping) * 50_000)
except TimeoutError:
    pass
hostile.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
hostile.socket.close()
taken = 0
while (arrived := len(door.drain(1_000))) or not has_come() or door.must_drain():
    taken += arrived
door.close()
context.destroy(linger=0)
"""
    ended = subprocess.run([sys.executable, "-c", script], timeout=HANG_SECONDS, check=False)
    assert ended.returncode == 0
