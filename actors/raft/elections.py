"""When to stand for election, whom to ask, and whom to grant a vote (Raft 5.2, 5.4.1; 9.6).

The timer refuses to know of roles, the functions of what is done with their answers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from actors.language.members import NOBODY
from actors.raft.facts import VoteRefusal
from actors.raft.log import RaftLog
from actors.raft.rpc import VoteRequest

HURRY_SLOT_MS: Final = 12
HURRY_JITTER_MS: Final = 6
HURRY_RETRY_MS: Final = 20
"""When the connection to the leader breaks, each member waits for its slot and a random part of the
jitter, then asks for pre-votes, and asks again after the retry time. The slots keep two candidates
from splitting the vote."""


class ElectionTimer:
    """`due_ms` is when to stand next. The timeout is drawn from [T, 2T) at each `restart`.

    Members draw different timeouts, so one of them usually wins before the next stands (Raft 5.2).
    """

    def __init__(self, election_timeout_ms: int, chance: Callable[[int], int]) -> None:
        self._base_ms = election_timeout_ms
        self._chance = chance
        self._timeout_ms = election_timeout_ms
        self.due_ms = 0

    @property
    def timeout_ms(self) -> int:
        """How long this member waits for a word from its leader."""
        return self._timeout_ms

    def restart(self, now_ms: int) -> None:
        """Draw a new timeout and wait it out."""
        self._timeout_ms = self._base_ms + self._chance(self._base_ms)
        self.due_ms = now_ms + self._timeout_ms

    def heard_leader(self, now_ms: int) -> None:
        """Wait for the same timeout again, from now on."""
        self.due_ms = now_ms + self._timeout_ms

    def hurry(self, now_ms: int, slot: int) -> None:
        """The leader seems to be gone: stand soon, each member in its own slot."""
        self.due_ms = now_ms + slot * HURRY_SLOT_MS + self._chance(HURRY_JITTER_MS)

    def retry_soon(self, now_ms: int, pre: bool) -> None:
        """Stand again soon: the others may still have heard the leader, or the vote was split."""
        spread_ms = 0 if pre else self._chance(2 * HURRY_RETRY_MS)
        self.due_ms = now_ms + HURRY_RETRY_MS + spread_ms

    def yield_to_candidate(self, now_ms: int) -> None:
        """Leave a candidate time to win before this member stands."""
        self.due_ms = max(self.due_ms, now_ms + HURRY_RETRY_MS)


def refusal_of(
    request: VoteRequest, own_term: int, vote: int, leader: int, log: RaftLog
) -> VoteRefusal | None:
    """Why not to grant a vote, for a member that gave `vote` and knows `leader` (0: none).

    The same candidate gets the vote of this term again, for the answer may have been lost. A
    pre-vote for a later term takes no vote away.
    """
    is_later = request.pre and request.term > own_term
    if vote != request.source and not is_later:
        if leader != NOBODY:
            return VoteRefusal.HEARS_LEADER
        if vote != NOBODY:
            return VoteRefusal.HAS_VOTED
    is_up_to_date = log.is_up_to_date(request.last_index, request.last_term)
    return None if is_up_to_date else VoteRefusal.LOG_BEHIND


def vote_requests(
    own_id: int, peers: Iterable[int], term: int, pre: bool, transfer: bool, log: RaftLog
) -> list[VoteRequest]:
    """Ask every peer for its vote in `term`."""
    return [
        VoteRequest(own_id, peer, term, pre, log.last_index, log.last_term, transfer)
        for peer in sorted(peers)
    ]
