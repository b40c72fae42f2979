"""Roster: who the members are by one member's log, and what follows from that.

A membership holds once it is in the log (dissertation 4.1), so it may yet be replaced by another.
The roster knows the latest, the latest that is committed, and those between. What follows from them
is kept in attributes, for every message and every flush asks; it is computed when a membership
comes, goes or is committed. Refuses to know of terms, of votes and of who leads.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from actors.raft.membership import Membership

NO_INDEX: Final = 1 << 63
"""An index that no log reaches."""


class Roster:
    """The members as one of them knows them.

    `held` has the latest committed membership and all after it, perhaps some before it, each with
    its index in the log; it is another object after each change. `latest` may not be committed yet:
    `is_settled` says whether it is. `configuration` has the voters and learners of the latest.
    """

    held: Sequence[tuple[int, Membership]]

    def __init__(self, own_id: int, index: int, membership: Membership, commit: int) -> None:
        self._own_id = own_id
        self.held = [(index, membership)]
        self.commit_to(commit)

    # --- what changes it ---

    def add(self, index: int, membership: Membership, commit: int) -> None:
        """A membership was appended to the log; drop those before the latest committed one."""
        committed = [pair for pair in self.held if pair[0] <= commit]
        pending = [pair for pair in self.held if pair[0] > commit]
        self.held = [*(committed[-1:] or self.held[:1]), *pending, (index, membership)]
        self.commit_to(commit)

    def cut_from(self, index: int, commit: int) -> None:
        """The log from `index` on was truncated: its memberships do not hold any more."""
        self.held = [pair for pair in self.held if pair[0] < index]
        self.commit_to(commit)

    def restart(self, index: int, membership: Membership, commit: int) -> None:
        """A snapshot has replaced the log up to `index`."""
        self.held = [(index, membership)]
        self.commit_to(commit)

    def commit_to(self, commit: int) -> None:
        """Compute all attributes anew: by the memberships held, and what is committed of them.

        A commit index that has risen makes a difference only if it has reached `next_index`.
        """
        committed = [each for index, each in self.held if index <= commit]
        latest_index, latest = self.held[-1]
        self.latest = latest
        self.committed = committed[-1] if committed else self.held[0][1]
        self.is_settled = latest_index <= commit
        # The index of the first membership that is not committed.
        self.next_index = min((i for i, _ in self.held if i > commit), default=NO_INDEX)
        # The joint membership is committed: the leader appends the one that follows it (4.3).
        self.is_half_done = latest.is_joint and self.is_settled
        self.configuration = latest.configuration
        self.members = self.configuration.members()
        self.voters = self.configuration.all_voters()
        self.is_voter = self._own_id in self.voters
        self.is_learner = self._own_id in latest.learners
        # A voter that its latest membership leaves out may stand until that one is committed. The
        # others may have neither that membership nor the rest of this log, and then only this
        # member can be elected (dissertation 4.2.2).
        self.may_stand = self._own_id in self.voters | self.committed.configuration.all_voters()
        # Those whose removal is complete; a member that is being removed still votes.
        self.removed = self.committed.removed - self.committed.outgoing
        self.is_removed = self._own_id in self.removed

    # --- questions that are rare ---

    def at(self, index: int) -> Membership:
        """The membership that holds at `index`; the first one held, for an index before it."""
        if index >= self.held[-1][0]:
            return self.latest
        standing = [each for at, each in self.held if at <= index]
        return standing[-1] if standing else self.held[0][1]
