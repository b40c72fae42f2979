"""The sink: drops what is left of a message, and nothing of the next but its name."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import zmq

from cluster.sink import Sink
from tests.limits import HANG_MS

URL = "inproc://clients"
FRAMES = 10_000


class Bench:
    """A ROUTER with a sink, and clients whose messages have arrived as soon as they are sent."""

    def __init__(self) -> None:
        self.context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self.router = self.context.socket(zmq.ROUTER)
        self.router.rcvtimeo = HANG_MS
        self.router.rcvhwm = 0
        self.sink = Sink(self.context, self.router)
        self.router.bind(URL)

    def client(self) -> zmq.Socket[bytes]:
        made = self.context.socket(zmq.DEALER)
        made.sndhwm = 0
        made.connect(URL)
        return made

    def begin(self) -> bytes:
        """Take the name and the first frame of a message; the latter."""
        self.router.recv()
        return self.router.recv()


@pytest.fixture
def bench() -> Iterator[Bench]:
    made = Bench()
    yield made
    made.context.destroy(linger=0)


def test_the_rest_of_a_message_is_dropped(bench: Bench) -> None:
    hostile, honest = bench.client(), bench.client()
    hostile.send_multipart([b"first", *[b"x"] * FRAMES])
    honest.send_multipart([b"request", b"its end"])
    assert bench.begin() == b"first"
    bench.sink.drop()
    assert bench.router.recv() == b"request", "only the name before it is lost"
    assert bench.router.recv() == b"its end"
    assert not bench.router.getsockopt(zmq.RCVMORE)


def test_a_message_with_nothing_behind_it_is_dropped_too(bench: Bench) -> None:
    hostile = bench.client()
    for _ in range(3):
        hostile.send_multipart([b"first", *[b"x"] * FRAMES])
        assert bench.begin() == b"first"
        bench.sink.drop()
        assert bench.router.recv() == b"", "the sink's own"
        bench.sink.returned()
    hostile.send(b"goes on")
    assert bench.begin() == b"goes on"


def test_one_message_of_its_own_is_enough(bench: Bench) -> None:
    hostile = bench.client()
    for _ in range(3):
        hostile.send_multipart([b"first", b"x", b"x"])
    first = bench.begin()
    taken = []
    while first != b"":
        taken.append(first)
        bench.sink.drop()
        first = bench.router.recv()
    bench.sink.returned()
    while bench.router.poll(0):
        taken.append(bench.begin())
        bench.router.recv_multipart()
    assert taken == [b"first"] * 3
