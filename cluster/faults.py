"""Faults: the errors of the protocol by name, each with etcd's code and text.

Inside a node an error is a name (`"LeaseNotFound"`). The gateway turns the name into the code and
message of `FAULTS`; `cluster.errors` makes an exception of these. Knows no exception.
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
    "MemberKeyMissing",
    "MemberKeyExist",
    "MemberBadKey",
    "NoMemberKeys",
    "KeyChangeUnderWay",
    "KeyNotKnown",
    "NotThisMember",
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
    "TooManyLeasesOfUser",
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
    "NoPasswordUser",
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
    "MemberKeyMissing": Fault(
        INVALID_ARGUMENT, "leasehold: a member needs a key here (--public-key)"
    ),
    "MemberKeyExist": Fault(FAILED_PRECONDITION, "leasehold: a member has, or had, this key"),
    "MemberBadKey": Fault(INVALID_ARGUMENT, "leasehold: a member's key has 64 hexadecimal digits"),
    "NoMemberKeys": Fault(FAILED_PRECONDITION, "leasehold: the members here have no keys"),
    "KeyChangeUnderWay": Fault(FAILED_PRECONDITION, "leasehold: that member is changing its key"),
    "KeyNotKnown": Fault(UNAVAILABLE, "leasehold: a member that is away does not know that key"),
    "NotThisMember": Fault(FAILED_PRECONDITION, "leasehold: only that member can make its key"),
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
    "TooManyLeasesOfUser": Fault(
        RESOURCE_EXHAUSTED, "leasehold: the user has as many leases as its roles allow"
    ),
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
    "NoPasswordUser": Fault(
        UNKNOWN, "auth: authentication failed, password was given for no password user"
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

_NAME_OF: Final[dict[str, FaultName]] = {fault.message: name for name, fault in FAULTS.items()}


def name_of(message: str) -> FaultName | None:
    """The name in `FAULTS` of a server's error text; None for an unknown text."""
    return _NAME_OF.get(message)
