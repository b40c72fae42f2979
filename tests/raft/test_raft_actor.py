"""RaftActor, not started: in which order it sends, saves, applies and answers."""

from __future__ import annotations

import errno
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from random import getrandbits
from typing import Any

import pytest

from actors.language.codec import decode_command
from actors.language.commands import Range, SetMembers
from actors.language.entries import Entry, Proposal
from actors.language.members import AddMember
from actors.language.messages import (
    Apply,
    ChangeMembers,
    ConfirmedRead,
    Durable,
    Failed,
    HandOver,
    Leadership,
    Moved,
    MoveLeader,
    PeerFrames,
    PeersDown,
    Propose,
    Question,
    Read,
    Tick,
)
from actors.language.metrics import RaftMetrics, Survey
from actors.language.queries import RaftStatus, Status
from actors.language.results import Failure
from actors.raft.actor import (
    RaftActor,
)
from actors.raft.codec import PeerCodec
from actors.raft.disk.mark import Mark
from actors.raft.disk.room import LOOK_EVERY_MS
from actors.raft.disk.shipping import Shipping
from actors.raft.facts import NearMiss
from actors.raft.gathering import WAIT_MS
from actors.raft.log import LogStart
from actors.raft.outcome import Removed
from actors.raft.probation import Probation
from actors.raft.rpc import (
    AppendRequest,
    AppendResponse,
    HardState,
    Heartbeat,
    HeartbeatResponse,
    Introduction,
    JoinRequest,
    Message,
    RemovedNotice,
    SnapshotChunk,
    TimeoutNow,
    VoteRequest,
    VoteResponse,
    Welcome,
)
from actors.raft.seams import Links, Waits
from actors.raft.surroundings import LogRetention, Polling, Surroundings
from actors.runtime.base import Ring
from actors.runtime.disk import DiskWaits
from tests.probes import ManualClock
from tests.raft.harness import (
    ELECTION_MS,
    HEARTBEAT_MS,
    HOLD_MS,
    START_MS,
    entries,
    make_core,
    peer,
)
from tests.simulation.disk import SimulatedDisk
from tests.twins import LateWaits

CODEC = PeerCodec(7)
SAVED = "saved"


class Recorder:
    """Storage, links and all neighbours: one list of what happened, in order."""

    def __init__(self) -> None:
        self.happened: list[Any] = []
        self.fails_to_save = False
        self.closed: list[str] = []
        self.linked: set[int] = set()
        self.introduced: list[int] = []
        self.asked: list[JoinRequest] = []
        self.asked_at: list[int] = []
        self.welcomed: list[Welcome] = []
        self.room = True
        self.sync_error: OSError | None = None

    def sync(self) -> None:
        if self.sync_error is not None:
            raise self.sync_error

    def write(self, hard_state: HardState, entries: Sequence[Entry], start: LogStart) -> None:
        if self.fails_to_save:
            raise OSError(errno.EIO, "input/output error")
        self.happened.append((SAVED, hard_state, entries))

    def cut(self, index: int) -> None:
        self.happened.append(("cut", index))

    def expect_snapshot(
        self, hard_state: HardState, expected: tuple[int, int], start: LogStart
    ) -> None:
        self.happened.append(("expects", hard_state.term, *expected, start.index))

    def reset(self, hard_state: HardState, entries: Sequence[Entry], start: LogStart) -> None:
        self.happened.append(("reset", start.index, start.term))

    def has_room(self) -> bool:
        return self.room

    def update(self, urls: dict[int, str]) -> None:
        self.linked = set(urls)

    def send(self, member_id: int, frame: bytes) -> bool:
        message = CODEC.decode(frame)
        if isinstance(message, JoinRequest):
            self.asked.append(message)
            self.asked_at.append(member_id)
            return True
        if isinstance(message, Welcome):
            self.welcomed.append(message)
            return True
        if isinstance(message, Introduction):
            assert message.member_id == 1
            self.introduced.append(member_id)
            return member_id in self.linked
        assert isinstance(message, Welcome) or message.target == member_id
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

    def __init__(
        self,
        members: int = 3,
        terms: tuple[int, ...] = (),
        probation: Probation | None = None,
        asked_urls: Sequence[str] = (),
        waits: Waits | None = None,
        clock_ns: Callable[[], int] | None = None,
    ) -> None:
        self.recorder = Recorder()
        self.clock = ManualClock(START_MS)
        recorder = self.recorder

        def open_links(mailbox: Polling) -> Links:
            return recorder

        state = HardState(1, 0, 0)
        core = make_core(members=members, terms=terms, hard_state=state, probation=probation)
        mark = self.mark = Mark(Path("/wal"), SimulatedDisk(lambda: self.recorder.tell("disk")))
        if probation is not None:
            mark.make()
        self.core = core
        self.actor = RaftActor(
            core,
            recorder,
            DiskWaits("log sync") if waits is None else waits,
            mark,
            PeerCodec(7),
            Shipping(core, recorder, Path("/nowhere"), SimulatedDisk(), getrandbits),
            LogRetention(entries=10, bytes=1 << 20),
            Surroundings(
                open_links,
                ("tcp://host1:2380",),
                asked_urls,
                getrandbits,
                recorder.tell,
                clock_ns,
            ),
            self.clock,
        )
        self.actor.join(Ring(recorder, recorder, recorder, recorder, recorder))
        self.actor.open()
        recorder.take()

    def burst(self, *messages: Any) -> None:
        """Messages, and then nothing more for now."""
        for message in messages:
            self.actor.receive(message)
        while self.actor.settle():
            pass

    def end_of(self, waits: LateWaits) -> None:
        """A sync that was under way ends, and the actor hears of that."""
        waits.work_now()
        self.burst(self.actor.mailbox.pop())

    def hear(self, *messages: Message) -> None:
        """Peers' messages in one burst."""
        codec = PeerCodec(7)  # one that keeps no entries of another test's cluster
        self.burst(PeerFrames(tuple(codec.encode(message) for message in messages)))

    def lead(self) -> None:
        """Win term 2, and commit in it."""
        self.clock.now_ms = self.core.next_tick_ms
        self.burst(Tick(self.clock.now_ms))
        for pre in (True, False):
            self.hear(VoteResponse(2, 1, 2, pre, True))
        self.acknowledge()
        self.recorder.take()

    def lead_alone(self) -> None:
        """Be elected, as the only member is at its first tick."""
        self.clock.now_ms = self.core.next_tick_ms
        self.burst(Tick(self.clock.now_ms))
        self.recorder.take()

    def wait(self, milliseconds: int) -> None:
        """Let time pass, and tick."""
        self.clock.now_ms += milliseconds
        self.burst(Tick(self.clock.now_ms))

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
    shell.hear(VoteRequest(2, 1, 5, False, 9, 4))
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


def test_while_a_save_is_under_way_only_what_needs_none_is_said_and_decided() -> None:
    waits = LateWaits()
    shell = Shell(waits=waits)
    shell.hear(Heartbeat(2, 1, 3, 3, 0, 0, 0, 0, True))
    assert HeartbeatResponse not in shell.recorder.kinds(), "it shows a term that is not saved"
    shell.end_of(waits)
    assert HeartbeatResponse in shell.recorder.kinds()
    shell.hear(AppendRequest(2, 1, 3, 3, 0, 0, 1, entries(1, 3, 3)))
    assert AppendResponse not in shell.recorder.kinds()
    # The leader is answered that this member lives, and sends more, which waits for its own save.
    shell.hear(
        Heartbeat(2, 1, 3, 3, 0, 2, 0, 0, True), AppendRequest(2, 1, 3, 3, 2, 3, 1, entries(3, 3))
    )
    assert set(shell.recorder.kinds()) == {HeartbeatResponse}
    shell.end_of(waits)
    first = shell.recorder.take()
    assert [each for each in first if isinstance(each, AppendResponse)] == [
        AppendResponse(1, 2, 3, 3, 2, False, 0, 0)
    ]
    assert Apply(entries(1, 3)) in first
    (saved,) = [each for each in first if each[0] is SAVED]
    assert saved[2] == entries(3, 3)
    shell.end_of(waits)
    assert AppendResponse(1, 2, 3, 3, 3, False, 0, 0) in shell.recorder.take()


def test_a_vote_in_a_term_that_came_during_a_save_waits_for_the_next_save() -> None:
    waits = LateWaits()
    shell = Shell(waits=waits)
    shell.hear(AppendRequest(2, 1, 3, 3, 0, 0, 0, entries(1, 3)))
    shell.clock.now_ms += ELECTION_MS
    shell.hear(VoteRequest(3, 1, 4, False, 9, 3))
    shell.end_of(waits)
    happened = shell.recorder.take()
    assert VoteResponse not in map(type, happened)
    assert AppendResponse not in map(type, happened), "the next leader may replace its entries"
    assert [each[1] for each in happened if each[0] is SAVED][-1] == HardState(4, 3, 0)
    shell.end_of(waits)
    assert VoteResponse(1, 3, 4, False, True) in shell.recorder.take()


def test_what_touches_the_log_on_disk_waits_for_the_end_of_a_save() -> None:
    waits = LateWaits()
    shell = Shell(waits=waits)
    shell.hear(AppendRequest(2, 1, 3, 3, 0, 0, 2, entries(1, 3, 3)))
    shell.end_of(waits)
    shell.hear(AppendRequest(2, 1, 3, 3, 2, 3, 2, entries(3, 3)))
    shell.recorder.take()
    shell.burst(Durable(2))
    assert not any(each[0] == "cut" for each in shell.recorder.take())
    shell.end_of(waits)
    assert any(each[0] == "cut" for each in shell.recorder.take())


def test_a_disk_that_fails_while_others_go_on_ends_the_actor() -> None:
    waits = LateWaits()
    shell = Shell(waits=waits)
    shell.hear(AppendRequest(2, 1, 3, 3, 0, 0, 0, entries(1, 3)))
    shell.recorder.sync_error = OSError(errno.EIO, "input/output error")
    with pytest.raises(OSError, match="input/output"):
        shell.end_of(waits)


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
        VoteRequest(2, 1, 5, False, 9, 4),
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
    good = CODEC.encode(VoteRequest(2, 1, 5, False, 9, 4))
    other = PeerCodec(8).encode(VoteRequest(3, 1, 9, False, 9, 9))
    shell.burst(PeerFrames((b"\xc1rubbish", other, good)))
    assert VoteResponse in shell.recorder.kinds()
    assert shell.core.term == 5


def test_a_status_is_answered_without_a_quorum() -> None:
    shell = Shell(terms=(1, 1))
    shell.actor.receive(Read((Question(9, Status()),)))
    status = Status(RaftStatus(leader=0, term=1, last_index=2, is_learner=False))
    assert shell.recorder.take() == [ConfirmedRead((Question(9, status),), 0)]


def test_a_status_says_that_a_member_without_its_disk_has_yet_to_catch_up() -> None:
    shell = Shell(probation=Probation(nonce=1))
    shell.actor.receive(Read((Question(9, Status()),)))
    status = Status(RaftStatus(0, 1, 0, is_learner=False, has_caught_up=False))
    assert ConfirmedRead((Question(9, status),), 0) in shell.recorder.take()


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
    assert told == [Leadership(2, 3, None)] * 4


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
    assert wake_ms is not None and wake_ms <= shell.clock.now_ms + WAIT_MS
    shell.clock.now_ms += WAIT_MS
    shell.burst(Tick(shell.clock.now_ms))
    assert SAVED in shell.recorder.kinds()


def test_closing_gives_back_links_and_storage() -> None:
    shell = Shell()
    shell.actor.close()
    assert shell.recorder.closed == ["closed", "closed"]


# --- the disk, members, and handing over ---


def test_writes_are_refused_before_the_disk_is_full_and_taken_again_when_there_is_room() -> None:
    shell = Shell(members=1)
    shell.lead_alone()
    shell.recorder.room = False
    shell.wait(LOOK_EVERY_MS)
    shell.burst(Propose((Proposal(1, 5, b"x"),)))
    failed = [each for each in shell.recorder.take() if isinstance(each, Failed)]
    assert failed == [Failed((5,), Failure("NoSpace"), outcome_unknown=False)]
    shell.recorder.room = True
    shell.wait(LOOK_EVERY_MS)
    shell.recorder.take()
    shell.burst(Propose((Proposal(1, 6, b"x"),)))
    applied = [each for each in shell.recorder.take() if isinstance(each, Apply)]
    assert [entry.ticket for apply in applied for entry in apply.entries] == [6]


def test_the_log_is_cut_behind_what_the_store_holds_but_for_a_tail() -> None:
    shell = Shell(members=1)
    shell.lead_alone()
    shell.burst(Propose(tuple(Proposal(1, ticket, b"x") for ticket in range(1, 50))))
    shell.recorder.take()
    shell.burst(Durable(40))
    assert ("cut", 30) in shell.recorder.take()
    assert shell.core.replica.log.first_index == 31


def test_a_change_of_members_reaches_the_store_as_its_command_and_changes_the_links() -> None:
    shell = Shell(members=1)
    shell.lead_alone()
    shell.burst(ChangeMembers(AddMember(peer(2), learner=True), 9))
    (apply,) = [each for each in shell.recorder.take() if isinstance(each, Apply)]
    command, *_ = decode_command(apply.entries[-1].command)
    assert isinstance(command, SetMembers)
    assert [(m.id, m.is_learner) for m in command.members] == [(1, False), (2, True)]
    assert apply.entries[-1].ticket == 9
    assert shell.recorder.linked == {2}


def test_a_candidate_and_a_leader_say_where_they_are_until_they_are_heard() -> None:
    shell = Shell()
    shell.clock.now_ms = shell.core.next_tick_ms
    shell.burst(Tick(shell.clock.now_ms))
    assert shell.recorder.introduced == [2, 3]
    for pre in (True, False):
        shell.hear(VoteResponse(2, 1, 2, pre, True))
    shell.acknowledge()
    shell.recorder.introduced.clear()
    shell.wait(HEARTBEAT_MS)
    assert shell.recorder.introduced == [3], "member 2 was heard"
    last_index = shell.core.replica.log.last_index
    for _ in range(ELECTION_MS // HEARTBEAT_MS + 1):
        shell.recorder.introduced.clear()
        shell.hear(AppendResponse(3, 1, 2, 2, last_index, False, 0, 0))
        shell.wait(HEARTBEAT_MS)
    assert shell.recorder.introduced == [2], "it may have been started again"


def test_a_lone_node_that_stops_has_nobody_to_hand_over_to_and_does_not_wait() -> None:
    done: list[str] = []
    shell = Shell(members=1)
    shell.lead_alone()
    shell.burst(HandOver(lambda: done.append("done")))
    assert done == ["done"]


def test_a_leader_that_stops_lets_the_one_that_lacks_least_stand_at_once() -> None:
    done: list[str] = []
    shell = Shell()
    shell.lead()
    shell.burst(HandOver(lambda: done.append("done")))
    sent = [each for each in shell.recorder.take() if isinstance(each, TimeoutNow)]
    assert (sent, done) == ([TimeoutNow(1, 2, 2)], [])
    shell.hear(VoteRequest(2, 1, 3, False, 99, 2, True))
    assert done == [], "its vote may be needed yet"
    shell.hear(Heartbeat(2, 1, 3, 1, 0, 0, 0, 0, True))
    assert done == ["done"]


def test_only_a_leader_says_that_nobody_is_no_voter() -> None:
    leader, follower = Shell(), Shell()
    leader.lead()
    for shell in (leader, follower):
        shell.burst(MoveLeader(0, 4))
    (refused,) = (each for each in leader.recorder.take() if isinstance(each, Failed))
    assert refused == Failed((4,), Failure("BadLeaderTransferee"), outcome_unknown=False)
    (refused,) = (each for each in follower.recorder.take() if isinstance(each, Failed))
    assert refused == Failed((4,), Failure("NotLeader"), outcome_unknown=False)


def test_every_move_of_the_leader_is_answered_by_what_became_of_it() -> None:
    shell = Shell()
    shell.lead()
    shell.burst(MoveLeader(2, 4), MoveLeader(3, 5), MoveLeader(2, 6), MoveLeader(1, 7))
    answers = [each for each in shell.recorder.take() if isinstance(each, Failed | Moved)]
    refused = Failed((5,), Failure("TransferUnderWay"), outcome_unknown=False)
    assert answers == [refused, Moved(7)]
    shell.hear(VoteRequest(2, 1, 3, False, 99, 2, True))
    shell.hear(Heartbeat(3, 1, 4, 1, 0, 0, 0, 0, True))
    answers = [each for each in shell.recorder.take() if isinstance(each, Failed | Moved)]
    failure = Failure("TimeoutLeaderTransfer")
    assert answers == [Failed((ticket,), failure, False) for ticket in (4, 6)]


def test_a_move_to_a_member_that_is_none_fails_under_etcds_name() -> None:
    shell = Shell()
    shell.lead()
    shell.burst(MoveLeader(9, 4))
    (failed,) = [each for each in shell.recorder.take() if isinstance(each, Failed)]
    assert failed == Failed((4,), Failure("BadLeaderTransferee"), outcome_unknown=False)


def test_a_coming_snapshot_is_noted_with_the_present_term_after_what_is_saved() -> None:
    shell = Shell(terms=(1, 1, 1))
    chunk = SnapshotChunk(2, 1, 3, 9, 5, 100, 3, 1, 0, zlib.crc32(b"x"), b"x")
    shell.hear(AppendRequest(2, 1, 3, 9, 3, 1, 0, entries(4, 3, 3)), chunk)
    happened = shell.recorder.take()
    (note,) = [each for each in happened if each[0] == "expects"]
    assert note == ("expects", 3, 100, 3, 3)


def test_a_removed_member_says_so_once() -> None:
    shell = Shell()
    shell.hear(RemovedNotice(2, 1, 1))
    shell.hear(RemovedNotice(3, 1, 1))
    assert shell.recorder.take().count(Removed()) == 1


def surveyed(shell: Shell) -> RaftMetrics:
    """Raft's part of a survey, which goes on to the store."""
    shell.burst(Survey(7))
    (survey,) = [each for each in shell.recorder.take() if isinstance(each, Survey)]
    assert survey.ticket == 7
    assert survey.raft is not None
    return survey.raft


def test_leaders_syncs_and_commits_are_counted_and_need_no_leader() -> None:
    shell = Shell()
    alone = surveyed(shell)
    assert (alone.has_leader, alone.is_leader, alone.is_learner) == (False, False, False)
    assert (alone.leader_changes, alone.vote) == (0, 0)
    shell.lead()
    led = surveyed(shell)
    assert (led.has_leader, led.is_leader, led.leader_changes) == (True, True, 1)
    assert led.vote == shell.core.config.member_id
    assert led.proposals_committed == shell.core.replica.commit > alone.proposals_committed
    assert led.wal_syncs.counts[-1] > alone.wal_syncs.counts[-1]
    assert (led.snapshots_sent, led.snapshots_received, led.slow_read_indexes) == (0, 0, 0)


def test_heartbeats_that_came_late_but_in_time_are_counted() -> None:
    shell = Shell()
    assert surveyed(shell).near_misses == 0
    for silent_ms in (180, 190):
        shell.core.elector.facts.note(NearMiss(2, silent_ms, 412))
        shell.burst()
    assert surveyed(shell).near_misses == 2
