"""Commands and results survive their bytes; what is not a command is refused."""

from __future__ import annotations

from typing import Any

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.language.codec import decode_command, decode_result, encode_command, encode_result
from actors.language.commands import (
    AdvanceClock,
    AlarmActivate,
    AlarmDeactivate,
    AlarmMember,
    AlarmType,
    Command,
    Compact,
    Compare,
    CompareResult,
    CompareTarget,
    DeleteRange,
    Expiry,
    Increment,
    KeyValue,
    LeaseExpire,
    LeaseGrant,
    LeaseKeepAlive,
    LeaseRevoke,
    Member,
    MemberPeers,
    MemberPublish,
    Put,
    Range,
    Sequence,
    SessionOpen,
    SetMembers,
    SortOrder,
    SortTarget,
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
    TxnResponse,
)
from actors.language.shapes import TXN_DEPTH_MAX

_ids = st.integers(-(2**63), 2**63 - 1)
_numbers = st.integers(0, 2**63 - 1)
_bytes = st.binary(max_size=40)
_texts = st.lists(st.text(max_size=20), max_size=3).map(tuple)
_flags = st.booleans()
_kvs = st.builds(KeyValue, _bytes, _numbers, _numbers, _numbers, _bytes, _ids)

_puts = st.builds(Put, _bytes, _bytes, _ids, _flags, _flags, _flags, _numbers)
_increments = st.builds(Increment, _bytes, _ids)
_deletes = st.builds(DeleteRange, _bytes, _bytes, _flags)
_ranges = st.builds(
    Range,
    _bytes,
    _bytes,
    _numbers,
    _ids,
    _flags,
    _flags,
    st.sampled_from(SortOrder),
    st.sampled_from(SortTarget),
    *[_numbers] * 4,
)

_results_of_compares = st.sampled_from(CompareResult)
_compares = st.builds(
    Compare,
    st.sampled_from([each for each in CompareTarget if each is not CompareTarget.VALUE]),
    _results_of_compares,
    _bytes,
    _bytes,
    _ids,
) | st.builds(Compare, st.just(CompareTarget.VALUE), _results_of_compares, _bytes, _bytes, _bytes)


def _tuples(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.lists(values, max_size=3).map(tuple)


def _txns(operations: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.builds(Txn, _tuples(_compares), _tuples(operations), _tuples(operations))


_txn = st.recursive(
    _txns(_puts | _deletes | _ranges | _increments),
    lambda inner: _txns(_puts | _ranges | inner),
    max_leaves=6,
)

commands: st.SearchStrategy[Command] = st.one_of(
    _puts,
    _deletes,
    _increments,
    _txn,
    st.builds(AlarmActivate, _numbers, st.sampled_from(AlarmType)),
    st.builds(AlarmDeactivate, _numbers, st.sampled_from(AlarmType)),
    st.builds(LeaseGrant, _ids, _numbers),
    st.builds(LeaseRevoke, _ids),
    st.builds(LeaseKeepAlive, _ids),
    st.builds(LeaseExpire, st.lists(st.builds(Expiry, _ids, _numbers), max_size=4).map(tuple)),
    st.just(AdvanceClock()),
    st.builds(SessionOpen, st.integers(1, 2**63 - 1)),
    st.builds(MemberPublish, _numbers, st.text(max_size=20), _texts),
    st.builds(
        SetMembers,
        st.lists(st.builds(MemberPeers, _numbers, _texts, _flags), max_size=3).map(tuple),
        _bytes,
    ),
    st.builds(Compact, _ids, _flags),
)

sequences = st.none() | st.builds(Sequence, st.integers(1, 2**63 - 1), _numbers, _numbers)

_responses: st.SearchStrategy[TxnResponse] = st.one_of(
    st.builds(PutDone, _numbers, st.none() | _kvs, _ids, _numbers),
    st.builds(DeleteDone, _numbers, _numbers, _tuples(_kvs)),
    st.builds(RangeDone, _numbers, _tuples(_kvs), _flags, _numbers),
    st.builds(Incremented, _numbers, _ids),
)

results: st.SearchStrategy[Result] = st.one_of(
    _responses,
    st.recursive(
        st.builds(TxnDone, _numbers, _flags, _tuples(_responses)),
        lambda inner: st.builds(TxnDone, _numbers, _flags, _tuples(_responses | inner)),
        max_leaves=4,
    ),
    st.builds(
        Alarms,
        _numbers,
        _tuples(st.builds(AlarmMember, _numbers, st.sampled_from(AlarmType))),
    ),
    st.builds(LeaseGranted, _numbers, _ids, _numbers),
    st.builds(LeaseRevoked, _numbers),
    st.builds(LeaseKeptAlive, _numbers, _ids, _numbers),
    st.builds(SessionOpened, _numbers, _numbers),
    st.builds(Done, _numbers),
    st.builds(
        Members,
        _numbers,
        st.lists(
            st.builds(Member, _numbers, st.text(max_size=20), _texts, _texts, _flags), max_size=3
        ).map(tuple),
    ),
    st.builds(Failure, st.sampled_from(["LeaseNotFound", "KeyNotFound"])),
)


def _types(value: object) -> object:
    """The types all the way down: a bare tuple equals a NamedTuple, and must not pass for one."""
    if isinstance(value, tuple):
        return type(value), tuple(_types(each) for each in value)
    return type(value)


@given(commands, sequences)
def test_every_command_comes_back_from_its_bytes(
    command: Command, sequence: Sequence | None
) -> None:
    decoded = decode_command(encode_command(command, sequence))
    assert decoded == (command, sequence)
    assert _types(decoded) == _types((command, sequence))


@given(results)
def test_every_result_comes_back_from_its_bytes(result: Result) -> None:
    decoded = decode_result(encode_result(result))
    assert decoded == result
    assert _types(decoded) == _types(result)


@given(commands, sequences)
def test_equal_commands_have_equal_bytes_and_different_ones_do_not(
    command: Command, sequence: Sequence | None
) -> None:
    other = Sequence(1, 1, 1) if sequence is None else None
    assert encode_command(command, sequence) == encode_command(command, sequence)
    assert encode_command(command, sequence) != encode_command(command, other)


@given(commands, sequences, st.data())
def test_a_command_cut_short_or_lengthened_is_refused(
    command: Command, sequence: Sequence | None, data: st.DataObject
) -> None:
    encoded = encode_command(command, sequence)
    cut = data.draw(st.integers(0, len(encoded) - 1))
    with pytest.raises(ValueError, match="not a command"):
        decode_command(encoded[:cut])
    with pytest.raises(ValueError, match="not a command"):
        decode_command(encoded + b"\0")


@given(st.binary(max_size=60))
def test_arbitrary_bytes_are_refused_or_mean_a_well_formed_command(data: bytes) -> None:
    try:
        command, sequence = decode_command(data)
    except ValueError:
        return
    assert decode_command(encode_command(command, sequence)) == (command, sequence)


_PUT = (1, b"key", b"value", 0, False, False, False, 0)
_IS_NEW = (0, 0, b"key", b"", 0)


@pytest.mark.parametrize(
    "fields",
    [
        (12, 0, 0, 0, b"key", b"value", 0, False, False, False),  # a field missing
        (12, 0, 0, 0, b"key", b"value", 0, False, False, False, 0, 1),  # one too many
        (12, 0, 0, 0, b"key", b"value", 0, 0, False, False, 0),  # a number for a flag
        (12, 0, 0, 0, "key", b"value", 0, False, False, False, 0),  # text for bytes
        (12, None, 0, 0, b"key", b"value", 0, False, False, False, 0),
        (99, 0, 0, 0),  # an unknown code
        (6, 0, 0, 0, ((1, 2, 3),)),  # an expiry with too much
        (6, 0, 0, 0, (7,)),
        (9, 0, 0, 0, 1, "name", (b"url",)),
        (10, 0, 0, 0, ((1, ("url",)),), b"{}"),  # a member that says not whether it learns
        (10, 0, 0, 0, ((1, "url", False),), b"{}"),
        (10, 0, 0, 0, ((1, (b"url",), False),), b"{}"),
        (10, 0, 0, 0, (1,), b"{}"),
        (10, 0, 0, 0, ((1, ("url",), False),), "{}"),
        (13, 0, 0, 0, ((0, 0, b"key", b""),), (), ()),  # a compare without its operand
        (13, 0, 0, 0, ((6, 0, b"key", b"", 0),), (), ()),  # of an unknown target
        (13, 0, 0, 0, ((0, 4, b"key", b"", 0),), (), ()),  # with an unknown result
        (13, 0, 0, 0, ((0, 0, b"key", b"", b"0"),), (), ()),  # of a version with bytes
        (13, 0, 0, 0, ((3, 0, b"key", b"", 0),), (), ()),  # of a value with a number
        (13, 0, 0, 0, (), (_PUT[1:],), ()),  # an operation without its code
        (13, 0, 0, 0, (), (), (_PUT[:-1],)),
        (13, 0, 0, 0, (), (), (b"\1",)),
        (13, 0, 0, 0, (), ((True, *_PUT[1:]),), ()),
        (13, 0, 0, 0, (), ((5, (), ()),), ()),  # a transaction of one branch
        (13, 0, 0, 0, (), ((5, (), ((6, b"key"),), ()),), ()),
        (13, 0, 0, 0, (), ((3, b"", b"", 0, 0, False, False, 3, 0, 0, 0, 0, 0),), ()),
        (15, 0, 0, 0, 1, 99),  # an unknown alarm
        (19, 0, 0, 0, -1),  # no id of a session
        (19, 0, 0, 0, 2**63),
        ((1,), 0, 0, 0),
        (),
        {"op": "put"},
        7,
    ],
)
def test_a_value_that_is_no_command_is_refused(fields: object) -> None:
    with pytest.raises(ValueError, match="not a command"):
        decode_command(msgpack.packb(fields))


@pytest.mark.parametrize(
    "fields",
    [
        (99,),
        (1,),
        (1, 2, (b"key",)),
        (1, 2, None, 3),  # a lease without its TTL
        (2, 1, 1, 5),
        (3, 1, 2),
        (4, "1"),
        (10, 1, True, (((1,),),)),
        (10, 1, 1, ()),
        (10, 1, True, (7,)),
        (12, 1, ((1, 9),)),
        (),
        7,
    ],
)
def test_a_value_that_is_no_result_is_refused(fields: object) -> None:
    with pytest.raises(ValueError, match="not a result"):
        decode_result(msgpack.packb(fields))


def _nested(levels: int) -> Txn:
    txn = Txn((), (), ())
    for _ in range(levels - 1):
        txn = Txn((), (txn,), ())
    return txn


def test_transactions_may_be_nested_up_to_a_limit() -> None:
    deepest = _nested(TXN_DEPTH_MAX)
    assert decode_command(encode_command(deepest, None)) == (deepest, None)
    with pytest.raises(ValueError, match="too deep"):
        encode_command(_nested(TXN_DEPTH_MAX + 1), None)


@pytest.mark.parametrize("levels", [TXN_DEPTH_MAX + 1, 400, 10_000])
def test_bytes_that_nest_without_end_are_refused(levels: int) -> None:
    # Each level is a branch of one operation: [5, [], [ ... ], []].
    opened, closed = b"\x94\x05\x90\x91" * levels, b"\x90" * levels
    data = b"\x97\x0d\x00\x00\x00\x90\x91" + opened[:-1] + b"\x90" + closed + b"\x90"
    with pytest.raises(ValueError, match="not a command"):
        decode_command(data)
    answer = b"\x94\x0a\x01\xc3\x91" * levels + b"\x92\x07\x01"
    with pytest.raises(ValueError, match="not a result"):
        decode_result(answer)


def test_results_may_be_nested_as_deep_as_transactions() -> None:
    deepest = TxnDone(1, True, (Incremented(1, 2),))
    for _ in range(TXN_DEPTH_MAX - 1):
        deepest = TxnDone(1, True, (deepest,))
    assert decode_result(encode_result(deepest)) == deepest
    with pytest.raises(ValueError, match="too deep"):
        encode_result(TxnDone(1, True, (deepest,)))


def test_the_bytes_of_a_put_are_these_for_ever() -> None:
    put = Put(b"key", b"value", 5, prev_kv=True, ttl_ms=700)
    assert msgpack.unpackb(encode_command(put, Sequence(7, 8, 9)), use_list=False) == (
        (12, 7, 8, 9, b"key", b"value", 5, True, False, False, 700)
    )


def test_a_put_from_before_puts_had_a_ttl_is_still_understood() -> None:
    fields = (1, 7, 8, 9, b"key", b"value", 5, True, False, False)
    put = Put(b"key", b"value", 5, prev_kv=True)
    assert decode_command(msgpack.packb(fields)) == (put, Sequence(7, 8, 9))


def test_a_session_from_before_its_id_was_chosen_by_chance_is_still_understood() -> None:
    assert decode_command(msgpack.packb((8, 0, 0, 0))) == (SessionOpen(0), None)


def test_a_put_s_result_from_before_puts_granted_leases_is_still_understood() -> None:
    assert decode_result(msgpack.packb((1, 7, None))) == PutDone(7)


def test_the_bytes_of_a_transaction_are_these_for_ever() -> None:
    is_new = Compare(CompareTarget.VERSION, CompareResult.EQUAL, b"key", b"", 0)
    inner = Txn((), (Increment(b"n", 1),), ())
    txn = Txn((is_new,), (Put(b"key", b"value"), inner), (Range(b"key"), DeleteRange(b"a")))
    success = (_PUT, (5, (), ((4, b"n", 1),), ()))
    failure = ((3, b"key", b"", 0, 0, False, False, 0, 0, 0, 0, 0, 0), (2, b"a", b"", False))
    assert msgpack.unpackb(encode_command(txn, None), use_list=False) == (
        (13, 0, 0, 0, (_IS_NEW,), success, failure)
    )
