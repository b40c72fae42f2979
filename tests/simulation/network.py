"""The network of a simulation: between members it loses, delays, repeats and reorders; to clients
it is a stream that breaks only with the node.

Knows frames and who may reach whom; refuses to know what a frame says, but for one thing: links
between members never repeat a frame by themselves, and what is passed on once relies on that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial

from actors.raft.rpc import ChangeRefusal, ChangeRequest, ForwardRefusal, ForwardRequest
from tests.forgery import CODES
from tests.simulation.swarm import Swarm
from tests.simulation.timeline import Timeline

LATE_MS_MAX = 600
"""A frame that is held up somewhere arrives up to so much later, perhaps at a later process."""

CLUSTER_ID = 1
"""Small, so that the kind of a peer's frame is its third byte."""

KIND_AT = 2
ONCE_ONLY = frozenset(
    CODES[kind] for kind in (ForwardRequest, ForwardRefusal, ChangeRequest, ChangeRefusal)
)


class Network:
    """Who can reach whom is `blocked`, by direction of hosts; everything else is chance."""

    def __init__(self, timeline: Timeline, swarm: Swarm) -> None:
        self.swarm = swarm
        self.blocked: set[tuple[int, int]] = set()
        self.lost = 0
        self.repeated = 0
        self.late = 0
        # Told of every frame between members, with the number of the host it goes to.
        self.overheard: Callable[[int, bytes], None] | None = None
        self._timeline = timeline
        self._chance = timeline.stream("network")
        self._client_chance = timeline.stream("client network")
        self._streams: dict[tuple[str, int, int], int] = {}
        self._clogged_until_ms: dict[tuple[int, int], int] = {}

    def send(
        self, source: int, target: int, frame: bytes, sent_ms: int, deliver: Callable[[bytes], None]
    ) -> None:
        """One host's frame to another; `sent_ms` may be a little ahead of now."""
        if self.overheard is not None:
            self.overheard(target, frame)
        swarm, chance = self.swarm, self._chance
        way = (source, target)
        if way in self.blocked or chance.happens(swarm.loss):
            self.lost += 1
            return
        copies = 1
        if chance.happens(swarm.duplication) and frame[KIND_AT] not in ONCE_ONLY:
            copies = 2
            self.repeated += 1
        for _ in range(copies):
            arrival_ms = sent_ms + 1 + chance(swarm.peer_delay_ms)
            if self._clogged_until_ms:
                arrival_ms = max(arrival_ms, self._clogged_until_ms.get(way, 0))
            if chance.happens(swarm.late):
                arrival_ms += chance(LATE_MS_MAX)
                self.late += 1
            elif swarm.in_order:
                arrival_ms = self._in_order(("peer", source, target), arrival_ms)
            what = f"peer {source}>{target}"
            self._timeline.at(arrival_ms, what, partial(deliver, frame), frame)

    def stream(
        self, way: str, client: int, node: int, sent_ms: int, do: Callable[[], None], frame: bytes
    ) -> None:
        """A client's frame to a node, or back: nothing is lost, and the order is kept."""
        delay_ms = 1 + self._client_chance(self.swarm.client_delay_ms)
        arrival_ms = self._in_order((way, client, node), sent_ms + delay_ms)
        self._timeline.at(arrival_ms, f"{way} {client} {node}", do, frame)

    def _in_order(self, way: tuple[str, int, int], arrival_ms: int) -> int:
        """Not before what was sent that way earlier."""
        self._streams[way] = arrival_ms = max(self._streams.get(way, 0), arrival_ms)
        return arrival_ms

    def block(self, ways: Iterable[tuple[int, int]]) -> None:
        """Nothing goes these ways any more."""
        self.blocked.update(ways)

    def clog(self, way: tuple[int, int], until_ms: int) -> None:
        """What goes this way is held back, and arrives all at once."""
        self._clogged_until_ms[way] = until_ms

    def heal(self) -> None:
        """Everybody reaches everybody."""
        self.blocked.clear()
        self._clogged_until_ms.clear()
