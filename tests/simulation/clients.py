"""Simulated clients: the shipped client's core between a workload and the nodes.

What they saw is kept for `history`, which judges it. Beside them are two that speak the protocol
themselves: one that floods, and one whose watch shows what nodes send, not what the core lets
through. Knows nothing of Raft.
"""

from __future__ import annotations

from functools import partial
from math import ceil, inf
from typing import TYPE_CHECKING, Any

from cluster.client.call import Call
from cluster.client.core import Core, Options
from cluster.client.watching import WatchEnded, WatchEvents
from cluster.errors import LeaseholdError, OutcomeUnknownError
from cluster.wire import WireError, pack, unpack
from tests.simulation.history import LEASED, REASONS, Operation, Stream, Told
from tests.simulation.saved import require

if TYPE_CHECKING:
    from tests.simulation.cluster import Cluster

TIMEOUT_SECONDS = 3.0
PATIENCE_MS = 600
KEYS = tuple(b"k%d" % number for number in range(6))
LEASED_KEYS = tuple(b"%s%d" % (LEASED.encode(), number) for number in range(3))
TTLS_SECONDS = (0.2, 0.5, 1.5)
REFUSALS = (
    "lease not found",
    "context deadline exceeded",
    "not supported for learner",
    "space exceeded",
)
"""A client that reaches only a learner, or a leader whose disk is nearly full, is told so."""

WRITES = frozenset(("put", "delete_range", "lease_grant", "lease_revoke"))


class Endpoint:
    """A client's core, its connections and its timer."""

    def __init__(self, cluster: Cluster, number: int, exactly_once: bool) -> None:
        self.number = number
        self.cluster = cluster
        self.timeline = cluster.timeline
        self.chance = cluster.timeline.stream(f"client {number}")
        names = [str(node) for node in cluster.nodes]
        options = Options(exactly_once=exactly_once)
        first = self.chance(cluster.swarm.nodes)
        self.core = Core(names, options, self.chance.random.random, first)
        self._wake_ms: float = inf
        cluster.visitors[number] = self

    @property
    def now(self) -> float:
        """The time in seconds, as the core has it."""
        return self.timeline.now_ms / 1_000

    def reply(self, node: int, payload: bytes) -> None:
        """A frame has come from some node."""
        self.core.reply(str(node), unpack(payload), self.now)
        self.pump()

    def node_up(self, node: int) -> None:
        """A connection to a node is there."""
        self.core.endpoint_up(str(node), self.now)
        self.pump()

    def node_down(self, node: int) -> None:
        """The connection to a node broke."""
        self.core.endpoint_down(str(node), self.now)
        self.pump()

    def pump(self) -> None:
        """Carry out what the core has decided."""
        core = self.core
        while core.sends or core.completed or core.notices:
            sends, core.sends = core.sends, []
            completed, core.completed = core.completed, []
            notices, core.notices = core.notices, []
            for name, frame in sends:
                self.cluster.request(self.number, int(name), frame)
            for call in completed:
                self.completed(call)
            for notice in notices:
                self.noticed(notice)
        wake_ms = (
            max(self.timeline.now_ms + 1, ceil(core.wake_at * 1_000))
            if (core.wake_at < inf)
            else inf
        )
        if wake_ms < self._wake_ms or self._wake_ms <= self.timeline.now_ms < wake_ms < inf:
            self._wake_ms = wake_ms
            self.timeline.at(int(wake_ms), f"tick {self.number}", self._tick)

    def _tick(self) -> None:
        if self.timeline.now_ms >= self._wake_ms:
            self._wake_ms = inf
        self.core.tick(self.now)
        self.pump()

    def completed(self, call: Call) -> None:
        """A call has its answer."""

    def noticed(self, notice: Any) -> None:
        """Something has happened that nobody asked for just now."""


class Request(Call):
    """A call of the workload."""

    __slots__ = ("operation",)

    operation: Operation


class Client(Endpoint):
    """A workload of puts, deletes, reads and leases; every value is its own."""

    def __init__(self, cluster: Cluster, number: int) -> None:
        super().__init__(cluster, number, exactly_once=not cluster.swarm.unsessioned)
        self.stopping = False
        self.outstanding = 0
        self._last_value = 0
        self._leases: list[int] = []
        for _ in range(cluster.swarm.clients_outstanding):
            self.timeline.after(1 + self.chance(20), f"client {number}", self._next)

    @property
    def is_idle(self) -> bool:
        """Whether no request is under way."""
        return not self.outstanding

    def last(self) -> None:
        """One more write and one more read, to see that the cluster serves."""
        self.stopping = True
        self._begin({"op": "put", "key": KEYS[0], "value": self._value()})
        self._begin({"op": "range", "key": KEYS[0], "range_end": b"l"})

    def _next(self) -> None:
        if not self.stopping:
            self._begin(self._choose())

    def _choose(self) -> dict[str, Any]:
        chance = self.chance
        key = chance.of(KEYS)
        if chance.happens(self.cluster.swarm.leases):
            return self._choose_lease()
        choice = chance(10)
        if choice < 5:
            return {"op": "put", "key": key, "value": self._value(), "prev_kv": choice == 0}
        if choice == 5:
            if chance(2):
                return {"op": "delete_range", "key": key, "prev_kv": True}
            return {"op": "delete_range", "key": LEASED_KEYS[0], "range_end": b"m"}
        fields = {"key": KEYS[0], "range_end": b"l"} if choice < 8 else {"key": key}
        return {"op": "range", **fields, "serializable": choice == 9}

    def _choose_lease(self) -> dict[str, Any]:
        chance = self.chance
        if not self._leases or chance(4) == 0:
            return {"op": "lease_grant", "TTL": chance.of(TTLS_SECONDS)}
        lease = chance.of(self._leases)
        match chance(6):
            case 0 | 1:
                key = chance.of(LEASED_KEYS)
                return {"op": "put", "key": key, "value": self._value(), "lease": lease}
            case 2 | 3 | 4:
                return {"op": "lease_keep_alive", "ID": lease}
            case _:
                return {"op": "lease_revoke", "ID": lease}

    def _value(self) -> bytes:
        self._last_value += 1
        padding = self.chance(1 + self.cluster.swarm.value_bytes)
        return b"c%d-%d" % (self.number, self._last_value) + b"." * padding

    def _begin(self, fields: dict[str, Any]) -> None:
        request = Request(dict(fields), TIMEOUT_SECONDS, write=fields["op"] in WRITES)
        request.patient = True
        client = f"client {self.number}"
        request.operation = self.cluster.history.begin(client, fields, self.timeline.now_ms)
        self.outstanding += 1
        self.core.call(request, self.now)
        self.pump()

    def completed(self, call: Call) -> None:
        assert isinstance(call, Request)
        operation = call.operation
        history, now_ms = self.cluster.history, self.timeline.now_ms
        self.outstanding -= 1
        if call.reply is not None:
            history.complete(operation, dict(call.reply), now_ms)
            self._learn(operation)
        elif isinstance(call.error, OutcomeUnknownError):
            history.lose(operation)
        else:
            assert call.error is not None
            self._refused(operation, call.error)
            history.refuse(operation, now_ms)
        if not self.stopping:
            delay_ms = 1 + self.chance(2 * self.cluster.swarm.think_ms)
            self.timeline.after(delay_ms, f"client {self.number}", self._next)

    def _learn(self, operation: Operation) -> None:
        reply = operation.reply
        match operation.fields["op"]:
            case "lease_grant":
                self._leases.append(reply["ID"])
            case "lease_revoke":
                self._forget(operation)
            case "lease_keep_alive" if not reply["TTL"]:
                self._forget(operation)
            case _:
                pass

    def _refused(self, operation: Operation, error: LeaseholdError) -> None:
        text = error.message
        expected = any(words in text for words in REFUSALS)
        require(expected, f"{operation.fields['op']} was refused: {text}")

    def _forget(self, operation: Operation) -> None:
        if operation.fields["ID"] in self._leases:
            self._leases.remove(operation.fields["ID"])


class Follower(Endpoint):
    """Watches every key from the first revision on, through the core."""

    def __init__(self, cluster: Cluster, number: int) -> None:
        super().__init__(cluster, number, exactly_once=False)
        self.stream = Stream()
        cluster.history.streams.append(self.stream)
        self.timeline.after(number % 100, f"follower {number}", self._open)

    def _open(self) -> None:
        start = self.stream.last + 1
        fields = {"op": "watch_create", "key": b"\0", "range_end": b"\0", "start_revision": start}
        self.core.watches.open(1, fields, inf, self.now)
        self.pump()

    def noticed(self, notice: Any) -> None:
        if isinstance(notice, WatchEvents):
            self.stream.take(
                Told(each.revision, each.kv.key, each.kv.value, REASONS[each.reason])
                for each in notice.events
            )
        elif isinstance(notice, WatchEnded):
            require("for learner" in notice.error.message, f"a watch ended: {notice}")
            self.timeline.after(PATIENCE_MS, f"follower {self.number}", self._open)


class Flood:
    """A client that puts and reads without waiting for answers, at any node: so logs diverge."""

    def __init__(self, cluster: Cluster, number: int) -> None:
        self.number = number
        self._cluster = cluster
        self._chance = cluster.timeline.stream(f"flood {number}")
        self._last_id = 0
        self._up: list[int] = []
        self._operations: dict[int, Operation] = {}
        cluster.visitors[number] = self
        cluster.timeline.after(1, "flood", self._ask)

    def _ask(self) -> None:
        cluster = self._cluster
        every_ms = cluster.swarm.flood_every_ms
        if not every_ms:
            return
        if self._up:
            self._send()
        cluster.timeline.after(1 + self._chance(2 * every_ms), "flood", self._ask)

    def _send(self) -> None:
        cluster = self._cluster
        self._last_id += 1
        fields: dict[str, Any] = {"op": "range", "key": b"flood"}
        if self._chance.happens(0.7):
            fields = {"op": "put", "key": b"flood", "value": b"f%d" % self._last_id}
        operation = cluster.history.begin("flood", fields, cluster.timeline.now_ms)
        self._operations[self._last_id] = operation
        frame = pack({"id": self._last_id, **fields})
        cluster.request(self.number, self._chance.of(self._up), frame)

    def reply(self, node: int, payload: bytes) -> None:
        """A frame has come from some node."""
        message = unpack(payload)
        operation = self._operations.pop(message["id"])
        error = message.get("error")
        if error is None:
            self._cluster.history.complete(operation, message, self._cluster.timeline.now_ms)
        elif error.get("unknown"):
            self._cluster.history.lose(operation)
        else:
            self._cluster.history.refuse(operation, self._cluster.timeline.now_ms)

    def node_up(self, node: int) -> None:
        """A connection to a node is there."""
        if node not in self._up:
            self._up.append(node)

    def node_down(self, node: int) -> None:
        """The connection to a node broke; whatever was under way there is forgotten."""
        if node in self._up:
            self._up.remove(node)


class Watcher:
    """Watches every key from the first revision on, on one node after another, without the core."""

    def __init__(self, cluster: Cluster, number: int) -> None:
        self.number = number
        self.stream = Stream()
        self._cluster = cluster
        self._chance = cluster.timeline.stream(f"watcher {number}")
        self._up: list[int] = []
        self._node = 0
        self._last_id = 0
        cluster.visitors[number] = self
        cluster.history.streams.append(self.stream)
        cluster.timeline.after(number % 100, f"watcher {number}", self._open)

    def _open(self) -> None:
        self._last_id += 1
        opening = self._last_id
        if self._up:
            self._node = self._chance.of(self._up)
            # The watch's id is the request's: what an earlier watch still says is told apart.
            fields = {"key": b"\0", "range_end": b"\0", "start_revision": self.stream.last + 1}
            frame = pack({"op": "watch_create", "id": opening, "watch_id": opening, **fields})
            self._cluster.request(self.number, self._node, frame)
        # A node that is cut off says nothing: now and then, go and watch at another one.
        move = partial(self._move, opening)
        self._cluster.timeline.after(PATIENCE_MS, f"patience {self.number}", move)

    def reply(self, node: int, payload: bytes) -> None:
        """A frame has come from some node."""
        try:
            message = unpack(payload)
        except WireError as error:
            raise AssertionError(f"node {node} sent what is no message: {error}") from None
        if "error" in message or message.get("canceled"):
            if self._last_id in (message.get("id"), message.get("watch_id")):
                self._move(self._last_id)
        elif message.get("watch_id") == self._last_id and message.get("events"):
            self.stream.take(
                Told(
                    each["kv"]["mod_revision"],
                    each["kv"]["key"],
                    each["kv"].get("value", b""),
                    REASONS[each.get("reason", "")],
                )
                for each in message["events"]
            )

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
