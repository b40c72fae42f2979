"""Elector: one member's term, vote and role, and when it stands (Raft 5.1, 5.2, 5.4.1).

Each input returns what happened, as events. The owner of the elector sends the messages in them and
does what an election means for the log. Of the log the elector knows only the last entry, of the
members only who votes. Refuses to know of proposals, reads and commitment. Pre-vote is dissertation
9.6, check-quorum 6.2.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Literal

from actors.language.members import NOBODY
from actors.raft.elections import ElectionTimer, refusal_of, vote_requests
from actors.raft.elector_events import (
    NOTHING,
    Answered,
    AskedForVotes,
    ElectorEvents,
    Followed,
    Won,
)
from actors.raft.facts import (
    Cause,
    Elected,
    FactBook,
    Follows,
    NearMiss,
    Stood,
    Suspected,
    Voted,
    VoteRefusal,
)
from actors.raft.leader import Leader
from actors.raft.log import FIRST_TERM, RaftLog
from actors.raft.outcome import CoreConfig
from actors.raft.probation import Probation
from actors.raft.quorum import Ballot
from actors.raft.roles import Candidate, Follower
from actors.raft.roster import Roster
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

Role = Follower | Candidate | Leader


class Elector:
    """`chance(n)` gives a random integer 0 <= x < n. A member on `probation` never stands.

    `leader` is the member that leads as far as this one knows, perhaps itself; 0: none is known.
    `leads_as` is the role of a leader; None: this member does not lead.
    `saved` are the term and the vote that are durable; `is_unsaved`: the present ones differ.
    `facts` are noted here for people, and by other parts: no rule reads them.
    """

    def __init__(
        self,
        config: CoreConfig,
        hard_state: HardState,
        log: RaftLog,
        roster: Roster,
        now_ms: int,
        chance: Callable[[int], int],
        probation: Probation | None = None,
    ) -> None:
        self._own_id = config.member_id
        self._timeout_ms = config.election_timeout_ms
        # A leader that was silent for longer than this has nearly lost its place.
        self._near_miss_ms = config.election_timeout_ms // 2
        self._stood_ms = now_ms
        self.facts = FactBook()
        self._log = log
        self._roster = roster
        self.probation = probation
        self.term = hard_state.term
        self.vote = hard_state.vote
        self.is_unsaved = False
        self.saved = self._given_out = (self.term, self.vote)
        self._take_role(Follower(now_ms), NOBODY)
        self._timer = ElectionTimer(config.election_timeout_ms, chance)
        self._timer.restart(now_ms)

    def _take_role(self, role: Role, leader: int) -> None:
        self.role: Role = role
        # Every message and every flush asks for it.
        self.leads_as = role if isinstance(role, Leader) else None
        self.leader = leader

    # --- promises: a term, and one vote in it ---

    def _pledge(self, term: int, vote: int) -> None:
        self.term, self.vote = term, vote
        self.is_unsaved = (term, vote) != self.saved

    def give_out(self) -> None:
        """Term and vote are about to be saved; no promise leaves before they are."""
        self._given_out = (self.term, self.vote)

    def persisted(self) -> None:
        """The term and the vote that were given out last are durable."""
        self.saved = self._given_out
        self.is_unsaved = (self.term, self.vote) != self.saved

    def give_vote_away(self, term: int) -> None:
        """Enter `term`, unless it is past, with a vote for this member itself.

        An earlier life of this member may have voted in that term, and two votes could elect two
        leaders. A vote for itself is one that no candidate gets. The timer is left alone.
        """
        if term >= self.term:
            self._pledge(term, self._own_id)

    # --- terms (Raft 5.1) ---

    def judge(self, message: Message, now_ms: int) -> Verdict:
        """What a message's term means for a member in this term and role."""
        if message.term == self.term:
            # A term has one leader (Raft 5.2): another member that claims to lead it is wrong.
            match message:
                case AppendRequest() | Heartbeat() | SnapshotChunk() if self.leads_as is not None:
                    return Verdict.IGNORE
            return Verdict.HANDLE
        return judge(message, self.term, self._hears_leader(now_ms))

    def carry_out(self, verdict: Verdict, message: Message, now_ms: int) -> ElectorEvents:
        """Do what a verdict says, short of looking at the message's content."""
        match verdict:
            case Verdict.FOLLOW_SENDER:
                source = message.source
                return self._become_follower(message.term, source, now_ms, Cause.LEADER, source)
            case Verdict.STEP_DOWN:
                is_asked_to = isinstance(message, VoteRequest) and message.transfer
                cause = Cause.HANDED_OVER if is_asked_to else Cause.NEWER_TERM
                return self._become_follower(message.term, NOBODY, now_ms, cause, message.source)
            case Verdict.TELL_TERM:
                assert isinstance(message, AppendRequest | Heartbeat | SnapshotChunk)
                return (Answered(self._own_term(message)),)
            case Verdict.REFUSE_VOTE:
                assert isinstance(message, VoteRequest)
                self._note_vote(message, VoteRefusal.PAST_TERM)
                return (Answered(self._refusal(message)),)
            case Verdict.IGNORE:
                if isinstance(message, VoteRequest) and message.term > self.term:
                    self._note_vote(message, VoteRefusal.HEARS_LEADER)
                return NOTHING
            case Verdict.HANDLE:
                return NOTHING

    def _hears_leader(self, now_ms: int) -> bool:
        match self.role:
            case Leader():
                return True  # a leader that is cut off steps down by check-quorum
            case Follower(heard_ms=heard_ms):
                # A leader that was silent for a timeout may be dead: it protects itself no more.
                return self.leader != NOBODY and now_ms - heard_ms < self._timeout_ms
            case Candidate():
                return False

    def _own_term(self, message: AppendRequest | Heartbeat | SnapshotChunk) -> AppendResponse:
        """The answer to a leader of an earlier term: a rejection that shows it the later term."""
        own_id, source = self._own_id, message.source
        return AppendResponse(own_id, source, self.term, message.stream, 0, True, 0, 0)

    # --- following ---

    def follow(self, leader: int, now_ms: int) -> ElectorEvents:
        """An append or heartbeat of this term arrived: its sender leads."""
        assert self.leads_as is None, "two leaders in one term"
        match self.role:
            case Follower() as follower if self.leader == leader:
                silent_ms = now_ms - follower.heard_ms
                if silent_ms > self._near_miss_ms:
                    self.facts.note(NearMiss(leader, silent_ms, self._timer.timeout_ms))
                follower.heard_ms = now_ms
                self._timer.heard_leader(now_ms)
                return NOTHING
        return self._become_follower(self.term, leader, now_ms, Cause.LEADER, leader)

    def step_down(self, now_ms: int, cause: Cause) -> ElectorEvents:
        """Stop leading: this leader hears no quorum, or is removed, or its log is wrong."""
        return self._become_follower(self.term, NOBODY, now_ms, cause, self._own_id)

    def _become_follower(
        self, term: int, leader: int, now_ms: int, cause: Cause, source: int
    ) -> ElectorEvents:
        assert term >= self.term, "terms only rise"
        was = self.leads_as
        self.facts.note(Follows(leader, term, was is not None, cause, source))
        is_new_term = term > self.term
        # Within a term the vote stays: a second one in it could elect a second leader (Raft 5.2).
        if is_new_term:
            self._pledge(term, NOBODY)
        self._take_role(Follower(now_ms), leader)
        self._timer.restart(now_ms)
        return (Followed(leader, is_new_term, was),)

    def lost(self, peer: int, now_ms: int) -> None:
        """The connection to a peer broke; if that peer leads, stand soon.

        A member that knows no leader grants pre-votes, so fail-over does not wait for the election
        timeout. If only this connection broke, the members that still hear the leader refuse their
        pre-votes, and the leader stays.
        """
        if isinstance(self.role, Follower) and self.leader == peer:
            self._suspect("connection", self.role, now_ms)
            self.leader = NOBODY
            self._hurry(self.role, self._roster.members - {peer}, now_ms)

    def _suspect(
        self, how: Literal["connection", "timeout", "transfer"], role: Follower, now_ms: int
    ) -> None:
        silent_ms = now_ms - role.heard_ms
        self.facts.note(Suspected(self.leader, how, self.term, silent_ms))

    def end_probation(self, now_ms: int) -> None:
        """Take part as a full member from now on."""
        self.probation = None
        if self.leader == NOBODY and self.term == FIRST_TERM and isinstance(self.role, Follower):
            # A cluster that starts has no leader that could yet be heard: the members have just
            # answered each other, so an election can succeed at once.
            self._hurry(self.role, self._roster.voters, now_ms)

    def _hurry(self, role: Follower, rivals: frozenset[int], now_ms: int) -> None:
        """No leader is known: stand soon, and again soon after that, for one election timeout.

        Each of the `rivals` waits a slot of its own, so that two seldom stand at once.
        """
        role.hurried_until_ms = now_ms + self._timeout_ms
        slot = sum(1 for member in rivals if member < self._own_id)
        self._timer.hurry(now_ms, slot)

    # --- standing for election ---

    @property
    def due_ms(self) -> int:
        """When `tick` or `wait` has something to do next; a leader needs neither."""
        return self._timer.due_ms

    def tick(self, now_ms: int) -> ElectorEvents:
        """Stand when the timeout passed without word from a leader, or without enough votes."""
        if now_ms < self._timer.due_ms or isinstance(self.role, Leader):
            return NOTHING
        if isinstance(self.role, Follower) and self.leader != NOBODY:
            self._suspect("timeout", self.role, now_ms)
        # A pre-vote first: a member that was cut off would otherwise come back with a high term,
        # and a healthy leader would have to step down (dissertation 9.6).
        return self._stand(now_ms, pre=True, hurried_until_ms=self.role.hurried_until_ms)

    def wait(self, now_ms: int) -> None:
        """Let time pass for a member that takes no part in elections."""
        if now_ms >= self._timer.due_ms:
            self._timer.restart(now_ms)

    def take_over(self, source: int, now_ms: int) -> ElectorEvents:
        """The leader hands over: stand at once, in its place (dissertation 3.10)."""
        if self.leader != source:
            return NOTHING  # late: it is from an earlier leader
        if isinstance(self.role, Follower):
            self._suspect("transfer", self.role, now_ms)
        # No pre-vote: the others still hear the leader, and would refuse it. The real vote request
        # tells them that the leader wants this election.
        return self._stand(now_ms, pre=False, hurried_until_ms=0, transfer=True)

    def _stand(
        self, now_ms: int, pre: bool, hurried_until_ms: int, transfer: bool = False
    ) -> ElectorEvents:
        own_id, roster = self._own_id, self._roster
        if self.probation is not None or not roster.may_stand:
            # A learner, or one that is not yet or no longer a member, never stands. But it may have
            # been removed without hearing of it. So it asks for pre-votes with an empty log, which
            # wins none, and a member that knows of the removal answers with a RemovedNotice.
            cause = Cause.MAY_NOT_STAND
            followed = self._become_follower(self.term, NOBODY, now_ms, cause, own_id)
            requests = vote_requests(own_id, roster.voters, self.term + 1, True, False, RaftLog())
            self.facts.note(Stood(self.term + 1, True, _asked(requests), False))
            return (*followed, AskedForVotes(requests))
        if isinstance(self.role, Follower):
            self._stood_ms = now_ms
        late_votes: dict[int, bool] = {}
        if not pre:
            self._pledge(self.term + 1, own_id)
        elif isinstance(self.role, Candidate):
            # To ask for pre-votes raises no term, so real votes of this term may still arrive.
            late_votes = self.role.votes_of_term()
        self._take_role(Candidate(pre, hurried_until_ms, late_votes), NOBODY)
        self._timer.restart(now_ms)
        if now_ms < hurried_until_ms:
            self._timer.retry_soon(now_ms, pre)
        term = self.term + 1 if pre else self.term
        peers = roster.voters - {own_id}
        requests = vote_requests(own_id, peers, term, pre, transfer, self._log)
        self.facts.note(Stood(term, pre, _asked(requests), True))
        asked = AskedForVotes(requests)
        # A candidate's own vote counts only when it is durable (`own_vote_saved`). A candidate that
        # crashes before could vote for another one in the same term, and both could win it. A
        # pre-vote promises nothing, so one's own counts at once.
        return (asked, *self._count(own_id, True, True, now_ms)) if pre else (asked,)

    # --- votes ---

    def answer_vote(self, request: VoteRequest, now_ms: int) -> ElectorEvents:
        """Grant or refuse a vote, or a pre-vote, in this term."""
        refusal = refusal_of(request, self.term, self.vote, self.leader, self._log)
        if refusal is None and self.probation is not None:
            known = self._roster.latest
            if not self.probation.may_vote_for(request, self._own_id, known):
                refusal = VoteRefusal.ON_PROBATION
        self._note_vote(request, refusal)
        if refusal is not None:
            return (Answered(self._refusal(request)),)
        if request.pre:
            # A pre-vote is no promise: the vote of this term stays free.
            self._timer.yield_to_candidate(now_ms)
        else:
            # The answer leaves after the save: a member that forgot its vote in a crash could vote
            # again in this term (Raft figure 2). The candidate gets a whole timeout to win (5.2).
            self._pledge(self.term, request.source)
            self._timer.restart(now_ms)
        return (
            Answered(VoteResponse(self._own_id, request.source, request.term, request.pre, True)),
        )

    def _note_vote(self, request: VoteRequest, refusal: VoteRefusal | None) -> None:
        other = self.vote if refusal is VoteRefusal.HAS_VOTED else self.leader
        self.facts.note(Voted(request.source, request.term, request.pre, refusal, other))

    def _refusal(self, request: VoteRequest) -> VoteResponse:
        return VoteResponse(self._own_id, request.source, self.term, request.pre, False)

    def take_vote(self, vote: VoteResponse, now_ms: int) -> ElectorEvents:
        """Another member has answered a request for its vote."""
        if vote.pre and vote.granted and vote.term == self.term:
            return NOTHING  # granted to an earlier pre-vote: the present one asks for the next term
        return self._count(vote.source, vote.granted, vote.pre, now_ms)

    def own_vote_saved(self, now_ms: int) -> ElectorEvents:
        """The term and the vote are durable: a candidate's vote for itself counts from now on."""
        if isinstance(self.role, Candidate) and not self.role.pre:
            return self._count(self._own_id, True, False, now_ms)
        return NOTHING

    def lead(self, leader: Leader) -> None:
        """Lead the term that was Won, with this as the state of its leader."""
        assert self.vote == self._own_id, "a leader voted for itself"
        self._take_role(leader, self._own_id)

    def _count(self, voter: int, granted: bool, pre: bool, now_ms: int) -> ElectorEvents:
        candidate = self.role
        if not isinstance(candidate, Candidate):
            return NOTHING
        if candidate.pre and not pre:
            return self._count_late(candidate, voter, granted, now_ms)
        if candidate.pre != pre:
            return NOTHING  # a pre-vote that comes after the real election has begun
        candidate.votes[voter] = granted
        match self._roster.configuration.ballot(candidate.votes):
            case Ballot.WON if pre:
                return self._stand(now_ms, pre=False, hurried_until_ms=candidate.hurried_until_ms)
            case Ballot.WON:
                return self._win(candidate.votes, now_ms)
            case Ballot.LOST:
                # To ask again at once would be refused again: wait for a whole timeout.
                cause = Cause.OUTVOTED
                return self._become_follower(self.term, NOBODY, now_ms, cause, self._own_id)
            case Ballot.OPEN:
                return NOTHING

    def _count_late(
        self, candidate: Candidate, voter: int, granted: bool, now_ms: int
    ) -> ElectorEvents:
        """Count a vote for the candidacy that timed out: its term is still the present one."""
        if self._own_id not in candidate.late_votes:
            return NOTHING  # this process never stood in this term
        candidate.late_votes[voter] = granted
        is_won = self._roster.configuration.ballot(candidate.late_votes) is Ballot.WON
        return self._win(candidate.late_votes, now_ms) if is_won else NOTHING

    def _win(self, votes: Mapping[int, bool], now_ms: int) -> ElectorEvents:
        granting = tuple(sorted(member for member, granted in votes.items() if granted))
        self.facts.note(Elected(self.term, granting, now_ms - self._stood_ms))
        return (Won(),)


def _asked(requests: Iterable[VoteRequest]) -> tuple[int, ...]:
    return tuple(request.target for request in requests)
