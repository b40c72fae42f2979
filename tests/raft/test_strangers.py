"""Whatever decodes as a message, from members and strangers, raises nothing in a RaftActor.

Numbers are small, at the edges of their ranges, and beyond; the member follows, leads, or joins.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from random import getrandbits
from typing import Any

import pytest
from hypothesis import given, settings
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
from actors.language.messages import PeerFrames, Tick
from actors.raft.actor import RaftActor
from actors.raft.codec import PeerCodec
from actors.raft.core import RaftCore
from actors.raft.disk.mark import Mark
from actors.raft.disk.shipping import Shipping
from actors.raft.leader import Leader
from actors.raft.log import RaftLog
from actors.raft.membership import UNKNOWN_MEMBERS, Membership, encode
from actors.raft.outcome import CoreConfig, Ending, Recovered
from actors.raft.rpc import (
    AppendRequest,
    AppendResponse,
    ChangeRefusal,
    ChangeRequest,
    Confession,
    Contradiction,
    Doubt,
    ForwardRefusal,
    ForwardRequest,
    HardState,
    Heartbeat,
    HeartbeatResponse,
    Introduction,
    JoinRequest,
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
from actors.raft.seams import Links
from actors.raft.surroundings import LogRetention, Polling, Surroundings
from actors.runtime.base import Ring
from actors.runtime.disk import DiskWaits
from cluster.wire import pack
from tests.forgery import forged
from tests.probes import ManualClock
from tests.raft.harness import ELECTION_MS, HEARTBEAT_MS, HOLD_MS, START_MS, peer, voters
from tests.raft.test_raft_actor import Recorder
from tests.simulation.disk import SimulatedDisk

CODEC = PeerCodec(7)
OWN = 1
WITH_LEARNER = voters(3)._replace(
    peers=(*voters(3).peers, peer(4)), learners=frozenset({4}), former=(peer(5),)
)
TERM = 2

edges = st.sampled_from((0, 1, 2, 3, 4, 10**9, 2**24 + 3, 2**53, 2**62, 2**62 + 1, 2**64 - 1))
numbers = st.one_of(st.integers(0, 5), edges)
terms = st.one_of(st.just(TERM), st.integers(0, 4), edges)
members = st.sampled_from((0, 1, 2, 2, 2, 3, 3, 4, 5, 9, 2**64 - 1))
targets = st.sampled_from((OWN, OWN, OWN, OWN, OWN, OWN, 2, 9))
flags = st.booleans()
commands = st.sampled_from(
    (
        b"",
        b"\xc1garbage",
        b"{",
        b"{}",
        encode(voters(2)),
        encode(WITH_LEARNER),
        encode(UNKNOWN_MEMBERS),
        encode_command(Put(b"k", b"v"), None),
        encode_command(SetMembers((), b"not json"), None),
    )
)
changes = st.sampled_from(
    (
        AddMember(peer(6), learner=False),
        AddMember(peer(1), learner=True),
        RemoveMember(2),
        RemoveMember(9),
        ReplaceMember(3, peer(7)),
        UpdateMember(2, ("tcp://moved:1",)),
        PromoteMember(4),
    )
)


@st.composite
def runs(draw: st.DrawFn) -> tuple[int, tuple[Entry, ...]]:
    """An index, and consecutive entries after it."""
    prev_index = draw(numbers)
    bodies = draw(st.lists(st.tuples(terms, numbers, members, numbers, commands), max_size=4))
    return prev_index, tuple(Entry(n, *body) for n, body in enumerate(bodies, prev_index + 1))


@st.composite
def appends(draw: st.DrawFn) -> AppendRequest:
    prev_index, run = draw(runs())
    head = (draw(members), draw(targets), draw(terms), draw(numbers))
    return AppendRequest(*head, prev_index, draw(terms), draw(numbers), run)


def of(kind: Any, *fields: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.builds(kind, members, targets, terms, *fields)


proposals = st.builds(Proposal, members, numbers, commands)
names = st.sampled_from(("Unhealthy", "NoSpace"))
messages = st.one_of(
    appends(),
    of(AppendResponse, numbers, numbers, flags, numbers, terms),
    of(Heartbeat, *[numbers] * 5, flags),
    of(HeartbeatResponse, *[numbers] * 4, flags),
    of(ForwardRequest, st.lists(proposals, max_size=3).map(tuple)),
    of(ReadRequest, numbers),
    of(ReadResponse, numbers, numbers, numbers),
    of(VoteRequest, flags, numbers, terms, flags),
    of(VoteResponse, flags, flags),
    of(ForwardRefusal, st.lists(numbers, max_size=3).map(tuple), names | st.just("")),
    of(SnapshotChunk, *[numbers] * 7, st.binary(max_size=3)),
    of(SnapshotAck, numbers, numbers),
    of(TimeoutNow),
    of(ChangeRequest, numbers, changes),
    of(ChangeRefusal, numbers, names),
    of(RemovedNotice),
    of(Contradiction, numbers, terms, numbers),
    of(Confession, numbers, numbers),
    of(Doubt, numbers, numbers),
)


def _frame(message: Any) -> bytes:
    try:
        return forged(CODEC.cluster_id, message)
    except OverflowError:
        return b""  # such a number cannot be sent


urls = st.sampled_from(("tcp://h:1", "nonsense", "tcp://_h:1", ""))
WELCOME_FIELDS = (
    numbers,
    st.just(encode(voters(4))),
    flags,
    *[numbers] * 4,
    st.lists(urls, max_size=9).map(tuple),
)
frames = st.one_of(
    messages.map(_frame),
    st.builds(Introduction, members, urls).map(_frame),
    st.builds(
        JoinRequest, numbers, members, st.lists(urls, max_size=9).map(tuple), st.booleans()
    ).map(_frame),
    st.builds(Welcome, members, members, st.just(7), *WELCOME_FIELDS).map(_frame),
    st.tuples(st.just(7), st.integers(-1, 17), st.lists(numbers, max_size=9)).map(
        lambda row: pack((row[0], row[1], *row[2]))
    ),
    st.binary(max_size=9),
)
steps = st.lists(st.one_of(frames, st.integers(0, 2 * ELECTION_MS)), max_size=25)


class Deaf(Recorder):
    """Everything around an actor; nothing is kept, and any frame may leave."""

    def send(self, member_id: int, frame: bytes) -> bool:
        CODEC.decode(frame)
        return True


class Member:
    """An actor of member 1, with a store that installs what it is told to."""

    def __init__(self, membership: Membership, term: int) -> None:
        self.clock = ManualClock(START_MS)
        self.around = Deaf()
        self.endings: list[Ending] = []
        around = self.around

        def open_links(mailbox: Polling) -> Links:
            return around

        entries = [Entry(1, 1, 5, 0, 0, encode(membership))] if membership.voters else []
        config = CoreConfig(OWN, HEARTBEAT_MS, ELECTION_MS, HOLD_MS)
        log, state = RaftLog(0, 0, entries), HardState(term, 0, 0)
        recovered = Recovered(state, log, membership, 0, 0)
        self.core = RaftCore(config, recovered, START_MS, lambda limit: 0)
        self.actor = RaftActor(
            self.core,
            around,
            DiskWaits("log sync"),
            Mark(Path("/wal"), SimulatedDisk(lambda: None)),
            PeerCodec(7),
            Shipping(
                self.core, around, Path("/snapshots"), SimulatedDisk(lambda: None), getrandbits
            ),
            LogRetention(entries=10, bytes=1 << 20),
            Surroundings(open_links, (), ("tcp://flag:1",), getrandbits, self.endings.append),
            self.clock,
        )
        self.actor.join(Ring(around, around, around, around, around))
        self.actor.open()

    def take(self, *step: bytes | int) -> None:
        """Hear a frame, or let time pass."""
        for each in step:
            if isinstance(each, int):
                self.clock.now_ms += each
                self.actor.receive(Tick(self.clock.now_ms))
            else:
                self.actor.receive(PeerFrames((each,)))
            while self.actor.settle():
                pass

    def lead(self) -> None:
        """Win term 2."""
        self.take(2 * ELECTION_MS)
        for pre in (True, False):
            self.take(CODEC.encode(VoteResponse(2, 1, TERM, pre, True)))
            self.take(CODEC.encode(VoteResponse(3, 1, TERM, pre, True)))
        assert isinstance(self.core.role, Leader)


def follower() -> Member:
    return Member(WITH_LEARNER, TERM)


def leader() -> Member:
    member = Member(WITH_LEARNER, 1)
    member.lead()
    return member


def newcomer() -> Member:
    return Member(UNKNOWN_MEMBERS, 0)


@pytest.mark.campaign
@pytest.mark.parametrize("make", [follower, leader, newcomer])
@settings(max_examples=400)
@given(taken=steps)
def test_no_message_raises_anything(make: Callable[[], Member], taken: list[bytes | int]) -> None:
    member = make()
    member.take(*taken)
    assert member.core.replica.commit <= member.core.replica.log.last_index
