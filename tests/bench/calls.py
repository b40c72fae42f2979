"""`python -m tests.bench calls`: how many Python calls one put costs, on its leader and a follower.

Three nodes of the shipped actors, on the simulation's calm clock, disk and network; one client puts
at the leader, one at a time. Counted are the calls of functions of this project that the actors
make: not those of Pykka, of the simulation, or of builtins. The count has no noise: the same code
gives the same figures on any machine, but another Python may inline other things.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any, Final, NamedTuple

import actors
from actors.raft.leader import Leader
from cluster.wire import pack, unpack
from tests.simulation.cluster import Cluster
from tests.simulation.node import Node
from tests.simulation.swarm import Swarm
from tests.simulation.timeline import Timeline

PUTS: Final = 100
WARM_UP: Final = 20
"""Puts before those that are counted."""

ELECTION_MS: Final = 3_000
"""Long, so that hardly a heartbeat falls between two puts."""

STEPS_MAX: Final = 100_000
SOURCE: Final = Path(actors.__file__).parents[1]

Place = tuple[str, str]
"""A file, seen from the top of the project, and the name of a function in it."""


class Calls(NamedTuple):
    """How often each function was called on the two nodes, for `puts` puts."""

    puts: int
    leader: Counter[Place]
    follower: Counter[Place]

    def lines(self, top: int = 0) -> list[str]:
        """A table of calls a put by room, and the functions that are called most often."""
        lines = [f"{'calls a put':24}{'leader':>10}{'follower':>10}"]
        rooms = [_by_room(counts) for counts in (self.leader, self.follower)]
        for room in sorted(rooms[0].keys() | rooms[1].keys()):
            lines.append(self._line(room, *(each[room] for each in rooms)))
        lines.append(self._line("in all", self.leader.total(), self.follower.total()))
        for place, count in self.leader.most_common(top):
            lines.append(f"{count / self.puts:8.2f} {place[0]} {place[1]}")
        return lines

    def _line(self, name: str, *counts: int) -> str:
        return f"{name:24}" + "".join(f"{count / self.puts:10.1f}" for count in counts)


def _by_room(counts: Counter[Place]) -> Counter[str]:
    rooms: Counter[str] = Counter()
    for (file, _), count in counts.items():
        rooms[str(Path(file).parent)] += count
    return rooms


class Writer:
    """A client that puts at one node, and puts again when that is answered."""

    number = 100

    def __init__(self, cluster: Cluster, node: Node) -> None:
        self.answered = 0
        self._cluster = cluster
        self._node = node
        cluster.visitors[self.number] = self

    def put(self) -> None:
        """Send the next put."""
        frame = pack({"id": self.answered, "op": "put", "key": b"key", "value": b"value"})
        self._cluster.request(self.number, self._node.number, frame)

    def reply(self, node: int, payload: bytes) -> None:
        """The put is answered."""
        answer = unpack(payload)
        assert "error" not in answer, answer
        self.answered += 1
        self.put()

    def node_up(self, node: int) -> None:
        """It knows its node."""

    def node_down(self, node: int) -> None:
        """None goes down."""


def measure(puts: int = PUTS, seed: int = 0) -> Calls:
    """Count the calls of so many puts."""
    timeline = Timeline(seed)
    cluster = Cluster(timeline, Swarm(election_ms=ELECTION_MS))
    cluster.begin()
    _step_until(timeline, lambda: _leads(cluster))
    leader = cluster.leader()
    assert leader is not None
    follower = next(node for node in cluster.running() if node is not leader)
    writer = Writer(cluster, leader)
    writer.put()
    _step_until(timeline, lambda: writer.answered == WARM_UP)
    with _counting(leader) as at_leader, _counting(follower) as at_follower:
        _step_until(timeline, lambda: writer.answered == WARM_UP + puts)
    return Calls(puts, at_leader, at_follower)


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
def _counting(node: Node) -> Iterator[Counter[Place]]:
    """Count what the actors of a node call when they receive something."""
    assert node.actors is not None
    counts: Counter[Place] = Counter()
    places: dict[Any, Place | None] = {}

    def profile(frame: FrameType, event: str, argument: Any) -> None:
        if event == "call":
            code = frame.f_code
            if code not in places:
                places[code] = _place(code.co_filename, code.co_qualname)
            place = places[code]
            if place is not None:
                counts[place] += 1

    def counted(handle: Callable[..., Any]) -> Callable[..., Any]:
        def handle_and_count(*message: Any) -> Any:
            sys.setprofile(profile)
            try:
                return handle(*message)
            finally:
                sys.setprofile(None)

        return handle_and_count

    for actor in node.actors:
        vars(actor)["receive"] = counted(actor.receive)
        vars(actor)["settle"] = counted(actor.settle)
    try:
        yield counts
    finally:
        for actor in node.actors:
            del vars(actor)["receive"], vars(actor)["settle"]


def _place(file: str, function: str) -> Place | None:
    path = Path(file)
    if not path.is_relative_to(SOURCE):
        return None
    place = path.relative_to(SOURCE)
    return (str(place), function) if place.parts[0] in ("actors", "cluster") else None
