"""Probation: what a member whose disk shows no log must hear before it may promise anything again.

The member may have lived before: it may have voted, and acknowledged entries, on a disk that is
gone. Two votes in one term, or a committed entry that no majority holds any more, break what Raft
is built on (5.2, 5.4). So the member begins on probation, which a mark on its disk keeps through
any crash, and goes through two phases. This module says what the phases ask for. The actor and the
core do the asking and the saving, and remove the mark.

*Asking.* The member takes no part in Raft, not even in terms, and asks the others what they know. A
promise of an earlier life was counted in a quorum together with others: of n voters, the quorum
without this member has at least n // 2 of the other n - 1. Any n // 2 + 1 of the others, or all of
them where there are fewer, share a member with that quorum. So one of the answers comes from a
member that kept the same promise, in a term no lower than that of the promise: a member that grants
a vote, or takes a leader's entry, is in that term. Hence the greatest term of the answers is no
lower than any term in which a lost vote or a lost acknowledgement was counted. While a change of
members is under way, each set of voters must answer in this way. A set with a removed member in it
does not matter any more: the change that removed the member is committed.

*Catching up.* The member enters the greatest term of the answers, with its vote of that term given
to itself, and follows. It does not stand, and it does not vote for every candidate. The leader of
any later term is elected by others, or by votes that this member gave and still knows, so its log
holds all that was committed before (5.4.3). That includes what this member had acknowledged, and
the first entry of the leader's own term brings all of it back here. What remains are the
acknowledgements of an earlier life that the leader of the present term counts. The question to the
leader ends these: it forgets what it knew of this member, begins a new stream, and says how far its
log goes. Nothing that it has committed lies beyond. The member takes entries from no other stream.
So nothing is lost once three things hold: the leader of the present term has answered in that term;
the log here is durable as far as the leader's went then; its last entry is of that term.

Before that, the member may vote only if all the others have answered, and only for a candidate
whose log ends no earlier than that of any of them. One of them counted what this member had
acknowledged, and holds all of it; a candidate whose log is as up to date holds it as well (5.4.1,
5.4.3). Without this rule a cluster of one member that adds a second, and restarts, could never
elect a leader: there is none to catch up with.

No member leads the first term. If no answer is of a later term, there is nothing to catch up with:
the founders start for the first time, or have lost everything together.

Two things are taken for granted. Of the members that share a promise, only this one has forgotten
it. And a vote that left an earlier life reaches its candidate, if ever, before this life ends its
probation (or the candidate was among those that answered; in a cluster of three it always is).
"""

from __future__ import annotations

from typing import Final

from actors.raft.log import FIRST_TERM
from actors.raft.membership import Membership, decode
from actors.raft.rpc import VoteRequest, Welcome

ANSWERS_MAX: Final = 64
"""Members whose answers are kept; a cluster has fewer."""


class Probation:
    """What the others have answered to one life of a member, named by a random `nonce`."""

    def __init__(self, nonce: int) -> None:
        self.nonce = nonce
        # The first of the two phases; the second is catching up.
        self.is_asking = True
        self._answers: dict[int, Welcome] = {}

    def take(self, answer: Welcome) -> bool:
        """Keep an answer; False if it is not to this life's question."""
        is_known = answer.source in self._answers or len(self._answers) < ANSWERS_MAX
        if answer.nonce != self.nonce or not is_known:
            return False
        kept = self._answers.setdefault(answer.source, answer)
        # An answer that a later one has overtaken says less. The numbers of streams only
        # grow within a term.
        if _place(answer) >= _place(kept):
            self._answers[answer.source] = answer
        return True

    def memberships(self, known: Membership) -> list[Membership]:
        """The members as they are `known` here, and as each of the answers has them."""
        return [known, *(decode(each.membership) for each in self._answers.values())]

    def awaited(self, own_id: int, known: Membership) -> frozenset[int] | None:
        """The voters that have yet to answer; empty once there are enough answers.

        None: no voter is known yet.
        """
        sets = self._voters(known)
        if not sets:
            return None
        awaited: set[int] = set()
        for voters in sets:
            others = voters - {own_id}
            needed = min(len(voters) // 2 + 1, len(others))
            if len(others & self._answers.keys()) < needed:
                awaited |= others - self._answers.keys()
        return frozenset(awaited)

    def may_vote_for(self, request: VoteRequest, own_id: int, known: Membership) -> bool:
        """Whether the member, which may have forgotten entries, may vote for a candidate.

        Every other voter must have answered, and the candidate's log must end no earlier than any
        log that they named. The module says why that is enough.
        """
        sets = self._voters(known)
        others = frozenset().union(*sets) - {own_id}
        if self.is_asking or not sets or not others <= self._answers.keys():
            return False
        ends = [(each.last_term, each.last_index) for each in self._answers.values()]
        return (request.last_term, request.last_index) >= max(ends, default=(0, 0))

    def _voters(self, known: Membership) -> set[frozenset[int]]:
        """The sets of voters that may count a promise; a set with a removed member is past."""
        memberships = self.memberships(known)
        past = {each.id for one in memberships for each in one.former if one.has_removed(each.id)}
        sets = {each for one in memberships for each in (one.voters, one.outgoing) if each}
        return {voters for voters in sets if not voters & past}

    @property
    def term(self) -> int:
        """The greatest term of the answers; 0 if no member had to answer."""
        return max((each.term for each in self._answers.values()), default=0)

    def goal(self, term: int, leader: int) -> int | None:
        """The index to which the log must be durable in `term`, led by `leader` (0: none is known).

        None: that leader has not answered in that term.
        """
        if term == FIRST_TERM:
            return max((each.last_index for each in self._answers.values()), default=0)
        answer = self._answers.get(leader)
        return None if answer is None or answer.term != term else answer.last_index

    def may_follow(self, source: int, term: int, stream: int) -> bool:
        """Whether a leader's stream began in this life, so that it counts on no earlier one."""
        answer = self._answers.get(source)
        return answer is not None and (answer.term, answer.stream) == (term, stream)


def _place(answer: Welcome) -> tuple[int, int, int]:
    return answer.term, answer.stream, answer.last_index
