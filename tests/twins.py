"""In-memory twins of what touches the world, for tests and the simulation.

A twin keeps the contract of the real thing - here: a commit is atomic, and a crash loses all since
the last one - and none of its cost. To crash, drop a machine and make a new one on its twin.
"""

from __future__ import annotations

from collections.abc import Iterator

from actors.store.commands import Event, Member, Result
from actors.store.storage import (
    EMPTY,
    SUB_BITS,
    Changes,
    LeaseRecord,
    Loaded,
    Meta,
    Row,
    SessionRecord,
    StorageError,
)


class MemoryBackend:
    """The store's backend as dictionaries; `commits` counts what a disk would have synced."""

    def __init__(self) -> None:
        self.commits = 0
        self.is_closed = False
        self._meta: Meta = EMPTY
        self._events: dict[int, Event] = {}
        self._leases: dict[int, LeaseRecord] = {}
        self._sessions: dict[int, tuple[SessionRecord, dict[int, Result]]] = {}
        self._members: dict[int, Member] = {}

    def load(self) -> Loaded:
        """The state of the last commit, without the revisions."""
        return Loaded(
            self._meta,
            tuple(self._leases.values()),
            tuple((record, dict(results)) for record, results in self._sessions.values()),
            tuple(self._members.values()),
        )

    def scan(self) -> Iterator[Row]:
        """Every revision in order, without its value."""
        for position, (change, kv, _) in self._events.items():
            yield position, change, kv.key, kv.create_revision, kv.version, kv.lease

    def read(self, position: int) -> Event:
        """The change at a position that a commit has written; without prev_kv."""
        if position not in self._events:
            raise StorageError(f"revision {position >> SUB_BITS} is missing")
        return self._events[position]

    def commit(self, changes: Changes) -> None:
        """Take all changes; as on a disk, positions only ever go up."""
        last = next(reversed(self._events), 0)
        for position, event in changes.events.items():
            assert position > last, f"position {position} after {last}"
            last = position
            self._events[position] = event._replace(prev_kv=None)
        for lease_id, lease in changes.leases.items():
            if lease is None:
                self._leases.pop(lease_id, None)
            else:
                self._leases[lease_id] = lease
        for session_id, record, kept, forgotten in changes.sessions:
            _, results = self._sessions.pop(session_id, (record, {}))
            for seq in forgotten:
                del results[seq]
            if record is not None:
                self._sessions[session_id] = (record, {**results, **dict(kept)})
        self._members.update((member.id, member) for member in changes.members)
        self._meta = changes.meta
        self.commits += 1

    def size(self) -> tuple[int, int]:
        """Bytes of keys and values; the same for both, nothing is wasted."""
        in_use = sum(len(kv.key) + len(kv.value) for _, kv, _ in self._events.values())
        return in_use, in_use

    def close(self) -> None:
        """What was committed stays, for the next machine on this twin."""
        self.is_closed = True
