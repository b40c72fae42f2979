"""Whether each answer, and each effect, is what a store that does one thing at a time would give.

The store's revisions are the order: what a request changed has a revision of its own, which tells
on what state it was done, and what only read says at which revision. Real time is judged by others.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from actors.language.commands import Change, Event
from tests.linearizability import Outcome
from tests.simulation.model import Doing, Past
from tests.simulation.requests import COUNTERS, marks
from tests.simulation.saved import require

if TYPE_CHECKING:
    from tests.simulation.history import Operation

EXECUTED = frozenset(("put", "delete_range", "increment", "txn", "range"))


class Answers:
    """The requests of one run, beside the history that they made; `made` is each one's revision."""

    def __init__(self, operations: Iterable[Operation], past: Past) -> None:
        self._operations = list(operations)
        self._past = past
        self.owners: dict[int, Operation] = {}
        self.made: dict[Operation, int] = {}
        self._compactions = [
            each
            for each in self._operations
            if each.fields["op"] == "compact" and each.outcome is not Outcome.FAILED
        ]
        self._own()

    def _own(self) -> None:
        """Find out whose each revision is, by what only one request writes."""
        writers = {mark: each for each in self._operations for mark in marks(each.fields)}
        for revision, events in self._past.events.items():
            for event in events:
                if event.change is not Change.PUT:
                    continue
                mark = self._mark_of(event)
                owner = writers.get(mark)
                if owner is None:
                    continue  # somebody else's judgement: a flood's, or nobody's
                require(
                    self.owners.setdefault(revision, owner) is owner,
                    f"revision {revision} is of two requests, {owner.fields} and another",
                )
                require(
                    self.made.setdefault(owner, revision) == revision,
                    f"{owner.fields} was done at {self.made[owner]} and at {revision}",
                )

    def _mark_of(self, event: Event) -> bytes | int:
        kv = event.kv
        if kv.key not in COUNTERS:
            return kv.value
        before = self._past.before(kv.mod_revision, kv.key)
        return int(kv.value) - (int(before["value"]) if before else 0)

    def check(self) -> int:
        """Check all; returns how many there were to be checked."""
        checked = 0
        for each in self._operations:
            if each.outcome is Outcome.FAILED:
                require(each not in self.made, f"{each.fields} failed, but was done")
                self._check_refusal(each)
            elif each.fields["op"] in EXECUTED:
                checked += self._check_done(each)
            elif each.outcome is Outcome.OK:
                checked += self._check_told(each)
        return checked

    def lease_of(self, put: Operation) -> int:
        """The lease that a put names, or was granted: as it was told, or else as it came to be."""
        fields = put.fields
        if "TTL" not in fields:
            return int(fields.get("lease", 0))
        if put.reply:
            return int(put.reply["lease"])
        held = self._past.states[self.made.get(put, 0)].get(fields["key"])
        return int(held["lease"]) if held else 0

    # --- what was done ---

    def _check_done(self, operation: Operation) -> bool:
        """The effect of a request on the state before it, and what it was told of that."""
        fields, reply = operation.fields, operation.reply
        revision = self.made.get(operation, 0)
        if not revision and not reply:
            return False  # it never happened
        told = reply["header"]["revision"] if reply else revision
        if reply.get("deleted"):
            revision = told
        require(revision in (0, told), f"{fields} was done at {revision}, and answered with {told}")
        require(told <= self._past.revision, f"{fields} answered with {told}, which never was")
        if revision:
            require(revision > operation.floor, f"{fields} was done before it was asked for")
        doing = Doing(self._past, revision - 1 if revision else told)
        expected = doing.do(fields["op"], {**fields, "lease": self.lease_of(operation)})
        # Without a mark: what took this branch wrote nothing.
        require(doing.is_changed == bool(revision), f"{fields} was done at {told} only in part")
        if revision:
            after = self._past.states[revision]
            require(doing.state == after, f"{fields} left {after}, not {doing.state}")
        if reply:
            found = {n: _listed(value) for n, value in reply.items() if n not in _ENVELOPE}
            require(found == expected, f"{fields} answered {found} at {told}, not {expected}")
        return True

    # --- what was told ---

    def _check_told(self, operation: Operation) -> bool:
        match operation.fields["op"]:
            case "history":
                self._check_history(operation)
            case "lease_time_to_live":
                self._check_life(operation)
            case _:
                return False
        return True

    def _check_history(self, operation: Operation) -> None:
        fields, reply = operation.fields, operation.reply
        key, limit = fields["key"], fields["limit"]
        now = reply["header"]["revision"]
        every = self._past.of(key, fields["revision"] or now)
        told = reply["events"]
        least = min(limit or len(every), len(every))
        if len(told) < least:  # the rest was compacted away
            kept = [e for e in every if e.kv.mod_revision > self._compacted_before(operation)]
            require(len(told) >= len(kept), f"{fields} left out some of {every}: {told}")
        for seen, event in zip(told, every, strict=False):
            is_put = event.change is Change.PUT
            require(seen["type"] == ("PUT" if is_put else "DELETE"), f"{fields} told {seen}")
            kv = seen["kv"]
            same = kv == event.kv._asdict() if is_put else kv["mod_revision"] == event.kv[2]
            require(same, f"{fields} told {seen}, but there was {event}")
        require(len(told) <= len(every), f"{fields} told more than there was: {told}")
        require(not reply["more"] or len(told) == limit, f"{fields}: {reply} has more")
        if not reply["more"] and not reply["compacted"]:
            require(len(told) == len(every), f"{fields}: {reply}, where all is {every}")

    def _check_life(self, operation: Operation) -> None:
        fields, reply = operation.fields, operation.reply
        state = self._past.states[reply["header"]["revision"]]
        held = sorted(kv["key"] for kv in state.values() if kv["lease"] == fields["ID"])
        if reply["TTL"] < 0:
            require(not held, f"{fields}: there is no such lease, but it holds {held}")
            return
        require(list(reply["keys"]) == held, f"{fields} told {reply['keys']}, it holds {held}")
        most_ms = reply["grantedTTL"] * 1_000
        require(0 <= reply["remaining_ms"] <= most_ms, f"{fields} has longer than was granted")

    # --- what was refused ---

    def _check_refusal(self, operation: Operation) -> None:
        fields = operation.fields
        asked = list(_revisions(fields))
        if "has been compacted" in operation.refusal:
            limit = self._compacted_before(operation)
            least = min(asked) + (fields["op"] not in ("compact", "hash_kv"))
            require(least <= limit, f"{fields} was refused; compacted was {limit} at most")
        elif "future revision" in operation.refusal:
            has_all = not (fields.get("serializable") or fields["op"] == "hash_kv")
            require(
                not has_all or max(asked) > operation.floor,
                f"{fields} was refused, but {operation.floor} had been seen before it began",
            )

    def _compacted_before(self, operation: Operation) -> int:
        """The greatest revision to which anybody had asked to compact by the end of an operation.

        One whose outcome nobody knows may have happened.
        """
        return self.compacted_at(operation.ended_ms)

    def compacted_at(self, time_ms: float) -> int:
        """Likewise, by some time; 0 if nobody had asked."""
        asked = [each.fields["revision"] for each in self._compactions if each.began_ms <= time_ms]
        return max(asked, default=0)


_ENVELOPE = frozenset(("id", "header", "lease", "TTL"))
"""What the model does not answer; a lease that a put was granted is the node's to choose."""


def _listed(value: Any) -> Any:
    """With lists where a message has sequences of its own."""
    if isinstance(value, Mapping):
        return {name: _listed(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_listed(each) for each in value]
    return value


def _revisions(fields: Mapping[str, Any]) -> Iterator[int]:
    """The revisions that a request asks for, wherever in it."""
    if fields.get("revision"):
        yield fields["revision"]
    for request in (*fields.get("success", ()), *fields.get("failure", ())):
        for inner in request.values():
            yield from _revisions(inner)
