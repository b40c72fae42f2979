"""The exceptions of the client and of leasectl, one tree, made of the faults that nodes answer."""

from __future__ import annotations

from typing import Final

from cluster.faults import (
    ABORTED,
    CANCELED,
    DEADLINE_EXCEEDED,
    FAILED_PRECONDITION,
    INVALID_ARGUMENT,
    NOT_FOUND,
    OUT_OF_RANGE,
    PERMISSION_DENIED,
    RESOURCE_EXHAUSTED,
    UNAUTHENTICATED,
    UNAVAILABLE,
    UNKNOWN,
    FaultName,
    name_of,
)


class LeaseholdError(Exception):
    """The base of a client's exceptions. `code` is a gRPC status code, `message` the text.

    `retryable`: the same request may succeed later, though nobody changes it. `maybe_applied`: the
    request may have been done all the same, or may be later; a retry may then do it twice.
    """

    code: int = UNKNOWN
    retryable: bool = False
    maybe_applied: bool = False

    def __init__(self, message: str, code: int | None = None) -> None:
        super().__init__(message)
        self.message = message
        if code is not None:
            self.code = code


class InvalidArgumentError(LeaseholdError):
    """The request itself is wrong: an empty key, an unknown field, a request that is too large."""

    code = INVALID_ARGUMENT


class NotFoundError(LeaseholdError):
    """Something named by the request does not exist."""

    code = NOT_FOUND


class LeaseNotFoundError(NotFoundError):
    """The lease does not exist: never granted, revoked or expired."""


class PermissionDeniedError(LeaseholdError):
    """The user may not do this; nothing was done."""

    code = PERMISSION_DENIED


class AuthenticationError(LeaseholdError):
    """Nobody knows who asks: a wrong user name or password, or a token that is worth nothing."""

    code = UNAUTHENTICATED


class FailedPreconditionError(LeaseholdError):
    """The request is sound, but the state of the cluster forbids it: a lease id already taken, a
    learner that has not caught up."""

    code = FAILED_PRECONDITION


class OutOfRangeError(LeaseholdError):
    """A revision or TTL outside what the cluster holds or allows."""

    code = OUT_OF_RANGE


class CompactedError(OutOfRangeError):
    """The revision is compacted away. `compact_revision` is the oldest one left, 0 if unknown."""

    def __init__(self, message: str, code: int | None = None, compact_revision: int = 0) -> None:
        super().__init__(message, code)
        self.compact_revision = compact_revision


class HistoryLostError(OutOfRangeError):
    """The cluster's revision is below one that a watch has seen, or it is another cluster: what the
    program knows of the keys may be wrong, so it should read them again."""


class ResourceExhaustedError(LeaseholdError):
    """A limit of the node was reached (`etcdserver: too many requests`); try again later."""

    code = RESOURCE_EXHAUSTED
    retryable = True


class UnavailableError(LeaseholdError):
    """The cluster could not answer: no leader, quorum or endpoint, or a node that is stopping."""

    code = UNAVAILABLE
    retryable = True


class NoLeaderEndpointError(UnavailableError):
    """An operation needs the leader, which is not among the client's endpoints."""


class ClientClosedError(UnavailableError):
    """The client was closed before the request or while it was under way."""

    retryable = False


class DeadlineExceededError(LeaseholdError, TimeoutError):
    """No answer within the client's timeout. The request changed nothing."""

    code = DEADLINE_EXCEEDED
    retryable = True


class OutcomeUnknownError(DeadlineExceededError):
    """A write was sent and not answered in time: it may have been applied, or may be later."""

    maybe_applied = True


class WatchCanceledError(LeaseholdError):
    """The server ended a watch; the message is its reason."""

    code = CANCELED


class ConflictError(LeaseholdError):
    """In every attempt of an stm function, other writes changed what it had read. Not applied."""

    code = ABORTED
    retryable = True


class LeaseLostError(LeaseholdError):
    """A lease is lost, or what it held: a lock, or a place in an election.

    The reason is that the lease or the key is gone, that the lease was not renewed in time, or that
    this process is a forked child and the lease is its parent's.
    """

    code = FAILED_PRECONDITION


class LockTimeoutError(DeadlineExceededError):
    """The lock, or the election, was not won in time; the place in the queue is given up."""


class NotElectedError(LeaseholdError):
    """A candidate that does not lead was asked to do what only the leader of the election may do
    (etcd: `election: not leader`)."""

    code = FAILED_PRECONDITION


class ProtocolError(LeaseholdError):
    """A reply that PROTOCOL.md does not allow: perhaps another program answers at this endpoint."""


class NotTextError(LeaseholdError):
    """A key or value that is not UTF-8 came to a client that shows text; the message names the key.

    A client without `text=True` shows the bytes. A write whose answer was to show them is done.
    """

    maybe_applied = True


class AnswerTooLargeError(ResourceExhaustedError):
    """The result does not fit into one answer (64 MiB): read it in pages, with `Client.scan`."""

    retryable = False


_BY_NAME: Final[dict[FaultName | None, type[LeaseholdError]]] = {
    "LeaseNotFound": LeaseNotFoundError,
    "Compacted": CompactedError,
    "AnswerTooLarge": AnswerTooLargeError,
    "AuthFailed": AuthenticationError,
}

_BY_CODE: Final[dict[int, type[LeaseholdError]]] = {
    CANCELED: WatchCanceledError,
    INVALID_ARGUMENT: InvalidArgumentError,
    DEADLINE_EXCEEDED: DeadlineExceededError,
    NOT_FOUND: NotFoundError,
    PERMISSION_DENIED: PermissionDeniedError,
    RESOURCE_EXHAUSTED: ResourceExhaustedError,
    FAILED_PRECONDITION: FailedPreconditionError,
    OUT_OF_RANGE: OutOfRangeError,
    UNAVAILABLE: UnavailableError,
    UNAUTHENTICATED: AuthenticationError,
}

_PASSING: Final[frozenset[FaultName]] = frozenset(
    (
        "LearnerNotReady",
        "MemberNotEnoughStarted",
        "NotLeader",
        "TimeoutLeaderTransfer",
        "TransferUnderWay",
    )
)
"""Refusals that end by themselves, though others with their codes do not."""

_LASTING: Final[frozenset[FaultName]] = frozenset(
    ("NoSpace", "TooManyLeases", "TooManyLeasesOfUser")
)
"""Refusals that last until somebody does something, though others with their codes do not."""


def exception_for(code: int, message: str) -> LeaseholdError:
    """The exception for the `error` {code, message} of a reply."""
    name = name_of(message)
    kind = _BY_NAME.get(name) or _BY_CODE.get(code, LeaseholdError)
    error = kind(message, code)
    error.retryable = name in _PASSING or (error.retryable and name not in _LASTING)
    return error
