"""Majorities of one and of two sets of voters."""

from __future__ import annotations

import pytest

from actors.raft.quorum import Ballot, Configuration


def voters(*ids: int) -> Configuration:
    return Configuration(frozenset(ids))


@pytest.mark.parametrize(
    ("configuration", "yes", "no", "ballot"),
    [
        (voters(1), "1", "", Ballot.WON),
        (voters(1), "", "1", Ballot.LOST),
        (voters(1, 2), "1", "", Ballot.OPEN),
        (voters(1, 2), "1", "2", Ballot.LOST),
        (voters(1, 2), "12", "", Ballot.WON),
        (voters(1, 2, 3), "12", "", Ballot.WON),
        (voters(1, 2, 3), "1", "2", Ballot.OPEN),
        (voters(1, 2, 3), "1", "23", Ballot.LOST),
        (voters(1, 2, 3, 4), "12", "", Ballot.OPEN),
        (voters(1, 2, 3, 4), "12", "34", Ballot.LOST),
        (voters(1, 2, 3, 4), "123", "4", Ballot.WON),
        (voters(1, 2, 3), "1789", "", Ballot.OPEN),
        (Configuration(frozenset({1, 2, 3}), frozenset({3, 4, 5})), "12", "", Ballot.OPEN),
        (Configuration(frozenset({1, 2, 3}), frozenset({3, 4, 5})), "123", "", Ballot.OPEN),
        (Configuration(frozenset({1, 2, 3}), frozenset({3, 4, 5})), "1234", "", Ballot.WON),
        (Configuration(frozenset({1, 2, 3}), frozenset({3, 4, 5})), "123", "45", Ballot.LOST),
    ],
)
def test_a_ballot_needs_a_majority_of_each_set_of_voters(
    configuration: Configuration, yes: str, no: str, ballot: Ballot
) -> None:
    votes = {int(voter): True for voter in yes} | {int(voter): False for voter in no}
    assert configuration.ballot(votes) is ballot


@pytest.mark.parametrize(
    ("configuration", "match", "agreed"),
    [
        (voters(1), {1: 7}, 7),
        (voters(1, 2), {1: 7, 2: 3}, 3),
        (voters(1, 2, 3), {1: 7, 2: 3, 3: 5}, 5),
        (voters(1, 2, 3), {1: 7}, 0),
        (voters(1, 2, 3, 4), {1: 9, 2: 8, 3: 7, 4: 6}, 7),
        (voters(1, 2, 3, 4, 5), {1: 9, 2: 8, 3: 7, 4: 6, 5: 5}, 7),
        (voters(1, 2, 3), {1: 7, 8: 9, 9: 9}, 0),
        (Configuration(frozenset({1, 2, 3}), frozenset({3, 4, 5})), {1: 9, 2: 9, 3: 9}, 0),
        (Configuration(frozenset({1, 2, 3}), frozenset({3, 4, 5})), {1: 9, 2: 9, 3: 9, 4: 4}, 4),
    ],
)
def test_the_agreed_index_is_what_a_majority_of_each_set_holds(
    configuration: Configuration, match: dict[int, int], agreed: int
) -> None:
    assert configuration.agreed_index(match) == agreed
