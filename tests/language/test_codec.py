"""Commands and results survive their bytes; what is not a command is refused."""

from __future__ import annotations

import contextlib
from typing import Any, get_args

import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.language import codec
from actors.language.auth import NOBODY, NODE, UNKNOWN, Principal
from actors.language.codec import (
    COMMANDS,
    RESULTS,
    SHAPES,
    decode_command,
    decode_result,
    encode_command,
    encode_result,
)
from actors.language.commands import (
    Command,
    Compare,
    CompareResult,
    CompareTarget,
    DeleteRange,
    Increment,
    Put,
    Range,
    Sequence,
    Txn,
)
from actors.language.results import Result, TxnDone
from actors.language.shapes import NESTED_MAX
from tests.language.strategies import COMMANDS as VOCABULARY
from tests.language.strategies import spoiled, types_in

commands: st.SearchStrategy[Command] = st.one_of([VOCABULARY.of(kind) for kind in COMMANDS])
sequences = st.none() | VOCABULARY.of(Sequence)
principals = st.sampled_from([NODE, NOBODY, UNKNOWN]) | st.builds(
    Principal, st.integers(1, 2**63), st.integers(0, 2**63)
)
results: st.SearchStrategy[Result] = st.one_of([VOCABULARY.of(kind) for kind in RESULTS])


def test_every_command_has_a_code() -> None:
    assert set(get_args(Command)) == set(COMMANDS)


@given(commands, sequences, principals)
def test_every_command_comes_back_from_its_bytes(
    command: Command, sequence: Sequence | None, principal: Principal
) -> None:
    decoded = decode_command(encode_command(command, sequence, principal))
    assert decoded == (command, sequence, principal)
    assert types_in(decoded) == types_in((command, sequence, principal))


@given(results)
def test_every_result_comes_back_from_its_bytes(result: Result) -> None:
    decoded = decode_result(encode_result(result))
    assert decoded == result
    assert types_in(decoded) == types_in(result)


@settings(max_examples=500)
@given(spoiled(st.tuples(commands, sequences, principals)))
def test_a_command_that_would_not_come_back_gets_no_bytes(given_: Any) -> None:
    if type(given_) is not tuple or len(given_) != 3:
        return
    try:
        encoded = encode_command(*given_)
    except ValueError:
        return
    decoded = decode_command(encoded)
    assert decoded == given_
    assert types_in(decoded) == types_in(given_)


@settings(max_examples=500)
@given(spoiled(results))
def test_a_result_that_would_not_come_back_gets_no_bytes(result: Any) -> None:
    try:
        encoded = encode_result(result)
    except ValueError:
        return
    decoded = decode_result(encoded)
    assert decoded == result
    assert types_in(decoded) == types_in(result)


@settings(max_examples=500)
@given(spoiled(VOCABULARY.of(Put)), spoiled(VOCABULARY.of(Sequence)))
def test_the_hot_path_writes_what_the_shapes_of_a_put_and_its_sequence_allow(
    put: Any, sequence: Any
) -> None:
    for command, number in ((put, None), (Put(b"k", b"v"), sequence)):
        if type(command) is not Put or type(number) not in (Sequence, type(None)):
            continue
        try:
            SHAPES.of(Put).row(command)
            SHAPES.of(Sequence).row(number or Sequence(1, 0, 0))
            msgpack.packb((command, number))
        except (ValueError, OverflowError):
            with pytest.raises(ValueError, match="not a command"):
                encode_command(command, number)
        else:
            encode_command(command, number)


@settings(max_examples=500)
@given(spoiled(VOCABULARY.of(Put).map(tuple)), spoiled(VOCABULARY.of(Sequence).map(tuple)))
def test_the_hot_path_reads_what_the_shapes_of_a_put_and_its_sequence_allow(
    put: Any, sequence: Any
) -> None:
    for row, head in ((put, (1, 0, 0)), (tuple(Put(b"k", b"v")), sequence)):
        if type(row) is not tuple or type(head) is not tuple or not head or head[0] == 0:
            continue
        with contextlib.suppress(OverflowError):
            data = msgpack.packb((COMMANDS[Put], 0, *head, *row))
            try:
                command, sequence = SHAPES.of(Put).value(row), SHAPES.of(Sequence).value(head)
            except ValueError:
                with pytest.raises(ValueError, match="not a command"):
                    decode_command(data)
            else:
                assert decode_command(data) == (command, sequence, NOBODY)


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
        decoded = decode_command(data)
    except ValueError:
        return
    assert decode_command(encode_command(*decoded)) == decoded


_PUT = (1, b"key", b"value", 0, False, False, False, 0)
_IS_NEW = (0, 0, b"key", b"", 0)


@pytest.mark.parametrize(
    "fields",
    [
        (12, 0, 0, 0, 0, b"key", b"value", 0, False, False, False),  # a field missing
        (12, 0, 0, 0, 0, b"key", b"value", 0, False, False, False, 0, 1),  # one too many
        (12, 0, 0, 0, 0, b"key", b"value", 0, 0, False, False, 0),  # a number for a flag
        (12, 0, 0, 0, 0, "key", b"value", 0, False, False, False, 0),  # text for bytes
        (12, 0, None, 0, 0, b"key", b"value", 0, False, False, False, 0),
        (12, -3, 0, 0, 0, b"key", b"value", 0, False, False, False, 0),  # no principal
        (12, True, 0, 0, 0, b"key", b"value", 0, False, False, False, 0),
        (99, 0, 0, 0, 0),  # an unknown code
        (6, 0, 0, 0, 0, ((1, 2, 3),)),  # an expiry with too much
        (6, 0, 0, 0, 0, (7,)),
        (9, 0, 0, 0, 0, 1, "name", (b"url",)),
        (10, 0, 0, 0, 0, ((1, ("url",)),), b"{}"),  # a member that says not whether it learns
        (10, 0, 0, 0, 0, ((1, "url", False),), b"{}"),
        (10, 0, 0, 0, 0, ((1, (b"url",), False),), b"{}"),
        (10, 0, 0, 0, 0, (1,), b"{}"),
        (10, 0, 0, 0, 0, ((1, ("url",), False),), "{}"),
        (13, 0, 0, 0, 0, ((0, 0, b"key", b""),), (), ()),  # a compare without its operand
        (13, 0, 0, 0, 0, ((6, 0, b"key", b"", 0),), (), ()),  # of an unknown target
        (13, 0, 0, 0, 0, ((0, 4, b"key", b"", 0),), (), ()),  # with an unknown result
        (13, 0, 0, 0, 0, ((0, 0, b"key", b"", b"0"),), (), ()),  # of a version with bytes
        (13, 0, 0, 0, 0, ((3, 0, b"key", b"", 0),), (), ()),  # of a value with a number
        (13, 0, 0, 0, 0, (), (_PUT[1:],), ()),  # an operation without its code
        (13, 0, 0, 0, 0, (), (), (_PUT[:-1],)),
        (13, 0, 0, 0, 0, (), (), (b"\1",)),
        (13, 0, 0, 0, 0, (), ((True, *_PUT[1:]),), ()),
        (13, 0, 0, 0, 0, (), ((5, (), ()),), ()),  # a transaction of one branch
        (13, 0, 0, 0, 0, (), ((5, (), ((6, b"key"),), ()),), ()),
        (13, 0, 0, 0, 0, (), ((3, b"", b"", 0, 0, False, False, 3, 0, 0, 0, 0, 0),), ()),
        (15, 0, 0, 0, 0, 1, 99),  # an unknown alarm
        (19, 0, 0, 0, 0, -1),  # no id of a session
        (19, 0, 0, 0, 0, 2**63),
        ((1,), 0, 0, 0, 0),
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


@pytest.mark.parametrize(
    "who", [(True, 9), (9, True), (9.0, 9), b"\x09\x09", (9, 9, 9), (0, 9), {9: 9}]
)
def test_what_equals_a_user_known_already_is_no_principal(who: object) -> None:
    known = encode_command(Put(b"k", b"v"), None, Principal(9, 9))
    for user in ((9, 9), (1, 9), (9, 1)):
        decode_command(encode_command(Put(b"k", b"v"), None, Principal(*user)))
    row = list(msgpack.unpackb(known, use_list=False))
    row[1] = who
    with pytest.raises(ValueError, match="not a command"):
        decode_command(msgpack.packb(row))


def test_the_principals_that_are_kept_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(codec, "USERS_KEPT_MAX", 2)
    users = [Principal(1_000 + number, 5) for number in range(6)]
    first, *others = [encode_command(Put(b"k", b"v"), None, user) for user in users]
    kept = decode_command(first)[2]
    assert kept == users[0] and decode_command(first)[2] is kept
    assert [decode_command(each)[2] for each in others] == users[1:]
    assert decode_command(first)[2] is not kept, "it was forgotten"


def _nested(levels: int) -> Txn:
    txn = Txn((), (), ())
    for _ in range(levels - 1):
        txn = Txn((), (txn,), ())
    return txn


def test_transactions_may_be_nested_up_to_a_limit() -> None:
    deepest = _nested(NESTED_MAX)
    assert decode_command(encode_command(deepest, None)) == (deepest, None, NOBODY)
    with pytest.raises(ValueError, match="too deep"):
        encode_command(_nested(NESTED_MAX + 1), None)


def test_answers_of_transactions_may_be_nested_as_deep() -> None:
    answer = TxnDone(1, True, ())
    for _ in range(NESTED_MAX - 1):
        answer = TxnDone(1, True, (answer,))
    assert decode_result(encode_result(answer)) == answer
    with pytest.raises(ValueError, match="too deep"):
        encode_result(TxnDone(1, True, (answer,)))


@pytest.mark.parametrize("levels", [NESTED_MAX + 1, 400, 10_000])
def test_bytes_that_nest_without_end_are_refused(levels: int) -> None:
    # Each level is a branch of one operation: [5, [], [ ... ], []].
    opened, closed = b"\x94\x05\x90\x91" * levels, b"\x90" * levels
    data = b"\x98\x0d\x00\x00\x00\x00\x90\x91" + opened[:-1] + b"\x90" + closed + b"\x90"
    with pytest.raises(ValueError, match="not a command"):
        decode_command(data)
    answer = b"\x94\x0a\x01\xc3\x91" * levels + b"\x93\x0b\x01\x02"
    with pytest.raises(ValueError, match="not a result"):
        decode_result(answer)


def test_the_bytes_of_a_put_are_these_for_ever() -> None:
    put = Put(b"key", b"value", 5, prev_kv=True, ttl_ms=700)
    assert msgpack.unpackb(
        encode_command(put, Sequence(7, 8, 9), Principal(6, 4)), use_list=False
    ) == ((12, (6, 4), 7, 8, 9, b"key", b"value", 5, True, False, False, 700))


def test_the_bytes_of_a_transaction_are_these_for_ever() -> None:
    is_new = Compare(CompareTarget.VERSION, CompareResult.EQUAL, b"key", b"", 0)
    inner = Txn((), (Increment(b"n", 1),), ())
    txn = Txn((is_new,), (Put(b"key", b"value"), inner), (Range(b"key"), DeleteRange(b"a")))
    success = (_PUT, (5, (), ((4, b"n", 1),), ()))
    failure = ((3, b"key", b"", 0, 0, False, False, 0, 0, 0, 0, 0, 0), (2, b"a", b"", False))
    assert msgpack.unpackb(encode_command(txn, None), use_list=False) == (
        (13, 0, 0, 0, 0, (_IS_NEW,), success, failure)
    )
