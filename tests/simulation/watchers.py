"""Simulated watchers: one through the shipped client's core, one that speaks the protocol itself.

The second shows what nodes send, not what the core lets through.

What they were told is kept as a stream, which judges it at the end. Knows nothing of Raft.
"""

from __future__ import annotations

from functools import partial
from math import inf
from typing import TYPE_CHECKING, Any

from actors.gateway.actor import SLOW_READER
from cluster.client.engine.notices import WatchEnded, WatchEvents
from cluster.client.results import Event
from cluster.errors import CompactedError, LeaseholdError
from cluster.wire import WireError, pack, unpack
from tests.simulation.clients import Endpoint
from tests.simulation.saved import require
from tests.simulation.streams import REASONS, Stream, Told, told

if TYPE_CHECKING:
    from tests.simulation.cluster import Cluster

PATIENCE_MS = 600
PROGRESS_MS = 100
"""So often a watcher asks how far it is."""


class Follower(Endpoint):
    """Watches from the first revision on, through the core."""

    def __init__(self, cluster: Cluster, number: int) -> None:
        super().__init__(cluster, number, exactly_once=False)
        self.stream = Stream(cluster.wishes(self.chance))
        cluster.history.streams.append(self.stream)
        self.timeline.after(number % 100, f"follower {number}", self._open)
        if not self.stream.wishes.sees_all:
            self.timeline.after(PROGRESS_MS, f"progress {number}", self._ask)

    def _open(self) -> None:
        start = self.stream.last + 1
        fields = {"op": "watch_create", "start_revision": start, **self.stream.wishes.fields}
        if self.cluster.swarm.breadth:
            fields["fragment"] = self.chance(2) == 0
        self.core.watches.open(1, fields, inf, self.now)
        self.pump()

    def _ask(self) -> None:
        self.core.watches.progress(1)
        self.pump()
        self.timeline.after(PROGRESS_MS, f"progress {self.number}", self._ask)

    def noticed(self, notice: Any) -> None:
        if isinstance(notice, WatchEvents):
            self.stream.take(_told(each) for each in notice.events)
            if not notice.events:
                self.cluster.counts["bookmarks"] += 1
                self.stream.reach(notice.header.revision)
        elif isinstance(notice, WatchEnded):
            self._ended(notice.error)

    def _ended(self, error: LeaseholdError) -> None:
        if isinstance(error, CompactedError):
            self.cluster.counts["watches compacted"] += 1
            self.stream.skip(error.compact_revision, self.timeline.now_ms)
        elif error.message == SLOW_READER:
            # Its connection was full for longer than the node waits. It goes on from where it was.
            waited = self.cluster.counts["frames that had to wait"]
            require(waited > 0, "a watch ended though its connection took all at once")
            self.cluster.counts["watches ended that were slow"] += 1
        else:
            require("for learner" in error.message, f"a watch ended: {error}")
        self.timeline.after(PATIENCE_MS, f"follower {self.number}", self._open)


def _told(event: Event) -> Told:
    kv, before = event.kv, event.prev_kv
    previous = None if before is None else (before.mod_revision, before.value)
    return Told(kv.mod_revision, kv.key, kv.value, REASONS[event.reason], previous)


class Watcher:
    """Watches from the first revision on, on one node after another, without the core."""

    def __init__(self, cluster: Cluster, number: int) -> None:
        self.number = number
        self._cluster = cluster
        self._chance = cluster.timeline.stream(f"watcher {number}")
        self.stream = Stream(cluster.wishes(self._chance))
        self._up: list[int] = []
        self._node = 0
        self._last_id = 0
        self._fragments: list[Told] = []
        cluster.visitors[number] = self
        cluster.history.streams.append(self.stream)
        cluster.timeline.after(number % 100, f"watcher {number}", self._open)
        if not self.stream.wishes.sees_all:
            cluster.timeline.after(PROGRESS_MS, f"progress {number}", self._ask)

    def _open(self) -> None:
        self._last_id += 1
        opening = self._last_id
        self._fragments = []
        if self._up:
            self._node = self._chance.of(self._up)
            # The watch's id is the request's: what an earlier watch still says is told apart.
            fields = {"id": opening, "watch_id": opening, "start_revision": self.stream.last + 1}
            if self._cluster.swarm.breadth:
                fields |= {"fragment": bool(opening & 1), "progress_notify": bool(opening & 2)}
            frame = pack({"op": "watch_create", **fields, **self.stream.wishes.fields})
            self._cluster.request(self.number, self._node, frame)
        # A node that is cut off says nothing: now and then, go and watch at another one.
        move = partial(self._move, opening)
        self._cluster.timeline.after(PATIENCE_MS, f"patience {self.number}", move)

    def _ask(self) -> None:
        """Ask how far this watch is: the answer is of that, and of no later one."""
        if self._node in self._up:
            frame = pack({"op": "watch_progress", "id": f"after {self._last_id}"})
            self._cluster.request(self.number, self._node, frame)
        self._cluster.timeline.after(PROGRESS_MS, f"progress {self.number}", self._ask)

    def reply(self, node: int, payload: bytes) -> None:
        """A frame has come from some node."""
        try:
            message = unpack(payload)
        except WireError as error:
            raise AssertionError(f"node {node} sent what is no message: {error}") from None
        if "error" in message or message.get("canceled"):
            self._canceled(message)
        elif message.get("watch_id") == self._last_id and "events" in message:
            self._events(message)
        elif message.get("id") == f"after {self._last_id}":
            self._reach(message)

    def _canceled(self, message: dict[str, Any]) -> None:
        if self._last_id not in (message.get("id"), message.get("watch_id")):
            return
        if "compact_revision" in message:
            self._cluster.counts["watches compacted"] += 1
            self.stream.skip(message["compact_revision"], self._cluster.timeline.now_ms)
        self._move(self._last_id)

    def _events(self, message: dict[str, Any]) -> None:
        self._fragments += [told(each) for each in message["events"]]
        if message.get("fragment"):
            self._cluster.counts["fragments"] += 1
            return  # the rest of a revision may be still to come
        events, self._fragments = self._fragments, []
        self.stream.take(events)
        if not events:
            self._reach(message)

    def _reach(self, message: dict[str, Any]) -> None:
        self._cluster.counts["bookmarks"] += 1
        self.stream.reach(message["header"]["revision"])

    def node_up(self, node: int) -> None:
        """A connection to a node is there."""
        if node not in self._up:
            self._up.append(node)

    def node_down(self, node: int) -> None:
        """The connection to a node broke."""
        if node in self._up:
            self._up.remove(node)
        if node == self._node:
            self._move(self._last_id)

    def _move(self, opening: int) -> None:
        if opening != self._last_id:
            return
        self._last_id += 1
        number = self._last_id

        def again() -> None:
            if number == self._last_id:
                self._open()

        self._node = 0
        delay_ms = 5 + self._chance(50)
        self._cluster.timeline.after(delay_ms, f"watcher {self.number}", again)
        self._cluster.counts["watches moved"] += 1
