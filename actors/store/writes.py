"""What a change of keys does to all that depends on them: leases, revisions, previous values.

Each method is one operation. It has a revision of its own, or is a part of a transaction: then
`sub` counts the changes before it in the same revision. An operation that may take long is done in
steps (`steps.py`): between two of them nothing else may change the store, and reads are answered at
the revision before. Knows nothing of entries and clients.
"""

from __future__ import annotations

from collections.abc import Collection
from itertools import islice
from typing import Final, assert_never

from actors.language.commands import (
    Change,
    DeleteRange,
    Expiry,
    Increment,
    KeyValue,
    Put,
    Range,
    Txn,
)
from actors.language.results import (
    DeleteDone,
    Done,
    Failure,
    Incremented,
    LeaseRevoked,
    PutDone,
    TxnDone,
    TxnResponse,
)
from actors.store.leases import LEASE_NOT_FOUND, LeaseTable
from actors.store.mvcc import RevisionStore
from actors.store.ranges import read_interval
from actors.store.steps import ITEMS_PER_STEP, Steps, in_order, portions
from actors.store.txn import (
    KEY_NOT_FOUND,
    NESTED_REVISION,
    Branch,
    decide,
    fault_of,
    fault_of_answers,
    incremented,
)

EXPIRED_KEYS_MAX: Final = 1_000
"""One entry expires no more leases once it has deleted 1,000 keys: reads wait for an entry."""

VALUES_PER_STEP: Final = 16
"""Where the values of deleted keys are read, a step deletes fewer: a value may have megabytes."""

LATE_KEYS_MIN: Final = 10_000
"""A deletion of 10,000 keys or more counts at once, and is worked off later."""

_new: Final = tuple.__new__


class Writes:
    """Changes the keys of one store, and the leases they are on."""

    def __init__(self, store: RevisionStore, leases: LeaseTable) -> None:
        self._store = store
        self._leases = leases
        # Transactions done, and leases that have expired, since this object was made.
        self.txns = 0
        self.expired = 0

    def put(self, command: Put, now_ms: int, sub: int = 0) -> PutDone | Failure:
        """Set a key, on a lease or none; a Failure if the lease or the key to keep is missing."""
        key, value, lease, prev_kv, ignore_value, ignore_lease, ttl_ms = command
        leases = self._leases
        if ttl_ms:
            fault = leases.fault_of(lease, ttl_ms)
            if fault is not None:
                return fault
        elif lease and lease not in leases.table:
            return LEASE_NOT_FOUND
        store = self._store
        before = store.index.live.get(key)
        previous: KeyValue | None = None
        lease_before = 0
        if before is not None:
            lease_before = before[3]
            if prev_kv or ignore_value or store.gather_previous:
                previous = store.read(before[0]).kv
                value = previous.value if ignore_value else value
            lease = lease_before if ignore_lease else lease
        elif ignore_value or ignore_lease:
            return KEY_NOT_FOUND
        # Nothing can fail from here on: a lease that was granted for a refused put would stay.
        if ttl_ms:
            leases.grant(command.lease, ttl_ms, now_ms)
        if lease != lease_before:
            leases.move(key, lease_before, lease)
        revision = store.put(key, value, lease, before, previous, sub)
        if ttl_ms:
            return PutDone(revision, previous if prev_kv else None, command.lease, ttl_ms)
        # The hot path: tuple.__new__ spares what a NamedTuple's own constructor costs.
        return _new(PutDone, (revision, previous if prev_kv else None, 0, 0))

    def delete_late(self, command: DeleteRange, sub: int = 0) -> DeleteDone | None:
        """Delete very many keys of an interval at once, and leave the work to later; None if they
        are fewer, or if somebody wants their values.
        """
        key, range_end, prev_kv = command
        store = self._store
        if not range_end or prev_kv or store.gather_previous:
            return None
        if store.index.count(key, range_end) < LATE_KEYS_MIN:
            return None
        count = store.delete_late(key, range_end, self._leases.drop, sub)
        return DeleteDone(store.revision, count, ())

    def delete_range(self, command: DeleteRange, sub: int = 0) -> Steps[DeleteDone]:
        """Delete the keys of an interval."""
        key, range_end, prev_kv = command
        store, index = self._store, self._store.index
        with_previous = prev_kv or store.gather_previous
        keys_max = _keys_per_step(with_previous)
        deleted: list[KeyValue] = []
        count = 0
        while True:
            keys = list(islice(index.keys(key, range_end), keys_max))
            self._leases.leave(keys, index.live)
            deleted += store.delete(keys, Change.DELETED, with_previous, sub + count)
            count += len(keys)
            if len(keys) < keys_max:
                break
            yield
        return DeleteDone(store.revision, count, tuple(deleted) if prev_kv else ())

    def increment(self, command: Increment, sub: int = 0) -> Incremented | Failure:
        """Add to a counter, which stays on its lease."""
        store, key = self._store, command.key
        total = incremented(store, command)
        if isinstance(total, Failure):
            return total
        before = store.index.live.get(key)
        previous: KeyValue | None = None
        if before is not None and store.gather_previous:
            previous = store.read(before[0]).kv
        lease = 0 if before is None else before[3]
        return Incremented(store.put(key, b"%d" % total, lease, before, previous, sub), total)

    def revoke(self, lease_id: int) -> Steps[LeaseRevoked | Failure]:
        """End a lease for a client."""
        deleted = yield from self._end_lease(lease_id, Change.LEASE_REVOKED)
        return LEASE_NOT_FOUND if deleted is None else LeaseRevoked(self._store.revision)

    def keys_of(self, lease_id: int) -> Collection[bytes]:
        """The keys that hang on a lease; none if there is no such lease."""
        keys = self._leases.keys_of(lease_id)
        if self._store.index.is_late:
            self._store.index.settle_these(tuple(keys))
        return keys

    def _end_lease(self, lease_id: int, change: Change) -> Steps[int | None]:
        """End a lease and delete its keys; returns their number, None if there is no such lease."""
        store, lease = self._store, self._leases.table.get(lease_id)
        if lease is None:
            return None
        # Its keys may have been deleted, and not worked off: those leave it now.
        if store.index.is_late:
            for portion in portions(tuple(lease.keys)):
                store.index.settle_these(portion)
                yield
        # The order decides the positions of the deletions, and must be the same on all members. A
        # set has another order in each process.
        keys = yield from in_order(lease.keys)
        with_previous = store.gather_previous
        keys_max = _keys_per_step(with_previous)
        for start in range(0, len(keys), keys_max):
            if start:
                yield
            store.delete(keys[start : start + keys_max], change, with_previous, sub=start)
        self._leases.end(lease_id)
        return len(keys)

    def expire(self, expiries: tuple[Expiry, ...], now_ms: int) -> Steps[Done]:
        """End those of the leases that are due, each in a revision of its own.

        After EXPIRED_KEYS_MAX deleted keys the rest is left to a later entry.
        """
        leases, deleted = self._leases, 0
        for lease_id, deadline_ms in expiries:
            # Checked again: a renewal may stand before this entry in the log, or the entry may come
            # from a deposed leader that has not seen one.
            if not leases.is_due(lease_id, deadline_ms, now_ms):
                continue
            if deleted < EXPIRED_KEYS_MAX:
                self.expired += 1
                deleted += (yield from self._end_lease(lease_id, Change.LEASE_EXPIRED)) or 0
            else:
                leases.remind(lease_id)
        return Done(self._store.revision)

    def transact(self, txn: Txn, now_ms: int) -> Steps[TxnDone | Failure]:
        """Do a transaction as a whole, or say why not and do nothing."""
        store = self._store
        branch = yield from decide(store, txn, store.revision)
        fault = fault_of(store, self._leases, branch)
        if fault is None and branch.reads:
            fault = yield from fault_of_answers(store, branch)
        if fault is not None:
            return fault
        # The events of the transaction alone are counted: the machine has put earlier ones aside.
        responses = yield from self._do(branch, now_ms)
        self.txns += 1
        return TxnDone(store.revision, branch.succeeded, responses)

    def _do(self, branch: Branch, now_ms: int) -> Steps[tuple[TxnResponse, ...]]:
        """Do a branch that was found possible."""
        store = self._store
        responses: list[TxnResponse | Failure] = []
        # What was changed before in this transaction; the first change begins the revision.
        sub = store.untold
        for each in branch.operations:
            if responses and not len(responses) % ITEMS_PER_STEP:
                yield
            match each:
                case Put():
                    responses.append(self.put(each, now_ms, sub))
                    sub += 1
                    continue
                case Range():
                    responses.append((yield from read_interval(store, each, store.revision)))
                case DeleteRange():
                    at_once = self.delete_late(each, sub)
                    responses.append(at_once or (yield from self.delete_range(each, sub)))
                case Increment():
                    responses.append(self.increment(each, sub))
                case Branch(succeeded):
                    inner = yield from self._do(each, now_ms)
                    responses.append(TxnDone(NESTED_REVISION, succeeded, inner))
                case _:
                    assert_never(each)
            sub = store.untold
        done = tuple([each for each in responses if not isinstance(each, Failure)])
        assert len(done) == len(responses), "what was found possible is done"
        return done


def _keys_per_step(with_previous: bool) -> int:
    return min(VALUES_PER_STEP, ITEMS_PER_STEP) if with_previous else ITEMS_PER_STEP
