"""LockingQueue: values that stay in the queue until the client that got them says it is done."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final, Generic, Self

from cluster.client import ops
from cluster.client.flows.deadlines import deadline_in
from cluster.client.flows.held_place import HeldPlace, QueuePlace
from cluster.client.flows.lease import Lease
from cluster.client.flows.queues import PRIORITY, PriorityQueue
from cluster.client.flows.waiting import Nothing, wait_until
from cluster.client.replies import Reply, txn_result
from cluster.client.requests import Key, Named, interval, interval_fields, to_bytes
from cluster.client.results import Data, KeyValue, RangeResult, TxnResponse
from cluster.errors import LeaseNotFoundError

if TYPE_CHECKING:
    from cluster.client.flows.caller import Caller
    from cluster.client.flows.primitives import Primitives
    from cluster.client.forms import DataForm

HOLDERS_MAX: Final = 1_000
"""The clients that may hold a value of one queue at a time."""


class LockingQueue(Generic[Data]):
    """Values by priority; one that was got is locked, and comes back if its holder dies.

    An object holds one value at a time: `get` it, then `consume` or `release` it. A lease holds the
    lock: one of its own from the first `get` until the end of the block (or `close`), or the given
    one. A name must not begin with the name of another recipe and a slash.
    """

    def __init__(
        self,
        client: Primitives,
        caller: Caller,
        form: DataForm[Data],
        name: Key,
        ttl: float,
        lease: Named | None,
    ) -> None:
        if lease is not None and not isinstance(lease, Lease):
            raise TypeError(f"lease must be a Lease of this client, not {lease!r}")
        self._client = client
        self._caller = caller
        self._form = form
        self._queue = PriorityQueue(client, caller, form, name)
        self._prefix = to_bytes(name) + b"/"
        self._items = self._prefix + b"items/"
        self._locks = self._prefix + b"locks/"
        self._ttl = ttl
        self._lease = lease
        self._owns_lease = lease is None
        self._held: HeldPlace | None = None

    async def put(self, value: Key, priority: int = PRIORITY) -> None:
        """Put a value in behind those of its priority, which is from 0 to 99,999."""
        await self._queue.put(value, priority)

    async def put_all(self, values: Iterable[Key], priority: int = PRIORITY) -> None:
        """Put several values in, in their order, up to a hundred in one step."""
        await self._queue.put_all(values, priority)

    async def get(self, timeout: float | None = None) -> Data:
        """The first value that nobody holds, locked; the same one again while it is held.

        DeadlineExceededError after `timeout` seconds without one; None: it waits without limit.
        """
        if self._held is not None and not self._held.lost.is_set():
            found = await self._client.get(self._item(self._held.place.key))
            if found is not None:
                return self._form.value(found.key, found.value)
        self._let_go()
        deadline = deadline_in(timeout)
        lease = await self._holding()
        return await wait_until(self._client, self._prefix, lambda: self._take(lease), deadline)

    def holds_lock(self) -> bool:
        """Whether it holds a value, and has not lost it as far as this client knows."""
        return self._held is not None and not self._held.lost.is_set()

    async def consume(self) -> None:
        """The value is done: take it out of the queue; LeaseLostError when it was lost before."""
        held = self._kept()
        item = self._item(held.place.key)
        done = self._client.txn().if_(held.place.guard())
        await self._end(held, done.then(ops.delete(item), ops.delete(held.place.key)))

    async def release(self) -> None:
        """Let another have the value; LeaseLostError when it was lost before."""
        held = self._kept()
        free = self._client.txn().if_(held.place.guard()).then(ops.delete(held.place.key))
        await self._end(held, free)

    async def size(self) -> int:
        """The number of values in it, with those that are held."""
        return await self._queue.size()

    async def close(self) -> None:
        """Let another have the value that is held, and end the lease that is its own."""
        held, lease = self._held, self._lease
        self._let_go()
        if self._owns_lease and lease is not None:
            self._lease = None
            if not lease.is_inherited:
                await self._caller.shell.see_through(_revoke(lease))
        elif held is not None and not held.lost.is_set():
            free = self._client.txn().if_(held.place.guard()).then(ops.delete(held.place.key))
            await free.commit()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, exception_type: type[BaseException] | None, *error: object) -> None:
        await self.close()

    def _kept(self) -> HeldPlace:
        if self._held is None:
            raise RuntimeError("no value is held: get one first")
        return self._held

    def _item(self, lock: bytes) -> bytes:
        return self._items + lock.removeprefix(self._locks)

    def _let_go(self) -> None:
        held, self._held = self._held, None
        if held is not None:
            held.end()

    async def _holding(self) -> Lease:
        lease = self._lease
        if lease is None or (self._owns_lease and lease.lost.is_set()):
            lease = self._lease = (await self._client.lease.grant(self._ttl)).keep_alive()
        lease._refuse_if_inherited()
        if lease.error is not None:
            raise lease.error
        return lease

    async def _take(self, lease: Lease) -> Data | Nothing:
        while True:
            items = ops.get(self._items, prefix=True, limit=HOLDERS_MAX + 1, keys_only=True)
            locks = ops.get(self._locks, prefix=True, keys_only=True)
            seen = await self._client.txn().then(items, locks).commit()
            found, held = map(_keys, seen.responses)
            free = [key for key in found if self._lock(key) not in set(held)]
            if not free:
                return Nothing(seen.header.revision)
            taken = await self._lock_item(free[0], lease)
            if taken is not None:
                return self._form.value(taken.key, taken.value)

    def _lock(self, item: bytes) -> bytes:
        return self._locks + item.removeprefix(self._items)

    async def _lock_item(self, item: bytes, lease: Lease) -> KeyValue | None:
        """Lock an item and read it; None if somebody else was faster."""
        lock = self._lock(item)
        txn = ops.txn().if_(ops.create_revision(item) > 0, ops.create_revision(lock) == 0)
        fields = txn.then(ops.put(lock, lease=lease), ops.get(item)).fields()
        deletion = interval_fields("delete_range", interval(lock))

        def regret(reply: Reply) -> dict[str, Any] | None:
            return deletion if reply["succeeded"] else None

        done = await self._caller.request(fields, txn_result, write=True, regret=regret)
        if not done.succeeded:
            return None
        self._held = HeldPlace(self._caller, QueuePlace(lock, done.header.revision), lease)
        read = done.responses[1]
        assert isinstance(read, RangeResult), "a get is answered by a range"
        return read[0]

    async def _end(self, held: HeldPlace, end: Any) -> None:
        lost = held.why
        self._let_go()
        held.lease._refuse_if_inherited()
        if lost is not None:
            raise lost
        if not (await end.commit()).succeeded:
            raise held.gone()


def _keys(response: TxnResponse) -> list[bytes]:
    assert isinstance(response, RangeResult), "a get is answered by a range"
    return [kv.key for kv in response]


async def _revoke(lease: Lease) -> None:
    try:
        await lease.revoke()
    except LeaseNotFoundError:
        return
