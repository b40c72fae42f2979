"""Who counts: a configuration of voters, and the two questions that are asked of a majority.

A joint configuration (dissertation 4.3) has two sets of voters, and needs a majority of each. Knows
nothing of messages or logs.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import Enum
from typing import NamedTuple


class Ballot(Enum):
    """Where a vote stands."""

    OPEN = "open"
    WON = "won"
    LOST = "lost"


class Configuration(NamedTuple):
    """The voters, the old ones while a change is under way, and learners, who do not count."""

    voters: frozenset[int]
    outgoing: frozenset[int] = frozenset()
    learners: frozenset[int] = frozenset()

    def members(self) -> frozenset[int]:
        """Everybody who is sent the log."""
        return self.voters | self.outgoing | self.learners

    def all_voters(self) -> frozenset[int]:
        """Everybody whose vote may count."""
        return self.voters | self.outgoing

    def majority_reached(self, agreeing: Iterable[int]) -> bool:
        """Whether those who agree are a majority of each set of voters."""
        return self.ballot(dict.fromkeys(agreeing, True)) is Ballot.WON

    def others_agree(self, member: int, agreeing: Iterable[int]) -> bool:
        """Whether, of the voters beside one member, a majority of each set agrees."""
        others = [voters - {member} for voters in self._sets()]
        return all(len(each.intersection(agreeing)) > len(each) // 2 for each in others)

    def ballot(self, votes: Mapping[int, bool]) -> Ballot:
        """Where a vote stands; those who have not answered may still go either way."""
        standings = [_ballot(voters, votes) for voters in self._sets()]
        if Ballot.LOST in standings:
            return Ballot.LOST
        return Ballot.OPEN if Ballot.OPEN in standings else Ballot.WON

    def agreed_index(self, match: Mapping[int, int]) -> int:
        """The highest index that a majority of each set of voters holds (Raft 5.3)."""
        return min([_agreed_index(voters, match) for voters in self._sets()])

    def _sets(self) -> tuple[frozenset[int], ...]:
        return (self.voters, self.outgoing) if self.outgoing else (self.voters,)


def _ballot(voters: frozenset[int], votes: Mapping[int, bool]) -> Ballot:
    majority = len(voters) // 2 + 1
    granted = sum(1 for voter in voters if votes.get(voter) is True)
    missing = sum(1 for voter in voters if voter not in votes)
    if granted >= majority:
        return Ballot.WON
    return Ballot.OPEN if granted + missing >= majority else Ballot.LOST


def _agreed_index(voters: frozenset[int], match: Mapping[int, int]) -> int:
    held = sorted([match.get(voter, 0) for voter in voters], reverse=True)
    return held[len(voters) // 2]
