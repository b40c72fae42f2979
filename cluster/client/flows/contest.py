"""What locks and elections share: a place in a queue of keys, and the wait for its turn.

The layout of the queue is etcd's. A contender for `name` puts the key `name/<lease in hex>`. The
contender whose key was created first has the turn. Each other contender watches only the key just
before its own, so a contender that leaves wakes one other and not all of them.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager, asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any, Final, Generic, NamedTuple, TypedDict

from cluster.client import ops
from cluster.client.arguments import lease_ttl
from cluster.client.flows.deadlines import left_until
from cluster.client.flows.held_place import LEASE_LOST, HeldPlace, QueuePlace
from cluster.client.flows.lease import Lease
from cluster.client.flows.lost import Lost
from cluster.client.replies import Reply, txn_result
from cluster.client.requests import Key, Named, interval, interval_fields, to_bytes
from cluster.client.results import Data, KeyValue, RangeResult, TxnResponse, TxnResult
from cluster.errors import (
    CompactedError,
    DeadlineExceededError,
    LeaseholdError,
    LeaseLostError,
    LeaseNotFoundError,
    LockTimeoutError,
)
from cluster.protocol import SortOrder, SortTarget

if TYPE_CHECKING:
    from cluster.client.flows.caller import Caller
    from cluster.client.flows.primitives import Primitives
    from cluster.client.forms import DataForm


class Order(TypedDict):
    """How a read is sorted."""

    sort_target: SortTarget
    sort_order: SortOrder


OLDEST_FIRST: Final[Order] = {"sort_target": "CREATE", "sort_order": "ASCEND"}


class Rules(NamedTuple):
    """Whom a contender waits for: it has its turn while fewer than `seats` rivals came before it.

    `own` and `rivals` are what follows the name and a slash in its own key and in its rivals' keys.
    """

    own: bytes = b""
    rivals: bytes = b""
    seats: int = 1


PLAIN: Final = Rules()


class Contest:
    """One contender for a name, and its lease: one that was given, or one of its own.

    A lease of its own is granted when the contender enters and revoked when it leaves. A contest
    refuses to know what the turn is for.
    """

    def __init__(
        self,
        client: Primitives,
        caller: Caller,
        name: Key,
        ttl: float,
        lease: Named | None,
        rules: Rules = PLAIN,
    ) -> None:
        if lease is not None and not isinstance(lease, Lease):
            raise TypeError(f"lease must be a Lease of this client, not {lease!r}")
        self.prefix = to_bytes(name) + b"/"
        self.rules = rules
        self.held: HeldPlace | None = None
        self._lease = lease
        self._client = client
        self._caller = caller
        self.see_through = caller.shell.see_through
        self._ttl = lease_ttl(ttl)
        self._owns_lease = lease is None

    @asynccontextmanager
    async def entering(self) -> AsyncIterator[Lease]:
        """Within the block, enter with the lease that this yields.

        If the block fails or is cancelled, the attempt's key and its own lease are taken back.
        LeaseLostError when the place, or the lease before a place was taken, is lost within the
        block.
        """
        lease = self._lease
        if self._owns_lease:
            lease = self._lease = (await self._client.lease.grant(self._ttl)).keep_alive()
        assert lease is not None, "a contest has a lease of its own or was given one"
        lease._refuse_if_inherited()
        try:
            yield lease
            if self.held is not None and self.held.why is not None:
                raise self.held.why
        except BaseException as error:
            if isinstance(error, LeaseNotFoundError):
                # The cluster knows better than the lease's own clock.
                lease._abort(error)
            lost = self._why_lost(lease)
            self.let_go()
            with suppress(LeaseholdError):  # a key that cannot be deleted now ends with the lease
                await self.see_through(self._abandon(lease))
            if lost is not None and isinstance(error, LeaseholdError):
                raise lost from error
            raise

    async def enter(
        self, lease: Lease, value: Key = b"", conditions: tuple[ops.Compare, ...] = ()
    ) -> KeyValue | None:
        """Take the last place, or keep the place that the lease has already; its key-value.

        None if it has no place yet, and a condition for a new one does not hold.
        """
        key = self._key(lease)
        txn = ops.txn().if_(ops.create_revision(key) == 0, *conditions)
        done = await self._commit(txn.then(ops.put(key, value, lease=lease)).else_(ops.get(key)))
        revision = done.header.revision
        found = KeyValue(key, to_bytes(value), revision, revision, 1, lease.id)
        if not done.succeeded:
            kvs = _kvs(done.responses[0])
            if not kvs:
                return None
            found = kvs[0]
        self._hold(QueuePlace(key, found.create_revision), lease)
        return found

    async def enter_if_free(self, lease: Lease, value: Key = b"") -> bool:
        """Take a place if it has its turn at once; whether this contender now has its turn."""
        key, seats = self._key(lease), self.rules.seats
        txn = ops.txn().if_(ops.create_revision(key) == 0)
        txn.if_(ops.count(self._rivals, prefix=True) < seats)
        first = ops.get(self._rivals, prefix=True, limit=seats, **OLDEST_FIRST)
        txn.then(ops.put(key, value, lease=lease)).else_(ops.get(key), first)
        done = await self._commit(txn)
        if done.succeeded:
            self._hold(QueuePlace(key, done.header.revision), lease)
            return True
        (own, rivals) = map(_kvs, done.responses)
        for kv in own:
            if sum(rival.create_revision < kv.create_revision for rival in rivals) < seats:
                self._hold(QueuePlace(key, kv.create_revision), lease)
                return True
        if self._owns_lease:
            with suppress(LeaseholdError):  # no key is on this lease: it may as well expire
                await lease.revoke()
        return False

    async def wait(self, deadline: float | None) -> None:
        """Wait for the turn; LockTimeoutError at the deadline (monotonic seconds).

        When the place is lost it raises at once. `entering` replaces that error by the reason.
        """
        held = self.kept
        while True:
            before, revision = await self._before(held)
            if len(before) < self.rules.seats:
                return
            # Compacted meanwhile: the history is not needed. Look again which places are in front.
            with suppress(CompactedError):
                await self._wait_for_deletion(before[0].key, revision + 1, held, deadline)

    @property
    def kept(self) -> HeldPlace:
        """The place that was taken; RuntimeError when there is none."""
        if self.held is None:
            raise RuntimeError("nothing is held")
        return self.held

    async def leave(self) -> None:
        """Give the place up; LeaseLostError when it was lost before."""
        held = self.kept
        lease, place, lost = held.lease, held.place, held.why
        self.let_go()
        lease._refuse_if_inherited()
        if lost is not None:
            with suppress(LeaseholdError):  # a key that cannot be deleted now ends with the lease
                await self.see_through(self._vacate(lease, place))
            raise lost
        if not await self.see_through(self._vacate(lease, place)):
            raise held.gone()

    async def contenders(self, limit: int = 0) -> tuple[KeyValue, ...]:
        """The keys and values of those who have a turn or wait, in their order; `limit`: of the
        first ones, 0 for all."""
        return (await self._client.range(self.prefix, prefix=True, limit=limit, **OLDEST_FIRST)).kvs

    async def _commit(self, txn: ops.Txn) -> TxnResult:
        """Commit a transaction that may put this contender's key.

        If the caller is cancelled and the key was put all the same, it is deleted.
        """
        lease = self._lease
        assert lease is not None, "a contender enters with a lease"
        key = self._key(lease)
        request = self._caller.request
        deletion = interval_fields("delete_range", interval(key))

        def regret(reply: Reply) -> dict[str, Any] | None:
            return deletion if reply["succeeded"] else None

        return await request(txn.fields(), txn_result, write=True, regret=regret)

    def _key(self, lease: Lease) -> bytes:
        return self.prefix + self.rules.own + f"{lease.id:x}".encode()

    @property
    def _rivals(self) -> bytes:
        return self.prefix + self.rules.rivals

    async def _before(self, held: HeldPlace) -> tuple[tuple[KeyValue, ...], int]:
        """The rivals before this place, the latest first, and no more than there are seats; and the
        revision at which that was so."""
        place = held.place
        before = ops.get(
            self._rivals,
            prefix=True,
            max_create_revision=place.revision - 1,
            limit=self.rules.seats,
            sort_target="CREATE",
            sort_order="DESCEND",
        )
        done = await self._client.txn().if_(place.guard()).then(before).commit()
        if not done.succeeded:
            raise held.gone()
        return _kvs(done.responses[0]), done.header.revision

    async def _wait_for_deletion(
        self, key: bytes, start_revision: int, held: HeldPlace, deadline: float | None
    ) -> None:
        """Wait until the rival just before is gone; with several seats, until any rival is gone."""
        is_one = self.rules.seats == 1
        keys = interval(key if is_one else self._rivals, prefix=not is_one)
        watch = self._client.watch(
            keys.key, keys.end, start_revision=start_revision, filters=["NOPUT"]
        )
        async with watch as seen:
            with held.when_lost(seen.cancel):
                left = left_until(deadline)
                try:
                    await seen.get(left)
                except DeadlineExceededError as error:
                    other = key.decode(errors="backslashreplace")
                    raise LockTimeoutError(f"not in time: {other} comes first") from error

    def _hold(self, place: QueuePlace, lease: Lease) -> None:
        self.held = HeldPlace(self._caller, place, lease)

    def let_go(self) -> None:
        """Forget the place, as it is."""
        held, self.held = self.held, None
        if held is not None:
            held.end()

    async def _vacate(self, lease: Lease, place: QueuePlace) -> bool:
        """Delete the key, and revoke the lease if it is the contest's own; was the key there?"""
        deleting = self._client.txn().if_(place.guard()).then(ops.delete(place.key))
        try:
            # Revoking the lease would delete the key too, but would not say whether it was there.
            was_there = (await deleting.commit()).succeeded
            if self._owns_lease:
                with suppress(LeaseNotFoundError):
                    await lease.revoke()
        finally:
            if self._owns_lease:
                lease.stop()
        return was_there

    def _why_lost(self, lease: Lease) -> LeaseLostError | None:
        if self.held is not None:
            return self.held.why
        return LeaseLostError(LEASE_LOST) if lease.lost.is_set() else None

    async def _abandon(self, lease: Lease) -> None:
        """Undo a failed attempt: delete its key, or revoke its own lease."""
        if self._owns_lease:
            await lease.revoke()
        else:
            await self._client.delete(self._key(lease))


class Holder(Generic[Data]):
    """What recipes with a turn share for their users: the place that was won, and its loss."""

    def __init__(self, contest: Contest, form: DataForm[Data]) -> None:
        self._contest = contest
        self._form = form

    @property
    def lost(self) -> Lost:
        """Set as soon as a place that was won is lost, because its lease or its key is."""
        return self._contest.kept.lost

    @property
    def error(self) -> LeaseLostError | None:
        """Why the place is lost; None while it is not."""
        return self._contest.kept.why

    def when_lost(self, tell: Callable[[], None]) -> AbstractContextManager[None]:
        """Within the block, call `tell` as soon as the place is lost, or at once if it is already.

        It may be called twice, and by the client's carrier (its I/O thread, or the event loop), so
        it must not wait for anything.
        """
        return self._contest.kept.when_lost(tell)

    @property
    def key(self) -> Data:
        """The key that stands for this holder."""
        return self._form.key(self._place.key)

    @property
    def revision(self) -> int:
        """The fencing token: the revision that created `key`, greater for each later holder."""
        return self._place.revision

    def guard(self) -> ops.Compare:
        """A compare for `if_` of a transaction: it holds while the place is not lost."""
        return self._place.guard()

    @property
    def _place(self) -> QueuePlace:
        """The place that was won. Without one it raises an error of the recipe's own."""
        raise NotImplementedError


def _kvs(response: TxnResponse) -> tuple[KeyValue, ...]:
    assert isinstance(response, RangeResult), "a get is answered by a range"
    return response.kvs
