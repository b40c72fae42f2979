"""The recipes that a program of the threaded client holds; each stands before its twin in `flows`.

As in `objects`, a class names its methods, and what they do is written at the flows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Generic, ParamSpec, Self, TypeVar

from cluster.client import results
from cluster.client.flows import (
    barrier,
    counter,
    election,
    lock,
    locking_queue,
    partitioner,
    party,
    queues,
)
from cluster.client.results import Data
from cluster.client.threads.blocking import (
    Blocking,
    BlockingStream,
    blocking,
    direct,
    finish,
    front_of,
    fronted,
    going_through,
    seen,
    synchronous,
)
from cluster.client.threads.objects import Lost

P = ParamSpec("P")
T = TypeVar("T")


class Lock(Blocking[lock.Lock[Data]], Generic[Data]):
    __doc__ = synchronous(lock.Lock.__doc__)

    acquire = blocking(lock.Lock.acquire)
    try_acquire = blocking(lock.Lock.try_acquire)
    release = blocking(lock.Lock.release)
    contenders = blocking(lock.Lock.contenders)
    guard = direct(lock.Lock.guard)
    when_lost = direct(lock.Lock.when_lost)
    is_held = seen(lock.Lock.is_held)
    error = seen(lock.Lock.error)
    revision = seen(lock.Lock.revision)
    lost = front_of(lock.Lock.lost, Lost)

    @property
    def key(self) -> Data:
        """The key that stands for this holder."""
        return self._flow.key

    __exit__ = blocking(lock.Lock.__aexit__)

    def __enter__(self) -> Self:
        finish(self._flow.__aenter__())
        return self


class Semaphore(Lock[Data]):
    __doc__ = synchronous(lock.Semaphore.__doc__)

    _flow: lock.Semaphore[Data]
    max_leases = seen(lock.Semaphore.max_leases)

    def lease_holders(self) -> tuple[results.KeyValue[Data], ...]:
        return finish(self._flow.lease_holders())

    lease_holders.__doc__ = synchronous(lock.Semaphore.lease_holders.__doc__)


class Observation(
    BlockingStream[election.Observation[Data], results.KeyValue[Data]], Generic[Data]
):
    __doc__ = synchronous(election.Observation.__doc__)

    get = blocking(election.Observation.get)
    cancel = direct(election.Observation.cancel)


class Election(Blocking[election.Election[Data]], Generic[Data]):
    __doc__ = synchronous(election.Election.__doc__)

    campaign = blocking(election.Election.campaign)
    proclaim = blocking(election.Election.proclaim)
    resign = blocking(election.Election.resign)
    leader = blocking(election.Election.leader)
    contenders = blocking(election.Election.contenders)

    @fronted(election.Election.observe)
    def observe(flow: election.Observation[Data]) -> Observation[Data]:
        return Observation(flow)

    guard = direct(election.Election.guard)
    when_lost = direct(election.Election.when_lost)
    is_leader = seen(election.Election.is_leader)
    error = seen(election.Election.error)
    revision = seen(election.Election.revision)
    lost = front_of(election.Election.lost, Lost)

    @property
    def key(self) -> Data:
        """The key that stands for this holder."""
        return self._flow.key

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


class Queue(Blocking[queues.Queue[Data]], Generic[Data]):
    __doc__ = synchronous(queues.Queue.__doc__)

    put = blocking(queues.Queue.put)
    get = blocking(queues.Queue.get)
    try_get = blocking(queues.Queue.try_get)
    size = blocking(queues.Queue.size)

    def __len__(self) -> int:
        return self.size()


class PriorityQueue(Blocking[queues.PriorityQueue[Data]], Generic[Data]):
    __doc__ = synchronous(queues.PriorityQueue.__doc__)

    put = blocking(queues.PriorityQueue.put)
    put_all = blocking(queues.PriorityQueue.put_all)
    get = blocking(queues.PriorityQueue.get)
    try_get = blocking(queues.PriorityQueue.try_get)
    size = blocking(queues.PriorityQueue.size)

    def __len__(self) -> int:
        return self.size()


class LockingQueue(Blocking[locking_queue.LockingQueue[Data]], Generic[Data]):
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


class Party(Blocking[party.Party[Data]], Generic[Data]):
    __doc__ = synchronous(party.Party.__doc__)

    participating = seen(party.Party.participating)
    join = blocking(party.Party.join)
    leave = blocking(party.Party.leave)
    members = blocking(party.Party.members)
    __exit__ = blocking(party.Party.__aexit__)

    def __enter__(self) -> Self:
        finish(self._flow.__aenter__())
        return self

    def __iter__(self) -> Iterator[Data]:
        return going_through(self._flow.__aiter__())

    def __len__(self) -> int:
        return len(self.members())


class Partitioner(Blocking[partitioner.Partitioner[Data]], Generic[Data]):
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

    def __iter__(self) -> Iterator[Data]:
        return iter(self._flow)
