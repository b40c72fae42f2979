"""What locks and elections share: a place in a queue of keys, and the wait until it is the first.

The layout is etcd's: a contender for `name` puts the key `name/<lease in hex>`, and the one whose
key was created first has its turn. Each waits for the deletion of the key just before its own, so a
departure wakes one of them.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import TYPE_CHECKING, Final

from cluster.client import ops
from cluster.client.arguments import lease_ttl
from cluster.client.requests import Key, to_bytes
from cluster.client.results import KeyValue, RangeResult, TxnResponse
from cluster.client.standing import LEASE_LOST, Place, Standing
from cluster.errors import (
    CompactedError,
    DeadlineExceededError,
    LeaseholdError,
    LeaseLostError,
    LeaseNotFoundError,
    LockTimeoutError,
)
from cluster.protocol import RangeOptions

if TYPE_CHECKING:
    from cluster.client.lease import Lease
    from cluster.client.primitives import Primitives

FIRST: Final[RangeOptions] = {"sort_target": "CREATE", "sort_order": "ASCEND", "limit": 1}


class Contest:
    """One contender for a name, and the lease it contends with: a given one, or one of its own.

    One of its own is granted when it enters and revoked when it leaves. Knows nothing of what the
    turn is for.
    """

    def __init__(self, client: Primitives, name: Key, ttl: float, lease: Lease | None) -> None:
        self.prefix = to_bytes(name) + b"/"
        self.standing: Standing | None = None
        self._lease = lease
        self._client = client
        self._ttl = lease_ttl(ttl)
        self._owns_lease = lease is None

    @contextmanager
    def entering(self) -> Iterator[Lease]:
        """The lease to enter with. If the block fails, nothing of the attempt is left behind.

        LeaseLostError when the place that was taken, or the lease before that, is lost meanwhile.
        """
        lease = self._lease
        if self._owns_lease:
            lease = self._lease = self._client.lease.grant(self._ttl).keep_alive()
        assert lease is not None, "a contest has a lease of its own or was given one"
        lease.refuse_if_inherited()
        try:
            yield lease
            if self.standing is not None and self.standing.why is not None:
                raise self.standing.why
        except BaseException as error:
            if isinstance(error, LeaseNotFoundError):
                lease.abort(error)
            lost = self._why_lost(lease)
            with suppress(LeaseholdError):  # what cannot be taken back now ends with the lease
                self._abandon(lease)
            if lost is not None and isinstance(error, LeaseholdError):
                raise lost from error
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
        self._stand(Place(key, found.create_revision), lease)
        return found

    def enter_if_first(self, lease: Lease) -> bool:
        """Take the first place, if nobody else has one."""
        key = self._key(lease)
        txn = self._client.txn().if_(ops.count(self.prefix, prefix=True) == 0)
        first = ops.get(self.prefix, prefix=True, **FIRST)
        done = txn.then(ops.put(key, lease=lease)).else_(first).commit()
        if done.succeeded:
            self._stand(Place(key, done.header.revision), lease)
            return True
        (kv,) = _kvs(done.responses[0])
        if kv.key == key:
            self._stand(Place(key, kv.create_revision), lease)
            return True
        if self._owns_lease:
            with suppress(LeaseholdError):  # nothing hangs on it
                lease.revoke()
        return False

    def wait(self, deadline: float | None) -> None:
        """Wait until the place is the first one; LockTimeoutError at the deadline.

        Some error at once when the place is gone: `entering` says why.
        """
        standing = self.kept
        while True:
            last, revision = self._before(standing)
            if last is None:
                return
            # Compacted meanwhile: it need not be known how, only who is there now.
            with suppress(CompactedError):
                self._wait_for_deletion(last.key, revision + 1, standing, deadline)

    @property
    def kept(self) -> Standing:
        """The place that was taken; RuntimeError when there is none."""
        if self.standing is None:
            raise RuntimeError("nothing is held")
        return self.standing

    def leave(self) -> None:
        """Give the place up; LeaseLostError when it was lost before."""
        standing = self.kept
        lease, place, lost = standing.lease, standing.place, standing.why
        self._sit_down()
        lease.refuse_if_inherited()
        if lost is not None:
            with suppress(LeaseholdError):  # what cannot be taken back now ends with the lease
                self._vacate(lease, place)
            raise lost
        if not self._vacate(lease, place):
            raise standing.gone()

    def first(self) -> KeyValue | None:
        """Who has the turn now: the key and its value."""
        found = self._client.range(self.prefix, prefix=True, **FIRST)
        return found[0] if found else None

    def _key(self, lease: Lease) -> bytes:
        return self.prefix + f"{lease.id:x}".encode()

    def _before(self, standing: Standing) -> tuple[KeyValue | None, int]:
        """The place just before this one, None if this one is the first; and as of when."""
        place = standing.place
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
            raise standing.gone()
        kvs = _kvs(done.responses[0])
        return (kvs[0] if kvs else None), done.header.revision

    def _wait_for_deletion(
        self, key: bytes, start_revision: int, standing: Standing, deadline: float | None
    ) -> None:
        watch = self._client.watch(key, start_revision=start_revision, filters=["NOPUT"])
        with watch, standing.when_lost(watch.cancel):
            left = None if deadline is None else max(0.0, deadline - time.monotonic())
            try:
                watch.get(left)
            except DeadlineExceededError as error:
                other = key.decode(errors="backslashreplace")
                raise LockTimeoutError(f"not in time: {other} comes first") from error

    def _stand(self, place: Place, lease: Lease) -> None:
        self.standing = Standing(self._client, place, lease)

    def _sit_down(self) -> None:
        standing, self.standing = self.standing, None
        if standing is not None:
            standing.end()

    def _vacate(self, lease: Lease, place: Place) -> bool:
        """Take the key away, and the lease with it if it is this contest's; was the key there?"""
        deleting = self._client.txn().if_(place.guard()).then(ops.delete(place.key))
        try:
            # Also where the lease goes: only so it is known who took the key away.
            was_there = deleting.commit().succeeded
            if self._owns_lease:
                with suppress(LeaseNotFoundError):
                    lease.revoke()
        finally:
            if self._owns_lease:
                lease.stop()
        return was_there

    def _why_lost(self, lease: Lease) -> LeaseLostError | None:
        if self.standing is not None:
            return self.standing.why
        return LeaseLostError(LEASE_LOST) if lease.lost.is_set() else None

    def _abandon(self, lease: Lease) -> None:
        """After a failure: whatever was done, undo it."""
        self._sit_down()
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
        """Set as soon as the place, once won, may be kept no longer: its lease or key is lost."""
        return self._contest.kept.lost

    @property
    def error(self) -> LeaseLostError | None:
        """Why the place is lost; None while it is not."""
        return self._contest.kept.why

    def when_lost(self, tell: Callable[[], None]) -> AbstractContextManager[None]:
        """Within the block, call this as soon as the place is lost, or at once if it is.

        It may be called twice, and in the client's I/O thread, so it must not wait for anything.
        """
        return self._contest.kept.when_lost(tell)

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
