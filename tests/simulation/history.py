"""What clients saw, and whether one store that does one thing at a time could have shown it.

Operations are kept as `tests.linearizability` wants them, which judges them at the end; what can be
seen to be wrong at once is said at once. Watchers' streams and the times of leases are judged here.
Knows nothing of nodes.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import accumulate
from math import inf
from typing import Any

from actors.language.commands import Change, Event
from cluster.faults import name_of
from tests.linearizability import Change as Changed
from tests.linearizability import Held, Outcome, check_keys, check_revisions
from tests.linearizability import Operation as Judged
from tests.simulation.answers import Answers
from tests.simulation.model import Past
from tests.simulation.requests import COUNTERS, FLOODED, LEASED
from tests.simulation.saved import require
from tests.simulation.streams import Stream


class Operation:
    """One request of one client. `floor` is the greatest revision anybody had seen before it."""

    __slots__ = (
        "began_ms",
        "client",
        "ended_ms",
        "fields",
        "floor",
        "outcome",
        "refusal",
        "reply",
    )

    def __init__(self, client: str, fields: dict[str, Any], floor: int, began_ms: int) -> None:
        self.client = client
        self.fields = fields
        self.floor = floor
        self.began_ms = began_ms
        self.ended_ms: float = inf
        self.outcome = Outcome.UNKNOWN
        self.reply: dict[str, Any] = {}
        self.refusal = ""


OWN = frozenset(("member_list", "status", "hash_kv", "defragment"))
"""What the node that is asked answers by itself: it may lag."""


class History:
    """All operations of all clients, and all streams. `revision` is the greatest anybody saw."""

    def __init__(self, counts: Counter[str]) -> None:
        self.streams: list[Stream] = []
        self.operations: list[Operation] = []
        self.revision = 1
        self._counts = counts
        self._hashes: dict[tuple[int, int], int] = {}

    # --- as it happens ---

    def begin(self, client: str, fields: dict[str, Any], now_ms: int) -> Operation:
        """A client sends a request for the first time."""
        operation = Operation(client, fields, self.revision, now_ms)
        self.operations.append(operation)
        return operation

    def complete(self, operation: Operation, reply: dict[str, Any], now_ms: int) -> None:
        """It has its answer: nothing that was seen before it began may be missing from that."""
        op = operation.fields["op"]
        self._counts[op] += 1
        operation.reply = reply
        operation.ended_ms = now_ms
        operation.outcome = Outcome.OK
        if op == "hash_kv":
            self._compare_hash(reply)
        if operation.fields.get("serializable") or op in OWN:
            return
        revision = reply["header"].get("revision", 0)
        floor = operation.floor + (op in ("put", "increment"))
        require(
            revision >= floor,
            f"{op} answered with revision {revision}, but {operation.floor} had been seen before "
            "it began",
        )
        self.revision = max(self.revision, revision)

    def _compare_hash(self, reply: Mapping[str, Any]) -> None:
        """Whoever was asked, and whenever: the same history has the same hash."""
        place = (reply["hash_revision"], reply["compact_revision"])
        known = self._hashes.setdefault(place, reply["hash"])
        require(known == reply["hash"], f"{reply}, but another node said {known}")

    def refuse(self, operation: Operation, now_ms: int, why: str) -> None:
        """It failed, surely without effect."""
        self._counts[f"refused: {name_of(why) or 'for another reason'}"] += 1
        operation.refusal = why
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
        past = Past(events)
        answers = Answers(self.operations, past)
        self._counts["answers as the model has them"] += answers.check()
        changes = [_changed(event) for event in events]
        operations = [
            judged for each in self.operations if (judged := _judged(each, answers)) is not None
        ]
        operations += _parts(past, answers)
        check_revisions(operations, changes)
        plain = [each for each in operations if not each.key.startswith((LEASED, FLOODED))]
        self._counts["keys checked by search"] += check_keys(_resolved(plain, changes))
        for stream in self.streams:
            stream.judge(past, answers.compacted_at)
        _check_leases(self.operations, lease_ends_ms, early_ms)


def _text(value: bytes) -> str:
    return value.decode("latin-1")


def _changed(event: Event) -> Changed:
    change, kv, _ = event
    key = _text(kv.key)
    if change is Change.PUT:
        value = _value(key, kv.value, kv.mod_revision)
        return Changed(kv.mod_revision, key, value, kv.create_revision, kv.version, kv.lease)
    reason = "deleted" if change is Change.DELETED and not key.startswith(LEASED) else change.name
    return Changed(kv.mod_revision, key, None, reason=reason)


def _value(key: str, value: bytes, revision: int) -> str:
    """As the checker wants it: no two are alike, and what was counted may be."""
    return f"{_text(value)} at {revision}" if key.encode() in COUNTERS else _text(value)


def _parts(past: Past, answers: Answers) -> Iterator[Judged]:
    """Each change of a transaction or an increment, as if it had been asked for by itself."""
    for revision, owner in answers.owners.items():
        if owner.fields["op"] not in ("txn", "increment"):
            continue
        for change, kv, _ in past.events[revision]:
            key = _text(kv.key)
            is_put = change is Change.PUT
            if not is_put and key.startswith(LEASED):
                continue  # nobody asks who did that
            yield Judged(
                client=owner.client,
                op="put" if is_put else "delete",
                key=key,
                began=owner.began_ms,
                ended=owner.ended_ms,
                outcome=owner.outcome,
                revision=revision,
                value=_value(key, kv.value, revision) if is_put else "",
                lease=kv.lease,
                deleted=not is_put,
            )


_PLAIN = frozenset(("op", "key", "range_end", "serializable"))
"""The fields of a range without options."""


def _judged(operation: Operation, answers: Answers) -> Judged | None:
    """The operation as the checker wants it, unless it is of no interest there."""
    fields, reply = operation.fields, operation.reply
    op = {"put": "put", "range": "range", "delete_range": "delete"}.get(fields["op"])
    if op is None or (op == "delete" and "range_end" in fields):
        return None
    if op == "range" and (fields.keys() - _PLAIN or fields.get("range_end") == b"\0"):
        return None  # the model has judged it
    held = tuple(
        Held(
            _text(kv["key"]),
            _value(_text(kv["key"]), kv["value"], kv["mod_revision"]),
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
        lease=answers.lease_of(operation) if op == "put" else 0,
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


def _check_leases(operations: list[Operation], ends_ms: dict[int, int], early_ms: int) -> None:
    """No lease ended before its time had passed since its last renewal was asked for.

    Who asks which there are is told of all that there surely are, and of none that had ended.
    """
    revoked = {each.fields["ID"] for each in operations if each.fields["op"] == "lease_revoke"}
    granted: dict[int, float] = {}
    for operation in operations:
        lease_id, ttl_seconds = _lease_of(operation)
        if not ttl_seconds:
            continue
        if operation.fields["op"] != "lease_keep_alive":
            granted[lease_id] = operation.ended_ms
        end_ms = ends_ms.get(lease_id)
        if end_ms is None or lease_id in revoked:
            continue
        earliest_ms = operation.began_ms + ttl_seconds * 1_000
        require(
            end_ms >= earliest_ms - early_ms,
            f"lease {lease_id:x} ended at {end_ms} ms, before {earliest_ms} ms",
        )
    for operation in operations:
        if operation.fields["op"] != "lease_leases" or not operation.reply:
            continue
        told = {each["ID"] for each in operation.reply["leases"]}
        over = {lease for lease in told if ends_ms.get(lease, inf) < operation.began_ms}
        require(not over, f"{over} ended before somebody asked, who was told of them")
        for lease_id, since_ms in granted.items():
            lasts = since_ms < operation.began_ms and lease_id not in revoked
            lasts = lasts and ends_ms.get(lease_id, inf) > operation.ended_ms
            require(not lasts or lease_id in told, f"{lease_id:x} is not among {told}")


def _lease_of(operation: Operation) -> tuple[int, float]:
    """The lease that an answer has granted or renewed, and for how long; zeros for none."""
    reply = operation.reply
    match operation.fields["op"]:
        case "lease_grant" | "lease_keep_alive" if reply:
            return reply["ID"], reply["TTL"]
        case "put" if reply and "TTL" in operation.fields:
            return reply["lease"], reply["TTL"]
        case _:
            return 0, 0
