"""Commands as bytes in the log, and their results as bytes in a session's record.

Positional msgpack: `[code, session, seq, ack, field...]`, session 0 for none. The gateway encodes,
every node decodes once, at apply; so a put is the hot path. A code is never given a new meaning.
Bytes that are no command are our own bug or damage, not a client's mistake: ValueError.
"""

from __future__ import annotations

import threading
from typing import Any, Final, cast

import msgpack

from actors.store.commands import (
    AdvanceClock,
    Command,
    DeleteDone,
    DeleteRange,
    Done,
    Expiry,
    Failure,
    KeyValue,
    LeaseExpire,
    LeaseGrant,
    LeaseGranted,
    LeaseKeepAlive,
    LeaseKeptAlive,
    LeaseRevoke,
    LeaseRevoked,
    MemberPublish,
    Put,
    PutDone,
    Result,
    Sequence,
    SessionOpen,
    SessionOpened,
)

_CODES: Final[dict[type[Any], tuple[int]]] = {
    Put: (1,),
    DeleteRange: (2,),
    LeaseGrant: (3,),
    LeaseRevoke: (4,),
    LeaseKeepAlive: (5,),
    LeaseExpire: (6,),
    AdvanceClock: (7,),
    SessionOpen: (8,),
    MemberPublish: (9,),
}

_HEAD_TYPES: Final = (int, int, int, int)
_HEAD_FIELDS: Final = len(_HEAD_TYPES)

_SHAPES: Final[dict[int, tuple[type[Any], tuple[type[Any], ...]]]] = {
    1: (Put, (*_HEAD_TYPES, bytes, bytes, int, bool, bool, bool)),
    2: (DeleteRange, (*_HEAD_TYPES, bytes, bytes, bool)),
    3: (LeaseGrant, (*_HEAD_TYPES, int, int)),
    4: (LeaseRevoke, (*_HEAD_TYPES, int)),
    5: (LeaseKeepAlive, (*_HEAD_TYPES, int)),
    6: (LeaseExpire, (*_HEAD_TYPES, tuple)),
    7: (AdvanceClock, _HEAD_TYPES),
    8: (SessionOpen, _HEAD_TYPES),
    9: (MemberPublish, (*_HEAD_TYPES, int, str, tuple)),
}

_RESULTS: Final[dict[int, type[Any]]] = {
    1: PutDone,
    2: DeleteDone,
    3: LeaseGranted,
    4: LeaseRevoked,
    5: LeaseKeptAlive,
    6: SessionOpened,
    7: Done,
    8: Failure,
}

_RESULT_CODES: Final[dict[type[Any], int]] = {kind: code for code, kind in _RESULTS.items()}

_NO_SEQUENCE: Final = (0, 0, 0)


class _Packers(threading.local):
    """One packer per thread: making one costs more than packing a put, sharing one is not safe."""

    def __init__(self) -> None:
        self.pack = msgpack.Packer().pack


_packers: Final = _Packers()


def encode_command(command: Command, sequence: Sequence | None) -> bytes:
    """The canonical bytes of a command; integers must fit 64 bits."""
    code = _CODES[type(command)]
    packed: bytes = _packers.pack(code + (sequence or _NO_SEQUENCE) + command)
    return packed


def decode_command(data: bytes) -> tuple[Command, Sequence | None]:
    """What `encode_command` was given. Raises ValueError for bytes that it did not make."""
    try:
        fields = msgpack.unpackb(data, use_list=False)
        kind, types = _SHAPES[fields[0]]
        well_formed = tuple(map(type, fields)) == types
    except (ValueError, TypeError, LookupError) as error:
        raise ValueError(f"not a command: {error!r} in {data[:64]!r}") from None
    if not well_formed:
        raise ValueError(f"not a command: fields of a {kind.__name__} are wrong in {data[:64]!r}")
    # tuple.__new__ spares the argument passing of the constructor: the fields are checked.
    command = cast(Command, tuple.__new__(kind, fields[_HEAD_FIELDS:]))
    if kind is LeaseExpire or kind is MemberPublish:
        command = _with_inner_types(command, data)
    if fields[1]:
        return command, tuple.__new__(Sequence, fields[1:_HEAD_FIELDS])
    return command, None


def _with_inner_types(command: Command, data: bytes) -> Command:
    """The commands that hold more than scalars, checked and with the inner values' own types."""
    match command:
        case LeaseExpire(expiries):
            pairs: tuple[object, ...] = expiries
            if all(
                isinstance(pair, tuple) and tuple(map(type, pair)) == (int, int) for pair in pairs
            ):
                return LeaseExpire(tuple(Expiry(*pair) for pair in expiries))
        case MemberPublish(client_urls=urls) if all(type(url) is str for url in urls):
            return command
    raise ValueError(f"not a command: fields of a {type(command).__name__} in {data[:64]!r}")


def encode_result(result: Result) -> bytes:
    """A command's result as bytes, so that a session can give the same answer after a restart."""
    packed: bytes = _packers.pack((_RESULT_CODES[type(result)], *result))
    return packed


def decode_result(data: bytes) -> Result:
    """What `encode_result` was given. Raises ValueError for bytes that it did not make."""
    try:
        code, *fields = msgpack.unpackb(data, use_list=False)
        kind = _RESULTS[code]
        result = cast(Result, kind(*fields))
        match result:
            case PutDone(revision, prev_kv) if prev_kv is not None:
                return PutDone(revision, KeyValue(*prev_kv))
            case DeleteDone(revision, deleted, prev_kvs):
                return DeleteDone(revision, deleted, tuple(KeyValue(*kv) for kv in prev_kvs))
    except (ValueError, TypeError, LookupError) as error:
        raise ValueError(f"not a result: {error!r} in {data[:64]!r}") from None
    return result
