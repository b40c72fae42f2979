"""What the clients of a campaign did and saw, in memory and as lines of JSON in a file.

Values are written with padding, so that some writes span many sectors; the history holds only their
names, and a value that is not whole is found when it is read. Judges nothing else.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from cluster import Event, KeyValue
from tests.linearizability import Change, FindingError, Held, Operation, Outcome, Seen

_PAD: Final = "~"
_DEFAULTS: Final = Operation._field_defaults


class LeaseStep(NamedTuple):
    """A lease was granted, renewed or revoked (`step`), or somebody tried to; times in seconds."""

    lease: int
    step: str
    ttl: float
    began: float
    ended: float
    outcome: Outcome


class Stream:
    """What one watcher of all keys has seen from revision `start` on, in the order of arrival.

    Without `tells_reasons` it cannot know why a key was deleted: etcd's events do not say.
    """

    def __init__(self, name: str, start: int, *, tells_reasons: bool = True) -> None:
        self.name = name
        self.start = start
        self.tells_reasons = tells_reasons
        self.changes: list[Change] = []
        self.seen: list[Seen] = []

    @property
    def last(self) -> int:
        """The last revision seen."""
        return self.seen[-1].revision if self.seen else self.start - 1

    def take(self, events: Sequence[Event], at: float) -> None:
        """One batch, which holds whole revisions: a later one must not go on with the same."""
        first, last = events[0].revision, events[-1].revision
        if first <= self.last:
            raise FindingError(f"{self.name} had seen {self.last} and is told of {first}")
        self.changes += map(change_of, events)
        self.seen.append(Seen(at, last))


class History:
    """All operations of all clients. Any thread may add to it."""

    def __init__(self, path: Path) -> None:
        self.operations: list[Operation] = []
        self.leases: list[LeaseStep] = []
        self.streams: list[Stream] = []
        self._file = path.open("w", encoding="utf-8")
        self._writing = threading.Lock()

    def add(self, operation: Operation) -> None:
        """One operation is over, or given up."""
        with self._writing:
            self.operations.append(operation)
            self._file.write(json.dumps(_document(operation)) + "\n")

    def add_lease_step(self, step: LeaseStep) -> None:
        """The same for what is done to a lease."""
        with self._writing:
            self.leases.append(step)
            self._file.write(json.dumps(step._asdict()) + "\n")

    def close(self) -> None:
        """Close the file; what is in memory stays."""
        self._file.close()


def load_operations(path: Path) -> list[Operation]:
    """The operations of a history's file."""
    rows = map(json.loads, path.read_text(encoding="utf-8").splitlines())
    return [_operation(row) for row in rows if "op" in row]


def write_changes(path: Path, changes: Iterable[Change]) -> None:
    """Keep a store's history beside what the clients saw."""
    lines = (json.dumps(change._asdict()) + "\n" for change in changes)
    path.write_text("".join(lines), encoding="utf-8")


def load_changes(path: Path) -> list[Change]:
    """What `write_changes` wrote."""
    return [Change(**json.loads(line)) for line in path.read_text(encoding="utf-8").splitlines()]


def padded(name: str, pad: int) -> bytes:
    """A value of this name with so much padding."""
    return f"{name}:{pad}:{_PAD * pad}".encode()


def name_in(value: bytes) -> str:
    """The name in a value, which must be whole."""
    name, _, rest = value.decode().partition(":")
    pad, _, padding = rest.partition(":")
    if padding != _PAD * int(pad or -1):
        raise FindingError(f"a value is not what was written: {value[:80]!r} ({len(value)} bytes)")
    return name


def held_of(kv: KeyValue) -> Held:
    """A key as a read returned it."""
    return Held(
        kv.key.decode(),
        name_in(kv.value),
        kv.create_revision,
        kv.mod_revision,
        kv.version,
        kv.lease,
    )


def change_of(event: Event) -> Change:
    """An event of a watch."""
    key = event.kv.key.decode()
    if event.type == "DELETE":
        return Change(event.revision, key, None, reason=event.reason)
    kv = event.kv
    value = name_in(kv.value)
    return Change(event.revision, key, value, kv.create_revision, kv.version, kv.lease)


def _document(operation: Operation) -> dict[str, Any]:
    row = operation._asdict()
    return {name: value for name, value in row.items() if value != _DEFAULTS.get(name)}


def _operation(row: dict[str, Any]) -> Operation:
    row["outcome"] = Outcome(row["outcome"])
    row["held"] = tuple(Held(*held) for held in row.get("held", ()))
    return Operation(**row)
