"""What etcd says about bytes that are not the message they should be.

etcd reads messages with code that gogo/protobuf generates, and its texts reach the client. Used
only when reading has failed, so this may be slow. Refuses to know what a message means.
"""

from __future__ import annotations

from typing import Final

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

from cluster.etcd.rpc.schema import descriptor_of

NESTED_MAX: Final = 100
"""Messages nested deeper than protobuf's library reads are not looked into, either."""

UNREADABLE: Final = (
    f"proto: a text is not UTF-8, or messages are nested more than {NESTED_MAX} deep"
)
"""Of bytes in which Go finds no fault: it takes both, and protobuf's library here does not."""

_CUT: Final = "unexpected EOF"
_OVERFLOW: Final = "proto: integer overflow"
_NEGATIVE: Final = "proto: negative length found during unmarshaling"

_INT64_MAX: Final = (1 << 63) - 1

_VARINT: Final = 0
_FIXED64: Final = 1
_BYTES: Final = 2
_START_GROUP: Final = 3
_END_GROUP: Final = 4
_FIXED32: Final = 5
_FIXED_SIZES: Final = {_FIXED64: 8, _FIXED32: 4}


class _FaultError(Exception):
    """The text of the first fault."""


def fault_in(kind: type[Message], data: bytes) -> str:
    """The first fault of `data`, as etcd words it when it should be this message."""
    try:
        _read(descriptor_of(kind), data, NESTED_MAX)
    except _FaultError as fault:
        return str(fault)
    return UNREADABLE


def wrong_type(field: FieldDescriptor, wire_type: int) -> str:
    """The fault of a field whose value is of another wire type than its own."""
    return f"proto: wrong wireType = {wire_type} for field {_go_name(field.name)}"


def _read(descriptor: Descriptor, data: bytes, nested_max: int) -> None:
    if nested_max < 0:
        raise _FaultError(UNREADABLE)
    position = 0
    while position < len(data):
        start = position
        tag, position = _varint(data, position)
        number, wire_type = tag >> 3 & 0xFFFFFFFF, tag & 7
        if wire_type == _END_GROUP:
            raise _FaultError(f"proto: {descriptor.name}: wiretype end group for non-group")
        if not 0 < number < 1 << 31:
            signed = number - (1 << 32) if number else 0
            raise _FaultError(f"proto: {descriptor.name}: illegal tag {signed} (wire type {tag})")
        field = descriptor.fields_by_number.get(number)
        if field is None:
            position = _skipped(data, start)
            continue
        if not _fits(field, wire_type):
            raise _FaultError(wrong_type(field, wire_type))
        if wire_type == _VARINT:
            _, position = _varint(data, position)
            continue
        size, position = _size(data, position)
        if field.message_type is not None:
            _read(field.message_type, data[position : position + size], nested_max - 1)
        position += size


def _fits(field: FieldDescriptor, wire_type: int) -> bool:
    long = field.cpp_type in (FieldDescriptor.CPPTYPE_STRING, FieldDescriptor.CPPTYPE_MESSAGE)
    if not long and field.is_repeated and wire_type == _BYTES:
        return True  # packed
    return wire_type == (_BYTES if long else _VARINT)


def _varint(data: bytes, position: int) -> tuple[int, int]:
    """The number at a position, cut to 64 bits, and the position behind it."""
    value = 0
    for shift in range(0, 70, 7):
        if position >= len(data):
            raise _FaultError(_CUT)
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & 0xFFFFFFFFFFFFFFFF, position
    raise _FaultError(_OVERFLOW)


def _size(data: bytes, position: int) -> tuple[int, int]:
    """The size of the bytes at a position, all of which are there, and where they begin."""
    size, position = _varint(data, position)
    if size > _INT64_MAX:
        raise _FaultError(_NEGATIVE)
    if position + size > len(data):
        raise _FaultError(_CUT)
    return size, position


def _skipped(data: bytes, position: int) -> int:
    """The position behind an unknown field, with its tag; groups may be nested."""
    depth = 0
    while True:
        tag, position = _varint(data, position)
        wire_type = tag & 7
        if wire_type == _VARINT:
            _, position = _varint(data, position)
        elif wire_type in _FIXED_SIZES:
            position += _FIXED_SIZES[wire_type]
        elif wire_type == _BYTES:
            size, position = _size(data, position)
            position += size
        elif wire_type == _START_GROUP:
            depth += 1
        elif wire_type == _END_GROUP:
            depth -= 1
        else:
            raise _FaultError(f"proto: illegal wireType {wire_type}")
        if position > len(data):
            raise _FaultError(_CUT)
        if depth == 0:
            return position


def _go_name(name: str) -> str:
    """A field's name in Go: `RangeEnd` for `range_end`, `PeerURLs` for `peerURLs`."""
    return "".join([part[:1].upper() + part[1:] for part in name.split("_")])
