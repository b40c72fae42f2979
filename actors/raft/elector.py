"""Elector: terms, votes and roles - who leads, and when to try to (Raft 5.1, 5.2, 5.4.1; 6.2; 9.6).

It knows the log only by its end, and nothing of proposals, reads or commitment: RaftCore builds on
it and fills in what happens when a leader is found, elected or deposed.
"""

from __future__ import annotations

from collections.abc import Callable

from actors.language.members import NOBODY
from actors.raft.elections import ElectionTimer, may_grant, vote_requests
from actors.raft.leader import Leader
from actors.raft.log import RaftLog
from actors.raft.outcome import CoreConfig
from actors.raft.probation import Probation
from actors.raft.quorum import Ballot, Configuration
from actors.raft.roles import Candidate, Follower
from actors.raft.rpc import (
    AppendRequest,
    AppendResponse,
    HardState,
    Heartbeat,
    Message,
    SnapshotChunk,
    VoteRequest,
    VoteResponse,
)
from actors.raft.terms import Verdict, judge


class Elector:
    """One member's term, vote and role. `chance(n)` gives a random integer 0 <= x < n."""

    def __init__(
        self,
        config: CoreConfig,
        hard_state: HardState,
        now_ms: int,
        chance: Callable[[int], int],
        probation: Probation | None = None,
    ) -> None:
        self.config = config
        self.probation = probation
        self.term = hard_state.term
        self.vote = hard_state.vote
        self.role: Follower | Candidate | Leader = Follower(NOBODY, now_ms)
        self._timer = ElectionTimer(config.election_timeout_ms, chance)
        self._saved = (self.term, self.vote)
        self._messages: list[Message] = []
        self._promises: list[Message] = []
        self._timer.restart(now_ms)

    @property
    def leader(self) -> int:
        """The member that leads as far as this one knows, or 0."""
        match self.role:
            case Leader():
                return self.config.member_id
            case Follower(leader=leader):
                return leader
            case Candidate():
                return NOBODY

    # --- what the whole core fills in ---

    def _configuration(self) -> Configuration:
        """Who counts now."""
        raise NotImplementedError

    def _may_stand(self) -> bool:
        """Whether this member is, or may still be, one of those who count."""
        raise NotImplementedError

    def _may_vote_for(self, request: VoteRequest) -> bool:
        """Whether this member knows enough of what it has promised to vote for a candidate."""
        raise NotImplementedError

    def _log(self) -> RaftLog:
        """The log, whose end decides who may lead."""
        raise NotImplementedError

    def _leader_found(self, now_ms: int) -> None:
        """Another member leads now."""
        raise NotImplementedError

    def _elected(self, now_ms: int) -> None:
        """This member has won the election of its term."""
        raise NotImplementedError

    def _deposed(self, leader: Leader, now_ms: int) -> None:
        """This member leads no more; `leader` is what it knew."""
        raise NotImplementedError

    # --- terms (Raft 5.1) ---

    def _admit(self, message: Message, now_ms: int) -> bool:
        """Compare terms; False when the message has had its whole effect."""
        if message.term == self.term:
            # There is one leader in a term: who claims to be another is wrong.
            is_claim = isinstance(message, AppendRequest | Heartbeat | SnapshotChunk)
            return not (is_claim and isinstance(self.role, Leader))
        match judge(message, self.term, self._hears_leader(now_ms)):
            case Verdict.HANDLE:
                return True
            case Verdict.FOLLOW_SENDER:
                self._become_follower(message.term, message.source, now_ms)
                return True
            case Verdict.STEP_DOWN:
                self._become_follower(message.term, NOBODY, now_ms)
                return True
            case Verdict.TELL_TERM:
                assert isinstance(message, AppendRequest | Heartbeat | SnapshotChunk)
                self._tell_term(message)
                return False
            case Verdict.REFUSE_VOTE:
                assert isinstance(message, VoteRequest)
                self._refuse_vote(message)
                return False
            case Verdict.IGNORE:
                return False

    def _hears_leader(self, now_ms: int) -> bool:
        match self.role:
            case Leader():
                return True  # check-quorum ends it if it is alone
            case Follower(leader=leader, heard_ms=heard_ms):
                return leader != NOBODY and now_ms - heard_ms < self.config.election_timeout_ms
            case Candidate():
                return False

    def _become_follower(self, term: int, leader: int, now_ms: int) -> None:
        assert term >= self.term, "terms only rise"
        if term > self.term:
            self.term, self.vote = term, NOBODY
            # The next leader may replace, before they are ever saved, entries that the last one
            # was about to be told of.
            self._promises = [p for p in self._promises if not isinstance(p, AppendResponse)]
        if isinstance(self.role, Leader):
            self._deposed(self.role, now_ms)
        self.role = Follower(leader, now_ms)
        self._timer.restart(now_ms)
        if leader != NOBODY:
            self._leader_found(now_ms)

    def _follow(self, leader: int, now_ms: int) -> None:
        """An append or heartbeat of this term arrived: its sender leads."""
        assert not isinstance(self.role, Leader), "two leaders in one term"
        if isinstance(self.role, Follower) and self.role.leader == leader:
            self.role.heard_ms = now_ms
            self._timer.heard_leader(now_ms)
        else:
            self._become_follower(self.term, leader, now_ms)

    def _tell_term(self, message: AppendRequest | Heartbeat | SnapshotChunk) -> None:
        """Answer a leader of an earlier term with an empty rejection in one's own."""
        own_id, source = self.config.member_id, message.source
        self._promise(AppendResponse(own_id, source, self.term, message.session, 0, True, 0, 0))

    # --- elections ---

    def _hurry(self, role: Follower, rivals: frozenset[int], now_ms: int) -> None:
        """Nobody leads: stand soon, and soon again, each of those who may in a slot of its own."""
        role.hurried_until_ms = now_ms + self.config.election_timeout_ms
        slot = sum(1 for member in rivals if member < self.config.member_id)
        self._timer.hurry(now_ms, slot)

    def _campaign(
        self, now_ms: int, pre: bool, hurried_until_ms: int, transfer: bool = False
    ) -> None:
        own_id = self.config.member_id
        if self.probation is not None or not self._may_stand():
            # A learner, or a member that is not one yet or any more, never stands. But it may have
            # been removed unheard: it asks with a log that wins no vote, and is told if so.
            self._become_follower(self.term, NOBODY, now_ms)
            voters = self._configuration().all_voters()
            self._promises += vote_requests(own_id, voters, self.term + 1, True, False, RaftLog())
            return
        late_votes: dict[int, bool] = {}
        if not pre:
            self.term, self.vote = self.term + 1, own_id
        elif isinstance(self.role, Candidate):
            late_votes = self.role.votes_of_term()
        self.role = Candidate(pre, hurried_until_ms, late_votes)
        self._timer.restart(now_ms)
        if now_ms < hurried_until_ms:
            self._timer.retry_soon(now_ms, pre)
        term = self.term + 1 if pre else self.term
        peers = self._configuration().all_voters() - {own_id}
        self._promises += vote_requests(own_id, peers, term, pre, transfer, self._log())
        if pre:
            # A real vote for oneself counts only when it is durable: see RaftCore.persisted.
            self._count_vote(own_id, True, True, now_ms)

    def _answer_vote(self, request: VoteRequest, now_ms: int) -> None:
        granted = may_grant(request, self.term, self.vote, self.leader, self._log())
        if not granted or not self._may_vote_for(request):
            self._refuse_vote(request)
            return
        if request.pre:
            self._timer.yield_to_candidate(now_ms)
        else:
            self.vote = request.source
            self._timer.restart(now_ms)
        own_id = self.config.member_id
        self._promise(VoteResponse(own_id, request.source, request.term, request.pre, True))

    def _refuse_vote(self, request: VoteRequest) -> None:
        own_id = self.config.member_id
        self._promise(VoteResponse(own_id, request.source, self.term, request.pre, False))

    def _count_vote(self, voter: int, granted: bool, pre: bool, now_ms: int) -> None:
        candidate = self.role
        if not isinstance(candidate, Candidate):
            return
        if candidate.pre and not pre:
            self._count_late_vote(candidate, voter, granted, now_ms)
            return
        if candidate.pre != pre:
            return
        candidate.votes[voter] = granted
        match self._configuration().ballot(candidate.votes):
            case Ballot.WON if pre:
                self._campaign(now_ms, pre=False, hurried_until_ms=candidate.hurried_until_ms)
            case Ballot.WON:
                self._elected(now_ms)
            case Ballot.LOST:
                self._become_follower(self.term, NOBODY, now_ms)
            case Ballot.OPEN:
                pass

    def _count_late_vote(
        self, candidate: Candidate, voter: int, granted: bool, now_ms: int
    ) -> None:
        if self.config.member_id not in candidate.late_votes:
            return  # this process never stood in this term
        candidate.late_votes[voter] = granted
        if self._configuration().ballot(candidate.late_votes) is Ballot.WON:
            self._elected(now_ms)

    # --- what is said when ---

    def _unsaved(self) -> bool:
        return (self.term, self.vote) != self._saved

    def _say(self, message: Message) -> None:
        """Send at once - unless it would show a term that a crash could still undo."""
        (self._promises if self._unsaved() else self._messages).append(message)

    def _promise(self, message: Message) -> None:
        """Send when everything that this member has decided so far is durable."""
        self._promises.append(message)
