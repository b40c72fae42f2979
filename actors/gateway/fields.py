"""How a value of each type of the protocol's table is checked, and a map of fields by such types.

Whatever a client may get wrong about the shape of a request is found here, and an error says what.
Knows no operation, and nothing of what a field means.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from enum import IntEnum
from math import isfinite
from types import NoneType
from typing import Any, Final, NamedTuple, TypeVar

from actors.language.auth import PermissionType
from actors.language.bounds import INT64_MAX, UINT64_MAX
from actors.language.commands import (
    AlarmType,
    CompareResult,
    CompareTarget,
    SortOrder,
    SortTarget,
)
from cluster.faults import INVALID_ARGUMENT, Fault
from cluster.protocol import (
    ALARM_ACTION,
    ALARM_NAME,
    COMPARE_RESULT,
    COMPARE_TARGET,
    SORT_ORDER,
    SORT_TARGET,
)
from cluster.schema import (
    BYTES,
    COMPARES,
    COUNT,
    FILTERS,
    FLAG,
    INTEGER,
    MEMBER_ID,
    OPERATIONS,
    SECONDS,
    TEXT,
    TEXTS,
    Choice,
    Field,
    ListOf,
    Map,
    Type,
)
from cluster.users_table import LIMITS, PERMISSION, PERMISSION_TYPE, USER_OPTIONS

SHOWN_CHARS_MAX: Final = 40
"""How much of a client's own text an error repeats."""

Fields = dict[str, Any]
"""The fields of one request by name; after `check` each has the type that its operation wants."""

EnumMember = TypeVar("EnumMember", bound=IntEnum)

_TYPE_NAMES: Final = {
    NoneType: "nil",
    bool: "bool",
    int: "int",
    float: "float",
    str: "text",
    bytes: "bytes",
    tuple: "list",
    dict: "map",
}


class RefusedError(Exception):
    """A request that cannot be served; `fault` is the error that its client gets."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.message)
        self.fault = fault


def fault_of(text: str) -> Fault:
    """A fault of the request itself, with a text of our own: etcd has none for it."""
    return Fault(INVALID_ARGUMENT, f"leasehold: {text}")


class Kind(NamedTuple):
    """A type of fields: a value of type `exact` is taken as it is, any other is converted.

    `convert` raises TypeError for a value that is not `wanted`, and ValueError with the reason for
    one of the right type that is not allowed.
    """

    wanted: str
    exact: type | None
    convert: Callable[[Any], Any]


# --- checks -----------------------------------------------------------------------------------


def check(name: str, kinds: Mapping[str, Kind], fields: Fields) -> None:
    """Check all fields of the operation or map `name`, and convert in place those that need it.

    Raises RefusedError at the first fault.
    """
    for field, value in fields.items():
        if field not in kinds:
            raise RefusedError(_unknown_field(name, field))
        kind = kinds[field]
        if type(value) is not kind.exact:
            fields[field] = converted(name, field, kind, value)


def converted(name: str, field: str, kind: Kind, value: Any) -> Any:
    """A value converted to what its kind wants; RefusedError if that cannot be."""
    try:
        return kind.convert(value)
    except TypeError:
        problem = f"must be {kind.wanted}, not {type_name(value)}"
    except ValueError as error:
        problem = str(error)
    raise RefusedError(fault_of(f'field "{field}" of {name} {problem}'))


def shown(text: str) -> str:
    """A client's own text, cut to the length that an error repeats."""
    return text if len(text) <= SHOWN_CHARS_MAX else text[:SHOWN_CHARS_MAX] + "..."


def type_name(value: Any) -> str:
    """The name of a value's type in msgpack's words, for errors."""
    return _TYPE_NAMES.get(type(value), "an extension")


def _unknown_field(name: str, field: Any) -> Fault:
    if type(field) is not str:
        return fault_of(f"a field's name must be text, not {type_name(field)}")
    return fault_of(f'unknown field "{shown(field)}" in {name}')


# --- kinds ------------------------------------------------------------------------------------


def _text_to_bytes(value: Any) -> bytes:
    if type(value) is str:
        return value.encode()
    raise TypeError


def _no_other(value: Any) -> Any:
    raise TypeError


def _signed_64_bits(value: Any) -> int:
    if type(value) is not int:  # not isinstance: to Python a bool is an int, to a client it is not
        raise TypeError
    if value > INT64_MAX:
        raise ValueError("does not fit in a signed integer of 64 bits")
    return value


def _not_negative(value: Any) -> int:
    if _signed_64_bits(value) < 0:
        raise ValueError("must not be negative")
    return int(value)


def _member_id(value: Any) -> int:
    if type(value) is not int:
        raise TypeError
    if not 0 <= value <= UINT64_MAX:
        raise ValueError("must be a member's id: an unsigned integer of 64 bits")
    return value


def _texts(value: Any) -> tuple[str, ...]:
    if type(value) is not tuple:
        raise TypeError
    if not all(type(item) is str for item in value):
        raise ValueError("may hold only text")
    return value


def _seconds(value: Any) -> int | float:
    if type(value) is int:
        return value
    if type(value) is not float:
        raise TypeError
    if not isfinite(value):
        raise ValueError("must be finite")
    return value


class Filters(NamedTuple):
    """The kinds of events that a watch leaves out."""

    no_put: bool = False
    no_delete: bool = False


_FILTERS: Final = {"NOPUT": 0, "NODELETE": 1, 0: 0, 1: 1}


def _filters(value: Any) -> Filters:
    if type(value) is not tuple:
        raise TypeError
    chosen = set()
    for item in value:
        if type(item) not in (str, int) or item not in _FILTERS:
            raise ValueError("may hold only NOPUT (0) and NODELETE (1)")
        chosen.add(_FILTERS[item])
    return Filters(no_put=0 in chosen, no_delete=1 in chosen)


def one_of(members: type[EnumMember]) -> Kind:
    """The kind of an enum: a value is one of its names or numbers."""
    wanted = ", ".join(f"{member.name} ({member.value})" for member in members)
    find = maybe_one_of(members).convert

    def convert(value: Any) -> EnumMember:
        member: EnumMember | None = find(value)
        if member is None:
            raise ValueError(f"must be one of {wanted}")
        return member

    return Kind("a name or an integer", None, convert)


def maybe_one_of(members: type[EnumMember]) -> Kind:
    """As `one_of`, but any other name or number becomes None: the operation says what that means.

    etcd has errors of its own for some of these fields.
    """
    by_value: dict[Any, EnumMember] = {member.value: member for member in members}
    by_value |= {member.name: member for member in members}

    def convert(value: Any) -> EnumMember | None:
        if type(value) not in (str, int):
            raise TypeError
        return by_value.get(value)

    return Kind("a name or an integer", None, convert)


class AlarmAction(IntEnum):
    """rpc.proto AlarmRequest.AlarmAction."""

    GET = 0
    ACTIVATE = 1
    DEACTIVATE = 2


_LIST: Final = Kind("a list", tuple, _no_other)

_KINDS: Final[dict[Type | Choice | Map | ListOf, Kind]] = {
    BYTES: Kind("bytes or text", bytes, _text_to_bytes),
    FLAG: Kind("a boolean", bool, _no_other),
    INTEGER: Kind("an integer", None, _signed_64_bits),
    COUNT: Kind("an integer", None, _not_negative),
    SECONDS: Kind("a number of seconds", None, _seconds),
    FILTERS: Kind("a list of filters", None, _filters),
    MEMBER_ID: Kind("an integer", None, _member_id),
    TEXTS: Kind("a list of URLs", None, _texts),
    TEXT: Kind("text", str, _no_other),
    COMPARES: _LIST,
    OPERATIONS: _LIST,
    SORT_ORDER: maybe_one_of(SortOrder),
    SORT_TARGET: maybe_one_of(SortTarget),
    COMPARE_TARGET: one_of(CompareTarget),
    COMPARE_RESULT: one_of(CompareResult),
    ALARM_ACTION: one_of(AlarmAction),
    ALARM_NAME: one_of(AlarmType),
    PERMISSION_TYPE: one_of(PermissionType),
}


def _map_of(kind: Map) -> Kind:
    """The kind of a map within a request: its fields are checked like those of the request."""
    kinds = {field.name: _KINDS[field.type] for field in kind.fields}

    def convert(value: Any) -> Fields:
        if type(value) is not dict:
            raise TypeError
        check(kind.name, kinds, value)
        return value

    return Kind("a map", None, convert)


FIELD_KINDS: Final[dict[Type | Choice | Map | ListOf, Kind]] = {
    **_KINDS,
    PERMISSION: _map_of(PERMISSION),
    USER_OPTIONS: _map_of(USER_OPTIONS),
    LIMITS: _map_of(LIMITS),
}
"""The kind of each type that fields of requests have in the protocol's table."""


def kinds_of(fields: Iterable[Field]) -> dict[str, Kind]:
    """The kinds of the fields of an operation, or of a map within one, for `check`."""
    return {field.name: FIELD_KINDS[field.type] for field in fields}
