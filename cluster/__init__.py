"""The public API of Leasehold, a replicated key-value store: `from cluster import Client`.

`aio` has the same client for asyncio. `ops` makes the compares and operations of transactions.
`LocalCluster` runs a whole cluster on this machine, for programs and tests. Each name is imported
on first use, so a node or a command that needs one module of this package does not pay for the
others. The package needs neither pykka nor lmdb.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

__version__ = "0.1.0"

if TYPE_CHECKING:
    from cluster import aio as aio
    from cluster.client import ops
    from cluster.client.api import Client
    from cluster.client.engine.states import ConnectionState
    from cluster.client.flows.mirror import MirrorChange, MirrorState
    from cluster.client.flows.stm import Isolation
    from cluster.client.results import (
        DeleteResult,
        Event,
        Header,
        KeyValue,
        Member,
        MemberAddResult,
        MemberListResult,
        MoveLeaderResult,
        PutResult,
        RangeResult,
        StatusResult,
        TxnResult,
        WatchBatch,
    )
    from cluster.client.threads.objects import Lease, Mirror, Stm, Watch
    from cluster.client.threads.recipes import (
        Barrier,
        Counter,
        DoubleBarrier,
        Election,
        Lock,
        LockingQueue,
        Partitioner,
        Party,
        PriorityQueue,
        Queue,
        Semaphore,
    )
    from cluster.errors import (
        AnswerTooLargeError,
        AuthenticationError,
        ClientClosedError,
        CompactedError,
        ConflictError,
        DeadlineExceededError,
        FailedPreconditionError,
        HistoryLostError,
        InvalidArgumentError,
        LeaseholdError,
        LeaseLostError,
        LeaseNotFoundError,
        LockTimeoutError,
        NoLeaderEndpointError,
        NotElectedError,
        NotFoundError,
        NotTextError,
        OutcomeUnknownError,
        OutOfRangeError,
        PermissionDeniedError,
        ProtocolError,
        ResourceExhaustedError,
        UnavailableError,
        WatchCanceledError,
    )
    from cluster.launcher.local import LocalCluster
    from cluster.launcher.nodes.layout import LauncherError

_HOMES: Final = {
    "cluster.client.api": ("Client",),
    "cluster.client.engine.states": ("ConnectionState",),
    "cluster.client.flows.mirror": ("MirrorChange", "MirrorState"),
    "cluster.client.flows.stm": ("Isolation",),
    "cluster.client.threads.objects": ("Lease", "Mirror", "Stm", "Watch"),
    "cluster.client.threads.recipes": (
        "Barrier",
        "Counter",
        "DoubleBarrier",
        "Election",
        "Lock",
        "LockingQueue",
        "Partitioner",
        "Party",
        "PriorityQueue",
        "Queue",
        "Semaphore",
    ),
    "cluster.client.results": (
        "DeleteResult",
        "Event",
        "Header",
        "KeyValue",
        "Member",
        "MemberAddResult",
        "MemberListResult",
        "MoveLeaderResult",
        "PutResult",
        "RangeResult",
        "StatusResult",
        "TxnResult",
        "WatchBatch",
    ),
    "cluster.errors": (
        "AnswerTooLargeError",
        "ClientClosedError",
        "AuthenticationError",
        "CompactedError",
        "ConflictError",
        "DeadlineExceededError",
        "FailedPreconditionError",
        "HistoryLostError",
        "InvalidArgumentError",
        "LeaseholdError",
        "LeaseLostError",
        "LeaseNotFoundError",
        "LockTimeoutError",
        "NoLeaderEndpointError",
        "NotElectedError",
        "NotFoundError",
        "NotTextError",
        "OutOfRangeError",
        "OutcomeUnknownError",
        "PermissionDeniedError",
        "ProtocolError",
        "ResourceExhaustedError",
        "UnavailableError",
        "WatchCanceledError",
    ),
    "cluster.launcher.nodes.layout": ("LauncherError",),
    "cluster.launcher.local": ("LocalCluster",),
}

_MODULES: Final = {"aio": "cluster.aio", "ops": "cluster.client.ops"}

_HOME_OF: Final = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "AnswerTooLargeError",
    "AuthenticationError",
    "Barrier",
    "Client",
    "ClientClosedError",
    "CompactedError",
    "ConflictError",
    "ConnectionState",
    "Counter",
    "DeadlineExceededError",
    "DeleteResult",
    "DoubleBarrier",
    "Election",
    "Event",
    "FailedPreconditionError",
    "Header",
    "HistoryLostError",
    "InvalidArgumentError",
    "Isolation",
    "KeyValue",
    "LauncherError",
    "Lease",
    "LeaseLostError",
    "LeaseNotFoundError",
    "LeaseholdError",
    "LocalCluster",
    "Lock",
    "LockTimeoutError",
    "LockingQueue",
    "Member",
    "MemberAddResult",
    "MemberListResult",
    "Mirror",
    "MirrorChange",
    "MirrorState",
    "MoveLeaderResult",
    "NoLeaderEndpointError",
    "NotElectedError",
    "NotFoundError",
    "NotTextError",
    "OutOfRangeError",
    "OutcomeUnknownError",
    "Partitioner",
    "Party",
    "PermissionDeniedError",
    "PriorityQueue",
    "ProtocolError",
    "PutResult",
    "Queue",
    "RangeResult",
    "ResourceExhaustedError",
    "Semaphore",
    "StatusResult",
    "Stm",
    "TxnResult",
    "UnavailableError",
    "Watch",
    "WatchBatch",
    "WatchCanceledError",
    "aio",
    "ops",
]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return import_module(_MODULES[name])
    home = _HOME_OF.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(home), name)
    globals()[name] = value
    return value
