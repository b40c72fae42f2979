"""RaftCore: what every message means for the log, for reads and for those who wait. Pure.

Inputs are `step`, `tick`, `propose`, `read_index`, `peer_down`, `persisted`; `output` says what to
send and what to make durable, `decided` what follows from what is durable. The clock and the random
source are arguments. Rules are cited as in Raft (extended version) and Ongaro's dissertation.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import assert_never

from actors.raft.elector import NOBODY, Elector
from actors.raft.leader import Leader
from actors.raft.log import RaftLog
from actors.raft.outcome import CoreConfig, Decided, Output, Recovered, Standing
from actors.raft.proposals import ProposalDesk
from actors.raft.quorum import Configuration
from actors.raft.reads import LocalReads
from actors.raft.replica import Replica
from actors.raft.roles import Candidate, Follower
from actors.raft.rpc import (
    AppendRequest,
    AppendResponse,
    ForwardRefusal,
    ForwardRequest,
    HardState,
    Heartbeat,
    HeartbeatResponse,
    Message,
    Proposal,
    ReadRequest,
    ReadResponse,
    VoteRequest,
    VoteResponse,
)


class RaftCore(Elector):
    """One member's part in consensus. `chance(n)` gives a random integer 0 <= x < n."""

    def __init__(
        self, config: CoreConfig, recovered: Recovered, now_ms: int, chance: Callable[[int], int]
    ) -> None:
        hard_state, log, applied_index, cluster_ms = recovered
        super().__init__(config, hard_state, now_ms, chance)
        self._desk = ProposalDesk(config.hold_ms)
        self._reads = LocalReads(chance(1 << 48))
        commit = max(hard_state.commit, applied_index)
        self.replica = Replica(config.member_id, log, commit, applied_index, cluster_ms, self._desk)
        self._standing = Standing(NOBODY, -1, None)

    # --- inputs ---

    def step(self, message: Message, now_ms: int) -> None:
        """Take another member's message; oddities and old terms are ignored, as `_admit` says."""
        if message.target != self.config.member_id:
            return
        if message.term != self.term and not self._admit(message, now_ms):
            return
        match message:
            case AppendRequest():
                self._follow(message.source, now_ms)
                self._promise(self.replica.accept(message))
            case AppendResponse():
                if isinstance(self.role, Leader):
                    self.role.acknowledged(message, now_ms)
                    self._advance_commit(self.role, now_ms)
            case Heartbeat():
                self._follow(message.source, now_ms)
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
                self._desk.refused(message.tickets, message.busy, now_ms)
            case _:
                assert_never(message)

    def tick(self, now_ms: int) -> None:
        """Let time pass: elections, heartbeats, check-quorum, expiry of what waits."""
        self._desk.expire(now_ms)
        if isinstance(self.role, Leader):
            self._tick_leader(self.role, now_ms)
        elif now_ms >= self._timer.due_ms:
            self._campaign(now_ms, pre=True, hurried_until_ms=self.role.hurried_until_ms)
        # A question to the leader, or its answer, may have been lost.
        for read_id in self._reads.ask_again(now_ms - self.config.election_timeout_ms, now_ms):
            self._ask_read(read_id)

    @property
    def next_tick_ms(self) -> int:
        """When `tick` has something to do next."""
        if isinstance(self.role, Leader):
            due_ms = min(self.role.heartbeat_due_ms, self.role.quorum_check_due_ms)
            notice_ms = self.role.notice_due_ms
            return due_ms if notice_ms is None else min(due_ms, notice_ms)
        asked_ms = self._reads.oldest_asked_ms()
        if asked_ms is None:
            return self._timer.due_ms
        return min(self._timer.due_ms, asked_ms + self.config.election_timeout_ms)

    def under_way(self) -> bool:
        """Whether proposals and reads that come in now do better to gather for a moment."""
        match self.role:
            case Leader():
                return self.role.under_way()
            case Follower(leader=leader):
                return leader != NOBODY and self._desk.under_way()
            case Candidate():
                return False

    def propose(self, proposals: Sequence[Proposal], now_ms: int) -> None:
        """Put commands in the log here, pass them to the leader, or hold them until one is known.

        What cannot be done comes back as failed. Ticket 0 has no reader: such a proposal is only
        for a leader's log, and dropped elsewhere.
        """
        if isinstance(self.role, Leader):
            self._append(self.role, proposals, now_ms)
        else:
            self._pass_on([p for p in proposals if p.ticket], now_ms)

    def read_index(self, now_ms: int) -> int:
        """Ask for a linearizable read; the id comes back in `Decided.reads` (dissertation 6.4)."""
        read_id = self._reads.open(now_ms)
        self._ask_read(read_id)
        return read_id

    def forget_read(self, read_id: int) -> None:
        """Nobody waits for this read any more."""
        self._reads.forget(read_id)

    def peer_down(self, peer: int, now_ms: int) -> None:
        """The connection to a peer broke. Only a hint: it may be wrong, and costs no safety.

        With no leader in mind a member grants pre-votes at once, so fail-over need not wait for the
        election timeout. Members that still hear the leader refuse.
        """
        role = self.role
        if isinstance(role, Leader) and peer in role.peers:
            role.peers[peer].probe_from(role.peers[peer].match + 1)
        elif isinstance(role, Follower) and role.leader == peer:
            role.leader = NOBODY
            role.hurried_until_ms = now_ms + self.config.election_timeout_ms
            survivors = sorted(self._configuration().members() - {peer})
            self._timer.hurry(now_ms, survivors.index(self.config.member_id))

    def persisted(self, now_ms: int) -> None:
        """Everything in the last `output` is durable: this member may count itself."""
        self.replica.persisted()
        if isinstance(self.role, Candidate) and not self.role.pre:
            self._count_vote(self.config.member_id, True, False, now_ms)
        elif isinstance(self.role, Leader):
            self._advance_commit(self.role, now_ms)

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
        output = Output(tuple(self._messages), hard_state, entries, tuple(self._promises))
        self._messages.clear()
        self._promises.clear()
        return output

    def decided(self, now_ms: int) -> Decided:
        """Take what is committed and durable here, the reads it allows, failures, and who leads."""
        if isinstance(self.role, Leader):
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
        )

    def has_more(self) -> bool:
        """Whether there is more to take though nothing came in: what a commit entails."""
        if self._messages or self._promises or self._unsaved() or self.replica.has_committed():
            return True
        if self.replica.stable_index < self.replica.log.last_index:
            return True
        return isinstance(self.role, Leader) and self.role.has_news(self.replica.commit)

    def _hear(self, message: Heartbeat, now_ms: int) -> None:
        self.replica.hear(message)
        if message.answer:
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
                )
            )

    # --- what an election means ---

    def _configuration(self) -> Configuration:
        return self.config.configuration

    def _log(self) -> RaftLog:
        return self.replica.log

    def _leader_found(self, now_ms: int) -> None:
        # What was passed to the last leader may be lost; what waits goes to this one.
        self._desk.leader_changed()
        self._pass_on(self._desk.take_held(), now_ms)
        for read_id in self._reads.open_ids():
            self._ask_read(read_id)

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
        self._append(leader, [Proposal(own_id, 0, b"")], now_ms)
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

    # --- proposals and reads, here and on their way ---

    def _append(self, leader: Leader, proposals: Sequence[Proposal], now_ms: int) -> None:
        if not proposals:
            return
        if leader.maybe_take(proposals):
            self.replica.append(self.term, leader.cluster_ms(now_ms), proposals)
        else:
            own_id = self.config.member_id
            own = [p for p in proposals if p.origin == own_id]
            self._desk.fail(own, "TooManyRequests", outcome_unknown=False)
            self._refuse([p for p in proposals if p.ticket and p.origin != own_id], busy=True)

    def _pass_on(self, proposals: Sequence[Proposal], now_ms: int) -> None:
        if not proposals:
            return
        leader = self.leader
        if leader == NOBODY:
            self._desk.hold(proposals, now_ms)
        else:
            self._desk.forwarded(proposals, now_ms)
            own_id = self.config.member_id
            self._say(ForwardRequest(own_id, leader, self.term, tuple(proposals)))

    def _take_forwarded(self, message: ForwardRequest, now_ms: int) -> None:
        if isinstance(self.role, Leader):
            self._append(self.role, message.proposals, now_ms)
        else:
            self._refuse(message.proposals, busy=False)

    def _refuse(self, proposals: Sequence[Proposal], busy: bool) -> None:
        for origin in sorted({p.origin for p in proposals}):
            tickets = tuple(p.ticket for p in proposals if p.origin == origin)
            refusal = ForwardRefusal(self.config.member_id, origin, self.term, tickets, busy)
            self._say(refusal)

    def _ask_read(self, read_id: int) -> None:
        own_id, leader = self.config.member_id, self.leader
        if isinstance(self.role, Leader):
            self.role.add_read(own_id, read_id, self.replica.commit)
        elif leader != NOBODY:
            self._say(ReadRequest(own_id, leader, self.term, read_id))

    def _take_standing(self) -> Standing | None:
        clock = None
        if isinstance(self.role, Leader) and self.replica.commit >= self.role.start_index:
            clock = (self.role.cluster_ms_at_start, self.role.started_ms)
        standing = Standing(self.leader, self.term, clock)
        if standing == self._standing:
            return None
        self._standing = standing
        return standing
