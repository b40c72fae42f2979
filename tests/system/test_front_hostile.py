"""Hostile HTTP/2 clients of a real front: they are shut out, others are served, memory is bounded.

What each of them is told is in `tests/cluster/etcd/http2/test_hostile.py`; here are the sockets.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import grpc
import pytest

from cluster.etcd.http2.limits import KIB, MIB, UNANSWERED_STREAMS_MAX
from cluster.etcd.rpc.schema import message_class
from cluster.launcher.local import LocalCluster
from cluster.processes import descendants
from tests.cluster.etcd.http2.raw import (
    FIELDS,
    PREFACE,
    block,
    continuation,
    data,
    frame,
    ping,
    rst_stream,
    settings,
    window_update,
)
from tests.limits import HANG_SECONDS

MEMORY_MIB_MAX: Final = 450
"""Far above what a front needs, and far below what these clients ask for."""

ROUNDS: Final = 400
LARGE_VALUES: Final = 8
READERS: Final = 10
READS: Final = 16


@pytest.fixture(scope="module")
def served() -> Iterator[LocalCluster]:
    with LocalCluster(1, front=True) as cluster:
        yield cluster


def halves_of(cluster: LocalCluster) -> tuple[int, ...]:
    """The process ids of the front."""
    return tuple(descendants(cluster.node("n1").pid))


class Honest:
    """A client that wants one answer at a time."""

    def __init__(self, cluster: LocalCluster) -> None:
        self._channel = grpc.insecure_channel(cluster.endpoints[0])
        self._put = self._channel.unary_unary("/etcdserverpb.KV/Put")

    def put(self, key: bytes, value: bytes) -> None:
        request = message_class("etcdserverpb.PutRequest")(key=key, value=value)
        self._put(request.SerializeToString(), timeout=HANG_SECONDS)

    def close(self) -> None:
        self._channel.close()


@pytest.fixture
def honest(served: LocalCluster) -> Iterator[Honest]:
    client = Honest(served)
    yield client
    client.close()


def called_on(cluster: LocalCluster, *sent: bytes) -> socket.socket:
    host, _, port = cluster.endpoints[0].rpartition(":")
    connection = socket.create_connection((host, int(port)), timeout=HANG_SECONDS)
    connection.sendall(PREFACE + settings({4: 0x7FFF_FFFF}) + b"".join(sent))
    return connection


def is_shut_out(connection: socket.socket, parts: Iterator[bytes]) -> bool:
    """Whether the front ends a connection on which all this is sent and nothing is read."""
    try:
        for part in parts:
            connection.sendall(part)
        while connection.recv(MIB):
            pass
    except ConnectionError:
        pass
    except TimeoutError:
        return False
    finally:
        connection.close()
    return True


def numbers(round_of: int) -> range:
    """A hundred ids of streams for each round."""
    return range(round_of * 200 + 1, round_of * 200 + 201, 2)


REQUEST: Final = block(FIELDS)
ATTACKS: Final[dict[str, Callable[[int], bytes]]] = {
    "pings": lambda _: ping() * 1_000,
    "settings": lambda _: settings({4: 1}) * 1_000,
    "a header block without end": lambda n: (
        continuation(1, b"") * 100 if n else frame(1, 0, 1, REQUEST)
    ),
    "requests reset at once": lambda n: b"".join(
        frame(1, 4, number, REQUEST) + rst_stream(number) for number in numbers(n)
    ),
    "requests reset by the front": lambda n: b"".join(
        frame(1, 4, number, REQUEST) + frame(8, 0, number, bytes(4)) for number in numbers(n)
    ),
    "empty data": lambda n: data(1) * 1_000 if n else frame(1, 4, 1, REQUEST),
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_a_hostile_client_is_shut_out_and_another_one_is_served(
    served: LocalCluster, honest: Honest, attack: str
) -> None:
    honest.put(b"honest", b"0")  # the front is there
    serving = halves_of(served)
    made = ATTACKS[attack]
    assert is_shut_out(called_on(served), (made(number) for number in range(ROUNDS)))
    honest.put(b"honest", b"1")
    assert halves_of(served) == serving  # nothing had to be started again


def test_streams_without_number_are_refused_and_another_client_is_served(
    served: LocalCluster, honest: Honest
) -> None:
    hostile = called_on(served)
    for number in range(UNANSWERED_STREAMS_MAX // 100 + 10):
        hostile.sendall(b"".join(frame(1, 4, each, REQUEST) for each in numbers(number)))
    honest.put(b"honest", b"1")
    sent = b""
    while rst_stream(UNANSWERED_STREAMS_MAX * 2 + 1, 7) not in sent:
        sent = sent[-20:] + hostile.recv(64 * KIB)
    hostile.close()


def test_answers_that_nobody_reads_leave_room_for_another_client(
    served: LocalCluster, honest: Honest
) -> None:
    for number in range(LARGE_VALUES):
        honest.put(b"large/%d" % number, bytes(MIB))
    asked = message_class("etcdserverpb.RangeRequest")(key=b"large/", range_end=b"large0")
    message = asked.SerializeToString()
    body = b"\0" + len(message).to_bytes(4, "big") + message
    path = [(":path", "/etcdserverpb.KV/Range") if each[0] == ":path" else each for each in FIELDS]
    reads = b"".join(
        frame(1, 4, number, block(path)) + data(number, body, "END_STREAM")
        for number in range(1, READS * 2, 2)
    )
    wide = window_update(0, 0x7FFF_FFFF - 65_535)
    hostile = [called_on(served, wide, reads) for _ in range(READERS)]
    for number in range(50):
        honest.put(b"honest", b"%d" % number)
    for connection in hostile:
        connection.close()
    for pid in halves_of(served):
        status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
        peak = int(status.partition("VmHWM:")[2].split()[0]) // KIB
        assert peak < MEMORY_MIB_MAX, f"a front of {peak} MiB"
