"""Simulated clients: one request at a time, as PROTOCOL.md says, retried until it is answered.

A write in a session is tried again through any node; one without is tried once, and its outcome may
stay unknown. What they saw is kept for `history`, which judges it. Knows nothing of Raft.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cluster.errors import RESOURCE_EXHAUSTED, UNAVAILABLE
from cluster.wire import pack, unpack
from tests.simulation.history import Operation, Stream

if TYPE_CHECKING:
    from tests.simulation.cluster import Cluster

PATIENCE_MS = 600
KEYS = tuple(b"k%d" % number for number in range(6))
TTLS_SECONDS = (0.2, 0.5, 1.5)


class Client:
    """One client; it stays with a node until that one fails it."""

    def __init__(self, cluster: Cluster, number: int) -> None:
        self.number = number
        self.stopping = False
        self._cluster = cluster
        self._node = 1 + cluster.timeline.chance(cluster.swarm.nodes)
        self._session = 0
        self._last_seq = 0
        self._last_id = 0
        self._last_value = 0
        self._leases: list[int] = []
        self._operation: Operation | None = None
        self._fields: dict[str, Any] = {}
        self._first_attempt = 0
        cluster.timeline.after(1 + number, f"client {number}", self._next)

    @property
    def is_idle(self) -> bool:
        """Whether no request is under way."""
        return self._operation is None

    # --- requests ---

    def _next(self) -> None:
        if self._operation is not None:
            return
        if not self._session:
            self._begin("session_open", {})
        elif self.stopping:
            return
        else:
            self._begin(*self._choose())

    def last(self) -> None:
        """One more write and one more read, to see that the cluster serves."""
        self.stopping = True
        self._begin("put", {"key": KEYS[0], "value": self._value()})

    def _choose(self) -> tuple[str, dict[str, Any]]:
        timeline, swarm = self._cluster.timeline, self._cluster.swarm
        key = KEYS[timeline.chance(len(KEYS))]
        if timeline.happens(swarm.leases):
            return self._choose_lease(key)
        choice = timeline.chance(10)
        if choice < 5:
            return "put", {"key": key, "value": self._value(), "prev_kv": choice == 0}
        if choice == 5:
            return "delete_range", {"key": key, "range_end": KEYS[-1], "prev_kv": True}
        fields = {"key": KEYS[0], "range_end": b"l"} if choice < 8 else {"key": key}
        return "range", {**fields, "serializable": choice == 9}

    def _choose_lease(self, key: bytes) -> tuple[str, dict[str, Any]]:
        chance = self._cluster.timeline.chance
        if not self._leases or chance(4) == 0:
            return "lease_grant", {"TTL": TTLS_SECONDS[chance(len(TTLS_SECONDS))]}
        lease = self._leases[chance(len(self._leases))]
        match chance(5):
            case 0 | 1:
                return "put", {"key": key, "value": self._value(), "lease": lease}
            case 2 | 3:
                return "lease_keep_alive", {"ID": lease}
            case _:
                return "lease_revoke", {"ID": lease}

    def _value(self) -> bytes:
        self._last_value += 1
        padding = self._cluster.timeline.chance(1 + self._cluster.swarm.value_bytes)
        return b"c%d-%d" % (self.number, self._last_value) + b"." * padding

    def _begin(self, op: str, fields: dict[str, Any]) -> None:
        cluster = self._cluster
        sessioned = op not in ("range", "session_open") and (
            self._session > 0 and not cluster.timeline.happens(cluster.swarm.unsessioned)
        )
        self._fields = {"op": op, **fields}
        if sessioned:
            self._last_seq += 1
            self._fields |= {"session": self._session, "seq": self._last_seq, "ack": self._last_seq}
        self._operation = cluster.history.begin(op, fields, cluster.timeline.now_ms)
        self._first_attempt = self._last_id + 1
        self._attempt()

    @property
    def _may_retry(self) -> bool:
        return "session" in self._fields or self._fields["op"] in ("range", "session_open")

    def _attempt(self) -> None:
        self._last_id += 1
        attempt = self._last_id
        frame = pack({**self._fields, "id": attempt})
        self._cluster.request(self.number, self._node, frame)
        self._cluster.timeline.after(
            PATIENCE_MS, f"patience {self.number}", lambda: self._give_up(attempt)
        )

    # --- answers ---

    def reply(self, payload: bytes) -> None:
        """A frame has come from some node."""
        message = unpack(payload)
        operation = self._operation
        if operation is None or not message["id"] or message["id"] < self._first_attempt:
            return
        error = message.get("error")
        if error is None:
            self._succeed(operation, message)
        elif error["code"] in (UNAVAILABLE, RESOURCE_EXHAUSTED):
            if message["id"] == self._last_id:
                self._failed_attempt(sure=not error.get("unknown", False))
        else:
            self._cluster.history.refuse(operation, error["message"])
            self._done()

    def node_down(self, node: int) -> None:
        """The connection to a node broke."""
        if node == self._node:
            self._failed_attempt(sure=False)

    def _give_up(self, attempt: int) -> None:
        if attempt == self._last_id:
            self._failed_attempt(sure=False)

    def _failed_attempt(self, sure: bool) -> None:
        """Try another node, if trying twice is safe."""
        swarm, timeline = self._cluster.swarm, self._cluster.timeline
        self._node = self._node % swarm.nodes + 1
        if self._operation is None:
            return
        if not sure and not self._may_retry:
            self._cluster.history.lose(self._operation)
            self._done()
            return
        self._last_id += 1  # an answer to the attempt that failed still counts, its failure not
        again = self._last_id

        def retry() -> None:
            if self._operation is not None and self._last_id == again:
                self._attempt()

        timeline.after(5 + timeline.chance(40), f"retry {self.number}", retry)

    def _succeed(self, operation: Operation, message: dict[str, Any]) -> None:
        match operation.op:
            case "session_open":
                self._session = message["session"]
            case "lease_grant":
                self._leases.append(message["ID"])
            case "lease_revoke":
                self._forget_lease()
            case "lease_keep_alive" if not message["TTL"]:
                self._forget_lease()
            case _:
                pass
        self._cluster.history.complete(operation, message)
        self._done()

    def _forget_lease(self) -> None:
        if self._fields["ID"] in self._leases:
            self._leases.remove(self._fields["ID"])

    def _done(self) -> None:
        self._operation = None
        timeline = self._cluster.timeline
        delay_ms = 1 + timeline.chance(2 * self._cluster.swarm.think_ms)
        timeline.after(delay_ms, f"client {self.number}", self._next)


class Flood:
    """A client that puts and reads without waiting for answers, at any node: so logs diverge."""

    def __init__(self, cluster: Cluster, number: int) -> None:
        self.number = number
        self._cluster = cluster
        self._last_id = 0
        self._operations: dict[int, Operation] = {}
        cluster.timeline.after(1, "flood", self._ask)

    def _ask(self) -> None:
        cluster = self._cluster
        every_ms = cluster.swarm.flood_every_ms
        if not every_ms:
            return
        self._last_id += 1
        op, fields = "range", {"key": b"flood"}
        if cluster.timeline.happens(0.7):
            op, fields = "put", {"key": b"flood", "value": b"f%d" % self._last_id}
        operation = cluster.history.begin(op, fields, cluster.timeline.now_ms)
        self._operations[self._last_id] = operation
        node = 1 + cluster.timeline.chance(cluster.swarm.nodes)
        frame = pack({"op": op, "id": self._last_id, **fields})
        cluster.request(self.number, node, frame)
        cluster.timeline.after(1 + cluster.timeline.chance(2 * every_ms), "flood", self._ask)

    def reply(self, payload: bytes) -> None:
        """A frame has come from some node."""
        message = unpack(payload)
        operation = self._operations.pop(message["id"])
        if "error" in message:
            self._cluster.history.lose(operation)
        else:
            self._cluster.history.complete(operation, message)

    def node_down(self, node: int) -> None:
        """The connection to a node broke; whatever was under way there is forgotten."""


class Watcher:
    """A client that watches every key from the first revision on, on one node after another."""

    def __init__(self, cluster: Cluster, number: int) -> None:
        self.number = number
        self.stream = Stream()
        self._cluster = cluster
        self._node = 1 + cluster.timeline.chance(cluster.swarm.nodes)
        self._last_id = 0
        cluster.history.streams.append(self.stream)
        cluster.timeline.after(number, f"watcher {number}", self._open)

    def _open(self) -> None:
        self._last_id += 1
        fields = {"key": b"\0", "range_end": b"\0", "start_revision": self.stream.last + 1}
        opening = self._last_id
        # The watch's id is the request's: what an earlier watch still says is told apart.
        frame = pack({"op": "watch_create", "id": opening, "watch_id": opening, **fields})
        self._cluster.request(self.number, self._node, frame)
        self._cluster.timeline.after(
            PATIENCE_MS, f"patience {self.number}", lambda: self._look_after(opening)
        )

    def reply(self, payload: bytes) -> None:
        """A frame has come from some node."""
        message = unpack(payload)
        if "error" in message or message.get("canceled"):
            if self._last_id in (message.get("id"), message.get("watch_id")):
                self._move()
        elif message.get("watch_id") == self._last_id and message.get("events"):
            self.stream.take(message["events"])

    def node_down(self, node: int) -> None:
        """The connection to a node broke."""
        if node == self._node:
            self._move()

    def _look_after(self, opening: int) -> None:
        """A node that is cut off says nothing: now and then, go and watch at another one."""
        if opening == self._last_id:
            self._move()

    def _move(self) -> None:
        self._last_id += 1
        number = self._last_id
        self._node = self._node % self._cluster.swarm.nodes + 1

        def again() -> None:
            if number == self._last_id:
                self._open()

        delay_ms = 5 + self._cluster.timeline.chance(50)
        self._cluster.timeline.after(delay_ms, f"watcher {self.number}", again)
        self._cluster.checker.counts["watches moved"] += 1
