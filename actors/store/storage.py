"""The seam between the store's pure part and the disk: what a backend keeps and a commit holds.

A backend is append-only by position and knows nothing of etcd's rules; the state machine knows
nothing of files. `backend.py` implements this on LMDB, `tests/twins.py` in memory.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple, Protocol

from actors.store.commands import Event, Member, Result

SUB_BITS: Final = 32
"""A position is `main revision << SUB_BITS | sub`, sub being the order within one revision."""

Row = tuple[int, int, bytes, int, int, int]
"""What the index keeps of a change: position, Change, key, create_revision, version, lease.

A bare tuple: a start reads one for each revision ever written.
"""


class StorageError(Exception):
    """The disk refused, or holds what this program did not write; the message names the file."""


class Meta(NamedTuple):
    """The state's place in the log and in time; consistent with the data beside it."""

    applied_index: int
    cluster_ms: int
    revision: int
    compact_revision: int


EMPTY: Final = Meta(applied_index=0, cluster_ms=0, revision=1, compact_revision=0)
"""An empty store is at revision 1, as in etcd: the first write gets 2."""


class LeaseRecord(NamedTuple):
    """A lease; its keys are not kept here, each key's last revision names its lease."""

    id: int
    ttl_ms: int
    deadline_ms: int


class SessionRecord(NamedTuple):
    """A session without its results; `floor` is the lowest sequence number it still answers."""

    id: int
    used_index: int
    used_ms: int
    floor: int


class SessionChange(NamedTuple):
    """What became of one session: `record` is None when it has ended."""

    id: int
    record: SessionRecord | None
    kept: tuple[tuple[int, Result], ...]
    forgotten: tuple[int, ...]


class Loaded(NamedTuple):
    """Everything but the revisions, as the last commit left it."""

    meta: Meta
    leases: tuple[LeaseRecord, ...]
    sessions: tuple[tuple[SessionRecord, dict[int, Result]], ...]
    members: tuple[Member, ...]


class Changes(NamedTuple):
    """All that one commit makes durable, or none of it.

    `events` is by position, ascending, and follows on what is there; a lease that is None is gone.
    """

    meta: Meta
    events: dict[int, Event]
    leases: dict[int, LeaseRecord | None]
    sessions: tuple[SessionChange, ...]
    members: tuple[Member, ...]


class Backend(Protocol):
    """Where the store survives a crash. Failures are StorageError; there is nothing to retry."""

    def load(self) -> Loaded:
        """The state of the last commit, without the revisions."""

    def scan(self) -> Iterator[Row]:
        """Every revision in order, without its value."""

    def read(self, position: int) -> Event:
        """The change at a position that a commit has written; without prev_kv."""

    def commit(self, changes: Changes) -> None:
        """Make the changes durable, atomically; they are on disk when this returns."""

    def size(self) -> tuple[int, int]:
        """Bytes taken from the disk, and bytes of these in use."""

    def close(self) -> None:
        """Give files and memory back; what was not committed is lost."""
