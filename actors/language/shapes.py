"""What commands and results hold inside, as plain nested tuples, and back: `codec.py` packs these.

Every value read is checked all the way down; one that was not made here is a ValueError, TypeError
or LookupError. Knows nothing of bytes, and of what the values mean.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, cast

from actors.language.commands import (
    SESSION_ID_BITS,
    AlarmActivate,
    AlarmDeactivate,
    AlarmMember,
    AlarmType,
    Compare,
    CompareResult,
    CompareTarget,
    DeleteRange,
    Expiry,
    Increment,
    KeyValue,
    LeaseExpire,
    Member,
    MemberPeers,
    MemberPublish,
    Put,
    Range,
    SessionOpen,
    SetMembers,
    SortOrder,
    SortTarget,
    Txn,
    TxnOp,
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
    TxnResponse,
)
from cluster.errors import fault_name

TXN_DEPTH_MAX: Final = 128
"""So many transactions may stand one inside another; more would exhaust the interpreter's stack."""

Fields = tuple[Any, ...]


def _checked(fields: object, *types: type) -> Fields:
    """The fields, which must be a tuple of exactly these types."""
    if type(fields) is not tuple or tuple(map(type, fields)) != types:
        raise ValueError(f"{fields!r:.64} is not of {[each.__name__ for each in types]}")
    return fields


def _texts(fields: object) -> tuple[str, ...]:
    if type(fields) is not tuple or any(type(each) is not str for each in fields):
        raise ValueError(f"{fields!r:.64} is not all text")
    return fields


def _code(fields: object) -> int:
    """What stands in front of the fields and says what they are."""
    if type(fields) is not tuple or type(fields[0]) is not int:
        raise ValueError(f"{fields!r:.64} has no code")
    return fields[0]


# --- commands ---------------------------------------------------------------------------------


_TXN: Final = 5
_OPERATIONS: Final[dict[type[Any], int]] = {Put: 1, DeleteRange: 2, Range: 3, Increment: 4}


def txn_fields(txn: Txn, depth: int = 1) -> Fields:
    """A transaction's fields with each operation as `(code, field...)`."""
    if depth > TXN_DEPTH_MAX:
        raise ValueError("transactions are nested too deep")
    branches = [
        tuple(
            [
                (_TXN, *txn_fields(each, depth + 1))
                if type(each) is Txn
                else (_OPERATIONS[type(each)], *each)
                for each in branch
            ]
        )
        for branch in (txn.success, txn.failure)
    ]
    return txn.compare, *branches


def _put(fields: Fields) -> Put:
    return Put(*_checked(fields, bytes, bytes, int, bool, bool, bool, int))


def _delete_range(fields: Fields) -> DeleteRange:
    return DeleteRange(*_checked(fields, bytes, bytes, bool))


def _range(fields: Fields) -> Range:
    _checked(fields, bytes, bytes, int, int, bool, bool, int, int, int, int, int, int)
    query = Range._make(fields)
    return query._replace(
        sort_order=SortOrder(query.sort_order), sort_target=SortTarget(query.sort_target)
    )


def _increment(fields: Fields) -> Increment:
    return Increment(*_checked(fields, bytes, int))


_READ_OPERATION: Final[dict[int, Callable[[Fields], TxnOp]]] = {
    1: _put,
    2: _delete_range,
    3: _range,
    4: _increment,
}


def read_txn(fields: Fields, depth: int = 1) -> Txn:
    """What `txn_fields` was given."""
    if depth > TXN_DEPTH_MAX:
        raise ValueError("transactions are nested too deep")
    compares, *branches = _checked(fields, tuple, tuple, tuple)
    success, failure = [
        tuple(
            [
                read_txn(each[1:], depth + 1)
                if _code(each) == _TXN
                else _READ_OPERATION[each[0]](each[1:])
                for each in branch
            ]
        )
        for branch in branches
    ]
    return Txn(tuple([_compare(each) for each in compares]), success, failure)


def _compare(fields: Fields) -> Compare:
    is_value = fields[0] == CompareTarget.VALUE
    _checked(fields, int, int, bytes, bytes, bytes if is_value else int)
    return Compare(CompareTarget(fields[0]), CompareResult(fields[1]), *fields[2:])


def read_old_put(fields: Fields) -> Put:
    """A put from before it could grant a lease."""
    return Put(*fields)


def read_session_open(fields: Fields) -> SessionOpen:
    """A session and its id."""
    (session_id,) = fields
    if not 0 <= session_id < 1 << SESSION_ID_BITS:
        raise ValueError(f"{session_id} is no id of a session")
    return SessionOpen(session_id)


def read_old_session_open(fields: Fields) -> SessionOpen:
    """A session from before its id was chosen by chance."""
    return SessionOpen(0)


def read_lease_expire(fields: Fields) -> LeaseExpire:
    """Leases that are due."""
    return LeaseExpire(tuple([Expiry(*_checked(each, int, int)) for each in fields[0]]))


def read_member_publish(fields: Fields) -> MemberPublish:
    """A member's name and URLs."""
    member_id, name, urls = fields
    return MemberPublish(member_id, name, _texts(urls))


def read_set_members(fields: Fields) -> SetMembers:
    """The members, and Raft's record of them."""
    members, membership = fields
    return SetMembers(tuple([_member_peers(each) for each in members]), membership)


def _member_peers(fields: object) -> MemberPeers:
    member_id, urls, is_learner = _checked(fields, int, tuple, bool)
    if member_id < 0:
        raise ValueError(f"{member_id} is no id of a member")
    return MemberPeers(member_id, _texts(urls), is_learner)


def read_alarm_activate(fields: Fields) -> AlarmActivate:
    """An alarm that is raised."""
    return AlarmActivate(fields[0], AlarmType(fields[1]))


def read_alarm_deactivate(fields: Fields) -> AlarmDeactivate:
    """An alarm that is cleared."""
    return AlarmDeactivate(fields[0], AlarmType(fields[1]))


# --- results ----------------------------------------------------------------------------------


_TXN_DONE: Final = 10
_RESULT_CODES: Final[dict[type[Any], int]] = {
    PutDone: 1,
    DeleteDone: 2,
    LeaseGranted: 3,
    LeaseRevoked: 4,
    LeaseKeptAlive: 5,
    SessionOpened: 6,
    Done: 7,
    Failure: 8,
    Members: 9,
    TxnDone: _TXN_DONE,
    Incremented: 11,
    Alarms: 12,
    RangeDone: 13,
}


def result_fields(result: Result, depth: int = 1) -> Fields:
    """A command's result as `(code, field...)`, and so are the responses inside it."""
    code = _RESULT_CODES[type(result)]
    if code == _TXN_DONE:
        if depth > TXN_DEPTH_MAX:
            raise ValueError("results are nested too deep")
        revision, succeeded, responses = cast(TxnDone, result)
        inner = tuple([result_fields(each, depth + 1) for each in responses])
        return code, revision, succeeded, inner
    return code, *result


def read_result(fields: object, depth: int = 1) -> Result:
    """What `result_fields` was given."""
    code = _code(fields)
    if code == _TXN_DONE:
        return _txn_done(cast(Fields, fields)[1:], depth)
    return _READ_RESULT[code](cast(Fields, fields)[1:])


def _put_done(fields: Fields) -> PutDone:
    revision, previous, *granted = fields  # older ones say nothing of a lease
    _checked((revision, *granted), int, *[int] * (2 if granted else 0))
    return PutDone(revision, None if previous is None else _key_value(previous), *granted)


def _key_value(fields: object) -> KeyValue:
    return KeyValue(*_checked(fields, bytes, int, int, int, bytes, int))


def _key_values(fields: Fields) -> tuple[KeyValue, ...]:
    return tuple([_key_value(each) for each in fields])


def _delete_done(fields: Fields) -> DeleteDone:
    revision, deleted, previous = _checked(fields, int, int, tuple)
    return DeleteDone(revision, deleted, _key_values(previous))


def _members(fields: Fields) -> Members:
    revision, members, *waiting = fields  # older ones say nothing of who waits
    _checked((revision, members, *waiting), int, tuple, *[bool] * len(waiting[:1]))
    return Members(revision, tuple([_member(each) for each in members]), *waiting)


def _member(fields: object) -> Member:
    member_id, name, *urls, is_learner = _checked(fields, int, str, tuple, tuple, bool)
    return Member(member_id, name, _texts(urls[0]), _texts(urls[1]), is_learner)


def _txn_done(fields: Fields, depth: int) -> TxnDone:
    # Counted, for the depth at which an interpreter gives up differs between its versions, and
    # members must agree on what a result is.
    if depth > TXN_DEPTH_MAX:
        raise ValueError("results are nested too deep")
    revision, succeeded, responses = _checked(fields, int, bool, tuple)
    inner = tuple([read_result(each, depth + 1) for each in responses])
    return TxnDone(revision, succeeded, cast(tuple[TxnResponse, ...], inner))


def _alarms(fields: Fields) -> Alarms:
    revision, alarms = _checked(fields, int, tuple)
    pairs = [_checked(each, int, int) for each in alarms]
    return Alarms(revision, tuple([AlarmMember(each, AlarmType(alarm)) for each, alarm in pairs]))


def _range_done(fields: Fields) -> RangeDone:
    revision, kvs, more, count = _checked(fields, int, tuple, bool, int)
    return RangeDone(revision, _key_values(kvs), more, count)


def _failure(fields: Fields) -> Failure:
    (text,) = _checked(fields, str)
    name = fault_name(text)
    if name is None:
        raise ValueError(f"unknown name of an error {text!r}")
    return Failure(name)


_READ_RESULT: Final[dict[int, Callable[[Fields], Result]]] = {
    1: _put_done,
    2: _delete_done,
    3: lambda fields: LeaseGranted(*_checked(fields, int, int, int)),
    4: lambda fields: LeaseRevoked(*_checked(fields, int)),
    5: lambda fields: LeaseKeptAlive(*_checked(fields, int, int, int)),
    6: lambda fields: SessionOpened(*_checked(fields, int, int)),
    7: lambda fields: Done(*_checked(fields, int)),
    8: _failure,
    9: _members,
    11: lambda fields: Incremented(*_checked(fields, int, int)),
    12: _alarms,
    13: _range_done,
}
