"""What a change of keys does to all that depends on them: leases, revisions, previous values.

Each method is one operation. It has a revision of its own, or is a part of a transaction: then
`sub` counts the changes before it in the same revision. Knows nothing of entries and clients.
"""

from __future__ import annotations

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
from actors.language.results import DeleteDone, Failure, Incremented, PutDone, TxnDone, TxnResponse
from actors.store.leases import LEASE_NOT_FOUND, LeaseTable
from actors.store.mvcc import RevisionStore
from actors.store.ranges import read_interval
from actors.store.steps import finish
from actors.store.txn import KEY_NOT_FOUND, NESTED_REVISION, Branch, decide, fault_of, incremented

EXPIRED_KEYS_MAX: Final = 1_000
"""One entry expires no more leases once it has deleted 1,000 keys: reads wait for an entry."""

_new: Final = tuple.__new__


class Writes:
    """Changes the keys of one store, and the leases they are on."""

    def __init__(self, store: RevisionStore, leases: LeaseTable) -> None:
        self._store = store
        self._leases = leases

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

    def delete_range(self, command: DeleteRange, sub: int = 0) -> DeleteDone:
        """Delete the keys of an interval."""
        key, range_end, prev_kv = command
        store = self._store
        index = store.index
        keys = list(index.keys(key, range_end))
        for each in keys:
            self._leases.move(each, index.live[each][3], 0)
        deleted = store.delete(keys, Change.DELETED, prev_kv or store.gather_previous, sub)
        return DeleteDone(store.revision, len(keys), tuple(deleted) if prev_kv else ())

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

    def end_lease(self, lease_id: int, change: Change) -> int | None:
        """End a lease and delete its keys; returns their number, None if there is no such lease."""
        keys = self._leases.end(lease_id)
        if keys is None:
            return None
        self._store.delete(keys, change, self._store.gather_previous, sub=0)
        return len(keys)

    def expire(self, expiries: tuple[Expiry, ...], now_ms: int) -> None:
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
                deleted += self.end_lease(lease_id, Change.LEASE_EXPIRED) or 0
            else:
                leases.remind(lease_id)

    def transact(self, txn: Txn, now_ms: int) -> TxnDone | Failure:
        """Do a transaction as a whole, or say why not and do nothing."""
        store = self._store
        branch = finish(decide(store, txn, store.revision))
        fault = fault_of(store, self._leases, branch)
        if fault is not None:
            return fault
        # Earlier entries may have left events that the actor has not taken: count from here.
        responses = self._do(branch, now_ms, len(store.events))
        return TxnDone(store.revision, branch.succeeded, responses)

    def _do(self, branch: Branch, now_ms: int, began: int) -> tuple[TxnResponse, ...]:
        """Do a branch that was found possible; `began`: the events before the transaction."""
        store = self._store
        responses: list[TxnResponse | Failure] = []
        for each in branch.operations:
            # What was changed before in this transaction; the first change begins the revision.
            sub = len(store.events) - began
            match each:
                case Put():
                    responses.append(self.put(each, now_ms, sub))
                case Range():
                    responses.append(finish(read_interval(store, each, store.revision)))
                case DeleteRange():
                    responses.append(self.delete_range(each, sub))
                case Increment():
                    responses.append(self.increment(each, sub))
                case Branch(succeeded):
                    inner = self._do(each, now_ms, began)
                    responses.append(TxnDone(NESTED_REVISION, succeeded, inner))
                case _:
                    assert_never(each)
        done = tuple([each for each in responses if not isinstance(each, Failure)])
        assert len(done) == len(responses), "what was found possible is done"
        return done
