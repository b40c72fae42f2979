"""What clients saw, and whether one store that does one thing at a time could have shown it.

Operations are kept as `tests.linearizability` wants them, which judges them at the end; what can be
seen to be wrong at once is said at once. Watchers' streams and the times of leases are judged here.
Knows nothing of nodes.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import accumulate
from math import inf
from typing import Any, NamedTuple

from actors.store.commands import Change, Event
from tests.linearizability import Change as Changed
from tests.linearizability import Held, Outcome, check_keys, check_revisions
from tests.linearizability import Operation as Judged
from tests.simulation.saved import require

REASONS = {
    "": Change.PUT,
    "deleted": Change.DELETED,
    "lease expired": Change.LEASE_EXPIRED,
    "lease revoked": Change.LEASE_REVOKED,
}

LEASED = "leased "
"""Keys that a lease may hold, or that are deleted by the dozen, begin like this."""

FLOODED = "flood"
"""So much is under way for this key at a time that a search for its order would take for ever."""


class Told(NamedTuple):
    """One event as a watcher was told it."""

    revision: int
    key: bytes
    value: bytes
    change: Change


class Operation:
    """One request of one client. `floor` is the greatest revision anybody had seen before it."""

    __slots__ = ("began_ms", "client", "ended_ms", "fields", "floor", "outcome", "reply")

    def __init__(self, client: str, fields: dict[str, Any], floor: int, began_ms: int) -> None:
        self.client = client
        self.fields = fields
        self.floor = floor
        self.began_ms = began_ms
        self.ended_ms: float = inf
        self.outcome = Outcome.UNKNOWN
        self.reply: dict[str, Any] = {}


class Stream:
    """What one watcher was told, over all the nodes that served it."""

    def __init__(self) -> None:
        self.events: list[Told] = []
        self.last = 0

    def take(self, events: Iterable[Told]) -> None:
        """Revisions only rise, and a revision does not go on in a later frame."""
        last = self.last
        for each in events:
            require(each.revision > last, f"a watcher at {last} was told of {each.revision}")
            require(each.revision >= self.last, "a watcher was told of revisions out of order")
            self.last = each.revision
            self.events.append(each)


class History:
    """All operations of all clients, and all streams."""

    def __init__(self, counts: Counter[str]) -> None:
        self.streams: list[Stream] = []
        self.operations: list[Operation] = []
        self._counts = counts
        self._revision = 1

    # --- as it happens ---

    def begin(self, client: str, fields: dict[str, Any], now_ms: int) -> Operation:
        """A client sends a request for the first time."""
        operation = Operation(client, fields, self._revision, now_ms)
        self.operations.append(operation)
        return operation

    def complete(self, operation: Operation, reply: dict[str, Any], now_ms: int) -> None:
        """It has its answer: nothing that was seen before it began may be missing from that."""
        op = operation.fields["op"]
        self._counts[op] += 1
        operation.reply = reply
        operation.ended_ms = now_ms
        operation.outcome = Outcome.OK
        if operation.fields.get("serializable") or op in ("member_list", "status"):
            return
        revision = reply["header"].get("revision", 0)
        floor = operation.floor + (op == "put")
        require(
            revision >= floor,
            f"{op} answered with revision {revision}, but {operation.floor} had been seen before "
            "it began",
        )
        self._revision = max(self._revision, revision)

    def refuse(self, operation: Operation, now_ms: int) -> None:
        """It failed, surely without effect."""
        self._counts["refused"] += 1
        operation.ended_ms = now_ms
        operation.outcome = Outcome.FAILED

    def lose(self, operation: Operation) -> None:
        """The client will never know."""
        self._counts["outcomes unknown"] += 1

    # --- at the end ---

    def judge(
        self, events: tuple[Event, ...], lease_ends_ms: dict[int, int], early_ms: int
    ) -> None:
        """Compare what was seen with what is in the store now, from its first revision on.

        `early_ms` is by how much clocks may have been ahead in all.
        """
        changes = [_changed(event) for event in events]
        operations = [judged for each in self.operations if (judged := _judged(each)) is not None]
        check_revisions(operations, changes)
        plain = [each for each in operations if not each.key.startswith((LEASED, FLOODED))]
        self._counts["keys checked by search"] += check_keys(_resolved(plain, changes))
        told = [_told(event) for event in events]
        for stream in self.streams:
            _check_stream(stream, told)
        _check_leases(self.operations, lease_ends_ms, early_ms)


def _text(value: bytes) -> str:
    return value.decode("latin-1")


def _changed(event: Event) -> Changed:
    change, kv, _ = event
    key = _text(kv.key)
    if change is Change.PUT:
        return Changed(
            kv.mod_revision, key, _text(kv.value), kv.create_revision, kv.version, kv.lease
        )
    reason = "deleted" if change is Change.DELETED and not key.startswith(LEASED) else change.name
    return Changed(kv.mod_revision, key, None, reason=reason)


def _told(event: Event) -> Told:
    return Told(event.kv.mod_revision, event.kv.key, event.kv.value, event.change)


def _judged(operation: Operation) -> Judged | None:
    """The operation as the checker wants it, unless it is of no interest there."""
    fields, reply = operation.fields, operation.reply
    op = {"put": "put", "range": "range", "delete_range": "delete"}.get(fields["op"])
    if op is None or (op == "delete" and "range_end" in fields):
        return None
    held = tuple(
        Held(
            _text(kv["key"]),
            _text(kv.get("value", b"")),
            kv["create_revision"],
            kv["mod_revision"],
            kv["version"],
            kv.get("lease", 0),
        )
        for kv in reply.get("kvs", ())
    )
    return Judged(
        client=operation.client,
        op=op,
        key=_text(fields["key"]),
        began=operation.began_ms,
        ended=operation.ended_ms,
        outcome=operation.outcome,
        revision=reply["header"]["revision"] if reply else 0,
        value=_text(fields.get("value", b"")),
        end=_text(fields.get("range_end", b"")),
        lease=fields.get("lease", 0),
        serializable=fields.get("serializable", False),
        deleted=reply.get("deleted", 0),
        held=held,
    )


def _resolved(operations: list[Judged], changes: list[Changed]) -> Iterator[Judged]:
    """Without outcomes that nobody was told but the store's history tells: a search is spared them.

    A put that is there was over when first somebody saw its revision; one that is not, never was.
    """
    revisions = {change.value: change.revision for change in changes if change.value}
    seen = sorted((each.revision, each.ended) for each in operations if each.outcome is Outcome.OK)
    earliest = list(accumulate((ended for _, ended in reversed(seen)), min))
    earliest.reverse()
    for each in operations:
        if each.op != "put" or each.outcome is not Outcome.UNKNOWN:
            yield each
        elif each.value in revisions:
            at = bisect_left(seen, (revisions[each.value], -inf))
            ended = earliest[at] if at < len(seen) else inf
            yield each._replace(outcome=Outcome.OK, ended=ended)


def _check_stream(stream: Stream, events: list[Told]) -> None:
    """A watcher saw the history from its beginning: no gap, nothing twice, all of a revision."""
    expected = [event for event in events if event.revision <= stream.last]
    require(
        len(expected) == len(stream.events),
        f"a watcher saw {len(stream.events)} of {len(expected)} events up to {stream.last}",
    )
    for seen, event in zip(stream.events, expected, strict=True):
        require(seen == event, f"a watcher saw {seen}, but there was {event}")


def _check_leases(operations: list[Operation], ends_ms: dict[int, int], early_ms: int) -> None:
    """No lease ended before its time had passed since its last renewal was asked for."""
    revoked = {each.fields["ID"] for each in operations if each.fields["op"] == "lease_revoke"}
    for operation in operations:
        op, reply = operation.fields["op"], operation.reply
        if op not in ("lease_grant", "lease_keep_alive") or not reply:
            continue
        end_ms = ends_ms.get(reply["ID"])
        if end_ms is None or not reply["TTL"] or reply["ID"] in revoked:
            continue
        earliest_ms = operation.began_ms + reply["TTL"] * 1_000
        require(
            end_ms >= earliest_ms - early_ms,
            f"lease {reply['ID']:x} ended at {end_ms} ms, before {earliest_ms} ms",
        )
