"""`-w protobuf`: the bytes of etcd's response messages, as etcdctl writes them, without an end.

What etcd has no field for is left out, and what it has no message for cannot be printed.
"""

from __future__ import annotations

from math import ceil
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from cluster.cli.ending import EXIT_BAD_FEATURE, CommandError
from cluster.cli.output import emit
from cluster.cli.printers import Printer
from cluster.cli.result_fields import fields_of, op_of
from cluster.client.results import Header
from cluster.etcd.rpc.schema import RPCS, message_class
from cluster.protocol import EVENT
from cluster.schema import RESPONSES, SECONDS, Choice, Field, ListOf, Map, Type

if TYPE_CHECKING:
    from cluster.client.auth_results import AuthResult
    from cluster.client.results import (
        AlarmResult,
        DeleteResult,
        LeaseGrantResult,
        LeaseKeepAliveResult,
        LeaseListResult,
        LeaseRevokeResult,
        LeaseTimeToLiveResult,
        MemberAddResult,
        MemberListResult,
        PutResult,
        RangeResult,
        TxnResult,
        WatchBatch,
    )

Fields = dict[str, Any]

_MESSAGES: Final = {rpc.op: rpc.response for rpc in RPCS.values() if rpc.op is not None}
"""The class of the response of each operation that etcd has."""


class ProtobufPrinter(Printer):
    """Prints each result as a message."""

    lacking = frozenset(
        {
            "incr",
            "get --history",
            "move-leader",
            "endpoint status",
            "endpoint health",
            "endpoint hashkv",
            "snapshot status",
        }
    )

    def plain(self, result: NamedTuple) -> None:
        _print(result)

    def put(self, result: PutResult) -> None:
        _print(result)

    def get(self, result: RangeResult, values_only: bool = False) -> None:
        _print(result)

    def delete(self, result: DeleteResult) -> None:
        _print(result)

    def txn(self, result: TxnResult) -> None:
        _print(result)

    def watch(self, batch: WatchBatch) -> None:
        self._watch(batch.header, events=[_map(EVENT.fields, event) for event in batch.events])

    def watch_canceled(self, header: Header, compact_revision: int) -> None:
        head = header._replace(revision=0)
        self._watch(head, compact_revision=compact_revision, canceled=True)

    def watch_refused(self) -> None:
        self._watch(Header(0, 0, 0, 0), canceled=True)

    def _watch(self, header: Header, **fields: Any) -> None:
        _write(message_class("etcdserverpb.WatchResponse"), header._asdict(), fields)

    def lease_grant(self, result: LeaseGrantResult) -> None:
        _print(result)

    def lease_revoke(self, lease_id: int, result: LeaseRevokeResult) -> None:
        _print(result)

    def lease_time_to_live(self, result: LeaseTimeToLiveResult, with_keys: bool) -> None:
        _print(result)

    def lease_list(self, result: LeaseListResult) -> None:
        leases = [{"ID": lease_id} for lease_id in result.ids]
        _write(_MESSAGES["lease_leases"], result.header._asdict(), {"leases": leases})

    def lease_keep_alive(self, result: LeaseKeepAliveResult) -> None:
        _print(result)

    def member_list(self, result: MemberListResult) -> None:
        # As in etcd, the header of an answer with members has no revision. The answers to changes
        # of members have the fields of this one.
        _print(result._replace(header=result.header._replace(revision=0)))

    def member_add(self, result: MemberAddResult, name: str) -> None:
        _print(result._replace(header=result.header._replace(revision=0)))

    def member_replace(self, removed_id: int, result: MemberAddResult, name: str) -> None:
        self.member_add(result, name)

    def member_changed(self, member_id: int, done: str, result: MemberListResult) -> None:
        self.member_list(result)

    def alarm(self, result: AlarmResult, is_list: bool) -> None:
        _print(result)

    def auth_changed(self, result: AuthResult, text: str) -> None:
        # The answers to all changes of users and roles have a header alone, in the same place.
        _write(_MESSAGES["auth_enable"], result.header._asdict(), {})


def _print(result: Any) -> None:
    _write(_MESSAGES[op_of(result).name], result.header._asdict(), _fields(result))


def _write(message: Any, header: Fields, fields: Fields) -> None:
    emit(message(header=header, **fields).SerializeToString(), end=b"")


def _fields(result: Any) -> Fields:
    """The fields of a result that etcd has."""
    return {
        field.name: _value(field.type, value)
        for field, value in fields_of(result)
        if value is not None and not field.ours
    }


def _map(fields: tuple[Field, ...], item: Any) -> Fields:
    return {
        field.name: _value(field.type, value)
        for field in fields
        if not field.ours and (value := getattr(item, field.attribute)) is not None
    }


def _value(kind: Type | Choice | Map | ListOf, value: Any) -> Any:
    if kind == SECONDS:
        return ceil(value)  # etcd knows whole seconds
    if kind == RESPONSES:
        return [_response(each) for each in value]
    match kind:
        case Map(_, fields):
            return _map(fields, value)
        case ListOf(Map(_, fields)):
            return [_map(fields, each) for each in value]
        case Choice(words):
            return words.index(value)
    return value


def _response(response: Any) -> Fields:
    """One response of a transaction; as in etcd, its header has only the revision."""
    op = op_of(response)
    if op.ours:
        raise CommandError("protobuf not supported as output format", EXIT_BAD_FEATURE)
    header = {"revision": response.header.revision}
    return {f"response_{op.name}": {"header": header, **_fields(response)}}
