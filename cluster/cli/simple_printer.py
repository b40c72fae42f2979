"""`-w simple`: for people, and for scripts that read lines; etcdctl's default format."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from cluster.cli.output import emit
from cluster.cli.printers import (
    EndpointHash,
    EndpointHealth,
    EndpointStatus,
    Printer,
    hash_rows,
    member_rows,
    status_rows,
    truth,
)
from cluster.client.requests import EVERYTHING, prefix_end
from cluster.client.results import (
    DeleteResult,
    PutResult,
    RangeResult,
    TxnResult,
)
from cluster.values import format_seconds

if TYPE_CHECKING:
    from cluster.client.auth_results import (
        AuthResult,
        AuthStatusResult,
        Permission,
        RoleGetResult,
        RoleListResult,
        UserGetResult,
        UserListResult,
    )
    from cluster.client.results import (
        AlarmResult,
        Event,
        HistoryResult,
        KeyValue,
        LeaseGrantResult,
        LeaseKeepAliveResult,
        LeaseListResult,
        LeaseRevokeResult,
        LeaseTimeToLiveResult,
        Member,
        MemberAddResult,
        MemberListResult,
        MoveLeaderResult,
        WatchBatch,
    )


class SimplePrinter(Printer):
    """Prints short lines, without the names of fields."""

    def put(self, result: PutResult) -> None:
        emit(b"OK")
        if result.lease:
            self._granted(result.lease, result.ttl)
        if result.prev_kv is not None:
            self._key_value(result.prev_kv)

    def get(self, result: RangeResult, values_only: bool = False) -> None:
        for kv in result:
            if values_only:
                emit(self._text(kv.value))
            else:
                self._key_value(kv)

    def delete(self, result: DeleteResult) -> None:
        emit(b"%d" % result.deleted)
        for kv in result.prev_kvs:
            self._key_value(kv)

    def plain(self, result: NamedTuple) -> None:
        from cluster.cli.result_fields import fields_of  # noqa: PLC0415 - it loads all results

        for _, value in fields_of(result):
            emit(self._text(value) if isinstance(value, bytes) else str(value).encode())

    def txn(self, result: TxnResult) -> None:
        emit(b"SUCCESS" if result.succeeded else b"FAILURE")
        for response in result.responses:
            emit(b"")
            if isinstance(response, PutResult):
                self.put(response)
            elif isinstance(response, RangeResult):
                self.get(response)
            elif isinstance(response, DeleteResult):
                self.delete(response)
            elif isinstance(response, TxnResult):
                self.txn(response)
            else:
                self.plain(response)

    def history(self, result: HistoryResult, values_only: bool = False) -> None:
        for event in result.events:
            if not values_only:
                _line(
                    f"{event.type} {event.revision}" + (f" {event.reason}" if event.reason else "")
                )
                self._key_value(event.kv)
            elif event.type == "PUT":
                emit(self._text(event.kv.value))

    def watch(self, batch: WatchBatch) -> None:
        for event in batch.events:
            self._event(event)

    def _event(self, event: Event) -> None:
        emit(event.type.encode())
        if event.prev_kv is not None:
            self._key_value(event.prev_kv)
        self._key_value(event.kv)

    def lease_grant(self, result: LeaseGrantResult) -> None:
        self._granted(result.id, result.ttl)

    def _granted(self, lease_id: int, ttl: float) -> None:
        _line(f"lease {lease_id:016x} granted with TTL({format_seconds(ttl)}s)")

    def lease_revoke(self, lease_id: int, result: LeaseRevokeResult) -> None:
        _line(f"lease {lease_id:016x} revoked")

    def lease_time_to_live(self, result: LeaseTimeToLiveResult, with_keys: bool) -> None:
        if result.ttl == -1:
            _line(f"lease {result.id:016x} already expired")
            return
        granted = f"granted with TTL({format_seconds(result.granted_ttl)}s)"
        text = f"lease {result.id:016x} {granted}, remaining({format_seconds(result.ttl)}s)"
        if with_keys:
            keys = b" ".join(result.keys or ())
            emit(text.encode() + b", attached keys([" + keys + b"])")
        else:
            _line(text)

    def lease_list(self, result: LeaseListResult) -> None:
        _line(f"found {len(result.ids)} leases")
        for lease_id in result.ids:
            _line(f"{lease_id:016x}")

    def lease_keep_alive(self, result: LeaseKeepAliveResult) -> None:
        _line(f"lease {result.id:016x} keepalived with TTL({format_seconds(result.ttl)})")

    def lease_gone(self, lease_id: int) -> None:
        _line(f"lease {lease_id:016x} expired or revoked.")

    def member_list(self, result: MemberListResult) -> None:
        for row in member_rows(result):
            _line(", ".join(row))

    def member_add(self, result: MemberAddResult, name: str) -> None:
        how = " as learner " if result.member.is_learner else " "
        cluster = f"{result.header.cluster_id:16x}"
        _line(f"Member {result.member.id:16x} added{how}to cluster {cluster}")
        self._environment(result, name)

    def member_replace(self, removed_id: int, result: MemberAddResult, name: str) -> None:
        cluster = f"{result.header.cluster_id:16x}"
        _line(f"Member {removed_id:16x} replaced by {result.member.id:16x} in cluster {cluster}")
        self._environment(result, name)

    def member_changed(self, member_id: int, done: str, result: MemberListResult) -> None:
        _line(f"Member {member_id:16x} {done} cluster {result.header.cluster_id:16x}")

    def move_leader(self, result: MoveLeaderResult) -> None:
        _line(f"Leadership transferred from {result.source:16x} to {result.target:16x}")

    def _environment(self, result: MemberAddResult, name: str) -> None:
        """The settings to start the new member with, as environment variables."""
        cluster = ",".join(
            f"{name if member.id == result.member.id else member.name}={_keyed(url, member)}"
            for member in result.members
            for url in member.peer_urls
        )
        _line("")
        _line(f'ETCD_NAME="{name}"')
        _line(f'ETCD_INITIAL_CLUSTER="{cluster}"')
        _line(f'ETCD_INITIAL_ADVERTISE_PEER_URLS="{",".join(result.member.peer_urls)}"')
        _line('ETCD_INITIAL_CLUSTER_STATE="existing"')

    def endpoint_status(self, rows: list[EndpointStatus]) -> None:
        for row in status_rows(rows):
            _line(", ".join(row))

    def endpoint_health(self, rows: list[EndpointHealth]) -> None:
        raise AssertionError("the command writes each endpoint's line itself, as it comes")

    def endpoint_hash(self, rows: list[EndpointHash]) -> None:
        for row in hash_rows(rows):
            _line(", ".join(row))

    def alarm(self, result: AlarmResult, is_list: bool) -> None:
        for alarm in result.alarms:
            _line(f"memberID:{alarm.member_id} alarm:{alarm.alarm} ")

    def auth_changed(self, result: AuthResult, text: str) -> None:
        emit(os.fsencode(text))

    def auth_status(self, result: AuthStatusResult) -> None:
        _line(f"Authentication Status: {truth(result.enabled)}")
        _line(f"AuthRevision: {result.auth_revision}")

    def user(self, name: str, result: UserGetResult) -> None:
        _line(f"User: {name}")
        _line(" ".join(("Roles:", *result.roles)))
        from cluster.cli.public_keys import text_of  # noqa: PLC0415 - only for users

        for key in result.keys:
            _line(f"Key: {text_of(key)}")

    def users(self, result: UserListResult) -> None:
        for name in result.users:
            _line(name)

    def role(self, name: str, result: RoleGetResult) -> None:
        from cluster.cli.limits import limits_text  # noqa: PLC0415 - only for roles

        _line(f"Role {name}")
        for title, other in (("KV Read:", "WRITE"), ("KV Write:", "READ")):
            _line(title)
            for permission in result.perm:
                if permission.perm_type != other:
                    emit(b"\t" + _interval(permission))
        if any(result.limits):
            _line(f"Limits: {limits_text(result.limits)}")

    def roles(self, result: RoleListResult) -> None:
        for name in result.roles:
            _line(name)

    def _key_value(self, kv: KeyValue) -> None:
        emit(self._text(kv.key), self._text(kv.value))

    def _text(self, raw: bytes) -> bytes:
        return b"".join(b"\\x%02x" % byte for byte in raw) if self.is_hex else raw


def _interval(permission: Permission) -> bytes:
    """The keys of a permission, as etcdctl writes them."""
    _, key, end = permission
    if not end:
        return key
    text = b"[%b, <open ended>" % key if end == EVERYTHING else b"[%b, %b)" % (key, end)
    return text + b" (prefix %b)" % key if key and end == prefix_end(key) else text


def _line(text: str) -> None:
    emit(text.encode())


def _keyed(url: str, member: Member) -> str:
    """A URL as `--initial-cluster` takes it, with the newest key of the member."""
    return f"{url}#{member.keys[-1]}" if member.keys else url
