"""The vocabulary of the store: what it answers to commands and queries.

Every answer is a value, never an exception. Times are milliseconds of cluster time
(DESIGN.md#cluster-time). Knows nothing of bytes on a wire, of Raft, or of who asked.
"""

from __future__ import annotations

from typing import NamedTuple

from actors.language.commands import AlarmMember, Event, KeyValue, Member
from actors.language.queries import RaftStatus
from cluster.errors import FaultName


class Failure(NamedTuple):
    """A command or query that could not be done, and why."""

    name: FaultName


class PutDone(NamedTuple):
    """`revision` is the put's own; prev_kv only if asked for and there was one.

    `lease` and `ttl_ms` are those that the put has granted, if it did.
    """

    revision: int
    prev_kv: KeyValue | None = None
    lease: int = 0
    ttl_ms: int = 0


class DeleteDone(NamedTuple):
    """`revision` is the store's afterwards (unchanged when nothing was deleted)."""

    revision: int
    deleted: int
    prev_kvs: tuple[KeyValue, ...] = ()


class Incremented(NamedTuple):
    """The value of the key is now this."""

    revision: int
    value: int


class TxnDone(NamedTuple):
    """Whether the compares held, and a response for each operation of the branch, in order."""

    revision: int
    succeeded: bool
    responses: tuple[TxnResponse, ...]


class LeaseGranted(NamedTuple):
    """The lease now exists with this TTL."""

    revision: int
    id: int
    ttl_ms: int


class LeaseRevoked(NamedTuple):
    """The lease and its keys are gone."""

    revision: int


class LeaseKeptAlive(NamedTuple):
    """ttl_ms is the granted TTL, or 0 when the lease does not exist (etcd's convention)."""

    revision: int
    id: int
    ttl_ms: int


class SessionOpened(NamedTuple):
    """The new session's id."""

    revision: int
    session: int


class Done(NamedTuple):
    """Applied, with nothing to say but the revision."""

    revision: int


class RangeDone(NamedTuple):
    """`count` ignores the limit; `more` says that the limit cut something off."""

    revision: int
    kvs: tuple[KeyValue, ...]
    more: bool
    count: int  # type: ignore[assignment]  # etcd's name; nobody counts in a result


TxnResponse = PutDone | DeleteDone | RangeDone | Incremented | TxnDone


class HistoryDone(NamedTuple):
    """The changes, newest first; `more`: the limit cut; `compacted`: a compaction may have cut."""

    revision: int
    events: tuple[Event, ...]
    more: bool
    compacted: bool


class HashDone(NamedTuple):
    """A CRC-32; members agree on it for the same `hash_revision` and `compact_revision`."""

    revision: int
    hash: int
    compact_revision: int
    hash_revision: int


class Alarms(NamedTuple):
    """The alarms there are, or those that a command has raised or cleared."""

    revision: int
    alarms: tuple[AlarmMember, ...]


class LeaseLife(NamedTuple):
    """remaining_ms is -1 and granted_ms 0 when the lease does not exist (etcd's convention)."""

    revision: int
    id: int
    remaining_ms: int
    granted_ms: int
    keys: tuple[bytes, ...] | None = None


class Leases(NamedTuple):
    """Every lease id, the one that ends first in front."""

    revision: int
    ids: tuple[int, ...]


class Members(NamedTuple):
    """Every member, ordered by id; `waiting`: as they will be when a new one has started."""

    revision: int
    members: tuple[Member, ...]
    waiting: bool = False


class StatusDone(NamedTuple):
    """Sizes in bytes; `raft` as Raft filled it in; the alarms of all members."""

    revision: int
    db_size: int
    db_size_in_use: int
    applied_index: int
    raft: RaftStatus
    alarms: tuple[AlarmMember, ...] = ()


class SnapshotBlob(NamedTuple):
    """A part of the snapshot of that name; `sha256` is of the whole file, 32 bytes."""

    revision: int
    name: str
    blob: bytes
    remaining_bytes: int
    sha256: bytes


Result = (
    PutDone
    | DeleteDone
    | LeaseGranted
    | LeaseRevoked
    | LeaseKeptAlive
    | SessionOpened
    | Done
    | RangeDone
    | TxnDone
    | Incremented
    | HistoryDone
    | HashDone
    | Alarms
    | LeaseLife
    | Leases
    | Members
    | StatusDone
    | SnapshotBlob
    | Failure
)
