"""The exceptions of python-etcd3, and which of them stands for which error of the client."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import cache, wraps
from typing import Any, Final, ParamSpec, TypeVar

from cluster.errors import CompactedError, LeaseholdError
from cluster.faults import DEADLINE_EXCEEDED, FAILED_PRECONDITION, INTERNAL, UNAVAILABLE

P = ParamSpec("P")
T = TypeVar("T")


class Etcd3Exception(Exception):  # noqa: N818 - python-etcd3's name
    """The base of all exceptions of this package."""


class WatchTimedOut(Etcd3Exception):
    """A watch was not accepted in time, or `watch_once` saw nothing in time."""


class InternalServerError(Etcd3Exception):
    """Something is wrong in a node."""


class _WithCause(Etcd3Exception):
    """What has one text, and the cause behind it if it is known."""

    _text = ""

    def __str__(self) -> str:
        return ": ".join([self._text, *map(str, self.args)])


class ConnectionFailedError(_WithCause):
    """No node could be reached, or none could answer; all endpoints were tried."""

    _text = "etcd connection failed"


class ConnectionTimeoutError(_WithCause):
    """No answer in time. A write may have been applied, or may be later."""

    _text = "etcd connection timeout"


class PreconditionFailedError(Etcd3Exception):
    """The state of the cluster forbids the request."""


class RevisionCompactedError(Etcd3Exception):
    """The revision is compacted away; `compacted_revision` is the oldest one left."""

    def __init__(self, compacted_revision: int, *cause: str) -> None:
        super().__init__(*cause)
        self.compacted_revision = compacted_revision


class NoServerAvailableError(Etcd3Exception):
    """Only its name is here: when no endpoint is left, it is a ConnectionFailedError."""


class LockTimedOut(Etcd3Exception):
    """The lock of a `with` block was not free in time. python-etcd3 goes on without the lock."""


class RefusedError(Etcd3Exception):
    """What python-etcd3 has no exception for. The error it was made of is its `__cause__`."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self._code = code

    def code(self) -> Any:
        """The status: a `grpc.StatusCode` in a program that has grpc, else the number of it."""
        grpc = sys.modules.get("grpc")
        if grpc is None:
            return self._code
        return next(status for status in grpc.StatusCode if status.value[0] == self._code)

    def details(self) -> str:
        """The text of the node."""
        return str(self)


_BY_CODE: Final[dict[int, type[Etcd3Exception]]] = {
    INTERNAL: InternalServerError,
    UNAVAILABLE: ConnectionFailedError,
    DEADLINE_EXCEEDED: ConnectionTimeoutError,
    FAILED_PRECONDITION: PreconditionFailedError,
}


def exception_of(error: LeaseholdError) -> Etcd3Exception:
    """What a program of python-etcd3 expects for an error of the client."""
    if isinstance(error, CompactedError):
        return _also_grpc(RevisionCompactedError)(error.compact_revision, error.message)
    kind = _BY_CODE.get(error.code)
    return _also_grpc(RefusedError)(error.message, error.code) if kind is None else kind(str(error))


def translated(function: Callable[P, T]) -> Callable[P, T]:
    """The function, with errors of the client as exceptions of this package."""

    @wraps(function)
    def translating(*arguments: P.args, **options: P.kwargs) -> T:
        try:
            return function(*arguments, **options)
        except LeaseholdError as error:
            raise exception_of(error) from error

    return translating


def _also_grpc(kind: Callable[..., Etcd3Exception]) -> Callable[..., Etcd3Exception]:
    """The kind itself, or one that is a `grpc.RpcError` too: a program that has imported grpc has
    done so to catch that."""
    grpc = sys.modules.get("grpc")
    return kind if grpc is None else _joined(kind, grpc.RpcError)


@cache
def _joined(kind: type[Etcd3Exception], other: type[Exception]) -> type[Etcd3Exception]:
    return type(
        kind.__name__, (kind, other), {"__module__": kind.__module__, "__doc__": kind.__doc__}
    )
