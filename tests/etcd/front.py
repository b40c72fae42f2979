"""`python -m tests.etcd front`: what a front costs a client of ZeroMQ, its memory, its return.

One node, asked in turns directly and through its front: each round one way after the other, so that
a loud machine is loud for both. Then its halves are killed in turns, and the time is taken until
a new connection is answered. Refuses to know other protocols: `load` measures those.
"""

from __future__ import annotations

import os
import signal
import socket
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import zmq

from cluster.launcher.local import LocalCluster
from cluster.launcher.nodes.node import NodeProcess
from cluster.processes import is_readable
from cluster.wire import pack
from tests.etcd.sides import halves_of
from tests.limits import HANG_MS, HANG_SECONDS

CALLS: Final = 300
KILLS: Final = 10
ADDED_US_MAX: Final = 40.0
RETURN_MS_MAX: Final = 100.0
MEMORY_MIB_MAX: Final = 60.0

Say = Callable[[str], None]
Socket = zmq.Socket[bytes]


def run(rounds: int, say: Say) -> bool:
    """Measure; whether all is within its limit."""
    with LocalCluster(1, front=True) as cluster:
        node = cluster.node("n1")
        _wait_for_front(node)
        judged = [_added(node, op, rounds, say) <= ADDED_US_MAX for op in ("put", "range")]
        memory = sum(_memory_mib(pid) for pid in halves_of(node.pid))
        say(f"memory of both halves: {memory:.1f} MiB (at most {MEMORY_MIB_MAX:g})")
        judged.append(memory <= MEMORY_MIB_MAX)
        judged += [_returns(node, half, say) <= RETURN_MS_MAX for half in (0, 1)]
    return all(judged)


def _added(node: NodeProcess, op: str, rounds: int, say: Say) -> float:
    """The microseconds that the front adds to the median of one request at a time."""
    context: zmq.Context[Socket] = zmq.Context()
    ports = {"directly": node.direct_port or 0, "through the front": node.ports.client}
    clients = {way: _client(context, port) for way, port in ports.items()}
    took: dict[str, list[float]] = {way: [] for way in clients}
    request = {"put": {"op": "put", "key": b"k", "value": b"v" * 100}}.get(
        op, {"op": "range", "key": b"k", "serializable": True}
    )
    for _ in range(rounds):
        for way, client in clients.items():
            took[way] += [_ask(client, request) for _ in range(CALLS)]
    context.destroy(linger=0)
    medians = {way: statistics.median(times) for way, times in took.items()}
    for way, times in took.items():
        tenth = statistics.quantiles(times, n=10)[0]
        say(f"{op} {way}: p10 {tenth:.0f} us, p50 {medians[way]:.0f} us")
    added = medians["through the front"] - medians["directly"]
    say(f"{op}: the front adds {added:.0f} us (at most {ADDED_US_MAX:g})")
    return added


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


def _client(context: zmq.Context[Socket], port: int) -> Socket:
    client = context.socket(zmq.REQ)
    client.linger = 0
    client.rcvtimeo = HANG_MS
    client.connect(f"tcp://127.0.0.1:{port}")
    return client


def _ask(client: Socket, request: dict[str, Any]) -> float:
    began = time.perf_counter()
    client.send(pack(request))
    client.recv()
    return (time.perf_counter() - began) * 1e6
