"""The objects that a program of the threaded client holds; each stands before its twin in `flows`.

A class names its methods; what they do, and what their parameters mean, is written at the flows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Generic, Self, cast

from cluster.client import ops, results
from cluster.client.flows import (
    lease,
    lost,
    mirror,
    scan,
    stm,
    txn,
    watch,
)
from cluster.client.results import Data
from cluster.client.threads.blocking import (
    Blocking,
    BlockingStream,
    blocking,
    direct,
    finish,
    fronted,
    going_through,
    seen,
    synchronous,
)

if TYPE_CHECKING:
    from concurrent.futures import Future


class Lost(Blocking[lost.Lost]):
    __doc__ = synchronous(lost.Lost.__doc__)

    is_set = direct(lost.Lost.is_set)
    wait = blocking(lost.Lost.wait)


class Lease(Blocking[lease.Lease[Data]], Generic[Data]):
    __doc__ = synchronous(lease.Lease.__doc__)

    def __init__(self, flow: lease.Lease[Data]) -> None:
        super().__init__(flow)
        self.id = flow.id
        self.ttl = flow.ttl
        self.granted = flow.granted
        self.lost = Lost(flow.lost)

    error = seen(lease.Lease.error)
    is_inherited = seen(lease.Lease.is_inherited)
    seconds_left = direct(lease.Lease.seconds_left)
    stop = direct(lease.Lease.stop)
    keep_alive_once = blocking(lease.Lease.keep_alive_once)
    time_to_live = blocking(lease.Lease.time_to_live)
    revoke = blocking(lease.Lease.revoke)
    when_lost = direct(lease.Lease.when_lost)
    __exit__ = blocking(lease.Lease.__aexit__)

    __repr__ = direct(lease.Lease.__repr__)

    def keep_alive(self) -> Self:
        self._flow.keep_alive()
        return self

    keep_alive.__doc__ = synchronous(lease.Lease.keep_alive.__doc__)

    def __enter__(self) -> Self:
        finish(self._flow.__aenter__())
        return self


class LeaseApi(Blocking[lease.LeaseApi[Data]], Generic[Data]):
    __doc__ = synchronous(lease.LeaseApi.__doc__)

    @fronted(lease.LeaseApi.grant)
    def grant(flow: lease.Lease[Data]) -> Lease[Data]:
        return Lease(flow)

    @fronted(lease.LeaseApi.adopt)
    def adopt(flow: lease.Lease[Data]) -> Lease[Data]:
        return Lease(flow)

    revoke = blocking(lease.LeaseApi.revoke)
    keep_alive_once = blocking(lease.LeaseApi.keep_alive_once)
    time_to_live = blocking(lease.LeaseApi.time_to_live)
    list = blocking(lease.LeaseApi.list)


class Watch(BlockingStream[watch.Watch[Data], results.Event[Data]], Generic[Data]):
    __doc__ = synchronous(watch.Watch.__doc__)

    get = blocking(watch.Watch.get)
    batch = blocking(watch.Watch.batch)
    progress = direct(watch.Watch.progress)
    cancel = direct(watch.Watch.cancel)
    header = seen(watch.Watch.header)

    def __next__(self) -> results.Event[Data]:
        # The rest of a batch needs no waiting, so no flow.
        event = self._flow._next_taken()
        return super().__next__() if event is None else event

    def batches(self) -> Iterator[results.WatchBatch[Data]]:
        yield from going_through(self._flow.batches())

    batches.__doc__ = synchronous(watch.Watch.batches.__doc__)

    def revisions(self) -> Iterator[results.WatchBatch[Data]]:
        yield from going_through(self._flow.revisions())

    revisions.__doc__ = synchronous(watch.Watch.revisions.__doc__)


class Mirror(Blocking[mirror.Mirror[Data]], Mapping[Data, Data], Generic[Data]):
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


class Scan(BlockingStream[scan.Scan[Data], results.KeyValue[Data]], Generic[Data]):
    __doc__ = synchronous(scan.Scan.__doc__)

    header = seen(scan.Scan.header)
    count = seen(scan.Scan.count)
    revision = seen(scan.Scan.revision)


class ClientTxn(ops.Txn, Generic[Data]):
    __doc__ = synchronous(txn.ClientTxn.__doc__)

    def __init__(self, flow: txn.ClientTxn[Data]) -> None:
        super().__init__()
        self._flow = flow
        # What is added here is added to the twin.
        self._compares, self._success, self._failure = flow._compares, flow._success, flow._failure

    def commit(self) -> results.TxnResult[Data]:
        return finish(self._flow.commit())

    commit.__doc__ = synchronous(txn.ClientTxn.commit.__doc__)

    def commit_async(self) -> Future[results.TxnResult[Data]]:
        begun: Any = self._flow.commit_async()
        return cast("Future[results.TxnResult[Data]]", begun)

    commit_async.__doc__ = synchronous(txn.ClientTxn.commit_async.__doc__)


class Stm(Blocking[stm.Stm[Data]], Generic[Data]):
    __doc__ = synchronous(stm.Stm.__doc__)

    get = blocking(stm.Stm.get)
    fetch = blocking(stm.Stm.fetch)
    revision = blocking(stm.Stm.revision)
    put = direct(stm.Stm.put)
    delete = direct(stm.Stm.delete)
    __getitem__ = blocking(stm.Stm.get)
    __setitem__ = direct(stm.Stm.__setitem__)
    __delitem__ = direct(stm.Stm.__delitem__)
