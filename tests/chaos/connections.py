"""`python -m tests.chaos connections`: as many connections as a front may have, and some more.

For each kind of client a new node with its front: all connect, from several addresses of this
machine, ask once and stay. What must hold: each up to the limit is answered, each above it is
refused and says so in the log, the honest clients who were there before are served all the while, a
new one is when the others have left, and memory is bounded.
"""

from __future__ import annotations

import resource
import socket
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final, NamedTuple

import grpc
import zmq
from hpack import Decoder

from cluster.etcd.front import FRONT_CONNECTIONS_MAX
from cluster.etcd.rpc.schema import message_class
from cluster.launcher.local import LocalCluster
from cluster.launcher.nodes.node import NodeProcess
from cluster.wire import pack
from tests.chaos.checks import quantile
from tests.chaos.hostile.http2 import (
    DATA,
    END_STREAM,
    HEADERS,
    OPENING,
    head,
    message_of,
    path_block,
)
from tests.chaos.hostile.zmtp import GREETING, ready
from tests.cluster.etcd.http2.raw import HEADER_BYTES, data
from tests.etcd.sides import halves_of
from tests.limits import HANG_MS, HANG_SECONDS

ABOVE: Final = 200
"""Connections above the limit."""

SOURCES: Final = 8
"""The addresses of this machine that clients come from: no ports run out."""

PUTS: Final = 200
OWN_DESCRIPTORS: Final = 200
MEMORY_MIB_MAX: Final = 600.0
"""What a node or its front may grow by; a connection of either takes some ten KiB."""

READ_BYTES: Final = 64 * 1024

_RANGE: Final = data(1, message_of("RangeRequest", key=b"k"), "END_STREAM")
_WATCHED: Final = data(1, message_of("WatchRequest", create_request={"key": b"k"}))


class Kind(NamedTuple):
    """A kind of client: what it says, and what it is told: an answer, an error, or not yet all."""

    name: str
    sent: bytes
    told: Callable[[bytes], str]


ANSWERED, REFUSED = "answered", "refused"
"""What becomes of a connection, if no error does. The front refuses before it reads a byte."""


def _told_by_grpc(received: bytes) -> str:
    """Whether there is data, or only the trailers of an error."""
    at = 0
    while at + HEADER_BYTES <= len(received):
        kind, flags = received[at + 3 : at + 5]
        begin, at = at + HEADER_BYTES, at + int.from_bytes(received[at : at + 3], "big")
        at += HEADER_BYTES
        if kind == DATA:
            return ANSWERED
        if kind == HEADERS and flags & END_STREAM and at <= len(received):
            *_, message = Decoder().decode(received[begin:at])
            return f"failed {message}"
    return ""


KINDS: Final = {
    kind.name: kind
    for kind in (
        Kind(
            "grpc",
            OPENING + head(1, path_block("/etcdserverpb.KV/Range")) + _RANGE,
            _told_by_grpc,
        ),
        Kind(
            "watch",
            OPENING + head(1, path_block("/etcdserverpb.Watch/Watch")) + _WATCHED,
            _told_by_grpc,
        ),
        Kind(
            "http",
            b"GET /version HTTP/1.1\r\nHost: front\r\n\r\n",
            lambda received: ANSWERED if received.startswith(b"HTTP/1.1 200") else "",
        ),
        Kind(
            "zeromq",
            GREETING + ready(b"DEALER"),
            lambda received: ANSWERED if b"READY" in received else "",
        ),
    )
}


class Honest:
    """Clients that were there before: one of gRPC, one of ZeroMQ, both through the front."""

    def __init__(self, node: NodeProcess) -> None:
        self._channel = grpc.insecure_channel(node.endpoint)
        self._ask = self._channel.unary_unary("/etcdserverpb.KV/Put")
        self._put = message_class("etcdserverpb.PutRequest")(key=b"honest", value=b"v")
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._socket = self._context.socket(zmq.REQ)
        self._socket.linger = 0
        self._socket.rcvtimeo = HANG_MS
        self._socket.connect(f"tcp://{node.endpoint}")
        self.served_ms()

    def served_ms(self) -> list[float]:
        """Puts, by both in turns: how long each takes. Raises if one is not served."""
        times = []
        request = self._put.SerializeToString()
        for _ in range(PUTS // 2):
            began = time.perf_counter()
            self._ask(request, timeout=HANG_SECONDS)
            between = time.perf_counter()
            self._socket.send(pack({"op": "put", "key": b"honest", "value": b"v"}))
            assert self._socket.recv(), "an answer"
            times += [between - began, time.perf_counter() - between]
        return [1_000 * taken for taken in times]

    def close(self) -> None:
        """Leave."""
        self._channel.close()
        self._context.destroy(linger=0)


def run(names: Sequence[str], say: Callable[[str], None]) -> bool:
    """Let a crowd of each kind come and go; whether all held that must."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    verdicts = [_crowd(KINDS[name], say) for name in names or KINDS]
    return all(verdicts)


def _crowd(kind: Kind, say: Callable[[str], None]) -> bool:
    with LocalCluster(1, front=True) as cluster:
        node = cluster.node("n1")
        fronts = halves_of(node.pid)
        limit = _limit(fronts[1])
        honest = Honest(node)
        before, calm = _memory(node, fronts), honest.served_ms()
        began = time.monotonic()
        with _connected(node, limit - 2 + ABOVE) as crowd:
            told = _ask_all(kind, crowd)
            seconds = time.monotonic() - began
            during, full = honest.served_ms(), _memory(node, fronts)
        after = _served_again(node)
        honest.close()
        left = _memory(node, fronts)
        grown = [at - was for at, was in zip(full, before, strict=True)]
        is_told = "refused a connection" in node.log_path.read_text(encoding="utf-8")
        is_same = halves_of(node.pid) == fronts
    is_well = (
        told == {ANSWERED: limit - 2, REFUSED: ABOVE}
        and is_told
        and is_same
        and max(grown) <= MEMORY_MIB_MAX
    )
    say(
        f"{kind.name}: limit {limit:,}; {_words(told)} within {seconds:.0f} s"
        f"{'' if is_told else ' without a word in the log'}; node {before[0]:.0f} to"
        f" {full[0]:.0f} MiB, then {left[0]:.0f}; front {before[1]:.0f} to {full[1]:.0f}, then"
        f" {left[1]:.0f}; honest puts p50 {quantile(calm, 50):.1f} to"
        f" {quantile(during, 50):.1f} ms, p99 {quantile(calm, 99):.1f} to"
        f" {quantile(during, 99):.1f}; a new client served after"
        f" {after:.0f} ms{'' if is_same else '; THE FRONT ENDED'}{'' if is_well else ' - NO'}"
    )
    return is_well


def _limit(front: int) -> int:
    """The number of connections that a front takes, which the system may lower."""
    soft, _ = resource.prlimit(front, resource.RLIMIT_NOFILE)
    return min(FRONT_CONNECTIONS_MAX, (soft - 64) // 2)


@contextmanager
def _connected(node: NodeProcess, count: int) -> Iterator[list[socket.socket]]:
    """Connections from several addresses. The limit of this process is above their number."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert count + OWN_DESCRIPTORS <= soft, f"ulimit -n {soft} is too low here for {count}"
    with ExitStack() as stack:
        crowd = []
        for number in range(count):
            each = stack.enter_context(socket.socket())
            each.settimeout(HANG_SECONDS)
            each.setsockopt(socket.IPPROTO_IP, 24, 1)  # IP_BIND_ADDRESS_NO_PORT: a port per pair
            each.bind((f"127.0.0.{2 + number % SOURCES}", 0))
            each.connect(("127.0.0.1", node.ports.client))
            crowd.append(each)
        yield crowd


def _words(told: Counter[str]) -> str:
    return ", ".join(f"{count:,} {what}" for what, count in told.items())


def _ask_all(kind: Kind, crowd: Sequence[socket.socket]) -> Counter[str]:
    """Have all ask; what they are told."""
    told: Counter[str] = Counter()
    for each in crowd:
        try:
            each.sendall(kind.sent)
        except OSError:
            continue  # refused, as is seen below
    for each in crowd:
        received = b""
        end = ""
        while not end:
            try:
                piece = each.recv(READ_BYTES)
            except ConnectionError:
                piece = b""
            received += piece
            end = kind.told(received) if piece else REFUSED
        told[end] += 1
    return told


def _served_again(node: NodeProcess) -> float:
    """The milliseconds until a new client is answered."""
    began = time.monotonic()
    asking = KINDS["http"]
    while True:
        with socket.create_connection(("127.0.0.1", node.ports.client), HANG_SECONDS) as new:
            if _ask_all(asking, [new])[ANSWERED]:
                return 1_000 * (time.monotonic() - began)
        assert time.monotonic() - began < HANG_SECONDS, "no new client is served"


def _memory(node: NodeProcess, fronts: Sequence[int]) -> tuple[float, float]:
    """What a node and its front have in memory, in MiB."""
    return _mib(node.pid), sum(map(_mib, fronts))


def _mib(pid: int) -> float:
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) / 1_024
    raise AssertionError("the system does not tell")
