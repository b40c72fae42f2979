"""What is told to go when nobody compacts by hand, and when."""

from __future__ import annotations

import pytest

from actors.store.retention import (
    PERIOD_INTERVAL_MS_MAX,
    QUIET_MS,
    REVISIONS_MUCH,
    HistoryRetention,
    KeepPeriod,
    KeepRevisions,
)

KEPT = 5_000
NEVER = -1
HOUR_MS = 60 * 60 * 1_000


def _looks(
    retention: HistoryRetention, until_ms: int, revisions_per_ms: float, obeyed: bool = True
) -> list[tuple[int, int]]:
    """When it wants which compaction, asked as often as it likes while revisions are made."""
    compacted, wanted = NEVER, []
    for now_ms in range(0, until_ms + 1, retention.look_ms):
        target = retention.due(now_ms, 1 + int(now_ms * revisions_per_ms), compacted)
        if target:
            assert target > compacted
            wanted.append((now_ms, target))
            compacted = target if obeyed else compacted
    return wanted


def test_the_last_revisions_are_kept_and_what_is_much_more_goes_at_the_next_look() -> None:
    keep = KeepRevisions(KEPT)
    assert keep.due(0, KEPT + REVISIONS_MUCH, NEVER) == 0
    assert keep.due(1_000, KEPT + REVISIONS_MUCH + 1, NEVER) == REVISIONS_MUCH + 1
    assert keep.due(2_000, KEPT + 2 * REVISIONS_MUCH, REVISIONS_MUCH + 1) == 0
    assert keep.due(3_000, 10 * KEPT, REVISIONS_MUCH + 1) == 9 * KEPT


def test_a_little_more_goes_after_five_quiet_minutes() -> None:
    keep = KeepRevisions(KEPT)
    assert keep.due(0, KEPT + 9, NEVER) == 0
    assert keep.due(QUIET_MS - 1, KEPT + 9, NEVER) == 0
    assert keep.due(QUIET_MS, KEPT + 9, NEVER) == 9
    assert keep.due(QUIET_MS + 1, KEPT + 10, 9) == 0
    assert keep.due(2 * QUIET_MS + 1, KEPT + 10, 9) == 10


def test_a_store_with_less_than_is_kept_is_left_alone() -> None:
    keep = KeepRevisions(KEPT)
    assert [keep.due(now_ms, KEPT + 1, NEVER) for now_ms in (0, QUIET_MS, 9 * QUIET_MS)] == [0] * 3


def test_a_compaction_that_was_lost_is_wanted_again() -> None:
    keep = KeepRevisions(KEPT)
    assert [keep.due(now_ms, 10 * KEPT, NEVER) for now_ms in (0, 1_000)] == [9 * KEPT] * 2
    assert len(_looks(KeepPeriod(HOUR_MS), 2 * HOUR_MS, 1, obeyed=False)) == 10


@pytest.mark.parametrize("period_ms", [1_000, 60_000, HOUR_MS])
def test_what_was_the_present_within_the_period_is_kept(period_ms: int) -> None:
    wanted = _looks(KeepPeriod(period_ms), 5 * period_ms, 1)
    assert [target for _, target in wanted] == [1 + at_ms - period_ms for at_ms, _ in wanted], (
        "each time the revision of a period ago"
    )
    times = [at_ms / period_ms for at_ms, _ in wanted]
    assert times == pytest.approx([1.1, 2.1, 3.1, 4.1])


def test_a_long_period_has_a_compaction_each_hour() -> None:
    wanted = _looks(KeepPeriod(5 * HOUR_MS), 8 * HOUR_MS, 0.01)
    assert PERIOD_INTERVAL_MS_MAX == HOUR_MS
    assert [at_ms / HOUR_MS for at_ms, _ in wanted] == pytest.approx([5.1, 6.1, 7.1])


def test_a_store_that_nobody_writes_to_is_compacted_once() -> None:
    keep = KeepPeriod(1_000)
    wanted = [
        keep.due(now_ms, 7, 7 if now_ms > 1_000 else NEVER) for now_ms in range(0, 9_000, 100)
    ]
    assert [target for target in wanted if target] == [7]


def test_what_is_remembered_does_not_grow_with_time() -> None:
    keep = KeepPeriod(1_000)
    _looks(keep, 100_000, 1)
    assert len(keep._samples) <= 21


def test_whoever_leads_next_goes_on_with_what_it_has_seen() -> None:
    leader, follower = KeepPeriod(1_000), KeepPeriod(1_000)
    for now_ms in range(0, 3_001, 100):
        told = leader.due(now_ms, now_ms + 1, NEVER), follower.due(now_ms, now_ms + 1, NEVER)
    assert told == (2_001, 2_001)
