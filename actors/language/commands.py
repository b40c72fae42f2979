"""The vocabulary of the store: what it holds, and the commands that change it.

Commands go through the log and are applied on every node. Queries, which only read, are in
`queries.py`, and the answers to both in `results.py`. Times are milliseconds of cluster time
(DESIGN.md#cluster-time). The codec goes by the annotations of the fields. Refuses to know of bytes
on a wire, of Raft, and of which client asked.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Annotated, Final, NamedTuple

from actors.language.auth import AuthCommand
from actors.language.bounds import UINT64_MAX, Unsigned, Within

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
    """What a revision did to a key. All but PUT are tombstones, and say why the key was deleted."""

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
    """One member as `member list` shows it; `name` is empty until the member has first started.

    `keys` are its public keys, the newest last; a cluster without keys has none.
    """

    id: int
    name: str
    peer_urls: tuple[str, ...]
    client_urls: tuple[str, ...]
    is_learner: bool
    keys: tuple[str, ...] = ()


class AlarmType(IntEnum):
    """What is wrong with a member (rpc.proto AlarmType); NONE stands for any alarm.

    UNREADABLE and DATA_LOSS are not in etcd. They warn, and no request is refused for them.
    """

    NONE = 0
    NOSPACE = 1
    CORRUPT = 2
    UNREADABLE = 3  # the member could not decode an entry of the log, and skipped it
    DATA_LOSS = 4  # the member's log lacks or contradicts an entry that is committed


class AlarmMember(NamedTuple):
    """An alarm that a member has raised, and that was not cleared since."""

    member_id: int
    alarm: AlarmType


# --- operations: alone they are commands, and they may be part of a transaction ---------------


class Put(NamedTuple):
    """Set a key (rpc.proto PutRequest). With `lease` 0 the key has no lease afterwards.

    With a `ttl_ms` the put grants the lease itself, and attaches the key to it (not in etcd).
    """

    key: bytes
    value: bytes
    lease: int = 0
    prev_kv: bool = False
    ignore_value: bool = False
    ignore_lease: bool = False
    ttl_ms: int = 0


class DeleteRange(NamedTuple):
    """Delete a key or [key, range_end) in one revision; range_end b"\\0" means every key >= key."""

    key: bytes
    range_end: bytes = b""
    prev_kv: bool = False


class Increment(NamedTuple):
    """Add to a key's value, a decimal integer of 64 bits; an absent key counts as 0 (not in etcd).

    The key keeps its lease. If the value is no such integer, or the sum does not fit, the increment
    is refused, and its transaction with it.
    """

    key: bytes
    delta: int


class SortOrder(IntEnum):
    """rpc.proto RangeRequest.SortOrder."""

    NONE = 0
    ASCEND = 1
    DESCEND = 2


class SortTarget(IntEnum):
    """rpc.proto RangeRequest.SortTarget."""

    KEY = 0
    VERSION = 1
    CREATE = 2
    MOD = 3
    VALUE = 4


class Range(NamedTuple):
    """Read a key or an interval (rpc.proto RangeRequest); revision 0 is now, limit 0 is no limit.

    The bounds of revisions are inclusive; 0 is no bound.
    """

    key: bytes
    range_end: bytes = b""
    limit: int = 0
    revision: int = 0
    keys_only: bool = False
    count_only: bool = False
    sort_order: SortOrder = SortOrder.NONE
    sort_target: SortTarget = SortTarget.KEY
    min_mod_revision: int = 0
    max_mod_revision: int = 0
    min_create_revision: int = 0
    max_create_revision: int = 0


class CompareResult(IntEnum):
    """How the value found must compare with the operand (rpc.proto Compare.CompareResult)."""

    EQUAL = 0
    GREATER = 1
    LESS = 2
    NOT_EQUAL = 3


class CompareTarget(IntEnum):
    """Which property of a key is compared (rpc.proto Compare.CompareTarget); COUNT is ours.

    COUNT is the number of keys in the interval: 0 or 1 for a single key.
    """

    VERSION = 0
    CREATE = 1
    MOD = 2
    VALUE = 3
    LEASE = 4
    COUNT = 5


class Compare(NamedTuple):
    """A condition on a key, or on each key of an interval; the operand of VALUE is bytes."""

    target: CompareTarget
    result: CompareResult
    key: bytes
    range_end: bytes
    operand: int | bytes


class Txn(NamedTuple):
    """If all compares hold do `success`, else `failure`, in one revision (rpc.proto TxnRequest).

    All compares, those of nested transactions too, see the state before the transaction. It is a
    query if no branch mutates, else a command.
    """

    compare: tuple[Compare, ...]
    success: tuple[TxnOp, ...]
    failure: tuple[TxnOp, ...]


TxnOp = Put | DeleteRange | Range | Increment | Txn


# --- other commands: mutate, go through the log -----------------------------------------------


class LeaseGrant(NamedTuple):
    """Create a lease that ends `ttl_ms` after the entry's cluster time. The id is not 0."""

    id: int
    ttl_ms: int


class LeaseRevoke(NamedTuple):
    """End a lease now and delete its keys in one revision."""

    id: int


class LeaseKeepAlive(NamedTuple):
    """Move a lease's deadline to the entry's cluster time plus its TTL."""

    id: int


class Expiry(NamedTuple):
    """A lease, and its deadline, which the leader has seen pass."""

    lease_id: int
    deadline_ms: int


class LeaseExpire(NamedTuple):
    """From the leader's LeaseActor: end those leases whose deadline is still the one named here.

    A lease that was kept alive in the meantime has another deadline, and stays.
    """

    expiries: tuple[Expiry, ...]


class AdvanceClock(NamedTuple):
    """From the leader's LeaseActor: only the entry's cluster time, so that a restart knows it."""


SESSION_ID_BITS: Final = 63
"""The bits of a session's id, a random number that is not 0."""


class SessionOpen(NamedTuple):
    """Open an exactly-once session under an id that the gateway drew at random."""

    id: Annotated[int, Within(1, (1 << SESSION_ID_BITS) - 1)]


class Compact(NamedTuple):
    """End the history before a revision (rpc.proto CompactionRequest).

    With `physical` the node that was asked answers once its disk holds nothing of that history.
    """

    revision: int
    physical: bool = False


class AlarmActivate(NamedTuple):
    """A member has this alarm from now on.

    Under NOSPACE requests that add to the store are refused, under CORRUPT all changes; under the
    other alarms none.
    """

    member_id: int
    alarm: AlarmType


class AlarmDeactivate(NamedTuple):
    """A member has this alarm no longer; member 0 is every member, NONE every alarm."""

    member_id: int
    alarm: AlarmType


class IntegrityCheck(NamedTuple):
    """From the leader's store: let each member hash its revisions [start, end)."""

    leader: int
    start_revision: int
    end_revision: int


class IntegrityReport(NamedTuple):
    """A member's hash for the IntegrityCheck in the entry at `check_index`."""

    check_index: int
    member_id: int
    hash: int


class MemberPublish(NamedTuple):
    """A member that has started publishes its name and client URLs (etcd's member attributes)."""

    member_id: int
    name: str
    client_urls: tuple[str, ...]


class MemberPeers(NamedTuple):
    """One member as consensus knows it."""

    id: Unsigned
    peer_urls: tuple[str, ...]
    is_learner: bool
    keys: tuple[str, ...] = ()


class SetMembers(NamedTuple):
    """From consensus: who the members are from this entry on.

    `membership` is Raft's own record of them, opaque here. It is kept with the data, for a snapshot
    must bring it along.
    """

    members: tuple[MemberPeers, ...]
    membership: bytes


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
    | SetMembers
    | Compact
    | Txn
    | Increment
    | AlarmActivate
    | AlarmDeactivate
    | IntegrityCheck
    | IntegrityReport
    | AuthCommand
)


class Sequence(NamedTuple):
    """Makes a command apply once: its session, its number there, and the lowest one unanswered."""

    session: Annotated[int, Within(1, UINT64_MAX)]
    seq: Unsigned
    ack: Unsigned
