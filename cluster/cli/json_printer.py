"""`-w json`: the JSON that Go's encoding/json makes of etcd's response structs.

Fields keep their order, zero values are left out, keys and values are in base64, ids in decimal.
"""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Callable
from functools import cache
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from cluster.cli.output import emit
from cluster.cli.printers import EndpointHash, EndpointHealth, EndpointStatus, Printer
from cluster.cli.result_fields import fields_of, op_of
from cluster.client.results import Header
from cluster.protocol import ALARM_NAME, EVENT, MEMBER
from cluster.schema import BYTES, KEYS, RESPONSES, SECONDS, TEXTS, Choice, ListOf, Map, Type
from cluster.values import format_duration

if TYPE_CHECKING:
    from cluster.client.results import (
        AlarmResult,
        DeleteResult,
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
        TxnResponse,
        TxnResult,
        WatchBatch,
    )

Fields = dict[str, Any]


ETCD_EVENT: Final = Map("event", tuple(field for field in EVENT.fields if not field.ours))
"""The fields of an event that a watch prints: without the reason, which etcd's does not have."""

ZERO_SHOWN: Final = {"increment": ("header", "value"), "history": ("header", "events")}
"""Fields that are written even when they are zero; etcd has no such fields."""


class JsonPrinter(Printer):
    """Prints each result as a JSON document in one line."""

    def plain(self, result: NamedTuple) -> None:
        _document(result)

    def put(self, result: PutResult) -> None:
        _document(result)

    def get(self, result: RangeResult, values_only: bool = False) -> None:
        _document(result)

    def delete(self, result: DeleteResult) -> None:
        _document(result)

    def txn(self, result: TxnResult) -> None:
        _document(result)

    def history(self, result: HistoryResult, values_only: bool = False) -> None:
        _document(result)

    def watch(self, batch: WatchBatch) -> None:
        self._watch(batch.header, _writer(ListOf(ETCD_EVENT))(batch.events))

    def watch_canceled(self, header: Header, compact_revision: int) -> None:
        self._watch(header._replace(revision=0), [], compact_revision, canceled=True)

    def watch_refused(self) -> None:
        self._watch(Header(0, 0, 0, 0), None, canceled=True)

    def _watch(
        self,
        header: Header,
        events: list[Fields] | None,
        compact_revision: int = 0,
        canceled: bool = False,
    ) -> None:
        _print(
            {
                "Header": _header(header),
                "Events": events,
                "CompactRevision": compact_revision,
                "Canceled": canceled,
                "Created": False,
            }
        )

    def lease_grant(self, result: LeaseGrantResult) -> None:
        lease = {"ID": result.id, "TTL": _number(result.ttl), "Error": ""}
        _print({**_header(result.header), **lease})

    def lease_revoke(self, lease_id: int, result: LeaseRevokeResult) -> None:
        _print({"header": _header(result.header)})

    def lease_time_to_live(self, result: LeaseTimeToLiveResult, with_keys: bool) -> None:
        lease = {
            "id": result.id,
            "ttl": result.ttl,
            "granted-ttl": _number(result.granted_ttl),
            "keys": [_base64(key) for key in result.keys] if result.keys else None,
        }
        _print({**_header(result.header), **lease})

    def lease_list(self, result: LeaseListResult) -> None:
        leases = [{"id": lease_id} for lease_id in result.ids]
        _print({**_header(result.header), "leases": leases})

    def lease_keep_alive(self, result: LeaseKeepAliveResult) -> None:
        lease = {"ID": result.id, "TTL": _number(result.ttl)}
        _print({**_header(result.header), **lease})

    def member_list(self, result: MemberListResult) -> None:
        _print(self._members(result))

    def member_add(self, result: MemberAddResult, name: str) -> None:
        listed = self._members(result)
        _print(
            {
                "header": listed["header"],
                "member": self._member(result.member),
                "members": listed["members"],
            }
        )

    def member_replace(self, removed_id: int, result: MemberAddResult, name: str) -> None:
        self.member_add(result, name)

    def member_changed(self, member_id: int, done: str, result: MemberListResult) -> None:
        _print(self._members(result))

    def move_leader(self, result: MoveLeaderResult) -> None:
        _print({})  # as etcdctl, whose answer does not even have a header

    def _members(self, result: MemberListResult | MemberAddResult) -> Fields:
        # As in etcd, the header of an answer with members has no revision.
        header = self._ids(_header(result.header._replace(revision=0)), "cluster_id", "member_id")
        return {"header": header, "members": [self._member(member) for member in result.members]}

    def _member(self, member: Member) -> Fields:
        return self._ids(_writer(MEMBER)(member), "ID")

    def endpoint_status(self, rows: list[EndpointStatus]) -> None:
        _print([{"Endpoint": row.endpoint, "Status": _fields(row.status)} for row in rows])

    def endpoint_health(self, rows: list[EndpointHealth]) -> None:
        documents = []
        for row in rows:
            took = format_duration(row.took_seconds)
            document = {"endpoint": row.endpoint, "health": not row.error, "took": took}
            documents.append({**document, "error": row.error} if row.error else document)
        _print(documents)

    def endpoint_hash(self, rows: list[EndpointHash]) -> None:
        _print([{"Endpoint": row.endpoint, "HashKV": _fields(row.result)} for row in rows])

    def alarm(self, result: AlarmResult, is_list: bool) -> None:
        alarms = [
            {"memberID": alarm.member_id, "alarm": ALARM_NAME.words.index(alarm.alarm)}
            for alarm in result.alarms
        ]
        # etcd's client clears the alarms one by one, so it has no header for all of them.
        header = _header(result.header) if is_list else {}
        _print(_whole({"header": header, "alarms": alarms}))

    def _ids(self, fields: Fields, *names: str) -> Fields:
        if self.is_hex:
            for name in names:
                fields[name] = f"{fields[name]:x}"
        return fields


def _whole(fields: Fields) -> Fields:
    """The fields that are not zero."""
    return {name: value for name, value in fields.items() if value}


def _header(header: Header) -> Fields:
    return _whole(header._asdict())


def _document(result: Any) -> None:
    _print(_fields(result))


def _fields(result: Any, header: Fields | None = None) -> Fields:
    """A result by the protocol's table: its non-zero fields, in order."""
    fields = {"header": _header(result.header) if header is None else header}
    fields |= {field.name: _writer(field.type)(value) for field, value in fields_of(result)}
    always = ZERO_SHOWN.get(op_of(result).name, ())
    return {name: value for name, value in fields.items() if value or name in always}


def _response(response: TxnResponse) -> Fields:
    """One response of a transaction; as in etcd, its header has only the revision."""
    fields = _fields(response, {"revision": response.header.revision})
    return {"Response": {f"response_{op_of(response).name}": fields}}


Write = Callable[[Any], Any]


@cache
def _writer(kind: Type | Choice | Map | ListOf) -> Write:
    """The function that writes values of a type as Go does."""
    match kind:
        case Map(_, fields):
            return _map_writer(
                [(field.name, attrgetter(field.attribute), _writer(field.type)) for field in fields]
            )
        case ListOf(item):
            write = _writer(item)
            return lambda items: [write(each) for each in items]
        case Choice(words):
            return words.index
    return _CONVERTED.get(kind, _as_it_is)


def _map_writer(parts: list[tuple[str, Write, Write]]) -> Write:
    def write_map(item: Any) -> Fields | None:
        if item is None:
            return None
        return {name: value for name, value_of, write in parts if (value := write(value_of(item)))}

    return write_map


def _as_it_is(value: Any) -> Any:
    return value


def _number(value: float) -> float:
    return int(value) if value == int(value) else value


def _base64(raw: bytes) -> str:
    return b64encode(raw).decode()


_CONVERTED: Final[dict[Type, Write]] = {
    BYTES: _base64,
    SECONDS: _number,
    TEXTS: list,
    KEYS: lambda keys: [_base64(key) for key in keys],
    RESPONSES: lambda responses: [_response(each) for each in responses],
}
"""How to write the values of a type, where JSON has no such type or Go writes it differently."""


def _print(document: Any) -> None:
    emit(json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode())
