"""The objects that a program of the threaded client holds; each stands before its twin in `flows`.

A class names its methods; what they do, and what their parameters mean, is written at the flows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import ParamSpec, Self, TypeVar

from cluster.client import ops, results
from cluster.client.flows import (
    barrier,
    counter,
    election,
    lease,
    lock,
    locking_queue,
    lost,
    mirror,
    partitioner,
    party,
    queues,
    scan,
    stm,
    txn,
    watch,
)
from cluster.client.threads.blocking import (
    Blocking,
    BlockingStream,
    blocking,
    direct,
    finish,
    front_of,
    going_through,
    made,
    pipelined,
    seen,
    synchronous,
)

P = ParamSpec("P")
T = TypeVar("T")


class Lost(Blocking[lost.Lost]):
    __doc__ = synchronous(lost.Lost.__doc__)

    is_set = direct(lost.Lost.is_set)
    wait = blocking(lost.Lost.wait)


class Lease(Blocking[lease.Lease]):
    __doc__ = synchronous(lease.Lease.__doc__)

    def __init__(self, flow: lease.Lease) -> None:
        super().__init__(flow)
        self.id = flow.id
        self.ttl = flow.ttl
        self.granted = flow.granted
        self.lost = Lost(flow.lost)

    error = seen(lease.Lease.error)
    is_inherited = seen(lease.Lease.is_inherited)
    seconds_left = direct(lease.Lease.seconds_left)
    stop = direct(lease.Lease.stop)
    abort = direct(lease.Lease.abort)
    keep_alive_once = blocking(lease.Lease.keep_alive_once)
    time_to_live = blocking(lease.Lease.time_to_live)
    revoke = blocking(lease.Lease.revoke)
    when_lost = direct(lease.Lease.when_lost)
    tell_when_lost = direct(lease.Lease.tell_when_lost)
    tell_no_more = direct(lease.Lease.tell_no_more)
    refuse_if_inherited = direct(lease.Lease.refuse_if_inherited)
    __exit__ = blocking(lease.Lease.__aexit__)

    __repr__ = direct(lease.Lease.__repr__)

    def keep_alive(self) -> Lease:
        self._flow.keep_alive()
        return self

    keep_alive.__doc__ = synchronous(lease.Lease.keep_alive.__doc__)

    def __enter__(self) -> Self:
        finish(self._flow.__aenter__())
        return self


class LeaseApi(Blocking[lease.LeaseApi]):
    __doc__ = synchronous(lease.LeaseApi.__doc__)

    grant = made(lease.LeaseApi.grant, Lease)
    adopt = made(lease.LeaseApi.adopt, Lease)
    revoke = blocking(lease.LeaseApi.revoke)
    keep_alive_once = blocking(lease.LeaseApi.keep_alive_once)
    time_to_live = blocking(lease.LeaseApi.time_to_live)
    list = blocking(lease.LeaseApi.list)


class Lock(Blocking[lock.Lock]):
    __doc__ = synchronous(lock.Lock.__doc__)

    acquire = blocking(lock.Lock.acquire)
    try_acquire = blocking(lock.Lock.try_acquire)
    release = blocking(lock.Lock.release)
    contenders = blocking(lock.Lock.contenders)
    guard = direct(lock.Lock.guard)
    when_lost = direct(lock.Lock.when_lost)
    is_held = seen(lock.Lock.is_held)
    error = seen(lock.Lock.error)
    key = seen(lock.Lock.key)
    revision = seen(lock.Lock.revision)
    lost = front_of(lock.Lock.lost, Lost)
    __exit__ = blocking(lock.Lock.__aexit__)

    def __enter__(self) -> Self:
        finish(self._flow.__aenter__())
        return self


class Semaphore(Lock):
    __doc__ = synchronous(lock.Semaphore.__doc__)

    _flow: lock.Semaphore
    max_leases = seen(lock.Semaphore.max_leases)
    lease_holders = blocking(lock.Semaphore.lease_holders)


class Observation(BlockingStream[election.Observation, results.KeyValue]):
    __doc__ = synchronous(election.Observation.__doc__)

    get = blocking(election.Observation.get)
    cancel = direct(election.Observation.cancel)


class Election(Blocking[election.Election]):
    __doc__ = synchronous(election.Election.__doc__)

    campaign = blocking(election.Election.campaign)
    proclaim = blocking(election.Election.proclaim)
    resign = blocking(election.Election.resign)
    leader = blocking(election.Election.leader)
    contenders = blocking(election.Election.contenders)
    observe = made(election.Election.observe, Observation)
    guard = direct(election.Election.guard)
    when_lost = direct(election.Election.when_lost)
    is_leader = seen(election.Election.is_leader)
    error = seen(election.Election.error)
    key = seen(election.Election.key)
    revision = seen(election.Election.revision)
    lost = front_of(election.Election.lost, Lost)
    __exit__ = blocking(election.Election.__aexit__)

    def run(self, function: Callable[P, T], /, *arguments: P.args, **options: P.kwargs) -> T:
        async def flow() -> T:
            return function(*arguments, **options)

        return finish(self._flow.run(flow))

    run.__doc__ = synchronous(election.Election.run.__doc__)

    def __enter__(self) -> Self:
        return self


class Barrier(Blocking[barrier.Barrier]):
    __doc__ = synchronous(barrier.Barrier.__doc__)

    create = blocking(barrier.Barrier.create)
    remove = blocking(barrier.Barrier.remove)
    wait = blocking(barrier.Barrier.wait)


class DoubleBarrier(Blocking[barrier.DoubleBarrier]):
    __doc__ = synchronous(barrier.DoubleBarrier.__doc__)

    participating = seen(barrier.DoubleBarrier.participating)
    enter = blocking(barrier.DoubleBarrier.enter)
    leave = blocking(barrier.DoubleBarrier.leave)
    __exit__ = blocking(barrier.DoubleBarrier.__aexit__)

    def __enter__(self) -> Self:
        finish(self._flow.__aenter__())
        return self


class Counter(Blocking[counter.Counter]):
    __doc__ = synchronous(counter.Counter.__doc__)

    add = blocking(counter.Counter.add)

    @property
    def value(self) -> int:
        return finish(self._flow.value)

    value.__doc__ = synchronous(counter.Counter.value.__doc__)

    def __iadd__(self, delta: int) -> Self:
        self.add(delta)
        return self

    def __isub__(self, delta: int) -> Self:
        self.add(-delta)
        return self


class Queue(Blocking[queues.Queue]):
    __doc__ = synchronous(queues.Queue.__doc__)

    put = blocking(queues.Queue.put)
    get = blocking(queues.Queue.get)
    try_get = blocking(queues.Queue.try_get)
    size = blocking(queues.Queue.size)

    def __len__(self) -> int:
        return self.size()


class PriorityQueue(Blocking[queues.PriorityQueue]):
    __doc__ = synchronous(queues.PriorityQueue.__doc__)

    put = blocking(queues.PriorityQueue.put)
    put_all = blocking(queues.PriorityQueue.put_all)
    get = blocking(queues.PriorityQueue.get)
    try_get = blocking(queues.PriorityQueue.try_get)
    size = blocking(queues.PriorityQueue.size)

    def __len__(self) -> int:
        return self.size()


class LockingQueue(Blocking[locking_queue.LockingQueue]):
    __doc__ = synchronous(locking_queue.LockingQueue.__doc__)

    put = blocking(locking_queue.LockingQueue.put)
    put_all = blocking(locking_queue.LockingQueue.put_all)
    get = blocking(locking_queue.LockingQueue.get)
    holds_lock = direct(locking_queue.LockingQueue.holds_lock)
    consume = blocking(locking_queue.LockingQueue.consume)
    release = blocking(locking_queue.LockingQueue.release)
    size = blocking(locking_queue.LockingQueue.size)
    close = blocking(locking_queue.LockingQueue.close)
    __exit__ = blocking(locking_queue.LockingQueue.__aexit__)

    def __enter__(self) -> Self:
        return self

    def __len__(self) -> int:
        return self.size()


class Party(Blocking[party.Party]):
    __doc__ = synchronous(party.Party.__doc__)

    participating = seen(party.Party.participating)
    join = blocking(party.Party.join)
    leave = blocking(party.Party.leave)
    members = blocking(party.Party.members)
    __exit__ = blocking(party.Party.__aexit__)

    def __enter__(self) -> Self:
        finish(self._flow.__aenter__())
        return self

    def __iter__(self) -> Iterator[bytes]:
        return going_through(self._flow.__aiter__())

    def __len__(self) -> int:
        return len(self.members())


class Partitioner(Blocking[partitioner.Partitioner]):
    __doc__ = synchronous(partitioner.Partitioner.__doc__)

    failed = seen(partitioner.Partitioner.failed)
    release = seen(partitioner.Partitioner.release)
    acquired = seen(partitioner.Partitioner.acquired)
    allocating = seen(partitioner.Partitioner.allocating)
    wait_for_acquire = blocking(partitioner.Partitioner.wait_for_acquire)
    release_set = blocking(partitioner.Partitioner.release_set)
    finish = blocking(partitioner.Partitioner.finish)
    __exit__ = blocking(partitioner.Partitioner.__aexit__)

    def __enter__(self) -> Self:
        return self

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._flow)


class Watch(BlockingStream[watch.Watch, results.Event]):
    __doc__ = synchronous(watch.Watch.__doc__)

    get = blocking(watch.Watch.get)
    batch = blocking(watch.Watch.batch)
    progress = direct(watch.Watch.progress)
    cancel = direct(watch.Watch.cancel)
    header = seen(watch.Watch.header)

    def __next__(self) -> results.Event:
        # The rest of a batch needs no waiting, so no flow.
        event = self._flow._next_taken()
        return super().__next__() if event is None else event

    def batches(self) -> Iterator[results.WatchBatch]:
        yield from going_through(self._flow.batches())

    batches.__doc__ = synchronous(watch.Watch.batches.__doc__)

    def revisions(self) -> Iterator[results.WatchBatch]:
        yield from going_through(self._flow.revisions())

    revisions.__doc__ = synchronous(watch.Watch.revisions.__doc__)


class Mirror(Blocking[mirror.Mirror], Mapping[bytes, bytes]):
    __doc__ = synchronous(mirror.Mirror.__doc__)

    __getitem__ = direct(mirror.Mirror.__getitem__)
    __iter__ = direct(mirror.Mirror.__iter__)
    __len__ = direct(mirror.Mirror.__len__)
    __contains__ = direct(mirror.Mirror.__contains__)
    __repr__ = direct(mirror.Mirror.__repr__)
    key_value = direct(mirror.Mirror.key_value)
    state = direct(mirror.Mirror.state)
    revision = seen(mirror.Mirror.revision)
    error = seen(mirror.Mirror.error)
    add_listener = direct(mirror.Mirror.add_listener)
    remove_listener = direct(mirror.Mirror.remove_listener)
    wait_for = blocking(mirror.Mirror.wait_for)
    close = direct(mirror.Mirror.close)
    __exit__ = blocking(mirror.Mirror.__aexit__)

    def __enter__(self) -> Self:
        return self


class Scan(BlockingStream[scan.Scan, results.KeyValue]):
    __doc__ = synchronous(scan.Scan.__doc__)

    header = seen(scan.Scan.header)
    count = seen(scan.Scan.count)
    revision = seen(scan.Scan.revision)


class ClientTxn(ops.Txn):
    __doc__ = synchronous(txn.ClientTxn.__doc__)

    def __init__(self, flow: txn.ClientTxn) -> None:
        super().__init__()
        self._flow = flow
        # What is added here is added to the twin.
        self._compares, self._success, self._failure = flow._compares, flow._success, flow._failure

    commit = blocking(txn.ClientTxn.commit)
    commit_async = pipelined(txn.ClientTxn.commit_async)


class Stm(Blocking[stm.Stm]):
    __doc__ = synchronous(stm.Stm.__doc__)

    get = blocking(stm.Stm.get)
    fetch = blocking(stm.Stm.fetch)
    revision = blocking(stm.Stm.revision)
    put = direct(stm.Stm.put)
    delete = direct(stm.Stm.delete)
    __getitem__ = blocking(stm.Stm.get)
    __setitem__ = direct(stm.Stm.__setitem__)
    __delitem__ = direct(stm.Stm.__delitem__)
