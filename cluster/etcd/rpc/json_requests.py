"""Requests in JSON, as etcd's gateway reads them.

Fields that nobody knows are ignored, a field may have its name of the .proto file or the one in
camel case, and the errors are Go's. Refuses to know HTTP, and what a field means.
"""

from __future__ import annotations

from typing import Any, Final

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from cluster.etcd.rpc.json_faults import TOO_DEEP
from cluster.etcd.rpc.json_values import JsonError, Reader, first_value, mismatch, reader_of
from cluster.etcd.rpc.mapping import PARTS_MAX, Fields, request_of
from cluster.etcd.rpc.schema import Rpc, RpcKind, descriptor_of
from cluster.etcd.rpc.status import RpcError, error_of, too_large
from cluster.faults import INVALID_ARGUMENT, UNKNOWN

DEPTH_MAX: Final = 100
"""Messages may be nested 100 deep, as protobuf's library has it for those that come as bytes."""


def from_json(rpc: Rpc, body: bytes, message_bytes_max: int | None = None) -> Fields:
    """The protocol's request for a body, as `mapping.decode` makes it of bytes. Raises RpcError.

    An empty body is an empty message, and what follows the first value is ignored: both as etcd.
    `message_bytes_max` is a limit of the message that the body says, not of the body.
    """
    if body.count(b"{") > PARTS_MAX:
        raise error_of("TooManyOps")
    message = rpc.request()
    try:
        value = first_value(body)
        if value is not None:
            _fill(message, value, 0)
        if message_bytes_max is not None and (size := message.ByteSize()) > message_bytes_max:
            raise too_large(size, message_bytes_max)
        return request_of(rpc, message)
    except JsonError as refused:
        fault = str(refused)
    # For streams the gateway forgets to give the error a code.
    raise RpcError(UNKNOWN if rpc.kind is RpcKind.BOTH_STREAM else INVALID_ARGUMENT, fault)


def _fill(message: Message, value: Any, depth: int) -> None:
    """Set the fields of a message, in the order of its descriptor as Go does."""
    if depth > DEPTH_MAX:
        raise JsonError(TOO_DEEP)
    if value is None:
        return
    if type(value) is not dict:
        raise mismatch(value, "map[string]json.RawMessage")
    for name, json_name, field, reader in _FIELDS[type(message)]:
        found = value.get(json_name, value.get(name))
        if found is None:
            continue
        if field.is_repeated:
            _fill_list(getattr(message, name), reader, found, depth)
        elif reader is None:
            nested = getattr(message, name)
            nested.SetInParent()
            _fill(nested, found, depth + 1)
        else:
            setattr(message, name, reader(found))


def _fill_list(items: Any, reader: Reader | None, values: Any, depth: int) -> None:
    if type(values) is not list:
        raise mismatch(values, "[]json.RawMessage")
    for value in values:
        if reader is None:
            _fill(items.add(), value, depth + 1)
        else:
            items.append(reader(value))


_FieldPlan = tuple[str, str, FieldDescriptor, Reader | None]


class _Plans(dict[type[Message], list[_FieldPlan]]):
    """The fields of each class of messages, made when the first such message comes."""

    def __missing__(self, kind: type[Message]) -> list[_FieldPlan]:
        fields = descriptor_of(kind).fields
        self[kind] = plans = [(each.name, each.json_name, each, reader_of(each)) for each in fields]
        return plans


_FIELDS: Final = _Plans()
