"""The classes of which the protocol's table is made: types of values, fields, maps and operations.

`protocol.py` is the table itself. This module refuses to know any operation.
"""

from __future__ import annotations

import re
from enum import Enum
from typing import Any, Final, NamedTuple


class Type(NamedTuple):
    """A type of values, and the value of a field of this type that is left out."""

    name: str
    zero: Any


class Choice(NamedTuple):
    """A type whose values are words; a number stands for the word at that position.

    The first word is the value of a field that is left out.
    """

    words: tuple[str, ...]

    @property
    def zero(self) -> str:
        """The value of a field that is left out."""
        return self.words[0]


class Field(NamedTuple):
    """A field of a request, a reply or a map. `note` is for PROTOCOL.md: when a reply has the
    field, or the meaning of its value.

    A field that is left out of a request has the type's zero value, or `default` where that is not
    None. A reply may lack the fields that are `optional`. `ours`: etcd has no such field.
    """

    name: str
    type: Type | Choice | Map | ListOf
    note: str = ""
    optional: bool = False
    ours: bool = False
    default: Any = None

    @property
    def attribute(self) -> str:
        """The field's name in Python: `peer_urls` for `peerURLs`."""
        return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", self.name).lower()

    @property
    def absent(self) -> Any:
        """The value of the field in a request that leaves it out."""
        return self.type.zero if self.default is None else self.default


class Map(NamedTuple):
    """A map with these fields."""

    name: str
    fields: tuple[Field, ...]

    @property
    def zero(self) -> None:
        """None: a map that is left out is absent."""


class ListOf(NamedTuple):
    """A list of maps."""

    item: Map

    @property
    def zero(self) -> tuple[()]:
        """A list without items."""
        return ()


BYTES: Final = Type("bytes", b"")
FLAG: Final = Type("boolean", False)
INTEGER: Final = Type("integer of 64 bits", 0)
COUNT: Final = Type("integer of 63 bits, not negative", 0)
MEMBER_ID: Final = Type("unsigned integer of 64 bits", 0)
SECONDS: Final = Type("number of seconds, integer or float", 0)
TEXT: Final = Type("text", "")
TEXTS: Final = Type("list of texts", ())
SECONDS_LIST: Final = Type("list of numbers of seconds", ())
COUNTS: Final = Type("list of integers", ())
KEYS: Final = Type("list of bytes", ())
FILTERS: Final = Type("list of `NOPUT` (or 0) and `NODELETE` (or 1)", ())
COMPARES: Final = Type("list of compares", ())
OPERATIONS: Final = Type("list of operations", ())
RESPONSES: Final = Type("list of responses", ())


class Effect(Enum):
    """What an operation changes, which decides how it may be repeated."""

    READ = "nothing: repeat it at will"
    WRITE = "keys, leases, alarms or users, through the log: it may carry `session` and `seq`"
    EITHER = "as a write or as a read, by what it holds; it may carry `session` and `seq`"
    WATCH = "the watches of a connection"
    OTHER = "members, sessions or the files of a node: no session"


class ProtocolOp(NamedTuple):
    """An operation of the protocol: its name, its effect, and the fields of request and reply.

    `in_txn`: a transaction may hold it, as `request_NAME`, and answers it by `response_NAME`.
    `alone`: further fields of its request, which it does not have within a transaction.
    `ours`: etcd has no such operation.
    """

    name: str
    effect: Effect
    request: tuple[Field, ...]
    reply: tuple[Field, ...]
    in_txn: bool = False
    alone: tuple[Field, ...] = ()
    ours: bool = False
