"""Commands as bytes in the log, and their results as bytes in a session's record.

Positional msgpack: `[code, principal, session, seq, ack, field...]`, with session 0 for none. The
principal is 0 for nobody, -1 for a node, -2 for a worthless token, else
`[user id, auth revision]`. The
gateway encodes a command once, and every node decodes it once, at apply: a put is the hot path. A
code is never given a new meaning. The annotations in `commands.py`, `auth.py` and
`results.py` say what the fields are. A value that would not come back from its bytes is not
encoded. Bytes that are no command are our own bug, or damage, and not a client's mistake. Both
raise ValueError.
"""

from __future__ import annotations

import threading
from typing import Any, Final

import msgpack

from actors.language.auth import (
    NOBODY,
    NODE,
    UNKNOWN,
    AuthDisable,
    AuthEnable,
    Principal,
    RoleAdd,
    RoleDelete,
    RoleGrantPermission,
    RoleRevokePermission,
    RoleSetLimits,
    UserAdd,
    UserAddKey,
    UserChangePassword,
    UserDelete,
    UserGrantRole,
    UserRemoveKey,
    UserRevokeRole,
)
from actors.language.commands import (
    AdvanceClock,
    AlarmActivate,
    AlarmDeactivate,
    Command,
    Compact,
    Compare,
    CompareTarget,
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
    Range,
    Sequence,
    SessionOpen,
    SetMembers,
    Txn,
)
from actors.language.results import (
    Alarms,
    DeleteDone,
    Done,
    Failure,
    Incremented,
    LeaseGranted,
    LeaseKeptAlive,
    LeaseRevoked,
    Members,
    PutDone,
    RangeDone,
    Result,
    SessionOpened,
    TxnDone,
)
from actors.language.shapes import Shapes

COMMANDS: Final[dict[type[Any], int]] = {
    DeleteRange: 2,
    LeaseGrant: 3,
    LeaseRevoke: 4,
    LeaseKeepAlive: 5,
    LeaseExpire: 6,
    AdvanceClock: 7,
    MemberPublish: 9,
    SetMembers: 10,
    Compact: 11,
    Put: 12,
    Txn: 13,
    Increment: 14,
    AlarmActivate: 15,
    AlarmDeactivate: 16,
    IntegrityCheck: 17,
    IntegrityReport: 18,
    SessionOpen: 19,
    AuthEnable: 20,
    AuthDisable: 21,
    UserAdd: 22,
    UserDelete: 23,
    UserChangePassword: 24,
    UserGrantRole: 25,
    UserRevokeRole: 26,
    UserAddKey: 27,
    UserRemoveKey: 28,
    RoleAdd: 29,
    RoleDelete: 30,
    RoleGrantPermission: 31,
    RoleRevokePermission: 32,
    RoleSetLimits: 33,
}
"""The codes of commands. 1 and 8 once had other fields, so they are not used again."""

OPERATIONS: Final[dict[type[Any], int]] = {Put: 1, DeleteRange: 2, Range: 3, Increment: 4, Txn: 5}
"""The codes of operations inside a transaction."""

RESULTS: Final[dict[type[Any], int]] = {
    PutDone: 1,
    DeleteDone: 2,
    LeaseGranted: 3,
    LeaseRevoked: 4,
    LeaseKeptAlive: 5,
    SessionOpened: 6,
    Done: 7,
    Failure: 8,
    Members: 9,
    TxnDone: 10,
    Incremented: 11,
    Alarms: 12,
    RangeDone: 13,
}
"""The codes of results that a session keeps: those of commands, and those inside them."""


def _check_operand(compare: Compare) -> None:
    if (compare.target is CompareTarget.VALUE) != (type(compare.operand) is bytes):
        raise ValueError(f"a compare of {compare.target.name} with {compare.operand!r:.64}")


SHAPES: Final = Shapes(OPERATIONS | RESULTS, rules={Compare: _check_operand})

_HEAD_FIELDS: Final = 2 + len(Sequence._fields)
"""The command's code, its principal, and its sequence."""

_NO_SEQUENCE: Final = (0, 0, 0)

_NOBODY: Final = NOBODY.user_id
_PRINCIPALS: Final = {each.user_id: each for each in (NOBODY, NODE, UNKNOWN)}
"""Those that are no users, by what stands for them."""

USERS_KEPT_MAX: Final = 1_000
"""The principals of users that are kept, so that not each entry of theirs makes one."""

_users: Final[dict[tuple[int, int], Principal]] = {}

_OUT: Final = {kind: ((code, _NOBODY), SHAPES.of(kind)) for kind, code in COMMANDS.items()}
_IN: Final = {code: (kind, SHAPES.of(kind)) for kind, code in COMMANDS.items()}
_RESULTS_OUT: Final = {kind: ((code,), SHAPES.of(kind)) for kind, code in RESULTS.items()}
_RESULTS_IN: Final = {code: SHAPES.of(kind) for kind, code in RESULTS.items()}

_PUT_CODE: Final = (COMMANDS[Put], _NOBODY)
_new: Final = tuple.__new__
_unpack: Final = msgpack.unpackb


class _Packers(threading.local):
    """One packer for each thread: to make one costs more than to pack a put, and threads must not
    share one."""

    def __init__(self) -> None:
        self.pack = msgpack.Packer().pack


_packers: Final = _Packers()


def encode_command(
    command: Command, sequence: Sequence | None, principal: Principal = NOBODY
) -> bytes:
    """The canonical bytes of a command. Raises ValueError for one that `decode_command` refuses."""
    fields: tuple[Any, ...]
    code: tuple[Any, ...]
    try:
        if type(command) is Put:
            # The hot path: the checks of its shape, in half the time.
            key, value, lease, prev_kv, ignore_value, ignore_lease, ttl_ms = command
            if (
                type(key) is not bytes
                or type(value) is not bytes
                or type(lease) is not int
                or type(prev_kv) is not bool
                or type(ignore_value) is not bool
                or type(ignore_lease) is not bool
                or type(ttl_ms) is not int
            ):
                raise ValueError("a Put has a field of the wrong type")
            code, fields = _PUT_CODE, command
        else:
            code, shape = _OUT[type(command)]
            fields = shape.row(command)
        if principal is not NOBODY:
            user_id, shown_at = principal
            if type(user_id) is not int or type(shown_at) is not int or user_id < 1:
                code = (code[0], _principal_row(principal))
            elif type(principal) is Principal and shown_at >= 0:
                # A user's is packed as the tuple that it is.
                code = (code[0], principal)
            else:
                raise ValueError(f"{principal!r} is no principal")
        if sequence is None:
            packed: bytes = _packers.pack(code + _NO_SEQUENCE + fields)
        else:
            _check_sequence(sequence)
            packed = _packers.pack(code + sequence + fields)
    except (ValueError, TypeError, LookupError, OverflowError, RecursionError) as error:
        raise ValueError(f"not a command: {error!r} in {command!r:.64}") from None
    return packed


def _principal_row(principal: Principal) -> int:
    """The number that stands for a principal that is no user."""
    if type(principal) is Principal:
        user_id, shown_at = principal
        if type(user_id) is type(shown_at) is int and not shown_at and user_id in _PRINCIPALS:
            return user_id
    raise ValueError(f"{principal!r} is no principal")


def _check_sequence(sequence: Sequence) -> None:
    """The checks of its shape, in half the time."""
    session, seq, ack = sequence
    if type(session) is not int or type(seq) is not int or type(ack) is not int:
        raise ValueError("a Sequence has a field of the wrong type")
    if session < 1 or seq < 0 or ack < 0:
        raise ValueError("a Sequence has a field out of range")


def decode_command(data: bytes) -> tuple[Command, Sequence | None, Principal]:
    """What `encode_command` was given. Raises ValueError for bytes that it did not make."""
    try:
        row = _unpack(data, use_list=False)
        kind, shape = _IN[row[0]]
        if kind is Put:
            _, who, session, seq, ack, key, value, lease, prev_kv, keep_value, keep_lease, ttl = row
            if (
                type(key) is not bytes
                or type(value) is not bytes
                or type(lease) is not int
                or type(prev_kv) is not bool
                or type(keep_value) is not bool
                or type(keep_lease) is not bool
                or type(ttl) is not int
            ):
                raise ValueError("a Put has a field of the wrong type")
            # tuple.__new__ spares the argument passing of the constructor: the fields are checked.
            command = _new(Put, row[_HEAD_FIELDS:])
        else:
            _, who, session, seq, ack = row[:_HEAD_FIELDS]
            command = shape.value(row[_HEAD_FIELDS:])
        if type(session) is not int or type(seq) is not int or type(ack) is not int:
            raise ValueError("a session, seq or ack of the wrong type")
        if type(who) is int:
            principal = _PRINCIPALS[who]
        else:
            user_id, shown_at = who
            # Before the look-up, for which True is 1.
            if type(user_id) is not int or type(shown_at) is not int:
                raise ValueError("a principal with a field of the wrong type")
            principal = _users.get(who) or _user(who)
        if not session:
            return command, None, principal
        if session < 0 or seq < 0 or ack < 0:
            raise ValueError("a Sequence has a field out of range")
    except (ValueError, TypeError, LookupError, RecursionError) as error:
        raise ValueError(f"not a command: {error!r} in {data[:64]!r}") from None
    return command, _new(Sequence, (session, seq, ack)), principal


def _user(who: tuple[int, int]) -> Principal:
    """The principal of a user, decoded; it is kept, since most entries are of few users."""
    user_id, shown_at = who
    if type(who) is not tuple or user_id < 1 or shown_at < 0:
        raise ValueError("a principal with a field out of range")
    if len(_users) >= USERS_KEPT_MAX:
        _users.clear()
    principal = _users[who] = Principal(user_id, shown_at)
    return principal


def encode_result(result: Result) -> bytes:
    """A command's result as bytes, so that a session can give the same answer after a restart.

    Raises ValueError for one that `decode_result` refuses.
    """
    try:
        code, shape = _RESULTS_OUT[type(result)]
        packed: bytes = _packers.pack(code + shape.row(result))
    except (ValueError, TypeError, LookupError, OverflowError, RecursionError) as error:
        raise ValueError(f"not a result: {error!r} in {result!r:.64}") from None
    return packed


def decode_result(data: bytes) -> Result:
    """What `encode_result` was given. Raises ValueError for bytes that it did not make."""
    try:
        fields = _unpack(data, use_list=False)
        if type(fields) is not tuple or type(fields[0]) is not int:
            raise ValueError("no code in front")
        result: Result = _RESULTS_IN[fields[0]].value(fields[1:])
    except (ValueError, TypeError, LookupError, RecursionError) as error:
        raise ValueError(f"not a result: {error!r} in {data[:64]!r}") from None
    return result
