"""`-w fields`: lines of `"Name" : value`, as etcdctl prints them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cache
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from cluster.cli.limits import limits_shown
from cluster.cli.output import emit
from cluster.cli.printers import EndpointHash, EndpointHealth, EndpointStatus, Printer, truth
from cluster.cli.quoting import quoted
from cluster.cli.result_fields import fields_of
from cluster.client.results import DeleteResult, Header, PutResult, RangeResult, TxnResult
from cluster.protocol import KEY_VALUE
from cluster.schema import BYTES, FLAG, SECONDS, TEXT, Field, ListOf, Map
from cluster.values import format_duration, format_seconds

if TYPE_CHECKING:
    from cluster.client.auth_results import RoleGetResult, RoleListResult
    from cluster.client.results import (
        AlarmResult,
        Event,
        HistoryResult,
        LeaseGrantResult,
        LeaseKeepAliveResult,
        LeaseListResult,
        LeaseRevokeResult,
        LeaseTimeToLiveResult,
        MemberListResult,
        WatchBatch,
    )


class FieldsPrinter(Printer):
    """Prints each field of a result in a line of its own."""

    lacking = frozenset(
        {
            "member add",
            "member remove",
            "member update",
            "member promote",
            "member replace",
            "move-leader",
            "auth status",
            "user get",
            "user list",
        }
    )

    def put(self, result: PutResult) -> None:
        _header(result.header)
        if result.lease:
            _field("ID", result.lease)
            _field("TTL", format_seconds(result.ttl))
        if result.prev_kv is not None:
            _items(KEY_VALUE, (result.prev_kv,), "Prev")

    def plain(self, result: NamedTuple) -> None:
        _result(result)

    def get(self, result: RangeResult, values_only: bool = False) -> None:
        _result(result)

    def delete(self, result: DeleteResult) -> None:
        _result(result)

    def txn(self, result: TxnResult) -> None:
        _header(result.header)
        _field("Succeeded", truth(result.succeeded))
        for response in result.responses:
            # As in etcd, the header of a response in a transaction has only the revision.
            header = Header(0, 0, response.header.revision, 0)
            match response:
                case PutResult():
                    self.put(response._replace(header=header))
                case RangeResult():
                    self.get(RangeResult(header, response.kvs, response.more, response.count))
                case DeleteResult():
                    self.delete(response._replace(header=header))
                case TxnResult():
                    self.txn(response._replace(header=header))
                case _:
                    self.plain(response._replace(header=header))

    def history(self, result: HistoryResult, values_only: bool = False) -> None:
        _header(result.header)
        for event in result.events:
            self._event(event)
            if event.reason:
                _field("Reason", quoted(event.reason.encode()))
        _field("More", truth(result.more))
        _field("Compacted", truth(result.compacted))

    def watch(self, batch: WatchBatch) -> None:
        _header(batch.header)
        for event in batch.events:
            self._event(event)

    def watch_canceled(self, header: Header, compact_revision: int) -> None:
        _header(header._replace(revision=0))

    def _event(self, event: Event) -> None:
        _field("Type", event.type)
        if event.prev_kv is not None:
            _items(KEY_VALUE, (event.prev_kv,), "Prev")
        _items(KEY_VALUE, (event.kv,), "")

    def lease_grant(self, result: LeaseGrantResult) -> None:
        _result(result)

    def lease_revoke(self, lease_id: int, result: LeaseRevokeResult) -> None:
        _header(result.header)

    def lease_time_to_live(self, result: LeaseTimeToLiveResult, with_keys: bool) -> None:
        _header(result.header)
        _field("ID", result.id)
        _field("TTL", result.ttl)
        _field("GrantedTTL", format_seconds(result.granted_ttl))
        for key in result.keys or ():
            _field("Key", quoted(key))

    def lease_list(self, result: LeaseListResult) -> None:
        _header(result.header)
        for lease_id in result.ids:
            _field("ID", lease_id)

    def lease_keep_alive(self, result: LeaseKeepAliveResult) -> None:
        _result(result)

    def member_list(self, result: MemberListResult) -> None:
        _header(result.header._replace(revision=0))
        for member in result.members:
            _field("ID", f"{member.id:x}" if self.is_hex else member.id)
            _field("Name", quoted(member.name.encode()))
            for url in member.peer_urls:
                _field("PeerURL", quoted(url.encode()))
            for url in member.client_urls:
                _field("ClientURL", quoted(url.encode()))
            _field("IsLearner", truth(member.is_learner))
            for key in member.keys:
                _field("Key", quoted(key.encode()))
            emit(b"")

    def endpoint_status(self, rows: list[EndpointStatus]) -> None:
        for endpoint, status in rows:
            _header(status.header)
            _field("Version", quoted(status.version.encode()))
            _field("DBSize", status.db_size)
            _field("Leader", status.leader)
            _field("IsLearner", truth(status.is_learner))
            _field("RaftIndex", status.raft_index)
            _field("RaftTerm", status.raft_term)
            _field("RaftAppliedIndex", status.raft_applied_index)
            _field("Errors", f"[{' '.join(status.errors)}]")
            _field("Endpoint", quoted(endpoint.encode()))
            emit(b"")

    def endpoint_health(self, rows: list[EndpointHealth]) -> None:
        for row in rows:
            _field("Endpoint", quoted(row.endpoint.encode()))
            _field("Health", truth(not row.error))
            _field("Took", format_duration(row.took_seconds))
            _field("Error", row.error)
            emit(b"")

    def endpoint_hash(self, rows: list[EndpointHash]) -> None:
        for endpoint, result in rows:
            _header(result.header)
            _field("Endpoint", quoted(endpoint.encode()))
            _field("Hash", result.hash)
            emit(b"")

    def alarm(self, result: AlarmResult, is_list: bool) -> None:
        _header(result.header)
        for alarm in result.alarms:
            _field("MemberID", alarm.member_id)
            _field("AlarmType", alarm.alarm)

    def role(self, name: str, result: RoleGetResult) -> None:
        _header(result.header)
        for permission in result.perm:
            _field("PermType", f" {permission.perm_type}")
            _field("Key", quoted(permission.key))
            _field("RangeEnd", quoted(permission.range_end))
        for limit, number in limits_shown(result.limits):
            _field(f"Limit{limit.capitalize()}", number)

    def roles(self, result: RoleListResult) -> None:
        _header(result.header)
        emit(" ".join(('"Roles" :', *[quoted(name.encode()) for name in result.roles])).encode())


def _header(header: Header) -> None:
    _field("ClusterID", header.cluster_id)
    _field("MemberID", header.member_id)
    _field("Revision", header.revision)
    _field("RaftTerm", header.raft_term)


def _result(result: Any) -> None:
    """Print a result by the protocol's table, a line for each field."""
    _header(result.header)
    for field, value in fields_of(result):
        prefix = "Prev" if field.name.startswith("prev_") else ""
        match field.type:
            case Map() as shape:
                _items(shape, () if value is None else (value,), prefix)
            case ListOf(shape):
                _items(shape, value, prefix)
            case kind:
                _field(_go_name(field), _WRITTEN.get(kind, str)(value))


def _items(shape: Map, items: Iterable[Any], prefix: str) -> None:
    """Print the fields of maps, each in a line; the maps themselves have no line."""
    parts = _parts(shape, prefix)
    for item in items:
        for name, value_of, written in parts:
            _field(name, written(value_of(item)))


@cache
def _parts(shape: Map, prefix: str) -> list[tuple[str, Callable[[Any], Any], Callable[[Any], str]]]:
    """For each field: its name in Go, how to get it from an item, and how to write it."""
    return [
        (prefix + _go_name(field), attrgetter(field.attribute), _WRITTEN.get(field.type, str))
        for field in shape.fields
    ]


def _go_name(field: Field) -> str:
    return "".join(word[:1].upper() + word[1:] for word in field.name.split("_"))


_WRITTEN: Final[dict[Any, Callable[[Any], str]]] = {
    BYTES: quoted,
    FLAG: truth,
    SECONDS: format_seconds,
    TEXT: lambda text: quoted(text.encode()),
}
"""How to write the values of a type; values of other types are integers or words."""


def _field(name: str, value: Any) -> None:
    emit(f'"{name}" : {value}'.encode())
