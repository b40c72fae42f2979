"""Configuration: the members by their roles, and what a majority of the voters has said or holds.

A joint configuration (dissertation 4.3) has two sets of voters, and needs a majority of each: so
neither the old set nor the new one can decide anything alone. Refuses to know of messages and logs.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from enum import Enum
from itertools import repeat
from typing import NamedTuple


class Ballot(Enum):
    """Where a vote stands."""

    OPEN = "open"
    WON = "won"
    LOST = "lost"


class Configuration(NamedTuple):
    """The voters, the old voters while a change is under way, and learners, which do not vote."""

    voters: frozenset[int]
    outgoing: frozenset[int] = frozenset()
    learners: frozenset[int] = frozenset()

    def members(self) -> frozenset[int]:
        """The members that are sent the log."""
        return self.voters | self.outgoing | self.learners

    def all_voters(self) -> frozenset[int]:
        """The members whose vote may count."""
        return self.voters | self.outgoing

    def majority_reached(self, agreeing: Sequence[int]) -> bool:
        """Whether `agreeing` has a majority of each set of voters."""
        lost = [each for each in self.sets() if len(each.intersection(agreeing)) <= len(each) // 2]
        return not lost

    def others_agree(self, member: int, agreeing: Iterable[int]) -> bool:
        """Whether `agreeing` has, without `member`, a majority of the rest of each set."""
        others = [voters - {member} for voters in self.sets()]
        return all(len(each.intersection(agreeing)) > len(each) // 2 for each in others)

    def ballot(self, votes: Mapping[int, bool]) -> Ballot:
        """Where a vote stands; a voter that has not answered may still grant or refuse."""
        # Each set must be won for itself (4.3): if one set is lost, the vote is.
        standings = [_ballot(voters, votes) for voters in self.sets()]
        if Ballot.LOST in standings:
            return Ballot.LOST
        return Ballot.OPEN if Ballot.OPEN in standings else Ballot.WON

    def agreed_index(self, match: Mapping[int, int]) -> int:
        """The highest index that a majority of each set of voters holds (Raft 5.3)."""
        agreed = _agreed_index(self.voters, match)
        return min(agreed, _agreed_index(self.outgoing, match)) if self.outgoing else agreed

    def sets(self) -> tuple[frozenset[int], ...]:
        """The sets of voters that decide: two while a change is under way, and both must agree."""
        return (self.voters, self.outgoing) if self.outgoing else (self.voters,)


def _ballot(voters: frozenset[int], votes: Mapping[int, bool]) -> Ballot:
    majority = len(voters) // 2 + 1
    granted = sum(1 for voter in voters if votes.get(voter) is True)
    missing = sum(1 for voter in voters if voter not in votes)
    if granted >= majority:
        return Ballot.WON
    return Ballot.OPEN if granted + missing >= majority else Ballot.LOST


def _agreed_index(voters: frozenset[int], match: Mapping[int, int]) -> int:
    held = sorted(map(match.get, voters, repeat(0)), reverse=True)
    # Of 3 the second highest, of 4 the third: this voter and those before it are a majority.
    return held[len(voters) // 2]
