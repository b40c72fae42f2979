"""Simulated clients: the shipped client's core between a workload and the nodes.

What they saw is kept for `history`, which judges it. Beside them is one that speaks the protocol
itself, and floods. Knows nothing of Raft, or of watches.
"""

from __future__ import annotations

from functools import partial
from math import ceil, inf
from typing import TYPE_CHECKING, Any, Final

from cluster.client.engine.call import Call
from cluster.client.engine.calling import CallOptions
from cluster.client.engine.core import Core
from cluster.errors import LeaseholdError, OutcomeUnknownError
from cluster.wire import pack, unpack
from tests.simulation.history import Operation
from tests.simulation.requests import FLOOD, OWN, TTLS_SECONDS, Requests, is_write
from tests.simulation.saved import require

if TYPE_CHECKING:
    from tests.simulation.cluster import Cluster

REFUSALS = (
    "lease not found",
    "context deadline exceeded",
    "not supported for learner",
    "space exceeded",
    "too many leases",
    "has been compacted",
    "future revision",
)
"""A client that reaches only a learner, or a leader whose disk is nearly full, is told so; whether
it was told of revisions with reason, is judged at the end.
"""

LAST_MOMENT_MS: Final = 3
"""How long before a lease's end its last renewal may be asked for: about the way to the leader."""


class Endpoint:
    """A client's core, its connections and its timer."""

    def __init__(self, cluster: Cluster, number: int, exactly_once: bool) -> None:
        self.number = number
        self.cluster = cluster
        self.timeline = cluster.timeline
        self.chance = cluster.timeline.stream(f"client {number}")
        names = [str(node) for node in cluster.nodes]
        options = CallOptions(exactly_once=exactly_once)
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
            sends, completed, notices = list(core.sends), list(core.completed), list(core.notices)
            core.sends.clear()
            core.completed.clear()
            core.notices.clear()
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
    """A workload of puts, deletes, reads and leases, and at times of all that there is besides;
    every value is its own.
    """

    def __init__(self, cluster: Cluster, number: int) -> None:
        super().__init__(cluster, number, exactly_once=not cluster.swarm.unsessioned)
        self.stopping = False
        self.outstanding = 0
        self._last_value = 0
        self._leases: list[int] = []
        self._requests = Requests(self.chance, OWN, self._value, self._delta)
        for _ in range(cluster.swarm.clients_outstanding):
            self.timeline.after(1 + self.chance(20), f"client {number}", self._next)

    @property
    def is_idle(self) -> bool:
        """Whether no request is under way."""
        return not self.outstanding

    def last(self) -> None:
        """One more write and one more read, to see that the cluster serves."""
        self.stopping = True
        self._begin({"op": "put", "key": OWN.plain[0], "value": self._value()})
        self._begin({"op": "range", "key": OWN.plain[0], "range_end": b"l"})

    def _next(self) -> None:
        if not self.stopping:
            self._begin(self._choose())

    def _choose(self) -> dict[str, Any]:
        chance, swarm = self.chance, self.cluster.swarm
        if chance.happens(swarm.breadth):
            more = ("compact",) * swarm.compactions + ("alarm",) * swarm.alarms
            return self._requests.draw(self.cluster.history.revision, self._leases, more)
        key = chance.of(OWN.plain)
        if chance.happens(swarm.leases):
            return self._choose_lease()
        choice = chance(10)
        if choice < 5:
            return {"op": "put", "key": key, "value": self._value(), "prev_kv": choice == 0}
        if choice == 5:
            if chance(2):
                return {"op": "delete_range", "key": key, "prev_kv": True}
            return {"op": "delete_range", "key": OWN.leased[0], "range_end": b"m"}
        fields = {"key": OWN.plain[0], "range_end": b"l"} if choice < 8 else {"key": key}
        return {"op": "range", **fields, "serializable": choice == 9}

    def _choose_lease(self) -> dict[str, Any]:
        chance = self.chance
        if not self._leases or chance(4) == 0:
            return {"op": "lease_grant", "TTL": chance.of(TTLS_SECONDS)}
        lease = chance.of(self._leases)
        match chance(6):
            case 0 | 1:
                key = chance.of(OWN.leased)
                return {"op": "put", "key": key, "value": self._value(), "lease": lease}
            case 2 | 3 | 4:
                return {"op": "lease_keep_alive", "ID": lease}
            case _:
                return {"op": "lease_revoke", "ID": lease}

    def _value(self) -> bytes:
        self._last_value += 1
        padding = self.chance(1 + self.cluster.swarm.value_bytes)
        return b"c%d-%d" % (self.number, self._last_value) + b"." * padding

    def _delta(self) -> int:
        self._last_value += 1
        return 1_000 * self._last_value + self.number

    def _begin(self, fields: dict[str, Any]) -> None:
        timeout_seconds = self.cluster.swarm.client_timeout_ms / 1_000
        request = Request(dict(fields), timeout_seconds, write=is_write(fields))
        request.patient = True
        request.repeatable = fields["op"] == "alarm"
        client = f"client {self.number}"
        request.operation = self.cluster.history.begin(client, fields, self.timeline.now_ms)
        self.outstanding += 1
        self.core.calls.begin(request, self.now)
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
            history.refuse(operation, now_ms, call.error.message)
        if not self.stopping:
            self._go_on(operation)

    def _go_on(self, operation: Operation) -> None:
        """Ask for something else after a while; a lease is at times renewed just when it ends."""
        name, fields = f"client {self.number}", operation.fields
        if fields["op"] == "lease_grant" and operation.reply and self.chance(4) == 0:
            # Its time began when the grant was on its way.
            now_ms, began_ms = self.timeline.now_ms, int(operation.began_ms)
            ttl_ms = int(1_000 * operation.reply["TTL"])
            early_ms = LAST_MOMENT_MS - self.chance(now_ms - began_ms + LAST_MOMENT_MS)
            delay_ms = max(1, began_ms + ttl_ms - early_ms - now_ms)
            renewal = {"op": "lease_keep_alive", "ID": operation.reply["ID"]}
            self.timeline.after(delay_ms, name, partial(self._ask, renewal))
        else:
            delay_ms = 1 + self.chance(2 * self.cluster.swarm.think_ms)
            self.timeline.after(delay_ms, name, self._next)

    def _ask(self, fields: dict[str, Any]) -> None:
        if not self.stopping:
            self._begin(fields)

    def _learn(self, operation: Operation) -> None:
        reply = operation.reply
        match operation.fields["op"]:
            case "lease_grant":
                self._leases.append(reply["ID"])
            case "put" if "TTL" in operation.fields:
                self._leases.append(reply["lease"])
            case "txn":
                nested = any("response_txn" in each for each in reply["responses"])
                self.cluster.counts["txns in txns"] += nested
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


class Flood:
    """A client that asks without waiting for answers, at any node: so logs diverge.

    It puts and reads one key, or does all that there is with a few.
    """

    def __init__(self, cluster: Cluster, number: int) -> None:
        self.number = number
        self._cluster = cluster
        self._chance = cluster.timeline.stream(f"flood {number}")
        self._last_id = 0
        self._last_mark = 0
        self._up: list[int] = []
        self._operations: dict[int, Operation] = {}
        self._leases: list[int] = []
        self._requests = Requests(self._chance, FLOOD, self._value, self._delta)
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
        fields = self._choose()
        operation = cluster.history.begin("flood", fields, cluster.timeline.now_ms)
        self._operations[self._last_id] = operation
        frame = pack({"id": self._last_id, **fields})
        cluster.request(self.number, self._chance.of(self._up), frame)

    def _choose(self) -> dict[str, Any]:
        chance, swarm = self._chance, self._cluster.swarm
        if chance.happens(swarm.breadth):
            return self._requests.draw(self._cluster.history.revision, self._leases, ())
        if chance.happens(0.7):
            return {"op": "put", "key": b"flood", "value": self._value()}
        return {"op": "range", "key": b"flood"}

    def _value(self) -> bytes:
        self._last_mark += 1
        return b"f%d" % self._last_mark

    def _delta(self) -> int:
        self._last_mark += 1
        return 1_000 * self._last_mark + self.number

    def reply(self, node: int, payload: bytes) -> None:
        """A frame has come from some node."""
        message = unpack(payload)
        operation = self._operations.pop(message["id"])
        error = message.get("error")
        if error is None:
            self._cluster.history.complete(operation, message, self._cluster.timeline.now_ms)
            if "TTL" in operation.fields:
                self._leases = [*self._leases[-5:], message["lease"]]
        elif error.get("unknown"):
            self._cluster.history.lose(operation)
        else:
            now_ms, why = self._cluster.timeline.now_ms, error["message"]
            self._cluster.history.refuse(operation, now_ms, why)

    def node_up(self, node: int) -> None:
        """A connection to a node is there."""
        if node not in self._up:
            self._up.append(node)

    def node_down(self, node: int) -> None:
        """The connection to a node broke; whatever was under way there is forgotten."""
        if node in self._up:
            self._up.remove(node)
