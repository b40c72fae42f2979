"""The network of a simulation: between members it loses, delays, repeats and reorders; to clients
it is a stream that breaks only with the node.

Knows frames and who may reach whom; refuses to know what a frame says, but for one thing: real
links never repeat a frame, and proposals on their way to the leader rely on that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial

from actors.raft.codec import PeerCodec
from actors.raft.rpc import ForwardRefusal, ForwardRequest
from tests.simulation.swarm import Swarm
from tests.simulation.timeline import Timeline

CLUSTER_ID = 1
"""Small, so that the kind of a peer's frame is its third byte."""

_KIND_AT = 2
_NEVER_REPEATED = {
    PeerCodec(CLUSTER_ID).encode(message)[_KIND_AT]
    for message in (ForwardRequest(1, 1, 1, ()), ForwardRefusal(1, 1, 1, (), False))
}


class Network:
    """Who can reach whom is `blocked`, by direction; everything else is chance."""

    def __init__(self, timeline: Timeline, swarm: Swarm) -> None:
        self.swarm = swarm
        self.blocked: set[tuple[int, int]] = set()
        self.lost = 0
        self.repeated = 0
        self._timeline = timeline
        self._streams: dict[tuple[str, int, int], int] = {}

    def send(
        self, source: int, target: int, frame: bytes, sent_ms: int, deliver: Callable[[bytes], None]
    ) -> None:
        """One member's frame to another; `sent_ms` may be a little ahead of now."""
        timeline, swarm = self._timeline, self.swarm
        if (source, target) in self.blocked or timeline.happens(swarm.loss):
            self.lost += 1
            return
        copies = 1
        if frame[_KIND_AT] not in _NEVER_REPEATED and timeline.happens(swarm.duplication):
            copies = 2
            self.repeated += 1
        for _ in range(copies):
            arrival_ms = sent_ms + 1 + timeline.chance(swarm.peer_delay_ms)
            if swarm.in_order:
                arrival_ms = self._in_order(("peer", source, target), arrival_ms)
            timeline.at(arrival_ms, f"peer {source}>{target}", partial(deliver, frame), frame)

    def stream(
        self, way: str, client: int, node: int, sent_ms: int, do: Callable[[], None], frame: bytes
    ) -> None:
        """A client's frame to a node, or back: nothing is lost, and the order is kept."""
        delay_ms = 1 + self._timeline.chance(self.swarm.client_delay_ms)
        arrival_ms = self._in_order((way, client, node), sent_ms + delay_ms)
        self._timeline.at(arrival_ms, f"{way} {client} {node}", do, frame)

    def _in_order(self, way: tuple[str, int, int], arrival_ms: int) -> int:
        """Not before what was sent that way earlier."""
        self._streams[way] = arrival_ms = max(self._streams.get(way, 0), arrival_ms)
        return arrival_ms

    def part(self, one: Iterable[int], other: Iterable[int], both_ways: bool = True) -> None:
        """Nothing goes from one group to the other any more, nor back unless told otherwise."""
        ways = [(a, b) for a in one for b in other]
        self.blocked.update(ways)
        if both_ways:
            self.blocked.update((b, a) for a, b in ways)

    def heal(self) -> None:
        """Everybody reaches everybody."""
        self.blocked.clear()
