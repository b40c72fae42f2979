"""Partitioner: a set of items divided among the workers that are there, and anew as they change."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Generic, Self

from cluster.client import ops
from cluster.client.engine.call import FOREVER
from cluster.client.engine.notices import Notice, WatchEnded, WatchEvents
from cluster.client.flows.contest import OLDEST_FIRST, Contest
from cluster.client.flows.deadlines import deadline_in
from cluster.client.flows.lease import Lease
from cluster.client.flows.shell import Subscriber
from cluster.client.flows.waiting import Nothing, wait_until
from cluster.client.requests import Key, interval, to_bytes
from cluster.client.results import Data, KeyValue, RangeResult
from cluster.errors import DeadlineExceededError, LeaseholdError, LeaseLostError

if TYPE_CHECKING:
    from cluster.client.flows.caller import Caller
    from cluster.client.flows.primitives import Primitives
    from cluster.client.forms import DataForm

WAIT_SECONDS: Final = 30.0
"""How long `wait_for_acquire` waits unless it is told otherwise, as in kazoo."""


class Partitioner(Generic[Data]):
    """A worker's share of a set of items. No item is ever two workers' at a time.

    It is in one of kazoo's states. `allocating`: `wait_for_acquire` gets a share. `acquired`: go
    through the object, which gives its items, and work; look now and then whether it still is so.
    `release`: the workers have changed, so stop working on the share, and call `release_set`.
    `failed`: its lease is lost, and others may have its items; call `finish`.

    All workers of a name give the same items. The items go to the workers in turn, in the order in
    which these came. A name must not begin with the name of another recipe and a slash.
    """

    def __init__(
        self,
        contest: Contest,
        client: Primitives,
        caller: Caller,
        form: DataForm[Data],
        items: Iterable[Key],
        identifier: Key,
    ) -> None:
        self._contest = contest
        self._client = client
        self._caller = caller
        self._form = form
        self._items = sorted({to_bytes(item) for item in items})
        self._identifier = identifier
        self._locks = contest.prefix + b"locks/"
        self._workers = contest.prefix + contest.rules.own
        self._share: tuple[bytes, ...] = ()
        self._seen: _Changes | None = None
        self._has_share = False

    @property
    def failed(self) -> bool:
        """Whether its lease is lost."""
        held = self._contest.held
        return held is not None and held.lost.is_set()

    @property
    def release(self) -> bool:
        """Whether the workers have changed, so that its share must be given up."""
        return self._has_share and self._is_stale and not self.failed

    @property
    def acquired(self) -> bool:
        """Whether it has its share."""
        return self._has_share and not self._is_stale and not self.failed

    @property
    def allocating(self) -> bool:
        """Whether it has no share yet."""
        return not (self._has_share or self.failed)

    def __iter__(self) -> Iterator[Data]:
        """The items of its share, in their order; none unless it is `acquired`."""
        return map(self._form.key, self._share if self.acquired else ())

    async def wait_for_acquire(self, timeout: float | None = WAIT_SECONDS) -> bool:
        """Wait for a share; False after `timeout` seconds, None for no limit.

        It may be empty, if there are more workers than items. LeaseLostError when it has `failed`.
        """
        deadline = deadline_in(timeout)
        lease = await self._take_part()
        while not self.acquired:
            if self._has_share:
                raise RuntimeError("the share must be given up first, by release_set")
            try:
                await self._acquire(lease, deadline)
            except DeadlineExceededError:
                await self.release_set()
                return False
        return True

    async def release_set(self) -> None:
        """Give the share up, so that others may have its items; LeaseLostError if it failed."""
        self._share, self._has_share = (), False
        held = self._contest.kept
        if held.why is not None:
            raise held.why
        locks = await self._client.range(self._locks, prefix=True)
        for lock in locks:
            if lock.lease == held.lease.id:
                one = ops.create_revision(lock.key) == lock.create_revision
                await self._client.txn().if_(one).then(ops.delete(lock.key)).commit()

    async def finish(self) -> None:
        """Give the share up, and be a worker no more."""
        self._share, self._has_share = (), False
        seen, self._seen = self._seen, None
        if seen is not None:
            seen.end()
        if self._contest.held is None:
            return
        try:
            await self.release_set()
        finally:
            await self._contest.leave()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, exception_type: type[BaseException] | None, *error: object) -> None:
        try:
            await self.finish()
        except LeaseLostError:
            return  # there is nothing left to give up
        except LeaseholdError:
            # The error of the block must not be hidden by one of the end.
            if exception_type is None:
                raise

    @property
    def _is_stale(self) -> bool:
        return self._seen is None or self._seen.are_there

    async def _take_part(self) -> Lease:
        """Be a worker; the lease that it is by."""
        if self._contest.held is None:
            async with self._contest.entering() as lease:
                await self._contest.enter(lease, self._identifier)
        held = self._contest.kept
        if held.why is not None:
            raise held.why
        return held.lease

    async def _acquire(self, lease: Lease, deadline: float | None) -> None:
        """Find the share, and lock its items one by one, until all are locked or it is stale."""
        if self._seen is not None:
            self._seen.end()
        found = await self._client.range(self._workers, prefix=True, **OLDEST_FIRST)
        self._seen = _Changes(self._caller, self._workers, found.header.revision)
        workers = [_worker(one) for one in found]
        places = [place for place, one in enumerate(found) if one.lease == lease.id]
        if not places:
            raise LeaseLostError("the key of this worker is gone")
        share = tuple(self._items[places[0] :: len(workers)])
        for item in share:
            lock = partial(self._lock, item, lease, workers)
            held = self._contest.held
            if not await wait_until(self._client, self._contest.prefix, lock, deadline, held):
                await self.release_set()
                return
        self._share, self._has_share = share, True

    async def _lock(
        self, item: bytes, lease: Lease, workers: list[tuple[bytes, int]]
    ) -> bool | Nothing:
        """Lock an item; False when the workers are others now, so that it may be another's."""
        key = self._locks + item
        free = self._client.txn().if_(ops.create_revision(key) == 0)
        there = ops.get(self._workers, prefix=True, **OLDEST_FIRST)
        done = await free.then(ops.put(key, lease=lease), there).else_(ops.get(key), there).commit()
        first, now = done.responses
        assert isinstance(now, RangeResult), "a get is answered by a range"
        if [_worker(one) for one in now] != workers:
            return False
        if done.succeeded:
            return True
        assert isinstance(first, RangeResult), "a get is answered by a range"
        return True if first and first[0].lease == lease.id else Nothing(done.header.revision)


def _worker(found: KeyValue) -> tuple[bytes, int]:
    """A worker is another one when its key was put again."""
    return found.key, found.create_revision


class _Changes:
    """Whether a key with a prefix has changed after a revision; it is known without asking."""

    def __init__(self, caller: Caller, prefix: bytes, revision: int) -> None:
        self.are_there = False
        connection = self._connection = caller.connection()
        subscriber = Subscriber(self._notice, self._end, self._end)
        self._number = caller.attach(connection, subscriber)
        keys = interval(prefix, prefix=True)
        fields: dict[str, Any] = {"op": "watch_create", "key": keys.key, "range_end": keys.end}
        fields.update(start_revision=revision + 1, keys_only=True)
        caller.open_watch(connection, self._number, fields, FOREVER)

    def end(self) -> None:
        """Look no more."""
        number = self._number
        self._connection.detach(number)
        self._connection.run(lambda core, now: core.watches.cancel(number))

    def _notice(self, notice: Notice) -> bool:
        match notice:
            case WatchEvents(events=(_, *_)) | WatchEnded():
                self.are_there = True
            case _:
                pass
        return True

    def _end(self, error: LeaseholdError) -> None:
        self.are_there = True
