"""`python -m tests.etcd front`: what a front adds to one request, its memory, its return.

One node, asked in turns directly, through a bare relay, through its front, and by gRPC: each round
one way after the other, so that a loud machine is loud for all. The relay shows what any process in
between costs. Then the front's halves are killed in turns, and the time is taken until a new
connection is answered. Refuses to know many requests at a time: `load` measures those.
"""

from __future__ import annotations

import os
import signal
import socket
import statistics
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

from cluster.launcher.local import LocalCluster
from cluster.launcher.nodes.node import NodeProcess
from cluster.processes import is_readable
from tests.etcd import ways
from tests.etcd.sides import halves_of
from tests.limits import HANG_SECONDS

CALLS: Final = 100
KILLS: Final = 10
DIRECTLY: Final = "directly"
NATIVELY: Final = "through the front"
BY_GRPC: Final = "by gRPC"
ADDED_US_MAX: Final = {NATIVELY: 40.0, BY_GRPC: 80.0}
REQUESTS: Final[dict[str, dict[str, Any]]] = {
    "put": {"op": "put", "key": b"k", "value": b"v" * 100},
    "range": {"op": "range", "key": b"k", "serializable": True},
}
RETURN_MS_MAX: Final = 100.0
MEMORY_MIB_MAX: Final = 60.0

Say = Callable[[str], None]


def run(rounds: int, say: Say) -> bool:
    """Measure; whether all is within its limit."""
    with LocalCluster(1, front=True) as cluster:
        node = cluster.node("n1")
        _wait_for_front(node)
        judged = [_added(node, op, rounds, say) for op in REQUESTS]
        memory = sum(_memory_mib(pid) for pid in halves_of(node.pid))
        say(f"memory of both halves: {memory:.1f} MiB (at most {MEMORY_MIB_MAX:g})")
        judged.append(memory <= MEMORY_MIB_MAX)
        judged += [_returns(node, half, say) <= RETURN_MS_MAX for half in (0, 1)]
    return all(judged)


def _added(node: NodeProcess, op: str, rounds: int, say: Say) -> bool:
    """Whether what the front adds to the median of one request at a time is within its limits."""
    took: dict[str, list[float]] = {}
    with ExitStack() as stack:
        front, door, request = node.ports.client, node.direct_port or 0, REQUESTS[op]
        asks = {
            DIRECTLY: stack.enter_context(ways.native(door, request)),
            "through a bare relay": stack.enter_context(ways.relayed(door, request)),
            NATIVELY: stack.enter_context(ways.native(front, request)),
            BY_GRPC: stack.enter_context(ways.grpc(front, request)),
        }
        for _ in range(rounds):
            for way, ask in asks.items():
                took.setdefault(way, []).extend(ways.took_us(ask) for _ in range(CALLS))
    found = {way: statistics.quantiles(times, n=10) for way, times in took.items()}
    p10s, p50s = ({way: tenths[at] for way, tenths in found.items()} for at in (0, 4))
    for way in took:
        more = [times[way] - times[DIRECTLY] for times in (p10s, p50s)]
        said = f"p10 {p10s[way]:.0f} us ({more[0]:+.0f}), p50 {p50s[way]:.0f} us ({more[1]:+.0f})"
        say(f"{op} {way}: {said}")
    added = {way: p50s[way] - p50s[DIRECTLY] for way in ADDED_US_MAX}
    for way, limit in ADDED_US_MAX.items():
        say(f"{op}: the front adds {added[way]:.0f} us {way} (at most {limit:g})")
    return all(added[way] <= limit for way, limit in ADDED_US_MAX.items())


def _returns(node: NodeProcess, half: int, say: Say) -> float:
    """The longest time in milliseconds from a kill until a new connection is answered."""
    times = []
    for _ in range(KILLS):
        victim = halves_of(node.pid)[half]
        ended = os.pidfd_open(victim)
        os.kill(victim, signal.SIGKILL)
        began = time.monotonic()
        is_readable(ended, HANG_SECONDS)
        os.close(ended)
        _wait_for_front(node)
        times.append((time.monotonic() - began) * 1_000)
    name = ("the keeper", "the serving half")[half]
    median, longest = statistics.median(times), max(times)
    say(f"{name} killed: answered after {median:.1f} ms, at most {longest:.1f} ms")
    return longest


def _wait_for_front(node: NodeProcess) -> None:
    """Wait until a new connection gets an answer of HTTP."""
    until = time.monotonic() + HANG_SECONDS
    while time.monotonic() < until:
        try:
            with socket.create_connection(("127.0.0.1", node.ports.client), HANG_SECONDS) as asking:
                asking.sendall(b"GET /version HTTP/1.1\r\nHost: front\r\n\r\n")
                if asking.recv(1):
                    return  # else closed by the end of a process
        except OSError:
            continue  # it was killed with this connection, or is not there yet
    raise AssertionError("the front does not come back")


def _memory_mib(pid: int) -> float:
    """What a process has in memory, where what two share counts half for each."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) / 1_024
    raise AssertionError("the system does not tell")
