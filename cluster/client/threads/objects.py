"""The objects that a program of the threaded client holds; each stands before its twin in `flows`.

A class names its methods; what they do, and what their parameters mean, is written at the flows.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Self

from cluster.client import ops, results
from cluster.client.flows import election, lease, lock, lost, scan, stm, txn, watch
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
    observe = made(election.Election.observe, Observation)
    guard = direct(election.Election.guard)
    when_lost = direct(election.Election.when_lost)
    is_leader = seen(election.Election.is_leader)
    error = seen(election.Election.error)
    key = seen(election.Election.key)
    revision = seen(election.Election.revision)
    lost = front_of(election.Election.lost, Lost)
    __exit__ = blocking(election.Election.__aexit__)

    def __enter__(self) -> Self:
        return self


class Watch(BlockingStream[watch.Watch, results.Event]):
    __doc__ = synchronous(watch.Watch.__doc__)

    get = blocking(watch.Watch.get)
    batch = blocking(watch.Watch.batch)
    progress = direct(watch.Watch.progress)
    cancel = direct(watch.Watch.cancel)
    header = seen(watch.Watch.header)

    def batches(self) -> Iterator[results.WatchBatch]:
        yield from going_through(self._flow.batches())

    batches.__doc__ = synchronous(watch.Watch.batches.__doc__)


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
