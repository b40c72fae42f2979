"""Rounds of reads alone: what a round confirms, and what it does not."""

from __future__ import annotations

from actors.raft.quorum import Configuration
from actors.raft.rounds import READ_ROUNDS_MAX, ReadRounds

THREE = Configuration(frozenset({1, 2, 3}))


def confirmed(rounds: ReadRounds) -> list[int]:
    """The ids of the reads that are confirmed now."""
    return [read.read_id for read in rounds.take_confirmed(1, THREE)]


def test_all_reads_that_wait_share_a_round() -> None:
    rounds = ReadRounds()
    for read_id in (10, 11):
        rounds.add(2, read_id, 5)
    assert rounds.maybe_begin() and not rounds.maybe_begin()
    assert confirmed(rounds) == [], "nobody has answered"
    rounds.acknowledged(3, rounds.sent)
    assert confirmed(rounds) == [10, 11]
    assert confirmed(rounds) == []


def test_a_read_that_comes_while_a_round_is_under_way_needs_the_next() -> None:
    rounds = ReadRounds()
    rounds.add(1, 10, 5)
    rounds.maybe_begin()
    rounds.add(1, 11, 5)
    rounds.acknowledged(2, rounds.sent)
    assert confirmed(rounds) == [10]
    assert rounds.maybe_begin()
    assert confirmed(rounds) == []
    rounds.acknowledged(2, rounds.sent)
    assert confirmed(rounds) == [11]


def test_only_a_few_rounds_are_under_way() -> None:
    rounds = ReadRounds()
    begun = 0
    for read_id in range(READ_ROUNDS_MAX + 2):
        rounds.add(1, read_id, 5)
        begun += rounds.maybe_begin()
    assert begun == READ_ROUNDS_MAX == rounds.sent


def test_an_answer_that_was_overtaken_takes_nothing_back() -> None:
    rounds = ReadRounds()
    rounds.add(1, 10, 5)
    rounds.maybe_begin()
    rounds.acknowledged(2, 1)
    rounds.acknowledged(2, 0)
    assert confirmed(rounds) == [10]


def test_who_has_forgotten_what_it_answered_confirms_nothing() -> None:
    rounds = ReadRounds()
    rounds.add(1, 10, 5)
    rounds.maybe_begin()
    rounds.acknowledged(2, 1)
    rounds.forget(2)
    assert confirmed(rounds) == []


def test_early_reads_wait_for_the_index_that_they_need() -> None:
    rounds = ReadRounds()
    rounds.add_early(3, 10)
    assert not rounds.maybe_begin()
    rounds.release(8)
    assert rounds.maybe_begin()
    rounds.acknowledged(2, 1)
    (read,) = rounds.take_confirmed(1, THREE)
    assert (read.source, read.read_id, read.index) == (3, 10, 8)
