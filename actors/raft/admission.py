"""Which messages of peers the core gets to see: from members, fit for their kind, within bounds.

Any process that reaches the peer port can send anything; an old binary or a copied machine does so
in good faith. A message that does not pass is ignored, for one of the reasons here. Owns what a
member may say, and when. Refuses to know what that means for the log, for votes and for reads.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, assert_never

from actors.language.entries import Proposal
from actors.raft.core import RaftCore
from actors.raft.membership import UNKNOWN_MEMBERS, Membership
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
"""How far one message may be ahead of this member's term. Without this bound a single message could
use up all terms, and no member could be elected ever again. A member that was away for this number
of elections - one every 300 ms for two months - needs an operator to let it in again."""

INDEX_MAX: Final = 1 << 62
TIME_MS_MAX: Final = 1 << 53
"""Cluster time in milliseconds: 285,000 years."""

TICKET_MAX: Final = 1 << 63

VOUCHERS_MAX: Final = 4
MEMBERS_VOUCHED_MAX: Final = 32
"""The answers kept to the question who the members are, and the members that one may name."""

STRANGER: Final = "it is from no member that is known here"
NO_VOTER: Final = "only a voter may say this, and its sender is none"
OWN_NAME: Final = "it claims to be from this member itself"
MISDIRECTED: Final = "it is meant for another member"
REMOVED: Final = "its sender has been removed from the cluster"
TERM: Final = "its term is out of bounds"
NUMBER: Final = "one of its numbers is out of bounds"
ORIGIN: Final = "it has proposals of other members than its sender"
RIVAL: Final = "it claims to lead a term that this member leads"
NOT_SENT: Final = "it answers something that was never sent"
UNCONFIRMED: Final = "too few members say so yet"

Claim = AppendRequest | Heartbeat | SnapshotChunk
"""The messages that only the leader of their term sends."""


class Admission:
    """Judges the messages to one member.

    This member's log may end before another member was added or promoted. The answers of other
    members then vouch for that one.
    """

    def __init__(self, core: RaftCore) -> None:
        self._core = core
        self._vouched: dict[int, Membership] = {}
        self._notices: set[int] = set()
        # Who is a member, by the log and by other members' answers, as of the last `look`. It is
        # kept, for every message looks.
        self._held: Sequence[tuple[int, Membership]] = ()
        self._committed = UNKNOWN_MEMBERS
        self._removed: frozenset[int] = frozenset()
        self.members: frozenset[int] = frozenset()
        self.voters: frozenset[int] = frozenset()
        # Where members have keys: those of each member, removed ones too, the newest last; and
        # whose frames come under a key.
        self.keys: Mapping[int, tuple[str, ...]] = {}
        self.owners: Mapping[str, int] = {}

    # --- who is a member ---

    def vouch(self, source: int, membership: Membership) -> bool:
        """Keep what a member answered about who the members are; False if it names too many."""
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
        """Whether the log here, or an answer of another member, names that member."""
        self.look()
        return member_id in self.members

    def is_news(self, message: Message, refusal: str) -> bool:
        """Whether to ask the others who the members are: the sender may be a new member or leader,
        or this member may have been removed."""
        if refusal == UNCONFIRMED:
            return True
        return refusal in (STRANGER, NO_VOTER) and isinstance(message, Claim | VoteRequest)

    def look(self) -> None:
        """Compute anew who is a member, if the roster or the answers have changed."""
        held, committed = self._core.roster.held, self._core.roster.committed
        if held is self._held and committed is self._committed:
            return
        self._held, self._committed = held, committed
        memberships = (*(each for _, each in held), *self._vouched.values())
        known = [each.configuration for each in memberships]
        self._removed = self._core.roster.removed
        self.members = frozenset().union(*(each.members() for each in known)) - self._removed
        self.voters = frozenset().union(*(each.all_voters() for each in known)) - self._removed
        if any(each.has_keys for each in memberships):
            self._look_at_keys()

    def _look_at_keys(self) -> None:
        """Compute anew which keys are whose.

        Of a member that the log here knows, only the keys in the log count: an answer of another
        member is as old as it is, and may name a key that has been given up since.
        """
        roster = self._core.roster
        pending = [each for index, each in roster.held if index >= roster.next_index]
        own = {peer.id: list(peer.keys) for peer in roster.committed.peers}
        for each in pending:
            for peer in each.peers:
                own.setdefault(peer.id, []).extend(
                    [key for key in peer.keys if key not in own[peer.id]]
                )
        named = {p.id: list(p.keys) for each in self._vouched.values() for p in each.peers}
        former = {peer.id: list(peer.keys) for peer in roster.latest.former}
        self.keys = {i: tuple(keys) for i, keys in (named | former | own).items() if keys}
        self.owners = {
            key: i for i, keys in self.keys.items() if i not in self._removed for key in keys
        }

    # --- what is ignored ---

    def refusal(self, message: Message) -> str:
        """Why a message must be ignored; "" if the core may see it."""
        self.look()
        core, source = self._core, message.source
        own_term = core.elector.term
        if source == core.config.member_id:
            return OWN_NAME
        if source in self._removed:
            # A removed member that asks for votes is told of its removal by the core. Its message
            # may be meant for the member that was at these URLs before.
            return "" if isinstance(message, VoteRequest) else REMOVED
        if source not in self.members:
            return STRANGER
        if message.target != core.config.member_id:
            return MISDIRECTED
        # A member that joins is in term 0, and may take any term that its cluster has.
        if message.term > TERM_MAX or (own_term and message.term - own_term > TERM_STEP_MAX):
            return TERM
        return self._refusal_of_kind(message)

    def _refusal_of_kind(self, message: Message) -> str:
        match message:
            case AppendRequest() | Heartbeat() | SnapshotChunk():
                return self._refusal_of_claim(message)
            case AppendResponse(index=index, hint_term=hint_term):
                # Whether its sender can hold that much is the core's to judge.
                return "" if index <= INDEX_MAX and hint_term <= message.term else NUMBER
            case HeartbeatResponse():
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
        elector = self._core.elector
        if message.source not in self.voters:
            return NO_VOTER
        if message.term == elector.term and elector.leads_as is not None:
            return RIVAL
        match message:
            case AppendRequest():
                return refusal_of_entries(message)
            case Heartbeat(commit=commit, sent_index=sent_index, cluster_ms=cluster_ms):
                is_within = commit <= INDEX_MAX and sent_index <= INDEX_MAX
                return "" if is_within and cluster_ms <= TIME_MS_MAX else NUMBER
            case SnapshotChunk(term=term, last_index=last_index, last_term=last_term):
                return NUMBER if last_index > INDEX_MAX or last_term > term else ""

    def _refusal_of_answer(self, message: HeartbeatResponse) -> str:
        """Refuse an answer to what was never sent, and a number that no log reaches."""
        if message.last_index > INDEX_MAX:
            return NUMBER
        leader = self._core.elector.leads_as
        if leader is None or message.term != leader.term:
            return ""
        was_sent = message.sent_index <= self._core.replica.log.last_index
        return "" if was_sent and leader.has_asked(message.read_id) else NOT_SENT

    def _refusal_of_notice(self, message: RemovedNotice) -> str:
        """Believe a removal when a majority of voters says so: one member may be wrong.

        A committed removal is known to a majority of the voters. The voters known here may have
        been removed as well. So a majority of those that an answer has named is enough, too.
        """
        self._notices.add(message.source)
        own_id = self._core.config.member_id
        latest = (self._core.roster.latest, *self._vouched.values())
        believed = any(each.configuration.others_agree(own_id, self._notices) for each in latest)
        return "" if believed else UNCONFIRMED


def _refusal_of_proposals(source: int, proposals: tuple[Proposal, ...]) -> str:
    if [each for each in proposals if each.origin != source]:
        return ORIGIN
    return NUMBER if [each for each in proposals if each.ticket > TICKET_MAX] else ""


def refusal_of_entries(message: AppendRequest) -> str:
    """In a log terms never fall, and none is above its leader's."""
    if message.prev_index > INDEX_MAX or message.commit > INDEX_MAX:
        return NUMBER
    if message.prev_term > message.term:
        return NUMBER
    before = message.prev_term
    for _, term, time_ms, _, _, _ in message.entries:
        if not before <= term <= message.term or time_ms > TIME_MS_MAX:
            return NUMBER
        before = term
    return ""
