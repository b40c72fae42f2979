"""Responses and errors as etcd's JSON gateway writes them.

The gateway of etcd 3.5 is grpc-gateway 1.16 with golang/protobuf's jsonpb: fields have the names of
the .proto files and their order, numbers of 64 bits are texts, bytes are base64, enums are names,
and fields that are zero are left out. Refuses to know HTTP, and what a field means.
"""

from __future__ import annotations

import binascii
import json
import re
from collections.abc import Callable, Iterator
from http import HTTPStatus
from typing import Any, Final

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from cluster.etcd.rpc.schema import descriptor_of
from cluster.etcd.rpc.status import RpcError

_Writer = Callable[[Any], bytes]


def to_json(message: Message) -> bytes:
    """A response as one text."""
    return b"{" + b",".join(_fields(message)) + b"}"


def pieces(messages: Iterator[Message]) -> Iterator[bytes]:
    """A long response as a text in pieces, one of each message of `mapping.responses_of`."""
    first = next(messages)
    part = next(messages, None)
    if part is None:
        yield to_json(first)
        return
    ((field, _),) = part.ListFields()
    count = sum(each.number < field.number for each, _ in first.ListFields())
    fields = _fields(first)
    before, behind = fields[:count], fields[count:]
    head, writer, _ = _WRITERS[type(first)][field.number]
    yield b"{" + b"".join([written + b"," for written in before]) + head + b"["
    separator = b""
    while part is not None:
        ((_, items),) = part.ListFields()
        yield separator + b",".join([writer(item) for item in items])
        separator = b","
        part = next(messages, None)
    yield b"]" + b"".join([b"," + written for written in behind]) + b"}"


def _fields(message: Message) -> list[bytes]:
    """The fields that a message has, each with its name."""
    writers = _WRITERS[type(message)]
    written = []
    for field, value in message.ListFields():
        head, writer, is_list = writers[field.number]
        if is_list:
            written.append(b"%b[%b]" % (head, b",".join([writer(item) for item in value])))
        else:
            written.append(head + writer(value))
    return written


def error_json(error: RpcError) -> bytes:
    """The body of an answer that is an error."""
    text = _text(error.message)
    return b'{"error":%b,"code":%d,"message":%b}' % (text, error.code, text)


def stream_error_json(error: RpcError) -> bytes:
    """The last line of a stream that an error ends, without the line's end."""
    text, status = _text(error.message), error.http_status
    parts = (
        b'"grpc_code":%d,"http_code":%d' % (error.code, status),
        b'"message":' + text,
        b'"http_status":' + _text(HTTPStatus(status).phrase),
    )
    return b'{"error":{%b}}' % b",".join(parts)


def _text(text: str) -> bytes:
    """A text as Go writes it: it escapes what HTML would read as its own."""
    written = json.dumps(text, ensure_ascii=False)
    return _GO_ONLY.sub(_escaped, written).encode(errors="replace")


_GO_ONLY: Final = re.compile(r"\\[bf]|[<>&\u2028\u2029]")
_SHORT_ESCAPES: Final = {"\\b": "\\u0008", "\\f": "\\u000c"}


def _escaped(found: re.Match[str]) -> str:
    return _SHORT_ESCAPES.get(found[0]) or f"\\u{ord(found[0]):04x}"


def _writer(field: FieldDescriptor) -> _Writer:
    if field.message_type is not None:
        return to_json
    if field.enum_type is not None:
        names = {value.number: b'"%b"' % value.name.encode() for value in field.enum_type.values}
        return lambda number: names.get(number) or b"%d" % number
    match field.cpp_type:
        case FieldDescriptor.CPPTYPE_BOOL:
            return lambda flag: b"true" if flag else b"false"
        case FieldDescriptor.CPPTYPE_INT64 | FieldDescriptor.CPPTYPE_UINT64:
            return lambda number: b'"%d"' % number
        case FieldDescriptor.CPPTYPE_STRING if field.type == FieldDescriptor.TYPE_BYTES:
            return lambda data: b'"%b"' % binascii.b2a_base64(data, newline=False)
        case FieldDescriptor.CPPTYPE_STRING:
            return _text
    return lambda number: b"%d" % number


class _Writers(dict[type[Message], dict[int, tuple[bytes, _Writer, bool]]]):
    """How each class of messages is written, made when the first such message comes: by a field's
    number its name, how its value or an item of its list is written, and whether it is a list."""

    def __missing__(self, kind: type[Message]) -> dict[int, tuple[bytes, _Writer, bool]]:
        self[kind] = writers = {
            field.number: (b'"%b":' % field.name.encode(), _writer(field), field.is_repeated)
            for field in descriptor_of(kind).fields
        }
        return writers


_WRITERS: Final = _Writers()
