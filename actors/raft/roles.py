"""The state of followers and of candidates. A leader's is in leader.py.

State that only one role has lives in that role's class, so that no other role can read it.
"""

from __future__ import annotations


class Follower:
    """Follows a leader that was last heard at `heard_ms`, or waits for one.

    Until `hurried_until_ms` it stands again after a few milliseconds, not after an election
    timeout: the connection to the leader broke.
    """

    __slots__ = ("heard_ms", "hurried_until_ms")

    def __init__(self, heard_ms: int) -> None:
        self.heard_ms = heard_ms
        self.hurried_until_ms = 0


class Candidate:
    """Asks for votes; with `pre` it only asks whether it would get them. Votes are by member.

    `late_votes` are real votes of a candidacy that timed out, in the term that is still this
    member's: on a slow disk a vote may take longer than the timeout, and still counts.
    """

    __slots__ = ("hurried_until_ms", "late_votes", "pre", "votes")

    def __init__(self, pre: bool, hurried_until_ms: int, late_votes: dict[int, bool]) -> None:
        self.pre = pre
        self.hurried_until_ms = hurried_until_ms
        self.votes: dict[int, bool] = {}
        self.late_votes = late_votes

    def votes_of_term(self) -> dict[int, bool]:
        """The real votes of the present term that have arrived."""
        return self.late_votes if self.pre else self.votes
