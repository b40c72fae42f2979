"""Printer: the base of the output formats, and the texts that several formats share.

A printer turns one command's result into lines of bytes; keys and values are printed as they are.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

from cluster.cli.output import emit
from cluster.values import format_duration, format_size

if TYPE_CHECKING:
    from cluster.client.auth_results import (
        AuthResult,
        AuthStatusResult,
        RoleGetResult,
        RoleListResult,
        UserGetResult,
        UserListResult,
    )
    from cluster.client.results import (
        AlarmResult,
        DeleteResult,
        HashKvResult,
        Header,
        HistoryResult,
        LeaseGrantResult,
        LeaseKeepAliveResult,
        LeaseListResult,
        LeaseRevokeResult,
        LeaseTimeToLiveResult,
        MemberAddResult,
        MemberListResult,
        MoveLeaderResult,
        PutResult,
        RangeResult,
        StatusResult,
        TxnResult,
        WatchBatch,
    )


class EndpointStatus(NamedTuple):
    """One endpoint and the status of its node."""

    endpoint: str
    status: StatusResult


class EndpointHash(NamedTuple):
    """One endpoint and the hash of its node's data."""

    endpoint: str
    result: HashKvResult


class EndpointHealth(NamedTuple):
    """One endpoint, how long its answer took, and its error (empty when healthy)."""

    endpoint: str
    took_seconds: float
    error: str


class Printer:
    """Prints results. A command for which a format has no form is refused before it runs."""

    commands: frozenset[str] | None = None
    """The commands that this format can print; None for all."""

    lacking: frozenset[str] = frozenset()
    """The commands that this format cannot print, although `commands` allows them."""

    def __init__(self, is_hex: bool) -> None:
        self.is_hex = is_hex

    def plain(self, result: NamedTuple) -> None:
        """The answer to an operation without a method of its own: its fields, one by one."""
        raise NotImplementedError

    def put(self, result: PutResult) -> None:
        """The answer to a put."""
        raise NotImplementedError

    def get(self, result: RangeResult, values_only: bool = False) -> None:
        """The answer to a get."""
        raise NotImplementedError

    def delete(self, result: DeleteResult) -> None:
        """The answer to a del."""
        raise NotImplementedError

    def txn(self, result: TxnResult) -> None:
        """The answer to a txn, and to each of its operations."""
        raise NotImplementedError

    def history(self, result: HistoryResult, values_only: bool = False) -> None:
        """The changes of a key, newest first."""
        raise NotImplementedError

    def watch(self, batch: WatchBatch) -> None:
        """Events of a watch; without events it is a bookmark."""
        raise NotImplementedError

    def watch_progress(self, revision: int) -> None:
        """An idle watch has got all up to this revision: etcdctl's line, in each of its formats."""
        emit(b"progress notify: %d" % revision)

    def watch_canceled(self, header: Header, compact_revision: int) -> None:
        """The server has ended a watch; the reason goes to stderr."""

    def watch_refused(self) -> None:
        """The server has not begun a watch; the reason goes to stderr."""

    def lease_grant(self, result: LeaseGrantResult) -> None:
        """A lease that was granted."""
        raise NotImplementedError

    def lease_revoke(self, lease_id: int, result: LeaseRevokeResult) -> None:
        """A lease that was revoked."""
        raise NotImplementedError

    def lease_time_to_live(self, result: LeaseTimeToLiveResult, with_keys: bool) -> None:
        """The remaining time of a lease."""
        raise NotImplementedError

    def lease_list(self, result: LeaseListResult) -> None:
        """All leases."""
        raise NotImplementedError

    def lease_keep_alive(self, result: LeaseKeepAliveResult) -> None:
        """A lease that was renewed."""
        raise NotImplementedError

    def lease_gone(self, lease_id: int) -> None:
        """A lease that could not be renewed because it is gone."""

    def member_list(self, result: MemberListResult) -> None:
        """All members."""
        raise NotImplementedError

    def member_add(self, result: MemberAddResult, name: str) -> None:
        """A member that was added, and will be started under this name."""
        raise NotImplementedError

    def member_replace(self, removed_id: int, result: MemberAddResult, name: str) -> None:
        """A member that was added to replace another."""
        raise NotImplementedError

    def member_changed(self, member_id: int, done: str, result: MemberListResult) -> None:
        """A member that was `removed from`, `updated in` or `promoted in` the cluster."""
        raise NotImplementedError

    def move_leader(self, result: MoveLeaderResult) -> None:
        """The members that led before and lead now."""
        raise NotImplementedError

    def endpoint_status(self, rows: list[EndpointStatus]) -> None:
        """The state of some nodes."""
        raise NotImplementedError

    def endpoint_health(self, rows: list[EndpointHealth]) -> None:
        """The health of some nodes."""
        raise NotImplementedError

    def endpoint_hash(self, rows: list[EndpointHash]) -> None:
        """The hashes of some nodes."""
        raise NotImplementedError

    def alarm(self, result: AlarmResult, is_list: bool) -> None:
        """The alarms that are raised (`is_list`), or those that were cleared."""
        raise NotImplementedError

    def auth_changed(self, result: AuthResult, text: str) -> None:
        """A change of users or roles, which this text tells to people."""
        self.plain(result)

    def auth_status(self, result: AuthStatusResult) -> None:
        """Whether requests are checked."""
        self.plain(result)

    def user(self, name: str, result: UserGetResult) -> None:
        """The roles and public keys of a user."""
        self.plain(result)

    def users(self, result: UserListResult) -> None:
        """All users."""
        self.plain(result)

    def role(self, name: str, result: RoleGetResult) -> None:
        """The permissions and limits of a role."""
        self.plain(result)

    def roles(self, result: RoleListResult) -> None:
        """All roles."""
        self.plain(result)


def member_rows(result: MemberListResult) -> list[list[str]]:
    """One row for each member: ID, STATUS, NAME, PEER ADDRS, CLIENT ADDRS, IS LEARNER."""
    return [
        [
            f"{member.id:x}",
            "started" if member.name else "unstarted",
            member.name,
            ",".join(member.peer_urls),
            ",".join(member.client_urls),
            truth(member.is_learner),
        ]
        for member in result.members
    ]


def status_rows(rows: Iterable[EndpointStatus]) -> list[list[str]]:
    """One row for each endpoint, with etcd 3.5's columns from ENDPOINT to ERRORS."""
    return [
        [
            endpoint,
            f"{status.header.member_id:x}",
            status.version,
            format_size(status.db_size),
            truth(status.leader == status.header.member_id),
            truth(status.is_learner),
            str(status.raft_term),
            str(status.raft_index),
            str(status.raft_applied_index),
            ", ".join(status.errors),
        ]
        for endpoint, status in rows
    ]


def hash_rows(rows: Iterable[EndpointHash]) -> list[list[str]]:
    """One row for each endpoint: ENDPOINT, HASH."""
    return [[endpoint, str(result.hash)] for endpoint, result in rows]


def health_line(row: EndpointHealth) -> str:
    """One endpoint's health, for people."""
    if row.error:
        return f"{row.endpoint} is unhealthy: failed to commit proposal: {row.error}"
    took = format_duration(row.took_seconds)
    return f"{row.endpoint} is healthy: successfully committed proposal: took = {took}"


def truth(value: bool) -> str:
    """A boolean as Go prints it."""
    return "true" if value else "false"
