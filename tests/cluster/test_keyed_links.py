"""Links and doors between members that have keys, on real sockets: who gets in, and who not."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from typing import Any

import pytest
import zmq

from cluster.curve import KeyPair, new_pair, z85
from cluster.gatekeeper import Gatekeeper
from cluster.links import PEER_DOMAIN, PeerDoor, PeerFrame, PeerLock
from cluster.peer_links import PeerLinks
from tests.limits import HANG_MS, HANG_SECONDS
from tests.ports import free_ports

OWN, MEMBER = 1, 7
TURN_MS = 5
TURNS = HANG_MS // TURN_MS


class Pair:
    """A door with a key and a lock, and the links of a member to it."""

    def __init__(self) -> None:
        self.context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self.port = free_ports(1)[0].peer
        self.url = f"tcp://127.0.0.1:{self.port}"
        self.theirs, self.own = new_pair(), new_pair()
        self.knocks: list[str] = []
        self.lock = PeerLock(self.theirs, self.knocks.append)
        self.gatekeeper = Gatekeeper(self.context)
        self.gatekeeper.guard(PEER_DOMAIN, self.lock.judge)
        self.door = PeerDoor(self.context, (self.url,), self.lock)
        self.links = PeerLinks(self.context)
        self.broken: list[int] = []

    def admit(self, *pairs: KeyPair) -> None:
        self.lock.admitted = {each.public for each in pairs}

    def use(self, *pairs: KeyPair, servers: tuple[KeyPair, ...] = ()) -> None:
        keys = tuple(each.public for each in servers or (self.theirs,))
        self.links.use(pairs or (self.own,), {MEMBER: keys})
        self.links.update({MEMBER: self.url})

    def passed(self, frame: bytes) -> list[PeerFrame]:
        """Send a frame until it arrives; the frames that did."""
        for _ in range(TURNS):
            self.links.send(MEMBER, frame)
            self.broken += self.links.drain(10)
            self.door.wait(TURN_MS)
            frames = self.door.drain(10)
            if frames:
                return [each for each in frames if isinstance(each, PeerFrame)]
        raise AssertionError(f"{frame!r} does not arrive")

    def until_knocked(self) -> None:
        """Wait until somebody was not let in, and check that nothing came through."""
        count = len(self.knocks)
        for _ in range(TURNS):
            self.links.send(MEMBER, b"knock")
            self.links.drain(10)
            self.door.wait(TURN_MS)
            assert self.door.drain(10) == []
            if len(self.knocks) > count:
                return
        raise AssertionError("nobody knocks")

    def close(self) -> None:
        self.links.close()
        self.door.close()
        self.gatekeeper.close()
        self.context.destroy(linger=0)


@pytest.fixture
def pair() -> Iterator[Pair]:
    """A door and links whose keys a test chooses."""
    made = Pair()
    yield made
    made.close()


def test_a_frame_comes_under_the_key_of_its_sender(pair: Pair) -> None:
    pair.admit(pair.own)
    pair.use()
    assert {each.key for each in pair.passed(b"hello")} == {pair.own.public}


def test_a_key_that_is_no_members_does_not_get_in_until_it_is(pair: Pair) -> None:
    pair.admit(new_pair())
    pair.use()
    pair.until_knocked()
    assert set(pair.knocks) == {pair.own.public}
    pair.admit(pair.own)
    pair.passed(b"hello")


def test_frames_of_a_key_that_is_taken_out_do_not_count_and_its_connection_ends(
    pair: Pair,
) -> None:
    pair.admit(pair.own)
    pair.use()
    pair.passed(b"hello")
    pair.admit()
    pair.until_knocked()  # it has come again, and was not let in
    assert pair.knocks[-1] == pair.own.public


def test_nobody_talks_to_a_door_that_has_another_key_than_the_members(pair: Pair) -> None:
    pair.admit(pair.own)
    pair.use(servers=(new_pair(),))
    for _ in range(20):
        assert not pair.links.send(MEMBER, b"secret")
        assert pair.links.drain(10) == [], "it was never connected"
        pair.door.wait(TURN_MS)
    assert pair.door.drain(10) == []
    assert pair.knocks == []


def raw(pair: Pair, client: KeyPair | None) -> zmq.Socket[bytes]:
    """A socket of somebody's own making, with a key or without."""
    made = pair.context.socket(zmq.PUSH)
    made.linger = 0
    if client is not None:
        made.setsockopt(zmq.CURVE_SERVERKEY, z85(pair.theirs.public))
        made.setsockopt(zmq.CURVE_PUBLICKEY, z85(client.public))
        made.setsockopt(zmq.CURVE_SECRETKEY, z85(client.secret))
    return made


def test_what_was_taken_of_a_sealed_link_does_not_count_as_waiting(pair: Pair) -> None:
    """The system counts sealed bytes. Else a link would be cut after ten million frames."""
    pair.admit(pair.own)
    sizes = (1, 100, 221, 222, 223, 255, 256, 70_000)
    with raw(pair, pair.own) as link:
        link.connect(pair.url)
        (first,) = taken(pair, link, (1,))
        visitor = pair.door.visitors.at(first.arrived.get(zmq.SRCFD))
        assert visitor is not None
        visitor.look()
        before = visitor.incoming
        taken(pair, link, sizes)
        visitor.look()
        assert visitor.incoming <= before


def taken(pair: Pair, link: zmq.Socket[bytes], sizes: tuple[int, ...]) -> list[PeerFrame]:
    """Frames of these sizes, sent and taken."""
    for size in sizes:
        link.send(bytes(size))
    frames: list[PeerFrame] = []
    for _ in range(TURNS):
        pair.door.wait(TURN_MS)
        frames += [each for each in pair.door.drain(10) if isinstance(each, PeerFrame)]
        if len(frames) == len(sizes):
            return frames
    raise AssertionError("they do not arrive")


@pytest.mark.parametrize("has_key", [False, True], ids=["without a key", "with a key of their own"])
def test_a_stranger_is_not_let_in(pair: Pair, has_key: bool) -> None:
    pair.admit(pair.own)
    with raw(pair, new_pair() if has_key else None) as stranger:
        # Where one side has no keys, either of the two may notice first.
        unlike = zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL | zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL
        monitor = stranger.get_monitor_socket(unlike | zmq.EVENT_HANDSHAKE_FAILED_AUTH)
        stranger.connect(pair.url)
        stranger.send(b"forged")
        assert monitor.poll(HANG_MS), "nobody says no"
        stranger.disable_monitor()
        monitor.close(linger=0)
    assert pair.door.drain(10) == []


def test_a_frame_of_zmtp_1_is_not_taken(pair: Pair) -> None:
    pair.admit(pair.own)
    with socket.create_connection(("127.0.0.1", pair.port), HANG_SECONDS) as stranger:
        stranger.sendall(b"\x01\x00\x07\x00forged")
        stranger.settimeout(HANG_SECONDS)
        while stranger.recv(1_000):
            pass
    assert pair.door.drain(10) == []


def test_what_was_recorded_of_a_connection_is_worth_nothing_in_another(pair: Pair) -> None:
    """Frames are sealed with keys of their connection: bytes that were stolen open nothing."""
    pair.admit(pair.own)
    stolen = bytearray()
    with socket.create_server(("127.0.0.1", 0)) as tapped:
        url = f"tcp://127.0.0.1:{tapped.getsockname()[1]}"
        pair.links.use((pair.own,), {MEMBER: (pair.theirs.public,)})
        pair.links.update({MEMBER: url})
        victim, _ = tapped.accept()
        with victim, socket.create_connection(("127.0.0.1", pair.port)) as door:
            both = {victim: door, door: victim}
            for each in both:
                each.settimeout(TURN_MS / 1_000)
            frames: list[bytes] = []
            for _ in range(TURNS):
                pair.links.send(MEMBER, b"real")
                for one, other in both.items():
                    try:
                        data = one.recv(65_536)
                    except TimeoutError:
                        continue
                    other.sendall(data)
                    stolen += data if one is victim else b""
                frames = pair.door.drain(10)
                if frames:
                    break
            assert frames, "the tapped connection carries frames"
    pair.links.close()
    pair.door.drain(100)
    with socket.create_connection(("127.0.0.1", pair.port)) as replay:
        replay.settimeout(HANG_SECONDS)
        replay.sendall(stolen)
        while replay.recv(65_536):
            pass  # the door's greeting, and then the end
    assert pair.door.drain(10) == []


def test_a_door_changes_its_key_and_who_knows_the_next_one_comes_again(pair: Pair) -> None:
    following = new_pair()
    pair.admit(pair.own)
    pair.use()
    pair.passed(b"before")
    pair.use(servers=(pair.theirs, following))
    pair.passed(b"both")
    pair.door.serve(following)
    pair.passed(b"after")
    pair.use(servers=(following,))
    pair.broken.clear()
    pair.passed(b"last")
    assert pair.broken == [], "a link that is not needed any more is no lost member"


def test_a_member_changes_its_own_key_without_a_break(pair: Pair) -> None:
    following = new_pair()
    pair.admit(pair.own)
    pair.use()
    pair.passed(b"before")
    pair.use(pair.own, following)  # the door does not know the next key yet
    pair.passed(b"old")
    pair.admit(pair.own, following)
    while following.public not in {each.key for each in pair.passed(b"either")}:
        pass
    pair.use(following)
    pair.admit(following)
    assert {each.key for each in pair.passed(b"new")} <= {pair.own.public, following.public}
    assert pair.broken == []


def reopened(*arguments: Any) -> PeerDoor:
    """A door where another one was closed: ZeroMQ gives its port back in its own time."""
    deadline = time.monotonic() + HANG_SECONDS
    while True:
        try:
            return PeerDoor(*arguments)
        except OSError:
            assert time.monotonic() < deadline, "the port is not given back"


def test_a_member_that_had_no_keys_is_reached_once_it_is_started_with_them(pair: Pair) -> None:
    pair.door.close()
    pair.use()
    pair.admit(pair.own)
    plain = reopened(pair.context, (pair.url,))
    for _ in range(20):
        assert not pair.links.send(MEMBER, b"secret")
        pair.links.drain(10)
        plain.wait(TURN_MS)
    assert plain.drain(10) == []
    plain.close()
    pair.door = reopened(pair.context, (pair.url,), pair.lock)
    pair.passed(b"hello")
