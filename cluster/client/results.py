"""The results of a client's calls: typed values with etcd's names.

What has keys and values in it is generic: they are bytes, or str where a client shows text. How
results are read from a reply is the business of `replies`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Generic, Literal, NamedTuple

if TYPE_CHECKING:
    from typing_extensions import TypeVar

    Data = TypeVar("Data", bound=bytes | str, default=bytes)
else:
    from typing import TypeVar

    Data = TypeVar("Data", bound=bytes | str)


class Header(NamedTuple):
    """The cluster and member that answered, and the store's revision and Raft's term there."""

    cluster_id: int
    member_id: int
    revision: int
    raft_term: int


class KeyValue(NamedTuple, Generic[Data]):
    """A key and its value; revisions as in etcd, `lease` 0 for none."""

    key: Data
    value: Data
    create_revision: int
    mod_revision: int
    version: int
    lease: int


class PutResult(NamedTuple, Generic[Data]):
    """`prev_kv` is None unless it was asked for and the key existed.

    `lease` and `ttl` (seconds) are those of the lease that a put with a `ttl` granted, else 0.
    """

    header: Header
    prev_kv: KeyValue[Data] | None
    lease: int = 0
    ttl: float = 0


class DeleteResult(NamedTuple, Generic[Data]):
    """The number of keys deleted, and with `prev_kv` their last key-values."""

    header: Header
    deleted: int
    prev_kvs: tuple[KeyValue[Data], ...]


class CompactResult(NamedTuple):
    """The history before the revision asked for is compacted."""

    header: Header


class RangeResult(Generic[Data]):
    """The keys of an interval, in order: iterable, with a length, false when empty.

    `count` is the number of keys in the interval, whatever the limit. `more`: the limit has cut
    some off.
    """

    __slots__ = ("count", "header", "kvs", "more")

    def __init__(
        self, header: Header, kvs: tuple[KeyValue[Data], ...], more: bool, count: int
    ) -> None:
        self.header = header
        self.kvs = kvs
        self.more = more
        self.count = count

    def __iter__(self) -> Iterator[KeyValue[Data]]:
        return iter(self.kvs)

    def __len__(self) -> int:
        return len(self.kvs)

    def __bool__(self) -> bool:
        return bool(self.kvs)

    def __getitem__(self, index: int) -> KeyValue[Data]:
        return self.kvs[index]

    def __repr__(self) -> str:
        return f"RangeResult(count={self.count}, more={self.more}, kvs={self.kvs!r})"


class IncrementResult(NamedTuple):
    """The value that the key has now."""

    header: Header
    value: int


class TxnResult(NamedTuple, Generic[Data]):
    """Whether all compares held, and the responses to the operations of the branch, in order."""

    header: Header
    succeeded: bool
    responses: tuple[TxnResponse[Data], ...]


TxnResponse = (
    PutResult[Data] | RangeResult[Data] | DeleteResult[Data] | IncrementResult | TxnResult[Data]
)
"""A response of a transaction, by the kind of operation. Only the `revision` of its header is its
own; the rest is copied from the transaction's header."""


class Event(NamedTuple, Generic[Data]):
    """One change of a watched key. A DELETE's `kv` has only `key` and `mod_revision`.

    `reason` of a DELETE says why: `deleted`, `lease expired` or `lease revoked`; a PUT has none.
    """

    type: Literal["PUT", "DELETE"]
    kv: KeyValue[Data]
    prev_kv: KeyValue[Data] | None
    reason: str

    @property
    def revision(self) -> int:
        """The revision that made the change."""
        return self.kv.mod_revision


class WatchBatch(NamedTuple, Generic[Data]):
    """Events that arrived together: whole revisions, in order.

    A batch without events is a bookmark: all events up to `header.revision` were delivered.
    """

    header: Header
    events: tuple[Event[Data], ...]


class HistoryResult(NamedTuple, Generic[Data]):
    """The changes of one key, newest first.

    `more`: the limit has cut some off. `compacted`: older changes, if there were any, are compacted
    away. When neither is set, these are all changes of the key there ever were.
    """

    header: Header
    events: tuple[Event[Data], ...]
    more: bool
    compacted: bool


class LeaseGrantResult(NamedTuple):
    """The lease's id and the TTL that was granted, in seconds."""

    header: Header
    id: int
    ttl: float


class LeaseRevokeResult(NamedTuple):
    """The lease and its keys are gone."""

    header: Header


class LeaseKeepAliveResult(NamedTuple):
    """The lease was renewed for its whole TTL, in seconds."""

    header: Header
    id: int
    ttl: float


class LeaseTimeToLiveResult(NamedTuple, Generic[Data]):
    """`ttl` is the remaining time in whole seconds, -1 when there is no such lease.

    `remaining_ms` is the same in milliseconds. `keys` is None unless it was asked for.
    """

    header: Header
    id: int
    ttl: int
    granted_ttl: float
    remaining_ms: int
    keys: tuple[Data, ...] | None = None


class LeaseListResult(NamedTuple):
    """The ids of all leases, ordered by when they expire."""

    header: Header
    ids: tuple[int, ...]


class Member(NamedTuple):
    """One member; `name` is empty until the member has started for the first time.

    `keys` are its public keys where members have keys, the newest last.
    """

    id: int
    name: str
    peer_urls: tuple[str, ...]
    client_urls: tuple[str, ...]
    is_learner: bool
    keys: tuple[str, ...] = ()


class MemberListResult(NamedTuple):
    """Every member of the cluster, ordered by id."""

    header: Header
    members: tuple[Member, ...]


class MemberAddResult(NamedTuple):
    """The new member, and all members with it.

    `waiting`: the addition is certain, but it completes, and writes go on, only once the new member
    has started.
    """

    header: Header
    member: Member
    members: tuple[Member, ...]
    waiting: bool = False


class MoveLeaderResult(NamedTuple):
    """The ids of the members that led before (`source`) and lead now (`target`)."""

    source: int
    target: int


class StatusResult(NamedTuple):
    """One node's own state; `leader` is a member id, 0 when it knows none; sizes are in bytes."""

    header: Header
    version: str
    db_size: int
    db_size_in_use: int
    leader: int
    raft_index: int
    raft_term: int
    raft_applied_index: int
    is_learner: bool
    errors: tuple[str, ...]


class HashResult(NamedTuple):
    """A hash of all that one node holds; it says whether that has changed, and is no other's."""

    header: Header
    hash: int


class HashKvResult(NamedTuple):
    """A hash of all keys and revisions from `compact_revision` to `hash_revision`.

    Members with the same data have the same hash for the same two revisions.
    """

    header: Header
    hash: int
    compact_revision: int
    hash_revision: int


class Alarm(NamedTuple):
    """An alarm of a member: `NOSPACE`, `CORRUPT`, `UNREADABLE` or `DATA_LOSS`."""

    member_id: int
    alarm: str


class AlarmResult(NamedTuple):
    """The alarms that are raised, or those that the call has raised or cleared."""

    header: Header
    alarms: tuple[Alarm, ...]


class DefragmentResult(NamedTuple):
    """The node has given its unused disk space back."""

    header: Header


class SnapshotPart(NamedTuple):
    """One part of a snapshot: bytes, the number of bytes that follow, and the SHA-256 of all."""

    header: Header
    name: str
    blob: bytes
    remaining_bytes: int
    sha256: bytes


class SnapshotResult(NamedTuple):
    """A snapshot that was saved: its endpoint, its size in bytes, and its SHA-256 (hex)."""

    endpoint: str
    size: int
    sha256: str
