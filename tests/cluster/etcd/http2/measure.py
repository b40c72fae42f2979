"""`python -m tests.cluster.etcd.http2.measure`: what one small call costs the engine alone.

A client sends the calls of a burst in one piece, as grpc-go does; the engine reads them, each is
answered at once with a block that is known, and one `take` gives all answers. No sockets.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Final

from hpack import Encoder

from cluster.etcd.http2 import Http2Stream, ServerConnection
from tests.cluster.etcd.http2.judge import REQUEST, RESPONSE_BLOCK, TRAILERS_BLOCK
from tests.cluster.etcd.http2.raw import PREFACE, data, frame, settings, window_update

CALLS: Final = 20_000
ROUNDS: Final = 5
BODY: Final = bytes(5 + 32)
ANSWER: Final = bytes(5 + 26)


class Answerer:
    """Answers each request as soon as it has ended."""

    def __init__(self) -> None:
        self.connection = ServerConnection(self)

    def on_request(self, stream: Http2Stream) -> None:
        pass

    def on_data(self, stream: Http2Stream, data: bytes) -> None:
        self.connection.unary(stream, RESPONSE_BLOCK, ANSWER, TRAILERS_BLOCK)

    def on_end(self, stream: Http2Stream) -> None:
        pass

    def on_reset(self, stream: Http2Stream, code: int) -> None:
        pass

    def on_drained(self, stream: Http2Stream) -> None:
        pass


def bursts(count: int, size: int, *, has_timeouts: bool) -> list[bytes]:
    """The bytes of a client that sends this number of calls, in bursts of this size."""
    encoder = Encoder()
    made = []
    for first in range(0, count, size):
        parts = []
        for number in range(first * 2 + 1, (first + size) * 2, 2):
            timeout = [("grpc-timeout", f"{4_990_000 + number}u")] if has_timeouts else []
            parts += [frame(1, 4, number, encoder.encode([*REQUEST, *timeout]))]
            parts += [data(number, BODY, "END_STREAM")]
        made.append(b"".join(parts))
    return made


def opened() -> ServerConnection:
    """A connection whose client takes all it is sent."""
    connection = Answerer().connection
    widest = 0x7FFF_FFFF
    opening = PREFACE + settings({4: widest}) + window_update(0, widest - 65_535)
    connection.receive(opening, 0)
    connection.take()
    return connection


def answer(connection: ServerConnection, sent: list[bytes]) -> int:
    """Have all bursts answered; returns the bytes of the answers."""
    answered = 0
    for burst in sent:
        connection.receive(burst, 0)
        answered += len(connection.take())
    assert not connection.is_closed, connection.close_reason
    assert not connection.streams
    return answered


def microseconds(size: int, *, has_timeouts: bool) -> float:
    """The processor's time for one call."""
    sent = bursts(CALLS, size, has_timeouts=has_timeouts)
    connection = opened()
    began = time.process_time()
    answer(connection, sent)
    return (time.process_time() - began) / CALLS * 1e6


def run(say: Callable[[str], object]) -> None:
    """Measure, and say each row: the best of some rounds, since others only add to it."""
    for has_timeouts in (False, True):
        for size in (1, 64, 1_000):
            best = min(microseconds(size, has_timeouts=has_timeouts) for _ in range(ROUNDS))
            what = "a timeout that varies" if has_timeouts else "a block that is known"
            say(f"{size:5} calls at once, {what}: {best:5.2f} us a call\n")


if __name__ == "__main__":
    run(sys.stdout.write)
