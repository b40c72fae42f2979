"""Commands and results survive their bytes; what is not a command is refused."""

from __future__ import annotations

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.store.codec import decode_command, decode_result, encode_command, encode_result
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

_ids = st.integers(-(2**63), 2**63 - 1)
_numbers = st.integers(0, 2**63 - 1)
_bytes = st.binary(max_size=40)
_texts = st.lists(st.text(max_size=20), max_size=3).map(tuple)
_flags = st.booleans()
_kvs = st.builds(KeyValue, _bytes, _numbers, _numbers, _numbers, _bytes, _ids)

commands: st.SearchStrategy[Command] = st.one_of(
    st.builds(Put, _bytes, _bytes, _ids, _flags, _flags, _flags),
    st.builds(DeleteRange, _bytes, _bytes, _flags),
    st.builds(LeaseGrant, _ids, _numbers),
    st.builds(LeaseRevoke, _ids),
    st.builds(LeaseKeepAlive, _ids),
    st.builds(LeaseExpire, st.lists(st.builds(Expiry, _ids, _numbers), max_size=4).map(tuple)),
    st.just(AdvanceClock()),
    st.just(SessionOpen()),
    st.builds(MemberPublish, _numbers, st.text(max_size=20), _texts),
)

sequences = st.none() | st.builds(Sequence, st.integers(1, 2**63 - 1), _numbers, _numbers)

results: st.SearchStrategy[Result] = st.one_of(
    st.builds(PutDone, _numbers, st.none() | _kvs),
    st.builds(DeleteDone, _numbers, _numbers, st.lists(_kvs, max_size=3).map(tuple)),
    st.builds(LeaseGranted, _numbers, _ids, _numbers),
    st.builds(LeaseRevoked, _numbers),
    st.builds(LeaseKeptAlive, _numbers, _ids, _numbers),
    st.builds(SessionOpened, _numbers, _numbers),
    st.builds(Done, _numbers),
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


@pytest.mark.parametrize(
    "fields",
    [
        (1, 0, 0, 0, b"key", b"value", 0, False, False),  # a field missing
        (1, 0, 0, 0, b"key", b"value", 0, False, False, False, 1),  # one too many
        (1, 0, 0, 0, b"key", b"value", 0, 0, False, False),  # a number for a flag
        (1, 0, 0, 0, "key", b"value", 0, False, False, False),  # text for bytes
        (1, None, 0, 0, b"key", b"value", 0, False, False, False),
        (99, 0, 0, 0),  # an unknown code
        (6, 0, 0, 0, ((1, 2, 3),)),  # an expiry with too much
        (6, 0, 0, 0, (7,)),
        (9, 0, 0, 0, 1, "name", (b"url",)),
        ((1,), 0, 0, 0),
        (),
        {"op": "put"},
        7,
    ],
)
def test_a_value_that_is_no_command_is_refused(fields: object) -> None:
    with pytest.raises(ValueError, match="not a command"):
        decode_command(msgpack.packb(fields))


@pytest.mark.parametrize("fields", [(99,), (1,), (1, 2, (b"key",)), (2, 1, 1, 5), (), 7])
def test_a_value_that_is_no_result_is_refused(fields: object) -> None:
    with pytest.raises(ValueError, match="not a result"):
        decode_result(msgpack.packb(fields))


def test_the_bytes_of_a_put_are_these_for_ever() -> None:
    put = Put(b"key", b"value", 5, prev_kv=True)
    assert msgpack.unpackb(encode_command(put, Sequence(7, 8, 9)), use_list=False) == (
        (1, 7, 8, 9, b"key", b"value", 5, True, False, False)
    )
