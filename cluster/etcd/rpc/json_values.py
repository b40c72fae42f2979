"""Values of JSON as Go reads them into the fields of etcd's messages: jsonpb and encoding/json.

The error texts are Go's. One thing is not as in Go: a number or the name of an enum that is written
in a text with escapes (`"\\u0031"`) is read, and not refused. Refuses to know messages.
"""

from __future__ import annotations

import binascii
import json
import re
from collections.abc import Callable
from typing import Any, Final, NoReturn

from google.protobuf.descriptor import EnumDescriptor, FieldDescriptor

from cluster.etcd.rpc.json_faults import CUT, TOO_DEEP, fault_in, go_quoted, trailing_fault


class JsonError(Exception):
    """A text that cannot be read; the message is Go's."""


class _Number(str):
    """A number as it was written: Go's errors repeat it, and it may have any size."""

    __slots__ = ()


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


_DECODER: Final = json.JSONDecoder(
    parse_int=_Number, parse_float=_Number, parse_constant=_no_constant
)
_SPACE: Final = " \t\r\n"


def first_value(body: bytes) -> Any:
    """The first value of a body, None for an empty body; what follows is ignored, as Go does."""
    # Bytes that are not UTF-8 stay what they are until a field is read: Go's errors show them.
    text = body.decode(errors="surrogateescape").lstrip(_SPACE)
    if not text:
        return None
    try:
        value, _ = _DECODER.raw_decode(text)
    except RecursionError:
        raise JsonError(TOO_DEEP) from None
    except ValueError:
        raise JsonError(fault_in(body) or CUT) from None
    if type(value) is _Number and (fault := fault_in(body)):
        raise JsonError(fault)  # the number goes on, with something that is none
    return value


Reader = Callable[[Any], Any]


def reader_of(field: FieldDescriptor) -> Reader | None:
    """How the value of a field, or of an item of its list, is read; None for a message.

    A reader raises JsonError.
    """
    if field.message_type is not None:
        return None
    if field.enum_type is not None:
        return _enum(field.enum_type)
    match field.cpp_type:
        case FieldDescriptor.CPPTYPE_BOOL:
            return _bool
        case FieldDescriptor.CPPTYPE_STRING:
            return _bytes if field.type == FieldDescriptor.TYPE_BYTES else _str
    return _INTEGERS[field.cpp_type]


_GO_NAMES: Final = {str: "string", bool: "bool", list: "array", dict: "object", _Number: "number"}


def mismatch(value: Any, wanted: str) -> JsonError:
    """The error for a value that is not of the type of Go's that is wanted."""
    return _unfit(_GO_NAMES[type(value)], wanted)


def _unfit(found: str, wanted: str) -> JsonError:
    return JsonError(f"json: cannot unmarshal {found} into Go value of type {wanted}")


class _Integers:
    """Reads integers of one type of Go's, plain or within a text."""

    def __init__(self, name: str, smallest: int, largest: int) -> None:
        self._name = name
        self._smallest = smallest
        self._largest = largest

    def __call__(self, value: Any) -> int:
        if type(value) is str:
            value = _inner(value)
        return 0 if value is None else self.number(value)

    def number(self, value: Any) -> int:
        """The integer that was written as this number."""
        if type(value) is not _Number:
            raise mismatch(value, self._name)
        unsigned = self._smallest == 0
        # Go reads no sign for an unsigned integer; the most digits that may fit are 20.
        if len(value) <= 20 and value.lstrip("" if unsigned else "-").isdigit():
            number = int(value)
            if self._smallest <= number <= self._largest:
                return number
        raise _unfit(f"number {value}", self._name)


_ESCAPED_HALVES: Final = re.compile("[\ud800-\udc7f\udd00-\udfff]")
"""Halves of surrogate pairs that can only come from escapes, which begin with a backslash."""


def _inner(text: str) -> Any:
    """The value that is written within a text: jsonpb reads `"7"` as 7, and `"null"` as null."""
    try:
        return _DECODER.decode(text)
    except RecursionError:
        raise JsonError(TOO_DEEP) from None
    except ValueError:
        data = _ESCAPED_HALVES.sub("\\\\", text).encode(errors="surrogateescape")
        raise JsonError(trailing_fault(data) or CUT) from None


def _bool(value: Any) -> bool:
    if value is None or type(value) is bool:
        return bool(value)
    raise mismatch(value, "bool")


_HALVES: Final = re.compile("[\ud800-\udfff]")


def _str(value: Any) -> str:
    if value is None:
        return ""
    if type(value) is not str:
        raise mismatch(value, "string")
    # Half of a surrogate pair is no text, and neither is a byte that is not UTF-8: Go replaces it.
    return _HALVES.sub("\ufffd", value)


_BYTE: Final = _Integers("uint8", 0, 0xFF)


_BASE64: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_PADDINGS: Final = frozenset({b"", b"=", b"=="})


def _bytes(value: Any) -> bytes:
    if value is None:
        return b""
    if type(value) is list:
        return bytes([0 if item is None else _BYTE.number(item) for item in value])
    if type(value) is not str:
        raise mismatch(value, "[]uint8")
    data = value.encode(errors="replace")
    padding = data.translate(None, _BASE64)
    if padding in _PADDINGS and data.endswith(padding) and len(data) % 4 == 0:
        return binascii.a2b_base64(data)
    return _lenient_base64(data)


def _lenient_base64(data: bytes) -> bytes:
    """Base64 with line ends, which Go skips; JsonError at the byte where Go finds the fault."""
    digits = [position for position, byte in enumerate(data) if byte not in b"\r\n"]
    for start in range(0, len(digits), 4):
        quantum = digits[start : start + 4]
        for place, position in enumerate(quantum):
            if data[position] in _BASE64:
                continue
            if data[position] != ord("=") or place < 2:
                raise _corrupt(position)
            rest = digits[start + place + 1 :]
            if place == 2:
                if not rest:
                    raise _corrupt(len(data))
                if data[rest[0]] != ord("="):
                    raise _corrupt(rest[0] - 1)
                rest = rest[1:]
            if rest:
                raise _corrupt(rest[0])
            return binascii.a2b_base64(data)
        if len(quantum) < 4:
            raise _corrupt(len(data) - len(quantum))
    return binascii.a2b_base64(data)


def _corrupt(position: int) -> JsonError:
    return JsonError(f"illegal base64 data at input byte {position}")


_ENUM_NUMBER: Final = _Integers("protoreflect.EnumNumber", -(1 << 31), (1 << 31) - 1)


def _enum(kind: EnumDescriptor) -> Reader:
    numbers = {value.name: value.number for value in kind.values}
    name = kind.full_name

    def read(value: Any) -> int:
        if value is None:
            return 0
        if type(value) is not str:
            return _ENUM_NUMBER.number(value)
        if value not in numbers:
            shown = go_quoted('"' + value + '"')
            raise JsonError(f"unknown value {shown} for enum {name}")
        return numbers[value]

    return read


_INTEGERS: Final = {
    FieldDescriptor.CPPTYPE_INT32: _Integers("int32", -(1 << 31), (1 << 31) - 1),
    FieldDescriptor.CPPTYPE_INT64: _Integers("int64", -(1 << 63), (1 << 63) - 1),
    FieldDescriptor.CPPTYPE_UINT32: _Integers("uint32", 0, (1 << 32) - 1),
    FieldDescriptor.CPPTYPE_UINT64: _Integers("uint64", 0, (1 << 64) - 1),
}
