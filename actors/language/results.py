"""The vocabulary of the store: its answers to commands and queries.

Every answer is a value, never an exception. Times are milliseconds of cluster time
(DESIGN.md#cluster-time). Refuses to know of bytes on a wire, of Raft, and of which client asked.
"""

from __future__ import annotations

from typing import NamedTuple

from actors.language.auth import Permission
from actors.language.commands import AlarmMember, Event, KeyValue, Member
from actors.language.limits import NO_LIMITS, UserLimits
from actors.language.queries import RaftStatus
from cluster.faults import FaultName


class Failure(NamedTuple):
    """A command or query that could not be done, and why."""

    name: FaultName


class PutDone(NamedTuple):
    """`revision` is the put's own; `prev_kv` is there if it was asked for, and the key existed.

    `lease` and `ttl_ms` are those of the lease that the put granted; 0: it granted none.
    """

    revision: int
    prev_kv: KeyValue | None = None
    lease: int = 0
    ttl_ms: int = 0


class DeleteDone(NamedTuple):
    """`revision` is the store's after it, and unchanged if no key was deleted."""

    revision: int
    deleted: int
    prev_kvs: tuple[KeyValue, ...] = ()


class Incremented(NamedTuple):
    """The key has this value now."""

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
    """`ttl_ms` is the granted TTL; 0: the lease does not exist (etcd's convention)."""

    revision: int
    id: int
    ttl_ms: int


class SessionOpened(NamedTuple):
    """The new session's id."""

    revision: int
    session: int


class Done(NamedTuple):
    """The command was applied; there is nothing to say but the revision."""

    revision: int


class RangeDone(NamedTuple):
    """`count` ignores the limit; `more` says that the limit has cut some keys off."""

    revision: int
    kvs: tuple[KeyValue, ...]
    more: bool
    count: int  # type: ignore[assignment]  # etcd's name; hides tuple.count, which nobody calls


TxnResponse = PutDone | DeleteDone | RangeDone | Incremented | TxnDone


class HistoryDone(NamedTuple):
    """The changes, newest first; `more`: the limit has cut some off; `compacted`: a compaction may
    have."""

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


class WholeHashDone(NamedTuple):
    """A CRC-32 of all that the node holds; other members may have another."""

    revision: int
    hash: int


class Alarms(NamedTuple):
    """The alarms that a query found, or those that a command has raised or cleared."""

    revision: int
    alarms: tuple[AlarmMember, ...]


class AuthStatusDone(NamedTuple):
    """Whether requests are checked, and the number of changes of users and roles."""

    revision: int
    enabled: bool
    auth_revision: int


class UserDone(NamedTuple):
    """The roles and the public keys of one user."""

    revision: int
    roles: tuple[str, ...]
    keys: tuple[bytes, ...]


class RoleDone(NamedTuple):
    """The permissions of one role, in the order of their keys, and its limits."""

    revision: int
    permissions: tuple[Permission, ...]
    limits: UserLimits = NO_LIMITS


class UserNames(NamedTuple):
    """The names of all users, in order."""

    revision: int
    users: tuple[str, ...]


class RoleNames(NamedTuple):
    """The names of all roles that were added, in order."""

    revision: int
    roles: tuple[str, ...]


class Authenticated(NamedTuple):
    """A token, for somebody who has given the right password, and its life."""

    revision: int
    token: str
    ttl_seconds: int


class UserSecretDone(NamedTuple):
    """What a node needs to check a password and to make a token. `user_id` 0: no such user."""

    revision: int
    user_id: int
    password: bytes
    auth_revision: int
    secret: bytes


class LeaseLife(NamedTuple):
    """Without such a lease `remaining_ms` is -1 and `granted_ms` 0 (etcd's convention)."""

    revision: int
    id: int
    remaining_ms: int
    granted_ms: int
    keys: tuple[bytes, ...] | None = None


class Leases(NamedTuple):
    """The ids of all leases, in the order in which they end."""

    revision: int
    ids: tuple[int, ...]


class Members(NamedTuple):
    """All members, ordered by id; `waiting`: as they will be once a new member has started."""

    revision: int
    members: tuple[Member, ...]
    waiting: bool = False


class StatusDone(NamedTuple):
    """A member's status: sizes in bytes, Raft's part, and the alarms of all members."""

    revision: int
    db_size: int
    db_size_in_use: int
    applied_index: int
    raft: RaftStatus
    alarms: tuple[AlarmMember, ...] = ()


class SnapshotBlob(NamedTuple):
    """A part of the snapshot called `name`; `sha256` is that of the whole file, 32 bytes."""

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
    | WholeHashDone
    | Alarms
    | LeaseLife
    | Leases
    | Members
    | StatusDone
    | SnapshotBlob
    | AuthStatusDone
    | UserDone
    | RoleDone
    | UserNames
    | RoleNames
    | UserSecretDone
    | Authenticated
    | Failure
)
