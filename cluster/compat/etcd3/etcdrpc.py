"""The enumerations of etcd's messages, and the shapes of its answers, by etcd's names.

Programs of python-etcd3 know them from the generated module of this name. Here they are integers
and plain objects, so neither protobuf nor grpc is needed.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Final, Self

from cluster.client.results import Header, KeyValue

# --- enumerations -----------------------------------------------------------------------------


class Enumeration(IntEnum):
    """An enumeration of a .proto file: its values are integers, and have names."""

    @classmethod
    def Value(cls, name: str) -> Self:  # noqa: N802 - protobuf's name
        """The value with a name; ValueError when there is none."""
        if name not in cls.__members__:
            raise ValueError(f"{cls.__name__} has {', '.join(cls.__members__)}, not {name!r}")
        return cls[name]

    @classmethod
    def Name(cls, number: int) -> str:  # noqa: N802 - protobuf's name
        """The name of a value."""
        return cls(number).name


class SortOrder(Enumeration):
    """In which order a range is."""

    NONE = 0
    ASCEND = 1
    DESCEND = 2


class SortTarget(Enumeration):
    """By what a range is sorted."""

    KEY = 0
    VERSION = 1
    CREATE = 2
    MOD = 3
    VALUE = 4


class FilterType(Enumeration):
    """Which events a watch leaves out."""

    NOPUT = 0
    NODELETE = 1


class CompareResult(Enumeration):
    """How two values of a condition are to compare."""

    EQUAL = 0
    GREATER = 1
    LESS = 2
    NOT_EQUAL = 3


class CompareTarget(Enumeration):
    """What of a key a condition compares."""

    VERSION = 0
    CREATE = 1
    MOD = 2
    VALUE = 3
    LEASE = 4


class AlarmType(Enumeration):
    """The alarms of a member; the last two are not etcd's."""

    NONE = 0
    NOSPACE = 1
    CORRUPT = 2
    UNREADABLE = 3
    DATA_LOSS = 4


NONE: Final = AlarmType.NONE
NOSPACE: Final = AlarmType.NOSPACE
CORRUPT: Final = AlarmType.CORRUPT


class RangeRequest:
    """Where the generated module has the enumerations of a range."""

    SortOrder = SortOrder
    SortTarget = SortTarget
    NONE, ASCEND, DESCEND = SortOrder
    KEY, VERSION, CREATE, MOD, VALUE = SortTarget


class WatchCreateRequest:
    """Where the generated module has the enumeration of a watch."""

    FilterType = FilterType
    NOPUT, NODELETE = FilterType


@dataclass(frozen=True)
class Compare:
    """One condition of a transaction; the class has the enumerations of its fields."""

    key: bytes
    range_end: bytes
    target: CompareTarget
    result: CompareResult
    operand: bytes | int

    EQUAL, GREATER, LESS, NOT_EQUAL = CompareResult
    VERSION, CREATE, MOD, VALUE, LEASE = CompareTarget


# --- answers ----------------------------------------------------------------------------------


NO_KEY_VALUE: Final = KeyValue(b"", b"", 0, 0, 0, 0)
"""What a message of protobuf shows where it has no key-value."""


@dataclass(frozen=True)
class PutResponse:
    """The answer to a put; `prev_kv` is empty unless it was asked for and the key existed."""

    header: Header
    prev_kv: KeyValue


@dataclass(frozen=True)
class RangeResponse:
    """The answer to a read; `more`: a limit has cut some keys off, `count` has them all."""

    header: Header
    kvs: list[KeyValue]
    more: bool
    count: int


@dataclass(frozen=True)
class DeleteRangeResponse:
    """The answer to a deletion: the number of keys, and if asked for what they were."""

    header: Header
    deleted: int
    prev_kvs: list[KeyValue]


@dataclass(frozen=True)
class TxnResponse:
    """The answer to a transaction within a transaction."""

    header: Header
    succeeded: bool
    responses: list[ResponseOp]


@dataclass(frozen=True)
class ResponseOp:
    """The answer to one operation of a transaction, in the field for its kind."""

    response_range: RangeResponse | None = None
    response_put: PutResponse | None = None
    response_delete_range: DeleteRangeResponse | None = None
    response_txn: TxnResponse | None = None

    def WhichOneof(self, _: str = "response") -> str:  # noqa: N802 - protobuf's name
        """The name of the field that is set."""
        return next(name for name in vars(self) if self.HasField(name))

    def HasField(self, name: str) -> bool:  # noqa: N802 - protobuf's name
        """Whether a field is set."""
        return getattr(self, name) is not None


@dataclass(frozen=True)
class LeaseKeepAliveResponse:
    """The answer to a renewal; `TTL` is 0 when there is no such lease."""

    header: Header
    ID: int
    TTL: float


@dataclass(frozen=True)
class LeaseTimeToLiveResponse:
    """The state of a lease; `TTL` is -1 when there is no such lease."""

    header: Header
    ID: int
    TTL: int
    grantedTTL: float  # noqa: N815 - etcd's name
    keys: list[bytes]
