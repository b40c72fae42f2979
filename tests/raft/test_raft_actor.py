"""RaftActor, not started: in which order it sends, saves, applies and answers."""

from __future__ import annotations

import errno
from typing import Any

import pytest

from actors.base import Ring
from actors.mailbox import Mailbox
from actors.messages import (
    Apply,
    ConfirmedRead,
    Drained,
    Failed,
    Leadership,
    PeerFrames,
    PeersDown,
    Propose,
    Question,
    Read,
    Tick,
)
from actors.raft.actor import FLUSH_PROPOSALS_MAX, GATHER_MS, Links, RaftActor
from actors.raft.codec import PeerCodec
from actors.raft.rpc import (
    AppendRequest,
    AppendResponse,
    Entry,
    HardState,
    Heartbeat,
    HeartbeatResponse,
    Message,
    Proposal,
    VoteRequest,
    VoteResponse,
)
from actors.store.commands import RaftStatus, Range, Status
from tests.probes import ManualClock
from tests.raft.harness import HOLD_MS, START_MS, entries, make_core

CODEC = PeerCodec(7)
SAVED = "saved"


class Recorder:
    """Storage, links and all neighbours: one list of what happened, in order."""

    def __init__(self) -> None:
        self.happened: list[Any] = []
        self.fails_to_save = False
        self.closed: list[str] = []

    def save(self, hard_state: HardState, entries: tuple[Entry, ...]) -> None:
        if self.fails_to_save:
            raise OSError(errno.EIO, "input/output error")
        self.happened.append((SAVED, hard_state, entries))

    def send(self, member_id: int, frame: bytes) -> bool:
        message = CODEC.decode(frame)
        assert message.target == member_id
        self.happened.append(message)
        return True

    def tell(self, message: Any) -> None:
        self.happened.append(message)

    def close(self) -> None:
        self.closed.append("closed")

    def take(self) -> list[Any]:
        """What happened since the last call."""
        happened, self.happened = self.happened, []
        return happened

    def kinds(self) -> list[Any]:
        """The same, by kind."""
        return [SAVED if each[0] is SAVED else type(each) for each in self.take()]


class Shell:
    """An actor of member 1, and what it does."""

    def __init__(self, members: int = 3, terms: tuple[int, ...] = ()) -> None:
        self.recorder = Recorder()
        self.clock = ManualClock(START_MS)
        recorder = self.recorder

        def open_links(mailbox: Mailbox) -> Links:
            return recorder

        core = make_core(members=members, terms=terms, hard_state=HardState(1, 0, 0))
        self.core = core
        self.actor = RaftActor(core, recorder, PeerCodec(7), open_links, self.clock)
        self.actor.join(Ring(recorder, recorder, recorder, recorder, recorder))
        self.actor.open()
        recorder.take()

    def burst(self, *messages: Any) -> None:
        """Messages, and then nothing more for now."""
        for message in messages:
            self.actor.receive(message)
        self.actor.receive(Drained())

    def hear(self, *messages: Message) -> None:
        """Peers' messages in one burst."""
        self.burst(PeerFrames(tuple(CODEC.encode(message) for message in messages)))

    def lead(self) -> None:
        """Win term 2, and commit in it."""
        self.clock.now_ms = self.core.next_tick_ms
        self.burst(Tick(self.clock.now_ms))
        for pre in (True, False):
            self.hear(VoteResponse(2, 1, 2, pre, True))
        self.acknowledge()
        self.recorder.take()

    def acknowledge(self) -> None:
        """Member 2 holds everything."""
        last_index = self.core.replica.log.last_index
        self.hear(AppendResponse(2, 1, 2, 2, last_index, False, 0, 0))

    def propose(self, *commands: bytes) -> Propose:
        return Propose(tuple(Proposal(1, t, c) for t, c in enumerate(commands, 1)))


def test_a_leader_sends_appends_then_saves_once() -> None:
    shell = Shell()
    shell.lead()
    shell.burst(shell.propose(b"a", b"b"), shell.propose(b"c"))
    append, *rest = shell.recorder.take()
    assert isinstance(append, AppendRequest) and len(append.entries) == 3
    ((saved, _, entries_),) = rest
    assert saved is SAVED and entries_ == append.entries


def test_a_follower_saves_then_acknowledges_and_applies() -> None:
    shell = Shell()
    shell.hear(AppendRequest(2, 1, 3, 3, 0, 0, 1, entries(1, 3, 3)))
    happened = shell.recorder.take()
    kinds = [SAVED if each[0] is SAVED else type(each) for each in happened]
    assert kinds.index(SAVED) < kinds.index(AppendResponse)
    assert kinds.index(SAVED) < kinds.index(Apply)
    assert [each for each in happened if isinstance(each, Apply)] == [Apply(entries(1, 3))]


def test_a_vote_is_saved_before_it_is_given() -> None:
    shell = Shell()
    shell.hear(VoteRequest(2, 1, 5, False, 9, 9))
    saved, vote = (e for e in shell.recorder.take() if not isinstance(e, Leadership))
    assert saved == (SAVED, HardState(5, 2, 0), ())
    assert vote == VoteResponse(1, 2, 5, False, True)


def test_a_candidate_saves_its_own_vote_before_it_asks_for_others() -> None:
    shell = Shell()
    shell.clock.now_ms = shell.core.next_tick_ms
    shell.burst(Tick(shell.clock.now_ms))
    assert shell.recorder.kinds() == [VoteRequest, VoteRequest], "a pre-vote saves nothing"
    shell.hear(VoteResponse(3, 1, 2, True, True))
    kinds = [kind for kind in shell.recorder.kinds() if kind is not Leadership]
    assert kinds == [SAVED, VoteRequest, VoteRequest]


def test_all_that_a_burst_brings_is_saved_at_once() -> None:
    shell = Shell()
    shell.hear(
        AppendRequest(2, 1, 3, 3, 0, 0, 0, entries(1, 3)),
        AppendRequest(2, 1, 3, 3, 1, 3, 1, entries(2, 3)),
        AppendRequest(2, 1, 3, 3, 2, 3, 2, entries(3, 3)),
    )
    assert shell.recorder.kinds().count(SAVED) == 1


def test_a_large_burst_is_flushed_before_it_ends() -> None:
    shell = Shell()
    shell.lead()
    shell.actor.receive(shell.propose(*[b"x"] * FLUSH_PROPOSALS_MAX))
    assert SAVED in shell.recorder.kinds()


def test_committed_entries_are_told_before_the_reads_that_need_them() -> None:
    shell = Shell()
    shell.lead()
    shell.burst(shell.propose(b"a"))
    shell.burst(Read((Question(9, Range(b"k")),)))
    beat = next(e for e in shell.recorder.take() if isinstance(e, Heartbeat))
    last_index = shell.core.replica.log.last_index
    shell.hear(
        HeartbeatResponse(2, 1, 2, 2, beat.sent_index, last_index, beat.read_id),
        AppendResponse(2, 1, 2, 2, last_index, False, 0, 0),
    )
    kinds = shell.recorder.kinds()
    assert kinds.index(Apply) < kinds.index(ConfirmedRead)


def test_what_a_quorum_has_acknowledged_is_told_before_the_next_save() -> None:
    shell = Shell()
    shell.lead()
    shell.burst(shell.propose(b"a"))
    shell.recorder.take()
    last_index = shell.core.replica.log.last_index
    answer = AppendResponse(2, 1, 2, 2, last_index, False, 0, 0)
    shell.burst(PeerFrames((CODEC.encode(answer),)), shell.propose(b"b"))
    kinds = shell.recorder.kinds()
    assert kinds.index(Apply) < kinds.index(SAVED), "somebody waits for it"


def test_a_leader_that_is_alone_commits_only_what_it_has_saved() -> None:
    shell = Shell(members=1)
    shell.clock.now_ms = shell.core.next_tick_ms
    shell.burst(Tick(shell.clock.now_ms))
    shell.recorder.take()
    shell.burst(shell.propose(b"a"))
    assert shell.recorder.kinds() == [SAVED, Apply]


@pytest.mark.parametrize(
    "message",
    [
        VoteRequest(2, 1, 5, False, 9, 9),
        AppendRequest(2, 1, 3, 3, 0, 0, 1, entries(1, 3)),
        Heartbeat(2, 1, 3, 3, 0, 0, 0, 0, True),
    ],
)
def test_a_failed_save_goes_up_and_nothing_is_said_after_it(message: Message) -> None:
    shell = Shell()
    shell.recorder.fails_to_save = True
    with pytest.raises(OSError, match="input/output error"):
        shell.hear(message)
    assert not [e for e in shell.recorder.take() if not isinstance(e, Leadership)]


def test_a_leaders_failed_save_counts_for_nothing() -> None:
    shell = Shell(members=1)
    shell.clock.now_ms = shell.core.next_tick_ms
    shell.burst(Tick(shell.clock.now_ms))
    shell.recorder.take()
    shell.recorder.fails_to_save = True
    with pytest.raises(OSError, match="input/output error"):
        shell.burst(shell.propose(b"a"))
    assert not shell.recorder.take()


def test_a_peers_rubbish_is_ignored_and_what_comes_with_it_is_not() -> None:
    shell = Shell()
    good = CODEC.encode(VoteRequest(2, 1, 5, False, 9, 9))
    other = PeerCodec(8).encode(VoteRequest(3, 1, 9, False, 9, 9))
    shell.burst(PeerFrames((b"\xc1rubbish", other, good)))
    assert VoteResponse in shell.recorder.kinds()
    assert shell.core.term == 5


def test_a_status_is_answered_without_a_quorum() -> None:
    shell = Shell(terms=(1, 1))
    shell.actor.receive(Read((Question(9, Status()),)))
    status = Status(RaftStatus(leader=0, term=1, last_index=2, is_learner=False))
    assert shell.recorder.take() == [ConfirmedRead((Question(9, status),), 0)]


def test_reads_that_nobody_waits_for_any_more_are_forgotten() -> None:
    shell = Shell()
    shell.burst(Read((Question(9, Range(b"k")),)))
    shell.clock.now_ms += HOLD_MS + 1
    shell.burst(Tick(shell.clock.now_ms))
    shell.recorder.take()
    shell.lead()
    assert ConfirmedRead not in shell.recorder.kinds()
    assert not shell.core._reads.open_ids()


def test_proposals_that_no_leader_takes_in_time_fail() -> None:
    shell = Shell()
    shell.burst(shell.propose(b"a"))
    shell.clock.now_ms += HOLD_MS + 1
    shell.burst(Tick(shell.clock.now_ms))
    (failed,) = [e for e in shell.recorder.take() if isinstance(e, Failed)]
    assert (failed.tickets, failed.failure.name, failed.outcome_unknown) == ((1,), "Timeout", False)


def test_neighbours_are_told_who_leads_once_for_each_change() -> None:
    shell = Shell()
    shell.hear(Heartbeat(2, 1, 3, 3, 0, 0, 0, 0, True))
    shell.hear(Heartbeat(2, 1, 3, 3, 0, 0, 0, 0, True))
    told = [e for e in shell.recorder.take() if isinstance(e, Leadership)]
    assert told == [Leadership(2, 3, None)] * 3


def test_a_broken_connection_to_the_leader_asks_for_a_wake_up_soon() -> None:
    shell = Shell()
    shell.hear(Heartbeat(2, 1, 3, 3, 0, 0, 0, 0, True))
    shell.actor.mailbox.pop_tick(1 << 60)
    shell.burst(PeersDown((2,)))
    wake_ms = shell.actor.mailbox.next_wake_ms
    assert wake_ms is not None and wake_ms <= shell.clock.now_ms + 20


def test_while_much_is_under_way_a_few_proposals_wait_for_company_but_not_long() -> None:
    shell = Shell()
    shell.lead()
    for command in (b"a", b"b"):
        shell.burst(shell.propose(command))
    shell.recorder.take()
    shell.burst(shell.propose(b"c"))
    assert not shell.recorder.take()
    wake_ms = shell.actor.mailbox.next_wake_ms
    assert wake_ms is not None and wake_ms <= shell.clock.now_ms + GATHER_MS
    shell.clock.now_ms += GATHER_MS
    shell.burst(Tick(shell.clock.now_ms))
    assert SAVED in shell.recorder.kinds()


def test_closing_gives_back_links_and_storage() -> None:
    shell = Shell()
    shell.actor.close()
    assert shell.recorder.closed == ["closed", "closed"]
