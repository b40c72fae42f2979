"""`python -m tests.bench calls`: how many calls a request costs, on its leader and on a follower.

Three nodes of the shipped actors and their loop, on the simulation's calm clock, disk and network.
Counted is what a turn of the loop calls: functions of this project, and all calls (those of the
libraries and of builtins too, as cProfile counts them). Sockets and the disk are simulated, and
what they call is not counted. The counts have no noise: the same code gives the same figures on
any machine, but another Python may inline other things.
"""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple
from unittest.mock import patch

from actors.raft.core import RaftCore
from actors.raft.leader import Leader
from actors.raft.outcome import CoreConfig, Recovered
from tests.bench.company import CONNECTIONS_MAX, Company, Looks
from tests.bench.counting import CallCounter, Count, Place
from tests.simulation import making
from tests.simulation.cluster import Cluster
from tests.simulation.node import Node
from tests.simulation.swarm import Swarm
from tests.simulation.timeline import Timeline

ELECTION_MS: Final = 3_000
"""Long, so that hardly a heartbeat falls between two requests."""

SEGMENT_BYTES: Final = 4 * 1024 * 1024
"""Enough for a whole row: a node begins a segment of its log once in 100,000 puts and more."""

WARM_UP: Final = 20
"""Requests of each client before those that are counted; of all clients WARM_UP_MAX at most."""

WARM_UP_MAX: Final = 2_000
STEPS_MAX: Final = 1_000_000


class Row(NamedTuple):
    """What is counted: one request of each client is under way, until `total` are answered.

    A client alone asks the leader; several are spread over the three nodes, and very many share
    connections. The bars are the calls a request that the leader and a follower may make: a little
    above what they made when the row was last changed. Lower them when a change saves calls.
    """

    operation: str
    clients: int
    total: int
    leader_bar: float
    follower_bar: float

    @property
    def name(self) -> str:
        """As in the table."""
        return f"{self.operation}, {self.clients:,}"


ROWS: Final = (
    Row("put", 1, 100, 416, 209),
    Row("get", 1, 100, 274, 69),
    Row("put", 64, 2_000, 87, 57),
    Row("put", 1_000, 6_000, 37.5, 28),
    Row("get", 1_000, 6_000, 22, 15),
    Row("txn", 256, 4_000, 129.5, 98),
)


class Calls(NamedTuple):
    """What the two nodes called, for `requests` requests."""

    requests: int
    leader: Count
    follower: Count

    def figures(self) -> tuple[float, float, float, float]:
        """A request's calls: own functions on the leader and the follower, then all calls."""
        counts = (self.leader, self.follower)
        own, every = [c.own.total() for c in counts], [c.all_calls for c in counts]
        leader_own, follower_own, leader_all, follower_all = (
            number / self.requests for number in (*own, *every)
        )
        return leader_own, follower_own, leader_all, follower_all

    def rooms(self, top: int) -> list[str]:
        """Own calls a request by room, and the leader's functions that are called most often."""
        rooms = [_by_room(count.own) for count in (self.leader, self.follower)]
        lines = [
            f"  {room:24}" + "".join(f"{each[room] / self.requests:10.1f}" for each in rooms)
            for room in sorted(rooms[0].keys() | rooms[1].keys())
        ]
        for place, count in self.leader.own.most_common(top):
            lines.append(f"  {count / self.requests:8.2f} {place[0]} {place[1]}")
        return lines


def _by_room(counts: Counter[Place]) -> Counter[str]:
    rooms: Counter[str] = Counter()
    for (file, _), count in counts.items():
        rooms[str(Path(file).parent)] += count
    return rooms


def run(say: Callable[[str], None], top: int = 0, rows: Sequence[Row] = ROWS) -> bool:
    """Count each row and print it; whether all are within their bars."""
    say(f"{'calls a request':14}{'own functions':>22}{'all calls':>22}{'bar':>22}")
    say(f"{'':14}" + 3 * f"{'leader':>12}{'follower':>10}")
    complaints: list[str] = []
    for row in rows:
        calls = measure(row)
        say(line(row, calls))
        if top:
            for text in calls.rooms(top):
                say(text)
        complaints += over(row, calls)
    for complaint in complaints:
        say(complaint)
    return not complaints


def line(row: Row, calls: Calls) -> str:
    """The row's line in the table."""
    figures = (*calls.figures(), row.leader_bar, row.follower_bar)
    leaders, followers = figures[::2], figures[1::2]
    pairs = zip(leaders, followers, strict=True)
    return f"{row.name:14}" + "".join(f"{a:12.1f}{b:10.1f}" for a, b in pairs)


def over(row: Row, calls: Calls) -> list[str]:
    """A complaint for each node that makes more calls than its bar allows."""
    *_, leader, follower = calls.figures()
    sides = (("leader", leader, row.leader_bar), ("follower", follower, row.follower_bar))
    return [
        f"{row.name}: the {side} makes {made:.1f} calls a request, more than {bar:g}"
        for side, made, bar in sides
        if made > bar
    ]


class Unwatched(RaftCore):
    """The core as it is shipped: what the simulation calls to watch it is no part of a request."""

    watch: Final = None

    def __init__(
        self,
        config: CoreConfig,
        recovered: Recovered,
        now_ms: int,
        chance: Callable[[int], int],
        _: object,
    ) -> None:
        super().__init__(config, recovered, now_ms, chance)


def measure(row: Row, seed: int = 0) -> Calls:
    """Count the calls of a row's requests."""
    timeline = Timeline(seed)
    cluster = Cluster(timeline, Swarm(election_ms=ELECTION_MS, segment_bytes=SEGMENT_BYTES))
    with patch.object(making, "WatchedCore", Unwatched):
        cluster.begin()
    _step_until(timeline, lambda: _leads(cluster))
    leader = cluster.leader()
    assert leader is not None
    nodes = cluster.running()
    for node in nodes:
        Looks(node, batches=row.clients > CONNECTIONS_MAX)
    follower = next(node for node in nodes if node is not leader)
    company = Company(cluster, row.operation, row.clients, [leader] if row.clients == 1 else nodes)
    company.begin()
    warm = min(WARM_UP * row.clients, WARM_UP_MAX)
    _step_until(timeline, lambda: company.answered >= warm)
    before = company.answered
    # The collector may end something of another test, and what that calls would be counted.
    gc.disable()
    try:
        with _counting(leader) as at_leader, _counting(follower) as at_follower:
            _step_until(timeline, lambda: company.answered >= before + row.total)
    finally:
        gc.enable()
    return Calls(company.answered - before, at_leader.result(), at_follower.result())


def _leads(cluster: Cluster) -> bool:
    """Whether a leader has committed in its term, so that it serves everybody."""
    node = cluster.leader()
    if node is None:
        return False
    role = node.core.role
    return isinstance(role, Leader) and node.core.replica.commit >= role.start_index


def _step_until(timeline: Timeline, is_done: Callable[[], bool]) -> None:
    for _ in range(STEPS_MAX):
        if is_done():
            return
        timeline.step()
    raise AssertionError(f"after {STEPS_MAX} events nothing is decided")


@contextmanager
def _counting(node: Node) -> Iterator[CallCounter]:
    """Count what a node's loop calls in its turns."""
    counter = CallCounter()
    loop = vars(node.loop)
    loop["turn"] = counter.counted(node.loop.turn)
    try:
        yield counter
    finally:
        del loop["turn"]
