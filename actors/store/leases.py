"""Leases on cluster time: which exist, until when, and which keys each of them holds.

Every deadline is replicated: applying an entry sets it, and a lease ends only when an entry says so
(DESIGN.md#leases). `writes.py` deletes the keys, and the leader's LeaseActor notices that a
deadline has passed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Final

from actors.language.queries import LeaseTimeToLive
from actors.language.results import Failure, LeaseLife, Leases
from actors.store.index import KeyIndex
from actors.store.steps import Steps, portions, sort
from actors.store.storage import LeaseRecord
from actors.store.unsettled import Live

LEASE_EXISTS: Final = Failure("LeaseExist")
LEASE_NOT_FOUND: Final = Failure("LeaseNotFound")
TOO_MANY_LEASES: Final = Failure("TooManyLeases")
TOO_MANY_OF_USER: Final = Failure("TooManyLeasesOfUser")
TTL_TOO_LARGE: Final = Failure("LeaseTTLTooLarge")

TTL_MS_MAX: Final = 9_000_000_000 * 1_000
"""etcd's longest lease."""

LEASES_MAX: Final = 300_000
"""How many leases a cluster may have: each takes 0.7 KB of every member's memory, 200 MB in all.

The limit decides what a command does, so all nodes must have the same.
"""

_IDS: Final = range(-(2**63), 2**63)


class Lease:
    """One lease; `deadline_ms` is in cluster time."""

    __slots__ = ("deadline_ms", "id", "keys", "owner", "ttl_ms")

    def __init__(self, record: LeaseRecord) -> None:
        self.id, self.ttl_ms, self.deadline_ms, self.owner = record
        self.keys: set[bytes] = set()

    def record(self) -> LeaseRecord:
        """What the backend keeps of it."""
        return LeaseRecord(self.id, self.ttl_ms, self.deadline_ms, self.owner)


class LeaseTable:
    """The table of leases; `facts` and `changed` gather what LeaseActor and backend must hear.

    `asker` is the id of the user to whom leases are granted now; 0 or less is no user. `max_of`
    says how many leases the user with an id may have; 0: the user has no limit.
    """

    def __init__(self, leases_max: int = LEASES_MAX) -> None:
        self._leases_max = leases_max
        self.table: dict[int, Lease] = {}
        self.asker = 0
        self.max_of: Callable[[int], int] = _no_limit
        # How many leases each user has.
        self._owned: Counter[int] = Counter()
        # (lease, deadline) in order, until the actor takes them; deadline 0: the lease has ended.
        self.facts: list[tuple[int, int]] = []
        # The leases that the backend does not have as they are now.
        self.changed: set[int] = set()
        # How often a lease was granted, renewed and ended since this object was made.
        self.granted = self.renewed = self.ended = 0

    def restore(self, records: Iterable[LeaseRecord]) -> None:
        """Take in leases as the backend has them: nobody need be told."""
        for record in records:
            self._keep(record)

    def fault_of(self, lease_id: int, ttl_ms: int, granted: Collection[int] = ()) -> Failure | None:
        """Why a lease cannot be granted; `granted`: the same transaction grants these before."""
        if lease_id in self.table or lease_id in granted:
            return LEASE_EXISTS
        if not 0 <= ttl_ms <= TTL_MS_MAX:
            return TTL_TOO_LARGE
        # 0 stands for "no lease". A gateway chooses an id for a client that asks for 0.
        if not lease_id or lease_id not in _IDS:
            return LEASE_NOT_FOUND
        if len(self.table) + len(granted) >= self._leases_max:
            return TOO_MANY_LEASES
        asker = self.asker
        own_max = self.max_of(asker) if asker > 0 else 0
        if own_max and self._owned[asker] + len(granted) >= own_max:
            return TOO_MANY_OF_USER
        return None

    def grant(self, lease_id: int, ttl_ms: int, now_ms: int) -> None:
        """Create a lease for which `fault_of` found no fault."""
        self._keep(LeaseRecord(lease_id, ttl_ms, now_ms + ttl_ms, max(self.asker, 0)))
        self._tell(lease_id, now_ms + ttl_ms)
        self.granted += 1

    def keep_alive(self, lease_id: int, now_ms: int) -> int:
        """Start the TTL anew and return it in milliseconds; 0 when there is no such lease.

        A lease whose deadline has passed exists until an entry ends it, so it can still be renewed.
        """
        lease = self.table.get(lease_id)
        if lease is None:
            return 0
        lease.deadline_ms = now_ms + lease.ttl_ms
        self._tell(lease_id, lease.deadline_ms)
        self.renewed += 1
        return lease.ttl_ms

    def is_due(self, lease_id: int, deadline_ms: int, now_ms: int) -> bool:
        """Whether a lease still has the deadline that the leader saw pass, and it has passed.

        A renewal that came before the expiry in the log has set another deadline.
        """
        lease = self.table.get(lease_id)
        return lease is not None and lease.deadline_ms == deadline_ms and now_ms >= deadline_ms

    def remind(self, lease_id: int) -> None:
        """Tell a lease's deadline again, though it has not changed: its expiry was put off."""
        self.facts.append((lease_id, self.table[lease_id].deadline_ms))

    def end(self, lease_id: int) -> None:
        """End a lease; its keys are on no lease then."""
        owner = self.table.pop(lease_id).owner
        if owner:
            self._owned[owner] -= 1
            if not self._owned[owner]:
                del self._owned[owner]
        self._tell(lease_id, 0)
        self.ended += 1

    def leave(self, keys: Iterable[bytes], live: Mapping[bytes, Live]) -> None:
        """Keys are about to be deleted: those on a lease leave it."""
        if not self.table:
            return
        for key in keys:
            if lease := live[key][3]:
                self.table[lease].keys.remove(key)

    def drop(self, key: bytes, lease_id: int) -> None:
        """A key that was deleted has left its lease."""
        self.table[lease_id].keys.remove(key)

    def keys_of(self, lease_id: int) -> Collection[bytes]:
        """The keys that hang on a lease; none if there is no such lease."""
        lease = self.table.get(lease_id)
        return lease.keys if lease is not None else ()

    def move(self, key: bytes, before: int, after: int) -> None:
        """A key moves from one lease to another; 0 is no lease."""
        if before:
            self.table[before].keys.remove(key)
        if after:
            self.table[after].keys.add(key)

    def take_changes(self) -> dict[int, LeaseRecord | None]:
        """The leases that changed since the last call, as they are now; None: it has ended."""
        changes: dict[int, LeaseRecord | None] = {}
        for lease_id in self.changed:
            lease = self.table.get(lease_id)
            changes[lease_id] = None if lease is None else lease.record()
        self.changed = set()
        return changes

    def _keep(self, record: LeaseRecord) -> None:
        self.table[record.id] = Lease(record)
        if record.owner:
            self._owned[record.owner] += 1

    def _tell(self, lease_id: int, deadline_ms: int) -> None:
        self.facts.append((lease_id, deadline_ms))
        self.changed.add(lease_id)


def _no_limit(_: int) -> int:
    return 0


def read_life(
    leases: LeaseTable, index: KeyIndex, revision: int, query: LeaseTimeToLive, now_ms: int
) -> Steps[LeaseLife]:
    """How long a lease still lives at `now_ms`, and its keys if they are asked for."""
    lease = leases.table.get(query.id)
    if lease is None:
        return LeaseLife(revision, query.id, remaining_ms=-1, granted_ms=0)
    remaining_ms = max(0, lease.deadline_ms - now_ms)
    keys: tuple[bytes, ...] | None = None
    if query.keys:
        found = list(lease.keys)
        if index.is_late:
            found = yield from _existing(index, found, revision)
        keys = tuple((yield from sort(found, key=bytes)))
    return LeaseLife(revision, lease.id, remaining_ms, lease.ttl_ms, keys)


def _existing(index: KeyIndex, keys: list[bytes], revision: int) -> Steps[list[bytes]]:
    """Those of these keys that exist at a revision: some may have been deleted and still be here.

    Changes that come between two steps alter nothing.
    """
    found: list[bytes] = []
    for portion in portions(keys):
        found += [key for key in portion if index.position_at(key, revision) is not None]
        yield
    return found


def read_leases(leases: LeaseTable, revision: int) -> Steps[Leases]:
    """All leases there are, by their deadlines."""
    ordered = yield from sort(
        list(leases.table.values()), key=lambda lease: (lease.deadline_ms, lease.id)
    )
    return Leases(revision, tuple([lease.id for lease in ordered]))
