"""Records: what the probe client tells its launcher, and the bytes in which it does.

Times are seconds of the host's monotonic clock. A numbered write puts its number as the value of
one key, so that key's history is that of all numbered writes. The other writes delete a key that
is not there: they pass through the log like any write, and leave no trace in the store.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum
from typing import Any, Final, NamedTuple

from cluster.wire import pack, unpack

PREFIX: Final = b"\x00leasehold probe/"
PREFIX_END: Final = b"\x00leasehold probe0"
"""The interval of the probe's keys: "0" follows "/"."""

REGISTER: Final = PREFIX + b"number"
"""The key whose value is the last numbered write."""

ABSENT: Final = PREFIX + b"nothing"
"""The key that is never there."""

RECORDS_PER_MESSAGE_MAX: Final = 200
ROWS_PER_RECORD_MAX: Final = 1_000
"""The sizes of what is told at once, so that one message of the channel can hold it."""


class ProbeOutcome(IntEnum):
    """What is known of a request."""

    DONE = 0
    REFUSED = 1
    """It had no effect, for sure."""
    UNKNOWN = 2
    """No answer came, or one that says that it may have been applied."""


class ProbeKind(IntEnum):
    """What a request was."""

    WRITE = 0
    READ = 1


class Operation(NamedTuple):
    """One request that has ended. `number` is the one it wrote or read.

    A write that leaves no trace has the number 0. A read of 0 found nothing of this client.
    """

    kind: ProbeKind
    number: int
    node: str
    began: float
    ended: float
    outcome: ProbeOutcome
    revision: int = 0

    @property
    def is_done(self) -> bool:
        """Whether it was answered, and not refused."""
        return self.outcome is ProbeOutcome.DONE


class Seen(NamedTuple):
    """The watch was told of a numbered write; 0: of the deletion of the key, by a user."""

    at: float
    number: int
    revision: int
    node: str
    sent_at: float


GRANTED: Final = "granted"
RENEWED: Final = "renewed"
EXPIRED: Final = "expired"
LOST: Final = "lost"
"""What happens to a lease. One that ends in time has expired; one that ends before is lost."""


class LeaseNews(NamedTuple):
    """Something about a lease of the client: GRANTED, RENEWED, EXPIRED or LOST."""

    at: float
    lease: str
    what: str


class Row(NamedTuple):
    """One numbered write as a node holds it."""

    number: int
    revision: int
    version: int


class Held(NamedTuple):
    """The numbered writes that a node holds, newest first, as of `revision`.

    `is_all`: none that the client has made is older than these.
    """

    node: str
    began: float
    at: float
    revision: int
    rows: tuple[Row, ...]
    is_all: bool


class Late(NamedTuple):
    """The client itself did not run for this time: whatever happened meanwhile, it saw late."""

    began: float
    ended: float


class Down(NamedTuple):
    """The connection to a node broke: it died, or closed it."""

    at: float
    node: str


class ShutOut(NamedTuple):
    """The nodes check requests and refuse the client's, with this text; told once."""

    at: float
    why: str


class Settled(NamedTuple):
    """The order to read again is carried out, and what was asked before it has ended."""

    order: int
    at: float


Record = Operation | Seen | LeaseNews | Held | Late | Down | Settled | ShutOut

_KINDS: Final[tuple[type[Record], ...]] = (
    Operation,
    Seen,
    LeaseNews,
    Held,
    Late,
    Down,
    Settled,
    ShutOut,
)
_NUMBERS: Final = {kind: number for number, kind in enumerate(_KINDS)}


def encode(records: Iterable[Record]) -> bytes:
    """Some records as one message."""
    return pack([(_NUMBERS[type(record)], *record) for record in records])


def decode(message: bytes) -> list[Record]:
    """The records of a message."""
    return [_read(number, fields) for number, *fields in unpack(message)]


def _read(number: int, fields: list[Any]) -> Record:
    kind = _KINDS[number]
    if kind is Operation:
        fields[0], fields[5] = ProbeKind(fields[0]), ProbeOutcome(fields[5])
    elif kind is Held:
        fields[4] = tuple(Row(*row) for row in fields[4])
    return kind(*fields)
