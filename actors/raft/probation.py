"""Probation: what a member whose disk shows no log must hear before it may promise anything again.

It may have lived before: voted, and acknowledged entries, on a disk that is gone. Two votes in one
term, or an entry that a quorum held and holds no more, break what Raft is built on (5.2, 5.4). So
it begins on probation, which a mark on its disk keeps through any crash, and goes through two
phases. Here is what they ask for; who asks, saves and removes the mark are the actor and the core.

*Asking.* It takes no part in Raft, not even in terms, and asks the others what they know. A promise
of an earlier life counted in a quorum together with others: of n voters, the quorum without this
member is at least n // 2 of the other n - 1. Any n // 2 + 1 of those, or all of them where there
are no more, meet it. So one of the answers comes from a member that kept the same promise, in a
term no lower than that of the promise: whoever grants a vote, or takes a leader's entry, is in its
term. Hence the greatest term of the answers is no lower than any in which a lost vote or a lost
acknowledgement was counted. Where a change of members is under way, each set of voters must answer
so; a set with somebody in it who has been removed is past: the change that removed it is committed.

*Catching up.* It is in the greatest term of the answers, has given its vote of that term away, and
follows; but it does not stand, nor vote for just anybody. Any leader of a later term is elected by
others, or by votes that this member gave and kept: its log holds all that was committed before
(5.4.3). So it holds what this member had acknowledged, and the first entry of the leader's own term
brings all of that back here. What remains is what the leader of the present term counts as
acknowledged by an earlier life. To ask it is to end that: it forgets what it knew of this member,
begins a new stream, and says how far its log went by then. Nothing it has committed lies beyond.
From no other stream is anything taken. So: when the leader of the present term has answered in that
term, and the log here is durable as far as the leader's was then, with an entry of that term at its
end, nothing is lost.

Before that it may vote only if all the others have answered, and only for a candidate whose log
ends no earlier than that of any of them did then. Among them is whoever counted what it had
acknowledged, with all of that in its log; who is that much up to date holds it as well (5.4.1,
5.4.3). Without this a cluster of one that adds a second member, and restarts, could never elect
anybody: there is no leader to catch up with.

Nobody leads the first term. When none of the answers is of a later one - founders that start for
the first time, or that have lost everything together - there is nothing to catch up with.

What this takes for granted: of the members that share a promise, only this one has forgotten it;
and a vote that left an earlier life reaches its candidate, if ever, before this life is done with
its probation (or the candidate was among those who answered; in clusters of three it always is).
"""

from __future__ import annotations

from typing import Final

from actors.raft.log import FIRST_TERM
from actors.raft.membership import Membership, decode
from actors.raft.rpc import Welcome

ANSWERS_MAX: Final = 64
"""Members whose answers are kept; a cluster has fewer."""


class Probation:
    """What the others have answered to one life of a member, named by a random `nonce`."""

    def __init__(self, nonce: int) -> None:
        self.nonce = nonce
        # While it asks it takes no part; later it catches up.
        self.is_asking = True
        self._answers: dict[int, Welcome] = {}

    def take(self, answer: Welcome) -> bool:
        """Keep an answer; False if it is not to this life's question."""
        is_known = answer.source in self._answers or len(self._answers) < ANSWERS_MAX
        if answer.nonce != self.nonce or not is_known:
            return False
        kept = self._answers.setdefault(answer.source, answer)
        # One that was overtaken by a later answer says less. Sessions of one term only grow.
        if _place(answer) >= _place(kept):
            self._answers[answer.source] = answer
        return True

    def memberships(self, known: Membership) -> list[Membership]:
        """The members as they are `known` here, and as each of the answers has them."""
        return [known, *(decode(each.membership) for each in self._answers.values())]

    def awaited(self, own_id: int, known: Membership) -> frozenset[int] | None:
        """Who has not answered, of those that may have to; nobody once there are enough answers.

        None: nobody is known yet who could be asked by name.
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

    def is_answered_by_all(self, own_id: int, known: Membership) -> bool:
        """Whether nobody is left who might count on something that is forgotten."""
        sets = self._voters(known)
        others = frozenset().union(*sets) - {own_id}
        return bool(sets) and not self.is_asking and others <= self._answers.keys()

    def _voters(self, known: Membership) -> set[frozenset[int]]:
        """The sets of voters that a promise may have counted in, and that are not past."""
        memberships = self.memberships(known)
        past = {each.id for one in memberships for each in one.former if one.has_removed(each.id)}
        sets = {each for one in memberships for each in (one.voters, one.outgoing) if each}
        return {voters for voters in sets if not voters & past}

    @property
    def term(self) -> int:
        """The greatest term of the answers; 0 if nobody had to answer."""
        return max((each.term for each in self._answers.values()), default=0)

    @property
    def end(self) -> tuple[int, int]:
        """The greatest end of the others' logs, as (last term, last index)."""
        ends = [(each.last_term, each.last_index) for each in self._answers.values()]
        return max(ends, default=(0, 0))

    def goal(self, term: int, leader: int) -> int | None:
        """How far the log must be durable in `term`, led by `leader` (0: nobody is known to).

        None: that leader has not answered in that term.
        """
        if term == FIRST_TERM:
            return max((each.last_index for each in self._answers.values()), default=0)
        answer = self._answers.get(leader)
        return None if answer is None or answer.term != term else answer.last_index

    def may_follow(self, source: int, term: int, session: int) -> bool:
        """Whether a leader's stream began in this life: it counts nothing from an earlier one."""
        answer = self._answers.get(source)
        return answer is not None and (answer.term, answer.session) == (term, session)


def _place(answer: Welcome) -> tuple[int, int, int]:
    return answer.term, answer.session, answer.last_index
