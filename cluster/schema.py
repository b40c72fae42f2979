"""What the protocol's table is written in: types of values, fields, maps and operations.

`protocol.py` is the table itself. Knows no operation.
"""

from __future__ import annotations

import re
from enum import Enum
from typing import Any, Final, NamedTuple


class Type(NamedTuple):
    """A type of values, and the value that a field has when it is left out."""

    name: str
    zero: Any


class Choice(NamedTuple):
    """One of some words, or the number of one: its position. The first one is the zero value."""

    words: tuple[str, ...]

    @property
    def zero(self) -> str:
        """What a field says when it is left out."""
        return self.words[0]


class Field(NamedTuple):
    """A field; `note` says in PROTOCOL.md when a reply has it, or what its value stands for.

    A field that is left out of a request has the type's zero value, or `default` where that is not
    None. A reply may lack the fields that are `optional`. `ours`: not in etcd.
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
        """The value that a request has when it does not name the field."""
        return self.type.zero if self.default is None else self.default


class Map(NamedTuple):
    """A map with these fields."""

    name: str
    fields: tuple[Field, ...]

    @property
    def zero(self) -> None:
        """There is none."""


class ListOf(NamedTuple):
    """A list whose items are such maps."""

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
KEYS: Final = Type("list of bytes", ())
FILTERS: Final = Type("list of `NOPUT` (or 0) and `NODELETE` (or 1)", ())
COMPARES: Final = Type("list of compares", ())
OPERATIONS: Final = Type("list of operations", ())
RESPONSES: Final = Type("list of responses", ())


class Effect(Enum):
    """What an operation changes, and so how it may be repeated."""

    READ = "nothing: repeat it at will"
    WRITE = "keys, leases or alarms, through the log: it may carry `session` and `seq`"
    EITHER = "as a write or as a read, by what it holds; it may carry `session` and `seq`"
    WATCH = "the watches of a connection"
    OTHER = "members, sessions or the files of a node: no session"


class ProtocolOp(NamedTuple):
    """An operation. `alone` are the fields of its request that it has not in a transaction.

    `in_txn`: a transaction may hold it, as `request_NAME`, and answers it by `response_NAME`.
    """

    name: str
    effect: Effect
    request: tuple[Field, ...]
    reply: tuple[Field, ...]
    in_txn: bool = False
    alone: tuple[Field, ...] = ()
    ours: bool = False
