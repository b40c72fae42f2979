"""All errors in one place: etcd's error names, codes and texts, and a client's exceptions.

Inside a node an error is a name (`"LeaseNotFound"`). The gateway turns the name into the code and
message of `FAULTS`, and the client turns the message back into an exception.
"""

from __future__ import annotations

from typing import Final, Literal, NamedTuple

CANCELED: Final = 1
UNKNOWN: Final = 2
INVALID_ARGUMENT: Final = 3
DEADLINE_EXCEEDED: Final = 4
NOT_FOUND: Final = 5
RESOURCE_EXHAUSTED: Final = 8
FAILED_PRECONDITION: Final = 9
ABORTED: Final = 10
OUT_OF_RANGE: Final = 11
UNIMPLEMENTED: Final = 12
INTERNAL: Final = 13
UNAVAILABLE: Final = 14
DATA_LOSS: Final = 15


class Fault(NamedTuple):
    """One kind of failure on the wire: a gRPC status code and etcd's text (rpctypes/error.go)."""

    code: int
    message: str


FaultName = Literal[
    "EmptyKey",
    "KeyNotFound",
    "DuplicateKey",
    "TooManyOps",
    "InvalidSortOption",
    "Corrupt",
    "ValueProvided",
    "LeaseProvided",
    "Compacted",
    "FutureRev",
    "LeaseNotFound",
    "LeaseExist",
    "LeaseTTLTooLarge",
    "RequestTooLarge",
    "AnswerTooLarge",
    "TooManyRequests",
    "MemberExist",
    "PeerURLExist",
    "MemberNotEnoughStarted",
    "MemberBadURLs",
    "MemberNotFound",
    "MemberNotLearner",
    "LearnerNotReady",
    "TooManyLearners",
    "NotSupportedForLearner",
    "BadLeaderTransferee",
    "TimeoutLeaderTransfer",
    "TransferUnderWay",
    "NotLeader",
    "Unhealthy",
    "NoSpace",
    "NoLeader",
    "LeaderChanged",
    "Stopped",
    "Timeout",
    "TimeoutDueToLeaderFail",
    "SnapshotNotFound",
    "CopyFailed",
    "NotAnInteger",
    "IncrementOverflow",
    "TooManyLeases",
    "SessionNotFound",
    "SequenceTooOld",
    "SessionExist",
    "TooManySessions",
    "TooManyOutstanding",
]
"""The names of `FAULTS`, for the type checker: it finds a typo before it is a KeyError."""

MaybeFault = FaultName | Literal[""]
"""A name of `FAULTS`, or an empty text for "no fault"."""

NOT_CAUGHT_UP: Final = (
    "leasehold: this member does not vote yet: its data directory was empty, and it has to catch up"
)
"""Among the `errors` of a status, while another member's loss could leave no majority."""

FAULTS: Final[dict[FaultName, Fault]] = {
    "EmptyKey": Fault(INVALID_ARGUMENT, "etcdserver: key is not provided"),
    "KeyNotFound": Fault(INVALID_ARGUMENT, "etcdserver: key not found"),
    "DuplicateKey": Fault(INVALID_ARGUMENT, "etcdserver: duplicate key given in txn request"),
    "TooManyOps": Fault(INVALID_ARGUMENT, "etcdserver: too many operations in txn request"),
    "InvalidSortOption": Fault(INVALID_ARGUMENT, "etcdserver: invalid sort option"),
    "Corrupt": Fault(DATA_LOSS, "etcdserver: corrupt cluster"),
    "ValueProvided": Fault(INVALID_ARGUMENT, "etcdserver: value is provided"),
    "LeaseProvided": Fault(INVALID_ARGUMENT, "etcdserver: lease is provided"),
    "Compacted": Fault(OUT_OF_RANGE, "etcdserver: mvcc: required revision has been compacted"),
    "FutureRev": Fault(OUT_OF_RANGE, "etcdserver: mvcc: required revision is a future revision"),
    "LeaseNotFound": Fault(NOT_FOUND, "etcdserver: requested lease not found"),
    "LeaseExist": Fault(FAILED_PRECONDITION, "etcdserver: lease already exists"),
    "LeaseTTLTooLarge": Fault(OUT_OF_RANGE, "etcdserver: too large lease TTL"),
    "RequestTooLarge": Fault(INVALID_ARGUMENT, "etcdserver: request is too large"),
    "AnswerTooLarge": Fault(
        RESOURCE_EXHAUSTED, "leasehold: the answer is larger than 64 MiB: read it in pages"
    ),
    "TooManyRequests": Fault(RESOURCE_EXHAUSTED, "etcdserver: too many requests"),
    "MemberExist": Fault(FAILED_PRECONDITION, "etcdserver: member ID already exist"),
    "PeerURLExist": Fault(FAILED_PRECONDITION, "etcdserver: Peer URLs already exists"),
    "MemberNotEnoughStarted": Fault(
        FAILED_PRECONDITION,
        "etcdserver: re-configuration failed due to not enough started members",
    ),
    "MemberBadURLs": Fault(INVALID_ARGUMENT, "etcdserver: given member URLs are invalid"),
    "MemberNotFound": Fault(NOT_FOUND, "etcdserver: member not found"),
    "MemberNotLearner": Fault(FAILED_PRECONDITION, "etcdserver: can only promote a learner member"),
    "LearnerNotReady": Fault(
        FAILED_PRECONDITION,
        "etcdserver: can only promote a learner member which is in sync with leader",
    ),
    "TooManyLearners": Fault(
        FAILED_PRECONDITION, "etcdserver: too many learner members in cluster"
    ),
    "NotSupportedForLearner": Fault(
        FAILED_PRECONDITION, "etcdserver: rpc not supported for learner"
    ),
    "BadLeaderTransferee": Fault(FAILED_PRECONDITION, "etcdserver: bad leader transferee"),
    "TransferUnderWay": Fault(
        FAILED_PRECONDITION, "leasehold: a transfer to another member is under way"
    ),
    "TimeoutLeaderTransfer": Fault(
        UNKNOWN, "etcdserver: request timed out, leader transfer took too long"
    ),
    "NotLeader": Fault(FAILED_PRECONDITION, "etcdserver: not leader"),
    "Unhealthy": Fault(UNAVAILABLE, "etcdserver: unhealthy cluster"),
    "NoSpace": Fault(RESOURCE_EXHAUSTED, "etcdserver: mvcc: database space exceeded"),
    "NoLeader": Fault(UNAVAILABLE, "etcdserver: no leader"),
    "LeaderChanged": Fault(UNAVAILABLE, "etcdserver: leader changed"),
    "Stopped": Fault(UNAVAILABLE, "etcdserver: server stopped"),
    "Timeout": Fault(UNAVAILABLE, "etcdserver: request timed out"),
    "TimeoutDueToLeaderFail": Fault(
        UNAVAILABLE, "etcdserver: request timed out, possibly due to previous leader failure"
    ),
    # Ours: etcd streams a snapshot in one call, so it needs no name; and it has no such errors.
    "SnapshotNotFound": Fault(NOT_FOUND, "leasehold: no snapshot of that name is kept here"),
    "CopyFailed": Fault(
        UNAVAILABLE, "leasehold: the store could not be copied, the node's log says why"
    ),
    # Ours: etcd has no increment.
    "NotAnInteger": Fault(
        FAILED_PRECONDITION, "leasehold: the value is not a decimal integer of 64 bits"
    ),
    "IncrementOverflow": Fault(OUT_OF_RANGE, "leasehold: the sum does not fit 64 bits"),
    # Ours: etcd's memory is the only limit on its leases.
    "TooManyLeases": Fault(RESOURCE_EXHAUSTED, "leasehold: too many leases (LEASES_MAX)"),
    # Ours: etcd has no exactly-once sessions (DESIGN.md#sessions).
    "SessionNotFound": Fault(NOT_FOUND, "leasehold: session not found or expired"),
    "SequenceTooOld": Fault(
        OUT_OF_RANGE, "leasehold: the result of this sequence number is no longer kept"
    ),
    "SessionExist": Fault(UNAVAILABLE, "leasehold: the id of the new session is taken: try again"),
    "TooManySessions": Fault(
        RESOURCE_EXHAUSTED, "leasehold: too many sessions are in use (SESSIONS_MAX)"
    ),
    "TooManyOutstanding": Fault(
        RESOURCE_EXHAUSTED, "leasehold: the session has too many unacknowledged results"
    ),
}
"""The errors that a node reports, by name: etcd's name in Go without `ErrGRPC`, or one of ours."""


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


class AnswerTooLargeError(ResourceExhaustedError):
    """The result does not fit into one answer (64 MiB): read it in pages, with `Client.scan`."""

    retryable = False


_BY_NAME: Final[dict[FaultName | None, type[LeaseholdError]]] = {
    "LeaseNotFound": LeaseNotFoundError,
    "Compacted": CompactedError,
    "AnswerTooLarge": AnswerTooLargeError,
}

_BY_CODE: Final[dict[int, type[LeaseholdError]]] = {
    CANCELED: WatchCanceledError,
    INVALID_ARGUMENT: InvalidArgumentError,
    DEADLINE_EXCEEDED: DeadlineExceededError,
    NOT_FOUND: NotFoundError,
    RESOURCE_EXHAUSTED: ResourceExhaustedError,
    FAILED_PRECONDITION: FailedPreconditionError,
    OUT_OF_RANGE: OutOfRangeError,
    UNAVAILABLE: UnavailableError,
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

_LASTING: Final[frozenset[FaultName]] = frozenset(("NoSpace", "TooManyLeases"))
"""Refusals that last until somebody does something, though others with their codes do not."""

_NAME_OF: Final[dict[str, FaultName]] = {fault.message: name for name, fault in FAULTS.items()}


def name_of(message: str) -> FaultName | None:
    """The name in `FAULTS` of a server's error text; None for an unknown text."""
    return _NAME_OF.get(message)


def exception_for(code: int, message: str) -> LeaseholdError:
    """The exception for the `error` {code, message} of a reply."""
    name = name_of(message)
    kind = _BY_NAME.get(name) or _BY_CODE.get(code, LeaseholdError)
    error = kind(message, code)
    error.retryable = name in _PASSING or (error.retryable and name not in _LASTING)
    return error
