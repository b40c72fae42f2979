"""Peer frames: what goes in comes out, and nothing else ever comes in."""

from __future__ import annotations

import contextlib
from typing import Any, get_args

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from actors.language.codec import encode_command
from actors.language.commands import Put, SetMembers
from actors.language.entries import CommandBytes, Entry
from actors.language.members import (
    AddMember,
    MemberChange,
    Peer,
    RemoveMember,
    SetKeys,
    UpdateMember,
)
from actors.raft.codec import (
    MESSAGE_KINDS,
    SHAPES,
    PeerCodec,
    decode_welcome,
    encode_join,
)
from actors.raft.membership import encode as encode_membership
from actors.raft.rpc import (
    AppendRequest,
    ChangeRequest,
    ForwardRequest,
    Introduction,
    JoinRequest,
    Message,
    NotRafts,
    Ping,
    Pong,
    ReadRequest,
    Welcome,
)
from actors.raft.runs import ENCODINGS_KEPT, EntriesEncoder, decode_entries
from cluster.wire import WireError, pack, unpack
from tests.language.strategies import Vocabulary, spoiled, types_in
from tests.raft.harness import entries, entry, voters

CLUSTER = 0xFEDCBA9876543210
CODEC = PeerCodec(CLUSTER)

flags = st.booleans()
commands = st.tuples(st.binary(max_size=9), st.binary(max_size=50)).map(
    lambda kv: encode_command(Put(*kv), None)
)
urls = st.sampled_from((("tcp://a:1",), ("tcp://a:1", "tcp://b:1")))
keys = st.sampled_from(((), ("a1" * 32,), ("a1" * 32, "b2" * 32)))
ENTRY = Vocabulary({}).of(Entry)


@st.composite
def runs(draw: st.DrawFn) -> tuple[Entry, ...]:
    """Consecutive entries."""
    first = draw(st.integers(1, 2**40))
    bodies = draw(st.lists(ENTRY, max_size=5))
    return tuple(body._replace(index=index) for index, body in enumerate(bodies, first))


def _follows(append: AppendRequest) -> AppendRequest:
    run = append.entries
    return append._replace(prev_index=run[0].index - 1) if run else append


IN_MESSAGES = {
    tuple[Entry, ...]: runs(),
    CommandBytes: commands,
    Peer: st.builds(Peer, st.integers(1, 2**64 - 1), urls, keys),
    SetKeys: st.builds(SetKeys, st.integers(0, 2**64 - 1), keys),
    UpdateMember: st.builds(UpdateMember, st.integers(0, 2**64 - 1), urls),
}
APPENDS = Vocabulary(IN_MESSAGES).of(AppendRequest).map(_follows)
MESSAGES = Vocabulary({**IN_MESSAGES, AppendRequest: APPENDS})
messages: st.SearchStrategy[Message] = st.one_of([MESSAGES.of(kind) for kind in MESSAGE_KINDS])
leaves = st.none() | flags | st.integers(-(2**63), 2**64 - 1) | st.floats() | st.binary(max_size=9)
values = st.recursive(
    leaves | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=6) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=20,
)


def test_every_message_has_a_code() -> None:
    assert set(get_args(Message)) == set(MESSAGE_KINDS)


@given(messages)
def test_every_message_comes_back_as_it_was(message: Message) -> None:
    decoded = PeerCodec(CLUSTER).decode(PeerCodec(CLUSTER).encode(message))
    assert decoded == message
    assert types_in(decoded) == types_in(message)


@settings(max_examples=500)
@given(spoiled(messages))
def test_a_message_that_would_not_come_back_gets_no_frame(message: Any) -> None:
    # What a proposal's command holds is checked where it is encoded.
    if type(message) not in MESSAGE_KINDS or type(message) is ForwardRequest:
        return
    try:
        frame = PeerCodec(CLUSTER).encode(message)
    except (ValueError, TypeError, AttributeError):
        return
    decoded = CODEC.decode(frame)
    assert decoded == message
    assert types_in(decoded) == types_in(message)


@settings(max_examples=500)
@given(spoiled(st.lists(ENTRY, min_size=1, max_size=1).map(tuple)))
def test_entries_are_checked_by_what_their_annotations_say(run: Any) -> None:
    assume(type(run) is tuple and len(run) == 1 and type(run[0]) is Entry)
    try:
        SHAPES.of(Entry).row(run[0])
        packed = pack(run)
    except (ValueError, OverflowError):
        with pytest.raises((WireError, TypeError)):
            EntriesEncoder().encode(run)
        with contextlib.suppress(OverflowError), pytest.raises(WireError):
            decode_entries(pack(run))
    else:
        assert EntriesEncoder().encode(run) == packed
        decoded = decode_entries(packed)
        assert decoded == run
        assert types_in(decoded) == types_in(run)


@given(st.binary(max_size=200))
def test_arbitrary_bytes_raise_nothing_but_a_wire_error(frame: bytes) -> None:
    with pytest.raises(WireError):
        CODEC.decode(frame)


@given(st.integers(-2, 12) | leaves, st.lists(values, max_size=10))
def test_arbitrary_fields_make_a_sound_message_or_a_wire_error(
    kind: Any, fields: list[Any]
) -> None:
    try:
        message = CODEC.decode(pack((CLUSTER, kind, *fields)))
    except WireError:
        return
    assert not isinstance(message, NotRafts)
    assert PeerCodec(CLUSTER).decode(PeerCodec(CLUSTER).encode(message)) == message


@given(messages, st.data())
def test_a_message_with_one_field_of_another_type_is_a_wire_error(
    message: Message, data: st.DataObject
) -> None:
    frame = CODEC.encode(message)
    place = data.draw(st.integers(0, len(message) - 1))
    other = data.draw(st.text(max_size=3) | st.none() | st.floats())
    _, kind, *packed = unpack(frame)
    assume(type(other) is not type(packed[place]))
    packed[place] = other
    with pytest.raises(WireError):
        CODEC.decode(pack((CLUSTER, kind, *packed)))


@given(messages, st.integers(0, 10_000), st.integers(1, 255))
def test_a_damaged_frame_raises_nothing_but_a_wire_error(
    message: Message, place: int, flip: int
) -> None:
    frame = bytearray(CODEC.encode(message))
    frame[place % len(frame)] ^= flip
    with contextlib.suppress(WireError):
        CODEC.decode(bytes(frame))


def test_a_message_of_another_cluster_is_refused() -> None:
    frame = PeerCodec(1).encode(ReadRequest(1, 2, 3, 4))
    with pytest.raises(WireError, match="another cluster"):
        PeerCodec(2).decode(frame)


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        (0, (1, 2, 3, 3, 0, 0, 0)),
        (0, (1, 2, 3, 3, 0, 0, 0, 7)),
        (0, (1, 2, 3, 3, 0, 0, 0, b"\xc1")),
        (0, (1, 2, 3, 3, 0, 0, 0, pack(((2, 1, 0, 0, 0, b""), (4, 1, 0, 0, 0, b""))))),
        (0, (1, 2, 3, 3, 5, 1, 0, pack(((2, 1, 0, 0, 0, b""),)))),
        (0, (1, 2, 3, 3, 0, 0, 0, pack(((1, 1, 0, 0, 0, "text"),)))),
        (0, (1, 2, 3, 3, 0, 0, 0, pack(((1, None, 0, 0, 0, b""),)))),
        (4, (1, 2, 3, ((1, 2),))),
        (4, (1, 2, 3, ((1, 2, "text"),))),
        (9, (1, 2, 3, ("text",), False)),
        (9, (1, 2, 3, 4, False)),
        (4, (1, 2, 3, ((1, 2, b"\xc1garbage"),))),
        (4, (1, 2, 3, ((1, 2, encode_membership(voters(3))),))),
        (4, (1, 2, 3, ((1, 2, encode_command(SetMembers((), b""), None)),))),
        (4, (1, 2, 3, ((1, -2, encode_command(Put(b"k", b"v"), None)),))),
        (9, (1, 2, 3, (4,), "NoSuchError")),
        (9, (1, 2, 3, (-4,), "")),
        (13, (1, 2, 3, 4, b"not json")),
        (13, (1, 2, 3, 4, b"[" * 100_000)),
        (13, (1, 2, 3, 4, b"[]")),
        (13, (1, 2, 3, 4, b'["Promote", 5]')),
        (13, (1, 2, 3, 4, b'["RemoveMember", true]')),
        (13, (1, 2, 3, 4, b'["RemoveMember", 5, 6]')),
        (13, (1, 2, 3, 4, b'["RemoveMember", 18446744073709551616]')),
        (13, (1, 2, 3, 4, b'["UpdateMember", 5, []]')),
        (13, (1, 2, 3, 4, b'["UpdateMember", 5, ["nonsense"]]')),
        (13, (1, 2, 3, 4, b'["AddMember", [5, ["tcp://b:1", "tcp://a:1"]], false]')),
        (13, (1, 2, 3, 4, b'["AddMember", [0, ["tcp://a:1"]], false]')),
        (13, (1, 2, 3, 4, b'["AddMember", [5, ["tcp://a:1"]], 0]')),
        (14, (1, 2, 3, 4, "NoSuchError")),
        (14, (1, 2, 3, 4, "")),
        (0, (1, 2, 3, 3, 0, 0, 0, pack(((1, -1, 0, 0, 0, b""),)))),
        (0, (1, 2, 3, 3, 0, 0, 0, pack(((1, 1, 2**63, 0, 0, b""),)))),
        (0, (1, 2, 3, 3, 2**62, 0, 0, pack(((2**62 + 1, 1, 0, 0, 0, b""),)))),
        (5, (1, 2, -3, 4)),
        (8, (1, 2, 3, 1, True)),
        (99, (1, 2, 3)),
        (-1, (1, 2, 3)),
    ],
)
def test_what_looks_like_a_message_but_is_none_is_refused(kind: int, fields: Any) -> None:
    with pytest.raises(WireError):
        CODEC.decode(pack((CLUSTER, kind, *fields)))


def test_one_encoding_of_a_run_serves_every_peer_and_the_log() -> None:
    encoder = EntriesEncoder()
    run = entries(5, 1, 1, 2)
    packed = encoder.encode(run)
    assert encoder.encode(tuple(run)) is packed
    assert decode_entries(packed) == run


def test_runs_that_differ_in_an_end_are_packed_anew_and_old_ones_forgotten() -> None:
    encoder = EntriesEncoder()
    first = encoder.encode(entries(1, 1, 1))
    assert encoder.encode(entries(1, 1)) != first
    assert encoder.encode(entries(1, 1, 2)) != first
    for index in range(2, ENCODINGS_KEPT + 2):
        encoder.encode([entry(index, 1)])
    assert encoder.encode(entries(1, 1, 1)) is not first


def test_a_member_that_joins_is_told_who_it_is() -> None:
    request = JoinRequest(2**64 - 1, 0, ("tcp://a:1", "tcp://b:1"))
    assert CODEC.decode(encode_join(request)) == request
    packed = encode_membership(voters(3))
    welcome = Welcome(2, 7, CLUSTER, request.nonce, packed, True, 5, 6, 4, 7, ("tcp://c:1",))
    frame = CODEC.encode_welcome(welcome)
    assert decode_welcome(frame) == CODEC.decode(frame) == welcome


@pytest.mark.parametrize("said", [Ping(9, 2, 2**60), Pong(2, 9, 2**60)])
def test_a_ping_and_its_answer_come_through_within_one_cluster(said: Ping | Pong) -> None:
    frame = CODEC.encode_ping(said)
    assert CODEC.decode(frame) == said
    with pytest.raises(WireError, match="another cluster"):
        PeerCodec(CLUSTER + 1).decode(frame)
    with pytest.raises(WireError, match=f"malformed {type(said).__name__}"):
        CODEC.decode(pack((unpack(frame)[0], CLUSTER, 9, 2, -1)))


def test_a_member_says_where_it_is_reached() -> None:
    frame = CODEC.encode_introduction(Introduction(9, "tcp://a:1"))
    assert CODEC.decode(frame) == Introduction(9, "tcp://a:1")
    with pytest.raises(WireError, match="another cluster"):
        PeerCodec(CLUSTER + 1).decode(frame)


@given(st.binary(max_size=60))
def test_what_is_no_welcome_is_none(frame: bytes) -> None:
    assert decode_welcome(frame) is None


def test_a_change_that_names_nobody_is_the_leaders_to_refuse() -> None:
    request = ChangeRequest(1, 2, 3, 4, RemoveMember(0))
    assert CODEC.decode(CODEC.encode(request)) == request


@pytest.mark.parametrize(
    "change", [UpdateMember(1, ()), UpdateMember(1, ("nonsense",)), AddMember(Peer(0, ()), True)]
)
def test_a_change_that_no_member_would_keep_gets_no_frame(change: MemberChange) -> None:
    with pytest.raises(ValueError, match=r"URL|not from"):
        CODEC.encode(ChangeRequest(1, 2, 3, 4, change))
