"""What clients saw, and whether one store that does one thing at a time could have shown it.

Every answer names a revision, so the order is known and checking is one pass (reference 6.5): real
time must agree with the revisions, and each answer with the replay of the final history up to its
revision. Knows nothing of nodes.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from actors.store.commands import Change, Event, KeyValue
from tests.simulation.timeline import FindingError

_EXPIRED = "lease expired"
_REASONS = {
    "deleted": Change.DELETED,
    _EXPIRED: Change.LEASE_EXPIRED,
    "lease revoked": Change.LEASE_REVOKED,
}


class Operation:
    """One request of one client. `floor` is the greatest revision anybody had seen before it."""

    __slots__ = ("began_ms", "fields", "floor", "op", "reply")

    def __init__(self, op: str, fields: dict[str, Any], floor: int, began_ms: int) -> None:
        self.op = op
        self.fields = fields
        self.floor = floor
        self.began_ms = began_ms
        self.reply: dict[str, Any] | None = None


class Stream:
    """What one watcher was told, over all the nodes that served it."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self.last = 0

    def take(self, events: tuple[dict[str, Any], ...]) -> None:
        """Revisions only rise, and a revision does not go on in a later frame."""
        first = events[0]["kv"]["mod_revision"]
        _require(first > self.last, f"a watcher at {self.last} was told of revision {first}")
        for each in events:
            revision = each["kv"]["mod_revision"]
            _require(revision >= self.last, "a watcher was told of revisions out of order")
            self.last = revision
        self.events += events


class History:
    """All operations of all clients, and all streams."""

    def __init__(self, counts: Counter[str]) -> None:
        self.streams: list[Stream] = []
        self.operations: list[Operation] = []
        self._counts = counts
        self._revision = 1
        self._refused_values: set[bytes] = set()

    # --- as it happens ---

    def begin(self, op: str, fields: dict[str, Any], now_ms: int) -> Operation:
        """A client sends a request for the first time."""
        return Operation(op, fields, self._revision, now_ms)

    def complete(self, operation: Operation, reply: dict[str, Any]) -> None:
        """It has its answer: nothing that was seen before it began may be missing from that."""
        self._counts[operation.op] += 1
        operation.reply = reply
        self.operations.append(operation)
        revision = reply["header"]["revision"]
        if operation.fields.get("serializable"):
            return
        floor = operation.floor + (operation.op == "put")
        _require(
            revision >= floor,
            f"{operation.op} answered with revision {revision}, but {operation.floor} had been "
            "seen before it began",
        )
        self._revision = max(self._revision, revision)

    def refuse(self, operation: Operation, message: str) -> None:
        """The cluster refused: it must have had no effect."""
        self._counts["refused"] += 1
        if "value" in operation.fields:
            self._refused_values.add(operation.fields["value"])
        _require("lease not found" in message, f"{operation.op} was refused: {message}")

    def lose(self, operation: Operation) -> None:
        """The client will never know."""
        self._counts["outcomes unknown"] += 1

    # --- at the end ---

    def judge(self, events: tuple[Event, ...], lease_ends_ms: dict[int, int]) -> None:
        """Compare what was seen with what is in the store now, from its first revision on."""
        _check_values(events, self._refused_values)
        for stream in self.streams:
            _check_stream(stream, events)
        _check_leases(self.operations, lease_ends_ms)
        state: dict[bytes, KeyValue] = {}
        position = 0
        for operation in sorted(self.operations, key=_revision_of):
            while position < len(events) and events[position].kv.mod_revision <= _revision_of(
                operation
            ):
                _replay(state, events[position])
                position += 1
            _check_answer(operation, state, events, position)


def _revision_of(operation: Operation) -> int:
    assert operation.reply is not None
    revision: int = operation.reply["header"]["revision"]
    return revision


def _replay(state: dict[bytes, KeyValue], event: Event) -> None:
    if event.change is Change.PUT:
        state[event.kv.key] = event.kv
    else:
        _require(event.kv.key in state, "a key was deleted that was not there")
        del state[event.kv.key]


def _check_values(events: tuple[Event, ...], refused: set[bytes]) -> None:
    """Every value is written by one request: nothing is applied twice, or after a refusal."""
    seen: set[bytes] = set()
    revision = 1
    for event in events:
        _require(event.kv.mod_revision in (revision, revision + 1), "a revision is missing")
        revision = event.kv.mod_revision
        if event.change is Change.PUT:
            _require(event.kv.value not in seen, f"{event.kv.value!r} was written twice")
            _require(event.kv.value not in refused, f"{event.kv.value!r} was refused")
            seen.add(event.kv.value)


def _check_stream(stream: Stream, events: tuple[Event, ...]) -> None:
    """A watcher saw the history from its beginning: no gap, nothing twice, all of a revision."""
    expected = [event for event in events if event.kv.mod_revision <= stream.last]
    _require(
        len(expected) == len(stream.events),
        f"a watcher saw {len(stream.events)} of {len(expected)} events up to {stream.last}",
    )
    for seen, event in zip(stream.events, expected, strict=True):
        kind = Change.PUT if seen["type"] == "PUT" else _REASONS[seen["reason"]]
        same = (seen["kv"]["key"], kind) == (event.kv.key, event.change)
        _require(same and seen["kv"].get("value", b"") == event.kv.value, "a watcher saw another")


def _check_leases(operations: list[Operation], ends_ms: dict[int, int]) -> None:
    """No lease ended before its time had passed since its last renewal was asked for."""
    for operation in operations:
        reply = operation.reply
        if operation.op not in ("lease_grant", "lease_keep_alive") or reply is None:
            continue
        end_ms = ends_ms.get(reply["ID"])
        if end_ms is None or not reply["TTL"]:
            continue
        earliest_ms = operation.began_ms + reply["TTL"] * 1_000
        _require(
            end_ms >= earliest_ms - 1,
            f"lease {reply['ID']:x} ended at {end_ms} ms, before {earliest_ms} ms",
        )


def _check_answer(
    operation: Operation, state: dict[bytes, KeyValue], events: tuple[Event, ...], position: int
) -> None:
    """The answer is what the store held at its revision; `position` is behind that revision."""
    reply, fields = operation.reply, operation.fields
    assert reply is not None
    match operation.op:
        case "range":
            end = fields.get("range_end", b"")
            within = [
                kv
                for key, kv in sorted(state.items())
                if (fields["key"] <= key < end if end else key == fields["key"])
            ]
            seen = [
                KeyValue(**{"lease": 0, **kv}) if "lease" not in kv else KeyValue(**kv)
                for kv in reply["kvs"]
            ]
            _require(seen == within, f"a read at {_revision_of(operation)} saw {seen}")
        case "put":
            event = events[position - 1] if position else None
            written = event is not None and (event.kv.key, event.kv.value, event.change) == (
                fields["key"],
                fields["value"],
                Change.PUT,
            )
            _require(written, f"an acknowledged put of {fields['value']!r} is not there")
        case "delete_range" if reply["deleted"]:
            revision = _revision_of(operation)
            deleted = [e for e in events[:position] if e.kv.mod_revision == revision]
            ours = len(deleted) == reply["deleted"] == len(reply["prev_kvs"])
            _require(ours, f"a delete at {revision} answered {reply['deleted']}, not {deleted}")
        case _:
            pass


def _require(condition: bool, reason: str) -> None:
    if not condition:
        raise FindingError(reason)
