"""What locks and elections share: a place in a queue of keys, and the wait until it is the first.

The layout is etcd's: a contender for `name` puts the key `name/<lease in hex>`, and the one whose
key was created first has its turn. Each waits for the deletion of the key just before its own, so a
departure wakes one of them.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final, NamedTuple

from cluster.client import ops
from cluster.client.requests import Key, RangeOptions, to_bytes
from cluster.client.results import KeyValue, RangeResult, TxnResponse
from cluster.errors import (
    CompactedError,
    DeadlineExceededError,
    LeaseholdError,
    LeaseLostError,
    LeaseNotFoundError,
    LockTimeoutError,
)

if TYPE_CHECKING:
    from cluster.client.api import Client
    from cluster.client.lease import Lease

LEASE_LOST: Final = "mutex: session is expired"
"""etcd's text, for an election too."""

FIRST: Final[RangeOptions] = {"sort_target": "CREATE", "sort_order": "ASCEND", "limit": 1}


class Place(NamedTuple):
    """A place in the queue: its key, and the revision that created it, which is its number."""

    key: bytes
    revision: int

    def guard(self) -> ops.Compare:
        """True as long as the place is kept: guards the writes of who has it."""
        return ops.create_revision(self.key) == self.revision


class Contest:
    """One contender for a name, and the lease it contends with: a given one, or one of its own.

    One of its own is granted when it enters and revoked when it leaves. Knows nothing of what the
    turn is for.
    """

    def __init__(self, client: Client, name: Key, ttl: float, lease: Lease | None) -> None:
        self.prefix = to_bytes(name) + b"/"
        self.lease = lease
        self.place: Place | None = None
        self._client = client
        self._ttl = ttl
        self._owns_lease = lease is None

    @contextmanager
    def entering(self) -> Iterator[Lease]:
        """The lease to enter with. If the block fails, nothing of the attempt is left behind."""
        lease = self.lease
        if self._owns_lease:
            lease = self.lease = self._client.lease.grant(self._ttl).keep_alive()
        assert lease is not None, "a contest has a lease of its own or was given one"
        try:
            yield lease
            if lease.lost.is_set():
                raise LeaseLostError(LEASE_LOST)
        except BaseException as error:
            with suppress(LeaseholdError):  # what cannot be taken back now ends with the lease
                self._abandon(lease)
            is_lost = isinstance(error, LeaseNotFoundError) or lease.lost.is_set()
            if is_lost and isinstance(error, LeaseholdError):
                raise LeaseLostError(LEASE_LOST) from error
            raise

    def enter(self, lease: Lease, value: Key = b"") -> KeyValue:
        """Take the last place, or the one that the lease has already; what its key holds."""
        key = self._key(lease)
        txn = self._client.txn().if_(ops.create_revision(key) == 0)
        done = txn.then(ops.put(key, value, lease=lease)).else_(ops.get(key)).commit()
        revision = done.header.revision
        found = KeyValue(key, to_bytes(value), revision, revision, 1, lease.id)
        if not done.succeeded:
            (found,) = _kvs(done.responses[0])
        self.place = Place(key, found.create_revision)
        return found

    def enter_if_first(self, lease: Lease) -> bool:
        """Take the first place, if nobody else has one."""
        key = self._key(lease)
        txn = self._client.txn().if_(ops.count(self.prefix, prefix=True) == 0)
        first = ops.get(self.prefix, prefix=True, **FIRST)
        done = txn.then(ops.put(key, lease=lease)).else_(first).commit()
        if done.succeeded:
            self.place = Place(key, done.header.revision)
        else:
            (kv,) = _kvs(done.responses[0])
            if kv.key == key:
                self.place = Place(key, kv.create_revision)
            elif self._owns_lease:
                with suppress(LeaseholdError):  # nothing hangs on it
                    lease.revoke()
        return self.place is not None

    def wait(self, lease: Lease, deadline: float | None) -> None:
        """Wait until the place is the first one; LockTimeoutError at the deadline.

        LeaseLostError when it is gone: its lease has ended, or somebody has deleted its key.
        """
        while True:
            last, revision = self._before()
            if last is None:
                return
            # Compacted meanwhile: it need not be known how, only who is there now.
            with suppress(CompactedError):
                self._wait_for_deletion(last.key, revision + 1, lease, deadline)

    @property
    def kept_by(self) -> Lease:
        """The lease that the place is kept by; RuntimeError without a place."""
        if self.lease is None or self.place is None:
            raise RuntimeError("nothing is held")
        return self.lease

    def leave(self) -> None:
        """Give the place up; LeaseLostError when it was lost before."""
        lease, place = self.kept_by, self.place
        assert place is not None, "a place is kept"
        self.place = None
        was_lost = lease.lost.is_set()
        if self._owns_lease:
            try:
                lease.revoke()
            except LeaseNotFoundError:
                was_lost = True
        elif (
            not self._client.txn().if_(place.guard()).then(ops.delete(place.key)).commit().succeeded
        ):
            was_lost = True
        if was_lost:
            raise LeaseLostError(LEASE_LOST)

    def first(self) -> KeyValue | None:
        """Who has the turn now: the key and its value."""
        found = self._client.range(self.prefix, prefix=True, **FIRST)
        return found[0] if found else None

    def _key(self, lease: Lease) -> bytes:
        return self.prefix + f"{lease.id:x}".encode()

    def _before(self) -> tuple[KeyValue | None, int]:
        """The place just before this one, None if this one is the first; and as of when."""
        place = self.place
        assert place is not None, "who waits has a place"
        before = ops.get(
            self.prefix,
            prefix=True,
            max_create_revision=place.revision - 1,
            sort_target="CREATE",
            sort_order="DESCEND",
            limit=1,
        )
        done = self._client.txn().if_(place.guard()).then(before).commit()
        if not done.succeeded:
            raise LeaseLostError(LEASE_LOST)
        kvs = _kvs(done.responses[0])
        return (kvs[0] if kvs else None), done.header.revision

    def _wait_for_deletion(
        self, key: bytes, start_revision: int, lease: Lease, deadline: float | None
    ) -> None:
        watch = self._client.watch(key, start_revision=start_revision, filters=["NOPUT"])
        with watch, lease.when_lost(watch.cancel):
            left = None if deadline is None else max(0.0, deadline - time.monotonic())
            try:
                watch.get(left)
            except DeadlineExceededError as error:
                raise LockTimeoutError(f"not in time: {key!r} is still there") from error

    def _abandon(self, lease: Lease) -> None:
        """After a failure: whatever was done, undo it."""
        self.place = None
        if self._owns_lease:
            lease.revoke()
        else:
            self._client.delete(self._key(lease))


class Holder:
    """What a lock and a candidate have in common for who uses them: the place they have won."""

    def __init__(self, contest: Contest) -> None:
        self._contest = contest

    @property
    def lost(self) -> threading.Event:
        """Set as soon as the place, once won, may be kept no longer: its lease is lost."""
        return self._contest.kept_by.lost

    @property
    def key(self) -> bytes:
        """The key that stands for this holder."""
        return self._place.key

    @property
    def revision(self) -> int:
        """The fencing token: the revision that created `key`, greater for each later holder."""
        return self._place.revision

    def guard(self) -> ops.Compare:
        """A compare that is true as long as the place is kept, for `if_` of a transaction."""
        return self._place.guard()

    @property
    def _place(self) -> Place:
        """The place that was won; raises what fits where there is none."""
        raise NotImplementedError


def _kvs(response: TxnResponse) -> tuple[KeyValue, ...]:
    assert isinstance(response, RangeResult), "a get is answered by a range"
    return response.kvs
