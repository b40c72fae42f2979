"""Which messages of peers the core gets to see: from members, fit for their kind, within bounds.

Anybody who reaches the peer port can send anything, and an old binary or a copied machine does so
in good faith. What does not pass is ignored; each refusal has one of the reasons here. It knows
what a member may say, and when; refuses to know what that means for the log, votes or reads.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, assert_never

from actors.language.entries import Proposal
from actors.raft.core import RaftCore
from actors.raft.leader import Leader
from actors.raft.membership import UNKNOWN, Membership
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

TERM_MAX: Final = 1 << 62
TERM_STEP_MAX: Final = 1 << 24
"""How far one message may be ahead of this member's term. A member that was away for as many
elections, one every 300 ms for two months, is not let in again by itself. Without the bound one
message takes all terms there are, and nobody can ever be elected again."""

INDEX_MAX: Final = 1 << 62
TIME_MS_MAX: Final = 1 << 53
"""Cluster time in milliseconds: 285,000 years."""

TICKET_MAX: Final = 1 << 63

VOUCHERS_MAX: Final = 4
MEMBERS_VOUCHED_MAX: Final = 32
"""Answers that are kept to the question who the members are, and members that one may name."""

STRANGER: Final = "it is from no member that is known here"
NO_VOTER: Final = "only a voter says this, and it is from none"
OWN_NAME: Final = "it claims to be from this member itself"
MISDIRECTED: Final = "it is meant for another member"
REMOVED: Final = "its sender has been removed from the cluster"
TERM: Final = "its term is out of bounds"
NUMBER: Final = "one of its numbers is out of bounds"
ORIGIN: Final = "it has proposals of others than its sender"
RIVAL: Final = "it claims to lead a term that this member leads"
NOT_SENT: Final = "it answers what was never sent"
UNCONFIRMED: Final = "too few members say so yet"

Claim = AppendRequest | Heartbeat | SnapshotChunk
"""What only the leader of its term sends."""


class Admission:
    """One member's. The log may end before some member came, or was promoted: others vouch."""

    def __init__(self, core: RaftCore) -> None:
        self._core = core
        self._vouched: dict[int, Membership] = {}
        self._notices: set[int] = set()
        # Who is who, by the log and by what others say, as of the last `look`: every message looks.
        self._held: Sequence[tuple[int, Membership]] = ()
        self._committed = UNKNOWN
        self._removed: frozenset[int] = frozenset()
        self.members: frozenset[int] = frozenset()
        self.voters: frozenset[int] = frozenset()

    # --- who is a member ---

    def vouch(self, source: int, membership: Membership) -> bool:
        """A member that was asked says who the members are; whether that is believed."""
        if len(membership.peers) > MEMBERS_VOUCHED_MAX:
            return False
        self._vouched.pop(source, None)
        while len(self._vouched) >= VOUCHERS_MAX:
            del self._vouched[next(iter(self._vouched))]
        self._vouched[source] = membership
        self._held = ()
        if membership.has_removed(self._core.config.member_id):
            self._notices.add(source)
        return True

    def is_known(self, member_id: int) -> bool:
        """Whether the log here, or another member, tells of that member."""
        self.look()
        return member_id in self.members

    def is_news(self, message: Message, refusal: str) -> bool:
        """Whether to ask the others who the members are: the sender may be what it claims, or this
        member none any more."""
        if refusal == UNCONFIRMED:
            return True
        return refusal in (STRANGER, NO_VOTER) and isinstance(message, Claim | VoteRequest)

    def look(self) -> None:
        """See who is who, if that has changed."""
        held, committed = self._core.roster.held, self._core.roster.committed
        if held is self._held and committed is self._committed:
            return
        self._held, self._committed = held, committed
        memberships = (*(each for _, each in held), *self._vouched.values())
        known = [each.configuration for each in memberships]
        self._removed = self._core.roster.removed
        self.members = frozenset().union(*(each.members() for each in known)) - self._removed
        self.voters = frozenset().union(*(each.all_voters() for each in known)) - self._removed

    # --- what is ignored ---

    def refusal(self, message: Message) -> str:
        """Why a message must be ignored; nothing if the core may see it."""
        self.look()
        core, source = self._core, message.source
        if source == core.config.member_id:
            return OWN_NAME
        if source in self._removed:
            # Whoever asks for votes is told; it may ask for one that was here before this member.
            return "" if isinstance(message, VoteRequest) else REMOVED
        if source not in self.members:
            return STRANGER
        if message.target != core.config.member_id:
            return MISDIRECTED
        # A member that joins has no term yet, and takes what the cluster has.
        if message.term > TERM_MAX or (core.term and message.term - core.term > TERM_STEP_MAX):
            return TERM
        return self._refusal_of_kind(message)

    def _refusal_of_kind(self, message: Message) -> str:
        match message:
            case AppendRequest() | Heartbeat() | SnapshotChunk():
                return self._refusal_of_claim(message)
            case AppendResponse() | HeartbeatResponse():
                return self._refusal_of_answer(message)
            case ForwardRequest(proposals=proposals):
                return _refusal_of_proposals(message.source, proposals)
            case ReadResponse(index=index, cluster_ms=cluster_ms):
                if message.source not in self.voters:
                    return NO_VOTER
                return NUMBER if index > INDEX_MAX or cluster_ms > TIME_MS_MAX else ""
            case VoteRequest(term=term, last_index=last_index, last_term=last_term):
                return NUMBER if last_index > INDEX_MAX or last_term > term else ""
            case TimeoutNow() | VoteResponse() | ForwardRefusal() | ChangeRefusal():
                return "" if message.source in self.voters else NO_VOTER
            case ChangeRequest(ticket=ticket):
                return NUMBER if ticket > TICKET_MAX else ""
            case Contradiction(index=index, entry_term=entry_term):
                return NUMBER if index > INDEX_MAX or entry_term > message.term else ""
            case Confession(index=index) | Doubt(index=index):
                return NUMBER if index > INDEX_MAX else ""
            case RemovedNotice():
                return self._refusal_of_notice(message)
            case ReadRequest() | SnapshotAck():
                return ""
            case _:
                assert_never(message)

    def _refusal_of_claim(self, message: Claim) -> str:
        core = self._core
        if message.source not in self.voters:
            return NO_VOTER
        if message.term == core.term and isinstance(core.role, Leader):
            return RIVAL
        match message:
            case AppendRequest():
                return refusal_of_entries(message)
            case Heartbeat(commit=commit, sent_index=sent_index, cluster_ms=cluster_ms):
                is_within = max(commit, sent_index) <= INDEX_MAX and cluster_ms <= TIME_MS_MAX
                return "" if is_within else NUMBER
            case SnapshotChunk(term=term, last_index=last_index, last_term=last_term):
                return NUMBER if last_index > INDEX_MAX or last_term > term else ""

    def _refusal_of_answer(self, message: AppendResponse | HeartbeatResponse) -> str:
        """What is too much for any log; who holds more than was sent is the core's business."""
        if isinstance(message, AppendResponse):
            is_within = message.index <= INDEX_MAX and message.hint_term <= message.term
            return "" if is_within else NUMBER
        if message.last_index > INDEX_MAX:
            return NUMBER
        leader = self._core.role
        if not isinstance(leader, Leader) or message.term != leader.term:
            return ""
        was_sent = message.sent_index <= self._core.replica.log.last_index
        return "" if was_sent and leader.has_asked(message.read_id) else NOT_SENT

    def _refusal_of_notice(self, message: RemovedNotice) -> str:
        """One member may be wrong; a removal is known to most of the voters it was of.

        Those that are known here may be gone, too: then most of those count that one of them, or
        the operator's URLs, have led to.
        """
        self._notices.add(message.source)
        own_id = self._core.config.member_id
        latest = (self._core.roster.latest, *self._vouched.values())
        believed = any(each.configuration.others_agree(own_id, self._notices) for each in latest)
        return "" if believed else UNCONFIRMED


def _refusal_of_proposals(source: int, proposals: tuple[Proposal, ...]) -> str:
    if any(each.origin != source for each in proposals):
        return ORIGIN
    return NUMBER if any(each.ticket > TICKET_MAX for each in proposals) else ""


def refusal_of_entries(message: AppendRequest) -> str:
    """Terms of a log only rise, up to its leader's."""
    if max(message.prev_index, message.commit) > INDEX_MAX or message.prev_term > message.term:
        return NUMBER
    before = message.prev_term
    for _, term, time_ms, _, _, _ in message.entries:
        if not before <= term <= message.term or time_ms > TIME_MS_MAX:
            return NUMBER
        before = term
    return ""
