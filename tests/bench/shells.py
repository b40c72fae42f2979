"""`python -m tests.bench shells DIR`: the client's shells beside raw sockets, and beside aetcd.

Puts and gets of small keys, with 1 to 4,000 of them under way, by one process of each kind: raw
ZeroMQ, which is the upper bound; the threaded client, by threads and by futures; the client for
asyncio; and aetcd, on a real etcd and on a front of ours. All take turns, round by round. Shown are
requests a second, and microseconds of the processor in the client's process for each: rates depend
on the nodes too. DIR holds etcd; without it, aetcd is left out. aetcd is to be installed
beside this project.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from typing import Final, NamedTuple

from cluster.launcher.local import LocalCluster
from tests.bench import aside
from tests.bench.etcd import EtcdCluster
from tests.bench.shell_loads import GET, PUT, Done, Job

NODES: Final = 3
ROUNDS: Final = 3
STOP_SECONDS: Final = 30.0
US: Final = 1e6

UNDER_WAY: Final = ((1, 2_000), (64, 10_000), (1_000, 20_000), (4_000, 20_000))
"""Requests under way at a time, and requests of a round."""

THREADS_MAX: Final = 1_000
"""More are under way by tasks and by futures only."""

Say = Callable[[str], None]


class Side(NamedTuple):
    """A kind of client on a cluster; `kind` is one of `shell_loads`."""

    name: str
    kind: str
    addresses: tuple[str, ...]


def run(directory: Path | None, rounds: int, scale: float, say: Say) -> None:
    """Measure, and print a row for each load."""
    with ExitStack() as stack:
        measure(stack.enter_context(sides(directory, say)), rounds, scale, say)


@contextmanager
def sides(directory: Path | None, say: Say, size: int = NODES) -> Iterator[list[Side]]:
    """All clients that can be compared, while their clusters run."""
    has_aetcd = directory is not None and find_spec("aetcd") is not None
    if directory is not None and not has_aetcd:
        say("aetcd is left out: pip install aetcd")
    with ExitStack() as stack:
        ours = stack.enter_context(LocalCluster(size, front=has_aetcd))
        leader = ours.leader()
        direct = (ours.node(leader).direct_address, *ours.direct_endpoints)
        kinds = {"raw sockets": "raw", "threads": "threads", "futures": "futures", "aio": "asyncio"}
        found = [Side(name, kind, tuple(dict.fromkeys(direct))) for name, kind in kinds.items()]
        if directory is not None and has_aetcd:
            etcd = stack.enter_context(EtcdCluster(directory, size))
            led = etcd.endpoints.split(",")[etcd.leader()]
            found.append(Side("aetcd, our front", "aetcd", (ours.node(leader).endpoint,)))
            found.append(Side("aetcd, etcd", "aetcd", (led,)))
        yield found


def measure(
    compared: Sequence[Side],
    rounds: int,
    scale: float,
    say: Say,
    under_way: Sequence[tuple[int, int]] = UNDER_WAY,
) -> None:
    """Have all clients do each load in turns, and print the medians; then their sockets."""
    with ExitStack() as stack:
        clients = [stack.enter_context(Loaded(side)) for side in compared]
        say(f"{'':10}" + "".join(f"{side.name:>22}" for side in compared))
        say(f"{'':10}" + f"{'/s':>14}{'us':>8}" * len(compared))
        for at_a_time, count in under_way:
            total = max(at_a_time, int(count * scale))
            for operation in (PUT, GET):
                job = Job(operation, at_a_time, total)
                done = [[client.do(job) for client in clients] for _ in range(rounds)]
                say(_row(job, list(zip(*done, strict=True))))
        say(f"{'sockets':10}" + "".join(f"{client.sockets_max:>22}" for client in clients))


class Loaded:
    """The process of a client, and the most sockets that it had."""

    def __init__(self, side: Side) -> None:
        self.sockets_max = 0
        self._side = side
        self._process = aside.start("tests.bench.shell_loads", side.kind, *side.addresses)

    def __enter__(self) -> Loaded:
        try:
            aside.wait_until_ready(self._process)
        except BaseException:
            self._process.kill()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self._process.communicate(timeout=STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.communicate()

    def do(self, job: Job) -> Done | None:
        """What the job took; None if this client does not do it."""
        if self._side.kind == "threads" and job.under_way > THREADS_MAX:
            return None
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps(job) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, f"{self._side.name} failed"
        done = Done(*json.loads(line))
        self.sockets_max = max(self.sockets_max, done.sockets)
        return done


def _row(job: Job, done: Sequence[Sequence[Done | None]]) -> str:
    return f"{job.operation}{job.under_way:>7,}" + "".join(_cell(job, each) for each in done)


def _cell(job: Job, rounds: Sequence[Done | None]) -> str:
    took = [each for each in rounds if each is not None]
    if not took:
        return f"{'-':>14}{'-':>8}"
    rate = median(job.total / each.seconds for each in took)
    cpu = median(each.cpu_seconds / job.total * US for each in took)
    return f"{rate:>14,.0f}{cpu:>8.0f}"
