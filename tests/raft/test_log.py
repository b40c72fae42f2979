"""The log in memory: terms, slices, conflicts, the back-off hint, and what it refuses."""

from __future__ import annotations

import pytest

from actors.language.entries import Entry
from actors.raft.log import RaftLog
from tests.raft.harness import entries, entry, terms_of


def log_of(*terms: int, previous: tuple[int, int] = (0, 0)) -> RaftLog:
    return RaftLog(*previous, entries(previous[0] + 1, *terms))


def test_an_empty_log_ends_where_it_begins() -> None:
    log = RaftLog()
    assert (log.first_index, log.last_index, log.last_term) == (1, 0, 0)
    assert log.term(0) == 0 and log.term(1) is None


def test_terms_are_known_from_the_compacted_prefix_to_the_end() -> None:
    log = log_of(3, 4, previous=(10, 2))
    assert [log.term(index) for index in range(8, 14)] == [None, None, 2, 3, 4, None]
    assert (log.first_index, log.last_index, log.last_term) == (11, 12, 4)


@pytest.mark.parametrize(
    ("first", "terms", "conflict"),
    [
        (1, (), None),
        (1, (1, 2, 3), None),
        (2, (2, 3), None),
        (3, (3,), None),
        (1, (1, 2, 3, 4, 4), 4),
        (2, (2, 3, 4), 4),
        (4, (4,), 4),
        (1, (4, 4), 1),
        (2, (1, 4), 2),
        (3, (1, 2), 3),
    ],
)
def test_the_first_conflict_is_the_first_entry_that_differs_or_is_missing(
    first: int, terms: tuple[int, ...], conflict: int | None
) -> None:
    assert log_of(1, 2, 3).first_conflict(entries(first, *terms)) == conflict


@pytest.mark.parametrize(
    ("index", "term", "expected"),
    [
        (9, 9, (7, 5)),
        (7, 5, (7, 5)),
        (7, 4, (4, 2)),
        (5, 9, (5, 5)),
        (5, 2, (4, 2)),
        (4, 1, (2, 1)),
        (2, 0, (0, 0)),
        (0, 5, (0, 0)),
    ],
)
def test_the_hint_skips_every_term_that_is_too_new(
    index: int, term: int, expected: tuple[int, int]
) -> None:
    assert log_of(1, 1, 2, 2, 5, 5, 5).last_index_up_to_term(index, term) == expected


def test_the_hint_stops_at_the_compacted_prefix() -> None:
    assert log_of(5, 5, previous=(10, 3)).last_index_up_to_term(12, 1) == (10, 3)


@pytest.mark.parametrize(
    ("bytes_max", "expected"), [(0, [1]), (1, [1]), (2, [1, 2]), (3, [1, 2, 3]), (99, [1, 2, 3, 4])]
)
def test_a_slice_holds_at_least_one_entry_and_no_more_bytes_than_asked(
    bytes_max: int, expected: list[int]
) -> None:
    taken = log_of(1, 1, 1, 1).slice(1, 5, bytes_max)
    assert [each.index for each in taken] == expected


def test_a_slice_below_the_compacted_prefix_is_refused() -> None:
    with pytest.raises(AssertionError, match="compacted"):
        log_of(1, previous=(5, 1)).slice(5, 6, 99)


def test_entries_must_follow_on() -> None:
    with pytest.raises(AssertionError, match="gap"):
        log_of(1).append([entry(3, 1)])
    with pytest.raises(AssertionError, match="consecutive"):
        RaftLog(0, 0, [entry(2, 1)])


def test_a_truncation_gives_back_what_it_removed_and_respects_the_commit_index() -> None:
    log = log_of(1, 2, 3, 4)
    assert [each.term for each in log.truncate_from(3, commit=2)] == [3, 4]
    assert terms_of(log) == [1, 2]
    with pytest.raises(AssertionError, match="committed"):
        log.truncate_from(2, commit=2)


def test_compaction_keeps_the_term_before_the_first_entry() -> None:
    log = log_of(1, 2, 3)
    log.compact(2)
    assert (log.first_index, log.last_index, log.term(2), log.term(1)) == (3, 3, 2, None)
    log.compact(1)
    assert log.first_index == 3
    log.compact(3)
    assert (log.first_index, log.last_index, log.last_term) == (4, 3, 3)
    with pytest.raises(AssertionError, match="ends at 3"):
        log.compact(4)


@pytest.mark.parametrize(
    ("index", "term", "up_to_date"),
    [(3, 3, True), (9, 3, True), (2, 3, False), (1, 4, True), (9, 2, False)],
)
def test_a_log_is_compared_by_its_last_term_and_then_by_its_length(
    index: int, term: int, up_to_date: bool
) -> None:
    assert log_of(1, 2, 3).is_up_to_date(index, term) is up_to_date


def test_the_bytes_of_a_run_stay_right_when_both_ends_of_the_log_move() -> None:
    def sized(first: int, *sizes: int) -> list[Entry]:
        return [entry(first + at, 1)._replace(command=bytes(n)) for at, n in enumerate(sizes)]

    log = RaftLog(0, 0, sized(1, 10, 20))
    log.append(sized(3, 30, 40))
    log.truncate_from(4, commit=2)
    log.append(sized(4, 5))
    log.compact(1)
    assert [log.bytes_of(start, 5) for start in (2, 3, 4, 5)] == [55, 35, 5, 0]
    log.restart_after(9, 7)
    log.append(sized(10, 3, 4))
    assert (log.bytes_of(10, 12), log.bytes_of(11, 12)) == (7, 4)


def test_a_slice_beyond_the_end_is_refused() -> None:
    with pytest.raises(AssertionError, match="not here yet"):
        log_of(1, 1).slice(1, 4, 99)
