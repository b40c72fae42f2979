"""Another operator, who does not wait until a change of members is done before asking for the next.

What is asked changes nothing - a member is to be reached where it is reached - but it is a change,
and there may be only one at a time. Answers are of no interest: refused is as good as done.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cluster.wire import pack

if TYPE_CHECKING:
    from tests.simulation.cluster import Cluster


class Rival:
    """Asks every node, several times within a few milliseconds, when told to."""

    def __init__(self, cluster: Cluster, number: int) -> None:
        self.number = number
        self._cluster = cluster
        self._chance = cluster.timeline.stream(f"rival {number}")
        self._last_id = 0
        self._left = 0
        cluster.visitors[number] = self

    def hurry(self, requests: int) -> None:
        """Ask for that many changes, one after the other."""
        was_busy, self._left = self._left > 0, requests
        if not was_busy:
            self._ask()

    def _ask(self) -> None:
        self._left -= 1
        self._last_id += 1
        cluster, chance = self._cluster, self._chance
        peer = chance.of(cluster.members.peers)
        fields = {"op": "member_update", "ID": peer.id, "peerURLs": list(peer.peer_urls)}
        nodes = [node.number for node in cluster.running()]
        if nodes:
            frame = pack({"id": self._last_id, **fields})
            cluster.request(self.number, chance.of(nodes), frame)
        if self._left > 0:
            cluster.timeline.after(chance(2), f"rival {self.number}", self._ask)

    def reply(self, node: int, payload: bytes) -> None:
        """Whatever is answered."""

    def node_up(self, node: int) -> None:
        """It asks whoever runs."""

    def node_down(self, node: int) -> None:
        """It waits for nothing."""
