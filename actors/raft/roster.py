"""Roster: who the members are, by what one member's log holds, and what follows from that.

A membership holds from when it is appended (dissertation 4.1), so it may yet be replaced: the
roster knows the latest, the latest that is committed, and what lies between. What follows from them
is kept as plain attributes, made anew only when a membership comes, goes or is committed: every
message and every flush asks. Knows nothing of terms, votes, or who leads.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from actors.raft.membership import Membership

NEVER: Final = 1 << 63
"""An index that no log reaches."""


class Roster:
    """The members as one of them knows them.

    `held` are the latest membership that is committed, and all after it, with their places in the
    log, perhaps some before; another object after each change. `latest` may not be committed yet:
    `is_settled` says whether it is. `configuration` is who counts by the latest.
    """

    held: Sequence[tuple[int, Membership]]

    def __init__(self, own_id: int, index: int, membership: Membership, commit: int) -> None:
        self._own_id = own_id
        self.held = [(index, membership)]
        self._look(commit)

    # --- what changes it ---

    def add(self, index: int, membership: Membership, commit: int) -> None:
        """A membership was appended to the log; those before the latest committed one are past."""
        committed = [pair for pair in self.held if pair[0] <= commit]
        pending = [pair for pair in self.held if pair[0] > commit]
        self.held = [*(committed[-1:] or self.held[:1]), *pending, (index, membership)]
        self._look(commit)

    def cut_from(self, index: int, commit: int) -> None:
        """The log from there on was replaced: what it said of members does not hold any more."""
        self.held = [pair for pair in self.held if pair[0] < index]
        self._look(commit)

    def restart(self, index: int, membership: Membership, commit: int) -> None:
        """A snapshot took the place of the log up to there."""
        self.held = [(index, membership)]
        self._look(commit)

    def commit_to(self, commit: int) -> None:
        """The log is committed so far; needed only once that reaches `next_index`."""
        self._look(commit)

    def _look(self, commit: int) -> None:
        """Make everything anew that follows from what is held and committed."""
        committed = [each for index, each in self.held if index <= commit]
        latest_index, latest = self.held[-1]
        self.latest = latest
        self.committed = committed[-1] if committed else self.held[0][1]
        self.is_settled = latest_index <= commit
        # Where the next membership stands that is not committed.
        self.next_index = min((i for i, _ in self.held if i > commit), default=NEVER)
        # A change of voters whose first half is committed: whoever leads appends the second.
        self.is_half_done = latest.is_joint and self.is_settled
        self.configuration = latest.configuration
        self.members = self.configuration.members()
        self.voters = self.configuration.all_voters()
        self.is_voter = self._own_id in self.voters
        self.is_learner = self._own_id in latest.learners
        # A voter that its latest membership leaves out is needed until that is committed: the
        # others may not have it yet, and lack the rest of its log (dissertation 4.2.2).
        self.may_stand = self._own_id in self.voters | self.committed.configuration.all_voters()
        # Out for good; who is only being removed still counts.
        self.removed = self.committed.removed - self.committed.outgoing
        self.is_removed = self._own_id in self.removed

    # --- what is asked seldom ---

    def at(self, index: int) -> Membership:
        """The membership that holds at a place in the log; the first that is held, before that."""
        if index >= self.held[-1][0]:
            return self.latest
        standing = [each for at, each in self.held if at <= index]
        return standing[-1] if standing else self.held[0][1]
