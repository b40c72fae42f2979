"""Commands as bytes in the log, and their results as bytes in a session's record.

Positional msgpack: `[code, session, seq, ack, field...]`, session 0 for none. The gateway encodes,
every node decodes once, at apply; so a put is the hot path. A code is never given a new meaning;
what a command or result holds inside is `shapes.py`'s. Bytes that are no command are our own bug or
damage, not a client's mistake: ValueError.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Final, cast

import msgpack

from actors.language.commands import (
    AdvanceClock,
    AlarmActivate,
    AlarmDeactivate,
    Command,
    Compact,
    DeleteRange,
    Increment,
    IntegrityCheck,
    IntegrityReport,
    LeaseExpire,
    LeaseGrant,
    LeaseKeepAlive,
    LeaseRevoke,
    MemberPublish,
    Put,
    Sequence,
    SessionOpen,
    SetMembers,
    Txn,
)
from actors.language.results import Result
from actors.language.shapes import (
    read_alarm_activate,
    read_alarm_deactivate,
    read_lease_expire,
    read_member_publish,
    read_old_put,
    read_old_session_open,
    read_result,
    read_session_open,
    read_set_members,
    read_txn,
    result_fields,
    txn_fields,
)

_CODES: Final[dict[type[Any], tuple[int]]] = {
    DeleteRange: (2,),
    LeaseGrant: (3,),
    LeaseRevoke: (4,),
    LeaseKeepAlive: (5,),
    LeaseExpire: (6,),
    AdvanceClock: (7,),
    MemberPublish: (9,),
    SetMembers: (10,),
    Compact: (11,),
    Put: (12,),
    Txn: (13,),
    Increment: (14,),
    AlarmActivate: (15,),
    AlarmDeactivate: (16,),
    IntegrityCheck: (17,),
    IntegrityReport: (18,),
    SessionOpen: (19,),
}

_HEAD_TYPES: Final = (int, int, int, int)
_HEAD_FIELDS: Final = len(_HEAD_TYPES)

Read = Callable[[tuple[Any, ...]], Command]

_SHAPES: Final[dict[int, tuple[type[Any], tuple[type[Any], ...], Read | None]]] = {
    1: (Put, (*_HEAD_TYPES, bytes, bytes, int, bool, bool, bool), read_old_put),
    2: (DeleteRange, (*_HEAD_TYPES, bytes, bytes, bool), None),
    3: (LeaseGrant, (*_HEAD_TYPES, int, int), None),
    4: (LeaseRevoke, (*_HEAD_TYPES, int), None),
    5: (LeaseKeepAlive, (*_HEAD_TYPES, int), None),
    6: (LeaseExpire, (*_HEAD_TYPES, tuple), read_lease_expire),
    7: (AdvanceClock, _HEAD_TYPES, None),
    8: (SessionOpen, _HEAD_TYPES, read_old_session_open),
    9: (MemberPublish, (*_HEAD_TYPES, int, str, tuple), read_member_publish),
    10: (SetMembers, (*_HEAD_TYPES, tuple, bytes), read_set_members),
    11: (Compact, (*_HEAD_TYPES, int, bool), None),
    12: (Put, (*_HEAD_TYPES, bytes, bytes, int, bool, bool, bool, int), None),
    13: (Txn, (*_HEAD_TYPES, tuple, tuple, tuple), read_txn),
    14: (Increment, (*_HEAD_TYPES, bytes, int), None),
    15: (AlarmActivate, (*_HEAD_TYPES, int, int), read_alarm_activate),
    16: (AlarmDeactivate, (*_HEAD_TYPES, int, int), read_alarm_deactivate),
    17: (IntegrityCheck, (*_HEAD_TYPES, int, int, int), None),
    18: (IntegrityReport, (*_HEAD_TYPES, int, int, int), None),
    19: (SessionOpen, (*_HEAD_TYPES, int), read_session_open),
}
"""By its code: what a command is, its fields' types, and how to read it if these are not all."""

_NO_SEQUENCE: Final = (0, 0, 0)
_new: Final = tuple.__new__


class _Packers(threading.local):
    """One packer per thread: making one costs more than packing a put, sharing one is not safe."""

    def __init__(self) -> None:
        self.pack = msgpack.Packer().pack


_packers: Final = _Packers()


def encode_command(command: Command, sequence: Sequence | None) -> bytes:
    """The canonical bytes of a command; integers must fit 64 bits.

    Raises ValueError for transactions nested deeper than `shapes.TXN_DEPTH_MAX`.
    """
    kind = type(command)
    fields: tuple[Any, ...] = command
    if kind is Txn:
        fields = txn_fields(cast(Txn, command))
    packed: bytes = _packers.pack(_CODES[kind] + (sequence or _NO_SEQUENCE) + fields)
    return packed


def decode_command(data: bytes) -> tuple[Command, Sequence | None]:
    """What `encode_command` was given. Raises ValueError for bytes that it did not make."""
    try:
        fields = msgpack.unpackb(data, use_list=False)
        kind, types, read = _SHAPES[fields[0]]
        if tuple(map(type, fields)) != types:
            raise ValueError(f"fields of a {kind.__name__}")
        if read is None:
            # tuple.__new__ spares the argument passing of the constructor: the fields are checked.
            command = cast(Command, _new(kind, fields[_HEAD_FIELDS:]))
        else:
            command = read(fields[_HEAD_FIELDS:])
    except (ValueError, TypeError, LookupError, RecursionError) as error:
        raise ValueError(f"not a command: {error!r} in {data[:64]!r}") from None
    if fields[1]:
        if fields[1] < 0 or fields[2] < 0 or fields[3] < 0:
            raise ValueError(f"not a command: a session counts from 0 in {data[:64]!r}")
        return command, _new(Sequence, fields[1:_HEAD_FIELDS])
    return command, None


def encode_result(result: Result) -> bytes:
    """A command's result as bytes, so that a session can give the same answer after a restart."""
    packed: bytes = _packers.pack(result_fields(result))
    return packed


def decode_result(data: bytes) -> Result:
    """What `encode_result` was given. Raises ValueError for bytes that it did not make."""
    try:
        return read_result(msgpack.unpackb(data, use_list=False))
    except (ValueError, TypeError, LookupError, RecursionError) as error:
        raise ValueError(f"not a result: {error!r} in {data[:64]!r}") from None
