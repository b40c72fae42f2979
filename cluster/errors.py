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
PERMISSION_DENIED: Final = 7
RESOURCE_EXHAUSTED: Final = 8
FAILED_PRECONDITION: Final = 9
ABORTED: Final = 10
OUT_OF_RANGE: Final = 11
UNIMPLEMENTED: Final = 12
INTERNAL: Final = 13
UNAVAILABLE: Final = 14
DATA_LOSS: Final = 15
UNAUTHENTICATED: Final = 16


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
    "RootUserNotExist",
    "RootRoleNotExist",
    "UserAlreadyExist",
    "UserEmpty",
    "UserNotFound",
    "RoleAlreadyExist",
    "RoleNotFound",
    "RoleEmpty",
    "AuthFailed",
    "PermissionNotGiven",
    "PermissionDenied",
    "RoleNotGranted",
    "PermissionNotGranted",
    "AuthNotEnabled",
    "InvalidAuthToken",
    "InvalidAuthMgmt",
    "RootCannotLogIn",
    "KeyInUse",
    "KeyNotOfUser",
    "TooManyUsers",
    "TooManyRoles",
    "TooManyPermissions",
    "TooManyKeys",
    "NameTooLong",
    "NotAKey",
]
"""The names of `FAULTS`, for the type checker: it finds a typo before it is a KeyError."""

MaybeFault = FaultName | Literal[""]
"""A name of `FAULTS`, or an empty text for "no fault"."""

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
    "RootUserNotExist": Fault(FAILED_PRECONDITION, "etcdserver: root user does not exist"),
    "RootRoleNotExist": Fault(FAILED_PRECONDITION, "etcdserver: root user does not have root role"),
    "UserAlreadyExist": Fault(FAILED_PRECONDITION, "etcdserver: user name already exists"),
    "UserEmpty": Fault(INVALID_ARGUMENT, "etcdserver: user name is empty"),
    "UserNotFound": Fault(FAILED_PRECONDITION, "etcdserver: user name not found"),
    "RoleAlreadyExist": Fault(FAILED_PRECONDITION, "etcdserver: role name already exists"),
    "RoleNotFound": Fault(FAILED_PRECONDITION, "etcdserver: role name not found"),
    "RoleEmpty": Fault(INVALID_ARGUMENT, "etcdserver: role name is empty"),
    "AuthFailed": Fault(
        INVALID_ARGUMENT, "etcdserver: authentication failed, invalid user ID or password"
    ),
    "PermissionNotGiven": Fault(INVALID_ARGUMENT, "etcdserver: permission not given"),
    "PermissionDenied": Fault(PERMISSION_DENIED, "etcdserver: permission denied"),
    "RoleNotGranted": Fault(FAILED_PRECONDITION, "etcdserver: role is not granted to the user"),
    "PermissionNotGranted": Fault(
        FAILED_PRECONDITION, "etcdserver: permission is not granted to the role"
    ),
    "AuthNotEnabled": Fault(FAILED_PRECONDITION, "etcdserver: authentication is not enabled"),
    "InvalidAuthToken": Fault(UNAUTHENTICATED, "etcdserver: invalid auth token"),
    "InvalidAuthMgmt": Fault(INVALID_ARGUMENT, "etcdserver: invalid auth management"),
    # Ours: in etcd no key stands for a user, and nothing limits what is kept for good.
    "RootCannotLogIn": Fault(
        FAILED_PRECONDITION,
        "leasehold: the user root has neither a password nor a key: nobody could log in",
    ),
    "KeyInUse": Fault(FAILED_PRECONDITION, "leasehold: the public key stands for a user already"),
    "KeyNotOfUser": Fault(
        FAILED_PRECONDITION, "leasehold: the public key does not stand for this user"
    ),
    "TooManyUsers": Fault(RESOURCE_EXHAUSTED, "leasehold: too many users (USERS_MAX)"),
    "TooManyRoles": Fault(RESOURCE_EXHAUSTED, "leasehold: too many roles (ROLES_MAX)"),
    "TooManyPermissions": Fault(
        RESOURCE_EXHAUSTED, "leasehold: too many permissions of one role (PERMISSIONS_MAX)"
    ),
    "NotAKey": Fault(INVALID_ARGUMENT, "leasehold: a public key has 32 bytes"),
    "NameTooLong": Fault(INVALID_ARGUMENT, "leasehold: a name has at most 256 bytes"),
    "TooManyKeys": Fault(
        RESOURCE_EXHAUSTED, "leasehold: too many public keys of one user (KEYS_MAX)"
    ),
}
"""The errors that a node reports, by name: etcd's name in Go without `ErrGRPC`, or one of ours."""


class LeaseholdError(Exception):
    """The base of a client's exceptions. `code` is a gRPC status code, `message` the text."""

    code: int = UNKNOWN

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


class UnavailableError(LeaseholdError):
    """The cluster could not answer: no leader, quorum or endpoint, or a node that is stopping."""

    code = UNAVAILABLE


class NoLeaderEndpointError(UnavailableError):
    """An operation needs the leader, which is not among the client's endpoints."""


class DeadlineExceededError(LeaseholdError, TimeoutError):
    """No answer within the client's timeout. The request changed nothing."""

    code = DEADLINE_EXCEEDED


class OutcomeUnknownError(DeadlineExceededError):
    """A write was sent and not answered in time: it may have been applied, or may be later."""


class WatchCanceledError(LeaseholdError):
    """The server ended a watch; the message is its reason."""

    code = CANCELED


class ConflictError(LeaseholdError):
    """In every attempt of an stm function, other writes changed what it had read. Not applied."""

    code = ABORTED


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

_NAME_OF: Final[dict[str, FaultName]] = {fault.message: name for name, fault in FAULTS.items()}


def name_of(message: str) -> FaultName | None:
    """The name in `FAULTS` of a server's error text; None for an unknown text."""
    return _NAME_OF.get(message)


def exception_for(code: int, message: str) -> LeaseholdError:
    """The exception for the `error` {code, message} of a reply."""
    kind = _BY_NAME.get(name_of(message)) or _BY_CODE.get(code, LeaseholdError)
    return kind(message, code)
