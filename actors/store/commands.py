"""The vocabulary of the store: what can be asked of it, what it answers, and what happened in it.

Commands go through the log and are applied on every node; queries only read. Every answer is a
value, never an exception, and times are milliseconds of cluster time (DESIGN 8). Knows nothing of
bytes on a wire, of Raft, or of who asked.
"""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

# --- what the store holds ---------------------------------------------------------------------


class KeyValue(NamedTuple):
    """A key and its value at one revision, with etcd's metadata (mvccpb.KeyValue)."""

    key: bytes
    create_revision: int
    mod_revision: int
    version: int
    value: bytes
    lease: int


class Change(IntEnum):
    """What a revision did to a key. All but PUT are tombstones; the reason is kept with them."""

    PUT = 0
    DELETED = 1
    LEASE_EXPIRED = 2
    LEASE_REVOKED = 3


class Event(NamedTuple):
    """One change as watchers see it; `kv` of a tombstone has only key and mod_revision."""

    change: Change
    kv: KeyValue
    prev_kv: KeyValue | None


class Member(NamedTuple):
    """One member as `member list` shows it; `name` is empty until the member has first started."""

    id: int
    name: str
    peer_urls: tuple[str, ...]
    client_urls: tuple[str, ...]
    is_learner: bool


# --- commands: mutate, go through the log -----------------------------------------------------


class Put(NamedTuple):
    """Set a key (rpc.proto PutRequest). `lease` 0 detaches."""

    key: bytes
    value: bytes
    lease: int = 0
    prev_kv: bool = False
    ignore_value: bool = False
    ignore_lease: bool = False


class DeleteRange(NamedTuple):
    """Delete a key or [key, range_end) in one revision; range_end b"\\0" means every key >= key."""

    key: bytes
    range_end: bytes = b""
    prev_kv: bool = False


class LeaseGrant(NamedTuple):
    """Create a lease that ends `ttl_ms` after the entry's cluster time. The id is never 0 here."""

    id: int
    ttl_ms: int


class LeaseRevoke(NamedTuple):
    """End a lease now and delete its keys in one revision."""

    id: int


class LeaseKeepAlive(NamedTuple):
    """Move a lease's deadline to the entry's cluster time plus its TTL."""

    id: int


class Expiry(NamedTuple):
    """A lease and the deadline at which the leader saw it pass."""

    lease_id: int
    deadline_ms: int


class LeaseExpire(NamedTuple):
    """From the leader's LeaseActor: end those leases whose deadline is still the one named."""

    expiries: tuple[Expiry, ...]


class AdvanceClock(NamedTuple):
    """From the leader's LeaseActor: nothing but the entry's cluster time, so a restart knows it."""


class SessionOpen(NamedTuple):
    """Open an exactly-once session (DESIGN 9); its id is the answer."""


class MemberPublish(NamedTuple):
    """A member that started says its name and where clients reach it (etcd's member attributes)."""

    member_id: int
    name: str
    client_urls: tuple[str, ...]


Command = (
    Put
    | DeleteRange
    | LeaseGrant
    | LeaseRevoke
    | LeaseKeepAlive
    | LeaseExpire
    | AdvanceClock
    | SessionOpen
    | MemberPublish
)


class Sequence(NamedTuple):
    """Makes a command apply once: session, number within it, and the lowest number unanswered."""

    session: int
    seq: int
    ack: int


# --- queries: only read -----------------------------------------------------------------------


class Range(NamedTuple):
    """Read a key or an interval (rpc.proto RangeRequest); revision 0 is now, limit 0 is none."""

    key: bytes
    range_end: bytes = b""
    limit: int = 0
    revision: int = 0
    keys_only: bool = False
    count_only: bool = False


class LeaseTimeToLive(NamedTuple):
    """Remaining and granted TTL of a lease, with its keys if asked."""

    id: int
    keys: bool = False


class LeaseLeases(NamedTuple):
    """The ids of all leases."""


class MemberList(NamedTuple):
    """The members of the cluster."""


class RaftStatus(NamedTuple):
    """What Raft adds to a status on its way to the store."""

    leader: int
    term: int
    last_index: int
    is_learner: bool


class Status(NamedTuple):
    """The node's own state; Raft fills in `raft` before the store answers."""

    raft: RaftStatus | None = None


Query = Range | LeaseTimeToLive | LeaseLeases | MemberList | Status


# --- answers ----------------------------------------------------------------------------------


class Failure(NamedTuple):
    """A command or query that could not be done: a name of `cluster.errors.FAULTS`."""

    name: str


class PutDone(NamedTuple):
    """`revision` is the put's own; prev_kv only if asked for and there was one."""

    revision: int
    prev_kv: KeyValue | None = None


class DeleteDone(NamedTuple):
    """`revision` is the store's afterwards (unchanged when nothing was deleted)."""

    revision: int
    deleted: int
    prev_kvs: tuple[KeyValue, ...] = ()


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
    """Every member, ordered by id."""

    revision: int
    members: tuple[Member, ...]


class StatusDone(NamedTuple):
    """Sizes in bytes; `raft` as Raft filled it in."""

    revision: int
    db_size: int
    db_size_in_use: int
    applied_index: int
    raft: RaftStatus


Result = (
    PutDone
    | DeleteDone
    | LeaseGranted
    | LeaseRevoked
    | LeaseKeptAlive
    | SessionOpened
    | Done
    | RangeDone
    | LeaseLife
    | Leases
    | Members
    | StatusDone
    | Failure
)
