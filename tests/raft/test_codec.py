"""Peer frames: what goes in comes out, and nothing else ever comes in."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from actors.language.codec import encode_command
from actors.language.commands import Put, SetMembers
from actors.language.entries import Entry, Proposal
from actors.language.members import (
    AddMember,
    PromoteMember,
    RemoveMember,
    ReplaceMember,
    UpdateMember,
)
from actors.raft.codec import (
    ENCODINGS_KEPT,
    EntriesEncoder,
    PeerCodec,
    decode_entries,
    decode_welcome,
    encode_join,
)
from actors.raft.membership import encode as encode_membership
from actors.raft.rpc import (
    AppendRequest,
    AppendResponse,
    ChangeRefusal,
    ChangeRequest,
    ForwardRefusal,
    ForwardRequest,
    Heartbeat,
    HeartbeatResponse,
    Introduction,
    JoinRequest,
    Message,
    ReadRequest,
    ReadResponse,
    RemovedNotice,
    SnapshotAck,
    SnapshotChunk,
    TimeoutNow,
    VoteRequest,
    VoteResponse,
    Welcome,
)
from cluster.errors import FAULTS
from cluster.wire import WireError, pack, unpack
from tests.raft.harness import entries, entry, peer, voters

CLUSTER = 0xFEDCBA9876543210
CODEC = PeerCodec(CLUSTER)

numbers = st.integers(0, 2**62)
members = st.integers(1, 2**64 - 1)


@st.composite
def runs(draw: st.DrawFn) -> tuple[Entry, ...]:
    """Consecutive entries."""
    first = draw(st.integers(1, 2**40))
    bodies = draw(
        st.lists(st.tuples(numbers, numbers, members, members, st.binary(max_size=50)), max_size=5)
    )
    return tuple(Entry(index, *body) for index, body in enumerate(bodies, first))


@st.composite
def appends(draw: st.DrawFn) -> AppendRequest:
    run = draw(runs())
    prev_index = run[0].index - 1 if run else draw(numbers)
    head = (draw(members), draw(members), draw(numbers), draw(numbers))
    return AppendRequest(*head, prev_index, draw(numbers), draw(numbers), run)


def of(kind: Any, *fields: st.SearchStrategy[Any]) -> st.SearchStrategy[Message]:
    return st.builds(kind, members, members, numbers, *fields)


flags = st.booleans()
commands = st.tuples(st.binary(max_size=9), st.binary(max_size=50)).map(lambda kv: Put(*kv))
proposals = st.builds(
    Proposal, members, members, commands.map(lambda command: encode_command(command, None))
)
names = st.sampled_from(sorted(FAULTS))
changes = st.sampled_from(
    (
        AddMember(peer(2**64 - 1), learner=True),
        ReplaceMember(1, peer(4)),
        UpdateMember(3, ("tcp://a:1", "tcp://b:1")),
        RemoveMember(5),
        PromoteMember(6),
    )
)
messages = st.one_of(
    appends(),
    of(AppendResponse, numbers, numbers, flags, numbers, numbers),
    of(Heartbeat, numbers, numbers, numbers, numbers, numbers, flags),
    of(HeartbeatResponse, numbers, numbers, numbers, numbers),
    of(ForwardRequest, st.lists(proposals, max_size=5).map(tuple)),
    of(ReadRequest, numbers),
    of(ReadResponse, numbers, numbers, numbers),
    of(VoteRequest, flags, numbers, numbers, flags),
    of(VoteResponse, flags, flags),
    of(ForwardRefusal, st.lists(members, max_size=5).map(tuple), names | st.just("")),
    of(SnapshotChunk, *[numbers] * 7, st.binary(max_size=50)),
    of(SnapshotAck, numbers, numbers),
    of(TimeoutNow),
    of(ChangeRequest, members, changes),
    of(ChangeRefusal, members, names),
    of(RemovedNotice),
)
leaves = st.none() | flags | st.integers(-(2**63), 2**64 - 1) | st.floats() | st.binary(max_size=9)
values = st.recursive(
    leaves | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=6) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=20,
)


@given(messages)
def test_every_message_comes_back_as_it_was(message: Message) -> None:
    decoded = PeerCodec(CLUSTER).decode(PeerCodec(CLUSTER).encode(message))
    assert decoded == message
    assert type(decoded) is type(message)
    if isinstance(decoded, AppendRequest):
        assert all(type(each) is Entry for each in decoded.entries)
    if isinstance(decoded, ForwardRequest):
        assert all(type(each) is Proposal for each in decoded.proposals)


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
    assert not isinstance(message, Introduction | JoinRequest | Welcome)
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
        (13, (1, 2, 3, 4, b'["Promote", 5]')),
        (13, (1, 2, 3, 4, b'["RemoveMember", true]')),
        (13, (1, 2, 3, 4, b'["RemoveMember", 18446744073709551616]')),
        (13, (1, 2, 3, 4, b'["UpdateMember", 5, []]')),
        (13, (1, 2, 3, 4, b'["UpdateMember", 5, ["nonsense"]]')),
        (13, (1, 2, 3, 4, b'["AddMember", [5, ["tcp://b:1", "tcp://a:1"]], false]')),
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


def test_a_member_says_where_it_is_reached() -> None:
    frame = CODEC.encode_introduction(9, "tcp://a:1")
    assert CODEC.decode(frame) == Introduction(9, "tcp://a:1")
    with pytest.raises(WireError, match="another cluster"):
        PeerCodec(CLUSTER + 1).decode(frame)


@given(st.binary(max_size=60))
def test_what_is_no_welcome_is_none(frame: bytes) -> None:
    assert decode_welcome(frame) is None
