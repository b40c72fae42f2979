"""Leasehold for its users: `from cluster import Client`. A replicated key-value store's client.

Nothing is imported before it is used, so that a node or a command that needs one module of this
package does not pay for the others. Needs neither pykka nor lmdb.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

__version__ = "0.1.0"

if TYPE_CHECKING:
    from cluster.client.api import Client
    from cluster.client.lease import Lease
    from cluster.client.results import (
        DeleteResult,
        Event,
        Header,
        KeyValue,
        Member,
        MemberListResult,
        PutResult,
        RangeResult,
        StatusResult,
    )
    from cluster.client.watch import Watch
    from cluster.errors import (
        CompactedError,
        DeadlineExceededError,
        FailedPreconditionError,
        InvalidArgumentError,
        LeaseholdError,
        LeaseNotFoundError,
        NotFoundError,
        OutcomeUnknownError,
        OutOfRangeError,
        ProtocolError,
        ResourceExhaustedError,
        UnavailableError,
        WatchCanceledError,
    )

_HOMES: Final = {
    "cluster.client.api": ("Client",),
    "cluster.client.lease": ("Lease",),
    "cluster.client.watch": ("Watch",),
    "cluster.client.results": (
        "DeleteResult",
        "Event",
        "Header",
        "KeyValue",
        "Member",
        "MemberListResult",
        "PutResult",
        "RangeResult",
        "StatusResult",
    ),
    "cluster.errors": (
        "CompactedError",
        "DeadlineExceededError",
        "FailedPreconditionError",
        "InvalidArgumentError",
        "LeaseholdError",
        "LeaseNotFoundError",
        "NotFoundError",
        "OutOfRangeError",
        "OutcomeUnknownError",
        "ProtocolError",
        "ResourceExhaustedError",
        "UnavailableError",
        "WatchCanceledError",
    ),
}

_HOME_OF: Final = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "Client",
    "CompactedError",
    "DeadlineExceededError",
    "DeleteResult",
    "Event",
    "FailedPreconditionError",
    "Header",
    "InvalidArgumentError",
    "KeyValue",
    "Lease",
    "LeaseNotFoundError",
    "LeaseholdError",
    "Member",
    "MemberListResult",
    "NotFoundError",
    "OutOfRangeError",
    "OutcomeUnknownError",
    "ProtocolError",
    "PutResult",
    "RangeResult",
    "ResourceExhaustedError",
    "StatusResult",
    "UnavailableError",
    "Watch",
    "WatchCanceledError",
]


def __getattr__(name: str) -> Any:
    home = _HOME_OF.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(home), name)
    globals()[name] = value
    return value
