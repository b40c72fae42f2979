"""`-w jsonl`: one JSON object a line, for each key, event, lease, member or endpoint.

Keys and values are readable, and ids are hexadecimal, as commands take them. What an answer has
beside its list (the header, `more`, `count`) is left out; an answer without a list is one object.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from cluster.cli.output import emit
from cluster.cli.printers import EndpointHash, EndpointHealth, EndpointStatus, Printer
from cluster.cli.readable import bytes_field, line
from cluster.cli.result_fields import fields_of, op_of
from cluster.protocol import ALARM, KEY_VALUE, MEMBER
from cluster.schema import BYTES, KEYS, RESPONSES, Choice, ListOf, Map, Type

if TYPE_CHECKING:
    from cluster.client.results import (
        AlarmResult,
        DeleteResult,
        Event,
        HistoryResult,
        LeaseGrantResult,
        LeaseKeepAliveResult,
        LeaseListResult,
        LeaseRevokeResult,
        LeaseTimeToLiveResult,
        Member,
        MemberAddResult,
        MemberListResult,
        MoveLeaderResult,
        PutResult,
        RangeResult,
        TxnResult,
        WatchBatch,
    )

Fields = dict[str, Any]

IDS: Final = frozenset({"ID", "lease", "leader", "memberID"})
"""Fields with an id, which is left out where it is 0: there is none."""


class JsonlPrinter(Printer):
    """Prints each thing that was found or changed as one object."""

    def plain(self, result: NamedTuple) -> None:
        _print(_result(result))

    def put(self, result: PutResult) -> None:
        _print(_result(result))

    def get(self, result: RangeResult, values_only: bool = False) -> None:
        emit(*(line(_map(KEY_VALUE, kv)) for kv in result))

    def delete(self, result: DeleteResult) -> None:
        _print(_result(result))

    def txn(self, result: TxnResult) -> None:
        _print(_result(result))

    def history(self, result: HistoryResult, values_only: bool = False) -> None:
        emit(*(line(_event(event)) for event in result.events))

    def watch(self, batch: WatchBatch) -> None:
        emit(*(line(_event(event)) for event in batch.events))

    def watch_progress(self, revision: int) -> None:
        _print({"type": "PROGRESS", "revision": revision})

    def lease_grant(self, result: LeaseGrantResult) -> None:
        _print(_result(result))

    def lease_revoke(self, lease_id: int, result: LeaseRevokeResult) -> None:
        _print(_result(result))

    def lease_time_to_live(self, result: LeaseTimeToLiveResult, with_keys: bool) -> None:
        _print(_result(result))

    def lease_list(self, result: LeaseListResult) -> None:
        emit(*(line({"ID": _id(lease)}) for lease in result.ids))

    def lease_keep_alive(self, result: LeaseKeepAliveResult) -> None:
        _print(_result(result))

    def member_list(self, result: MemberListResult) -> None:
        self._members(*result.members)

    def member_add(self, result: MemberAddResult, name: str) -> None:
        self._members(result.member)

    def member_replace(self, removed_id: int, result: MemberAddResult, name: str) -> None:
        self._members(result.member)

    def member_changed(self, member_id: int, done: str, result: MemberListResult) -> None:
        self._members(*result.members)

    def _members(self, *members: Member) -> None:
        emit(*(line(_map(MEMBER, member)) for member in members))

    def move_leader(self, result: MoveLeaderResult) -> None:
        _print({"source": _id(result.source), "target": _id(result.target)})

    def endpoint_status(self, rows: list[EndpointStatus]) -> None:
        for row in rows:
            ids = {"endpoint": row.endpoint, "ID": _id(row.status.header.member_id)}
            _print({**ids, **_fields(row.status)})

    def endpoint_health(self, rows: list[EndpointHealth]) -> None:
        for row in rows:
            found = {"endpoint": row.endpoint, "health": not row.error}
            error = {"error": row.error} if row.error else {}
            _print({**found, "took_seconds": round(row.took_seconds, 6), **error})

    def endpoint_hash(self, rows: list[EndpointHash]) -> None:
        for row in rows:
            _print({"endpoint": row.endpoint, **_fields(row.result)})

    def alarm(self, result: AlarmResult, is_list: bool) -> None:
        emit(*(line(_map(ALARM, alarm)) for alarm in result.alarms))


def _print(fields: Fields) -> None:
    emit(line(fields))


def _event(event: Event) -> Fields:
    """An event with the fields of its key beside its own; of a deletion only those it has."""
    kv = _map(KEY_VALUE, event.kv)
    if event.type == "DELETE":
        kv = {**bytes_field("key", event.kv.key), "mod_revision": event.kv.mod_revision}
    fields = {"type": event.type, **kv}
    if event.prev_kv is not None:
        fields["prev_kv"] = _map(KEY_VALUE, event.prev_kv)
    return {**fields, "reason": event.reason} if event.reason else fields


def _result(result: Any) -> Fields:
    """The revision of an answer, and its fields."""
    return {"revision": result.header.revision, **_fields(result)}


def _fields(result: Any) -> Fields:
    fields: Fields = {}
    for field, value in fields_of(result):
        fields |= _field(field.name, field.type, value)
    return fields


def _map(kind: Map, item: Any) -> Fields:
    fields: Fields = {}
    for field in kind.fields:
        fields |= _field(field.name, field.type, getattr(item, field.attribute))
    return fields


def _field(name: str, kind: Type | Choice | Map | ListOf, value: Any) -> Fields:
    """The field under its name; none where there is no value."""
    if value is None or (name in IDS and value == 0):
        return {}
    if kind == BYTES:
        return bytes_field(name, value)
    return {name: _id(value) if name in IDS else _value(kind, value)}


def _value(kind: Type | Choice | Map | ListOf, value: Any) -> Any:
    if kind == RESPONSES:
        return [{op_of(response).name: _result(response)} for response in value]
    if kind == KEYS:
        return [bytes_field("key", key) for key in value]
    match kind:
        case Map():
            return _map(kind, value)
        case ListOf(item):
            return [_map(item, each) for each in value]
    return value


def _id(number: int) -> str:
    return f"{number:x}"
