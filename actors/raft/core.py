"""RaftCore: what every message means for the log, for reads and for those who wait. Pure.

Inputs are `step`, `tick`, `propose`, `read_index`, `peer_down`, `persisted`; `output` says what to
send and what to make durable, `decided` what follows from what is durable. The clock and the random
source are arguments. Rules are cited as in Raft (extended version) and Ongaro's dissertation.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import assert_never

from actors.language.entries import NO_TICKET, Entry, Proposal
from actors.language.members import NOBODY
from actors.raft.leader import Leader
from actors.raft.log import LogStart
from actors.raft.membership import Membership
from actors.raft.outcome import CoreConfig, Decided, Output, Recovered, Standing
from actors.raft.progress import Contact
from actors.raft.roles import Candidate, Follower
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
    Message,
    ReadRequest,
    ReadResponse,
    RemovedNotice,
    SnapshotAck,
    SnapshotChunk,
    TimeoutNow,
    VoteRequest,
    VoteResponse,
)
from actors.raft.trial import Trial


class RaftCore(Trial):
    """One member's part in consensus. `chance(n)` gives a random integer 0 <= x < n."""

    def __init__(
        self, config: CoreConfig, recovered: Recovered, now_ms: int, chance: Callable[[int], int]
    ) -> None:
        super().__init__(config, recovered, now_ms, chance)
        self._standing = Standing(NOBODY, -1, None, False)
        self._membership_told: Membership | None = None

    # --- inputs ---

    def step(self, message: Message, now_ms: int) -> None:
        """Take another member's message; oddities and old terms are ignored, as `_admit` says."""
        if not self._may_hear(message):
            if isinstance(message, Doubt):
                self._confess_to(message)
            return
        # A removed member may ask for one that was here before this one: it is told all the same.
        if self._is_from_removed(message) or message.target != self.config.member_id:
            return
        if not self._admit(message, now_ms):
            return
        match message:
            case AppendRequest():
                self._follow(message.source, now_ms)
                self._follow_log(message)
            case AppendResponse():
                self._acknowledged(message, now_ms)
            case Heartbeat():
                self._follow(message.source, now_ms)
                if not self._lacks(message, now_ms):
                    self._hear(message, now_ms)
            case HeartbeatResponse():
                if isinstance(self.role, Leader):
                    self.role.heartbeat_answered(message, now_ms)
            case ForwardRequest():
                self._take_forwarded(message, now_ms)
            case ReadRequest():
                if isinstance(self.role, Leader):
                    self.role.add_read(message.source, message.read_id, self.replica.commit)
            case ReadResponse():
                self._reads.confirm(message.read_id, message.index, message.cluster_ms)
            case VoteRequest():
                self._answer_vote(message, now_ms)
            case VoteResponse(pre=True, granted=True, term=term) if term == self.term:
                pass  # granted to an earlier pre-vote: the present one asks for the next term
            case VoteResponse():
                self._count_vote(message.source, message.granted, message.pre, now_ms)
            case ForwardRefusal():
                self._desk.refused(message.tickets, message.name, now_ms)
            case SnapshotChunk():
                self._offered(message, now_ms)
            case SnapshotAck():
                pass  # the courier's
            case TimeoutNow():
                if self.leader == message.source:
                    self._campaign(now_ms, pre=False, hurried_until_ms=0, transfer=True)
            case ChangeRequest():
                self._take_change(message, now_ms)
            case ChangeRefusal():
                self._fail_change(message.ticket, message.name)
            case RemovedNotice() | Contradiction() | Confession() | Doubt():
                self._take_word(message, now_ms)
            case _:
                assert_never(message)

    def tick(self, now_ms: int) -> None:
        """Let time pass: elections, heartbeats, check-quorum, expiry of what waits."""
        self._desk.expire(now_ms)
        self._judge_transfer(now_ms)
        if not self._takes_part:
            self._wait_aside(now_ms)
        elif isinstance(self.role, Leader):
            self._tick_leader(self.role, now_ms)
        elif now_ms >= self._timer.due_ms:
            self._campaign(now_ms, pre=True, hurried_until_ms=self.role.hurried_until_ms)
        # A question to the leader, or its answer, may have been lost.
        for read_id in self._reads.ask_again(now_ms - self.config.election_timeout_ms, now_ms):
            self._ask_read(read_id)

    @property
    def next_tick_ms(self) -> int:
        """When `tick` has something to do next."""
        due: list[int | None] = [self._transfers.due_ms]
        if isinstance(self.role, Leader):
            due.append(self.role.notice_due_ms)
            first_ms = min(self.role.heartbeat_due_ms, self.role.quorum_check_due_ms)
        else:
            asked_ms = self._reads.oldest_asked_ms()
            due.append(None if asked_ms is None else asked_ms + self.config.election_timeout_ms)
            first_ms = self._timer.due_ms
        return min([first_ms, *(due_ms for due_ms in due if due_ms is not None)])

    def under_way(self) -> bool:
        """Whether proposals and reads that come in now do better to gather for a moment."""
        match self.role:
            case Leader():
                return self.role.under_way()
            case Follower(leader=leader):
                return leader != NOBODY and self._desk.under_way()
            case Candidate():
                return False

    def peer_down(self, peer: int, now_ms: int) -> None:
        """The connection to a peer broke. Only a hint: it may be wrong, and costs no safety.

        With no leader in mind a member grants pre-votes at once, so fail-over need not wait for the
        election timeout. Members that still hear the leader refuse.
        """
        role = self.role
        if isinstance(role, Leader) and peer in role.peers:
            role.peers[peer].probe_again()
            # No change of members may count on it until it is heard again.
            role.peers[peer].contact = Contact.BROKEN
        elif isinstance(role, Follower) and role.leader == peer:
            role.leader = NOBODY
            self._hurry(role, self._configuration().members() - {peer}, now_ms)

    def persisted(self, now_ms: int) -> None:
        """Everything in the last `output` is durable: this member may count itself."""
        self.replica.persisted()
        if isinstance(self.role, Candidate) and not self.role.pre:
            self._count_vote(self.config.member_id, True, False, now_ms)
        elif isinstance(self.role, Leader):
            self._advance_commit(self.role, now_ms)

    # --- snapshots (Raft 7) ---

    def compact(self, durable_index: int, entries_kept: int, bytes_kept: int) -> int:
        """Forget entries that the store holds durably, but for a tail; up to where it is gone."""
        index = self.replica.log.tail_start(durable_index, entries_kept, bytes_kept)
        self.replica.compact(index)
        return index

    def snapshot_failed(self, peer: int) -> None:
        """A snapshot did not reach that peer: find out again what it needs."""
        if isinstance(self.role, Leader) and peer in self.role.peers:
            progress = self.role.peers[peer]
            progress.probe_from(progress.match + 1)

    @property
    def is_learner(self) -> bool:
        """Whether this member only learns."""
        return self.config.member_id in self._configuration().learners

    @property
    def is_voter(self) -> bool:
        """Whether this member counts, as far as it knows: a new one has yet to hear of itself."""
        return self.config.member_id in self._configuration().all_voters()

    def is_silent(self, peer: int, now_ms: int) -> bool:
        """Whether this member leads and has not heard that peer yet, or not for long."""
        role = self.role
        if not isinstance(role, Leader) or peer not in role.peers:
            return False
        silent_ms = now_ms - role.peers[peer].heard_ms
        is_heard = role.peers[peer].contact is Contact.HEARD
        return not is_heard or silent_ms >= self.config.election_timeout_ms

    def pause_for_snapshot(self) -> None:
        """The store is about to be replaced: hand out nothing until `restored` or `resume`."""
        self.replica.paused = True

    def resume(self) -> None:
        """The snapshot was not installed: go on with what is here."""
        self.replica.paused = False

    def restored(
        self, start: LogStart, cluster_ms: int, chunk: SnapshotChunk
    ) -> tuple[HardState, tuple[Entry, ...]]:
        """The store holds everything up to `start`, thanks to this last chunk of a snapshot.

        The WAL must begin after `start`, with the hard state and entries returned, before the
        answer to the leader - a promise - goes out with the next output.
        """
        kept = self.replica.restore(start, chunk.term, cluster_ms)
        if self.leader == chunk.source and chunk.term == self.term:
            own_id = self.config.member_id
            answer = AppendResponse(
                own_id, chunk.source, self.term, chunk.session, start.index, False, 0, 0
            )
            self._promise(answer)
        self._saved = (self.term, self.vote)
        return HardState(self.term, self.vote, self.replica.commit), kept

    # --- outputs ---

    def output(self, now_ms: int) -> Output:
        """Take what is to be sent and made durable; call `persisted` when it is."""
        if isinstance(self.role, Leader):
            for message in self.role.messages(self.replica.commit, now_ms):
                self._say(message)
        entries = self.replica.unstable()
        hard_state = None
        # The commit index alone is not worth an fsync; it rides along.
        if entries or self._unsaved():
            hard_state = HardState(self.term, self.vote, self.replica.commit)
            self._saved = (self.term, self.vote)
        start = self.replica.start_of(entries)
        output = Output(tuple(self._messages), hard_state, entries, start, tuple(self._promises))
        self._messages.clear()
        self._promises.clear()
        return output

    def decided(self, now_ms: int) -> Decided:
        """Take what is committed and durable here, the reads it allows, failures, and who leads."""
        self._judge_transfer(now_ms)
        if isinstance(self.role, Leader):
            self._finish_change(self.role, now_ms)
            for answer in self.role.read_answers(now_ms):
                if answer.target == self.config.member_id:
                    self._reads.confirm(answer.read_id, answer.index, answer.cluster_ms)
                else:
                    self._say(answer)
        committed = self.replica.take_committed()
        return Decided(
            committed,
            self._reads.take_ready(self.replica.handed_out),
            tuple(self._desk.take_failed()),
            self._take_standing(),
            self._take_membership(),
            self._how_it_ends(),
            self._take_certain(),
            self._transfers.take_ended(),
            self.role.behind() if isinstance(self.role, Leader) else (),
            self._is_proven(),
            self._take_accused(),
            self._take_at_odds(),
        )

    def has_more(self) -> bool:
        """Whether there is more to take though nothing came in: what a commit entails."""
        if self._messages or self._promises or self._unsaved() or self.replica.has_committed():
            return True
        if self.replica.stable_index < self.replica.log.last_index:
            return True
        return isinstance(self.role, Leader) and self.role.has_news(self.replica.commit)

    def _acknowledged(self, message: AppendResponse, now_ms: int) -> None:
        if isinstance(self.role, Leader) and self._heeds(message, now_ms):
            self.role.acknowledged(message, now_ms)
            self._maybe_hand_over(self.role)
            self._advance_commit(self.role, now_ms)

    def _offered(self, message: SnapshotChunk, now_ms: int) -> None:
        self._follow(message.source, now_ms)
        commit = self.replica.commit
        if message.last_index <= commit:
            # There is no need of it: without an answer the leader would offer it for ever.
            self._promise(self.replica.response(message, commit, committed=True))

    def _hear(self, message: Heartbeat, now_ms: int) -> None:
        self.replica.hear(message)
        if message.answer:
            if self.probation is None:
                # What another member refused because it did not lead is held until now.
                self._pass_on(self._desk.take_held(), now_ms)
            self._say(
                HeartbeatResponse(
                    source=self.config.member_id,
                    target=message.source,
                    term=self.term,
                    session=message.session,
                    sent_index=message.sent_index,
                    last_index=self.replica.log.last_index,
                    read_id=message.read_id,
                    on_probation=self.probation is not None,
                )
            )

    # --- what an election means ---

    def _deposed(self, leader: Leader, now_ms: int) -> None:
        self.replica.cluster_ms = leader.cluster_ms(now_ms)

    # --- leading ---

    def _elected(self, now_ms: int) -> None:
        own_id, config = self.config.member_id, self.config
        assert self.vote == own_id, "a leader voted for itself"
        leader = Leader(
            own_id,
            self.term,
            self._configuration(),
            self.replica.log,
            self.replica.start_clock(),
            now_ms,
        )
        leader.quorum_check_due_ms = now_ms + config.election_timeout_ms
        self.role = leader
        # An entry of the own term commits everything before it (Raft 5.4.2, 8).
        self._append(leader, [Proposal(own_id, NO_TICKET, b"")], now_ms)
        self._desk.leader_changed()
        self._append(leader, self._desk.take_held(), now_ms)
        for read_id in self._reads.open_ids():
            self._ask_read(read_id)

    def _tick_leader(self, leader: Leader, now_ms: int) -> None:
        if now_ms >= leader.quorum_check_due_ms:
            timeout_ms = self.config.election_timeout_ms
            leader.quorum_check_due_ms = now_ms + timeout_ms
            if not leader.hears_quorum(now_ms, timeout_ms):
                self._become_follower(self.term, NOBODY, now_ms)
                return
        if now_ms >= leader.heartbeat_due_ms:
            leader.heartbeat_due_ms = now_ms + self.config.heartbeat_ms
            for message in leader.heartbeats(self.replica.commit, now_ms):
                self._say(message)

    def _advance_commit(self, leader: Leader, now_ms: int) -> None:
        """Commit what a majority holds, if it ends with an entry of this term (Raft 5.4.2)."""
        agreed = leader.agreed_index(self.replica.stable_index)
        commit = self.replica.commit
        if agreed > commit and self.replica.log.term(agreed) == self.term:
            self.replica.commit_to(agreed)
            leader.committed(commit, agreed, now_ms)
            if self._how_it_ends():
                # What removed it is committed: the others go on without it (dissertation 4.2.2).
                self._become_follower(self.term, NOBODY, now_ms)

    def _take_membership(self) -> Membership | None:
        membership = self.replica.membership
        if membership is self._membership_told:
            return None
        self._membership_told = membership
        return membership

    def _take_standing(self) -> Standing | None:
        clock = None
        if isinstance(self.role, Leader) and self.replica.commit >= self.role.start_index:
            clock = (self.role.cluster_ms_at_start, self.role.started_ms)
        standing = Standing(self.leader, self.term, clock, self.is_learner)
        if standing == self._standing:
            return None
        self._standing = standing
        return standing
