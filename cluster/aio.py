"""The client for asyncio: `from cluster.aio import Client`. It has the names of `cluster.Client`.

    async with Client() as client:
        await client.put("a", "1")
        async with client.lock("job"):
            ...
        async for event in client.watch("a"):
            ...

What waits is awaited. A watch, a scan, a lease or an observation is opened by `await`, `async with`
or `async for`. A task may be cancelled at any `await`: what it had taken is given back, and a write
that was sent may be applied. A client belongs to the event loop in which it was first used.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, overload

from cluster.client.aio.shell import LoopShell
from cluster.client.flows import client as flows
from cluster.client.flows.barrier import Barrier, DoubleBarrier
from cluster.client.flows.counter import Counter
from cluster.client.flows.election import Election, Observation
from cluster.client.flows.lease import Lease, LeaseApi
from cluster.client.flows.lock import Lock, Semaphore
from cluster.client.flows.locking_queue import LockingQueue
from cluster.client.flows.lost import Lost
from cluster.client.flows.mirror import Mirror
from cluster.client.flows.partitioner import Partitioner
from cluster.client.flows.party import Party
from cluster.client.flows.queues import PriorityQueue, Queue
from cluster.client.flows.scan import Scan
from cluster.client.flows.stm import Isolation, Stm
from cluster.client.flows.txn import ClientTxn
from cluster.client.flows.watch import Watch
from cluster.client.results import Data

__all__ = [
    "Barrier",
    "Client",
    "ClientTxn",
    "Counter",
    "DoubleBarrier",
    "Election",
    "Isolation",
    "Lease",
    "LeaseApi",
    "Lock",
    "LockingQueue",
    "Lost",
    "Mirror",
    "Observation",
    "Partitioner",
    "Party",
    "PriorityQueue",
    "Queue",
    "Scan",
    "Semaphore",
    "Stm",
    "Watch",
]


class Client(flows.Client[Data]):
    __doc__ = flows.Client.__doc__

    _shell = LoopShell

    if TYPE_CHECKING:

        @overload
        def __init__(
            self: Client[bytes],
            endpoints: str | Iterable[str] | None = ...,
            *,
            dial_timeout: float = ...,
            timeout: float = ...,
            keepalive_time: float = ...,
            keepalive_timeout: float = ...,
            exactly_once: bool = ...,
            direct: bool = ...,
            ca_cert: str | Path = ...,
            cert: str | Path = ...,
            key: str | Path = ...,
            insecure_skip_verify: bool = ...,
            user: str | None = ...,
            password: str | None = ...,
            key_file: str | Path = ...,
            text: Literal[False] = ...,
        ) -> None: ...

        @overload
        def __init__(
            self: Client[str],
            endpoints: str | Iterable[str] | None = ...,
            *,
            dial_timeout: float = ...,
            timeout: float = ...,
            keepalive_time: float = ...,
            keepalive_timeout: float = ...,
            exactly_once: bool = ...,
            direct: bool = ...,
            ca_cert: str | Path = ...,
            cert: str | Path = ...,
            key: str | Path = ...,
            insecure_skip_verify: bool = ...,
            user: str | None = ...,
            password: str | None = ...,
            key_file: str | Path = ...,
            text: Literal[True],
        ) -> None: ...

        def __init__(self, *arguments: Any, **options: Any) -> None:
            """As that of `flows.Client`; `text` says of which type keys and values are."""
