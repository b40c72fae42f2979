"""When a store commits: after an interval, or at once when much is new."""

from __future__ import annotations

from actors.store.pace import (
    COMMIT_BYTES_MAX,
    COMMIT_CHANGES_MAX,
    COMMIT_INTERVAL_MS,
    KEPT_BYTES_MAX,
    KEPT_CHANGES_MAX,
    CommitPace,
)

NOW_MS = 5_000


def test_the_interval_begins_with_the_first_change() -> None:
    pace = CommitPace()
    assert not pace.is_full(0, lambda: NOW_MS)
    assert pace.due_ms is None
    assert not pace.is_full(1, lambda: NOW_MS)
    assert not pace.is_full(2, lambda: NOW_MS + 50)
    assert pace.due_ms == NOW_MS + COMMIT_INTERVAL_MS
    assert not pace.is_due(pace.due_ms - 1)
    assert pace.is_due(pace.due_ms)


def test_much_does_not_wait() -> None:
    pace = CommitPace()
    assert not pace.is_full(COMMIT_CHANGES_MAX - 1, lambda: NOW_MS)
    assert pace.is_full(COMMIT_CHANGES_MAX, lambda: NOW_MS)
    pace.bytes = COMMIT_BYTES_MAX
    assert pace.is_full(1, lambda: NOW_MS)


def test_a_commit_begins_anew() -> None:
    pace = CommitPace()
    pace.bytes = COMMIT_BYTES_MAX
    pace.is_full(1, lambda: NOW_MS)
    pace.taken(1)
    assert not pace.is_due(NOW_MS + COMMIT_INTERVAL_MS)
    assert not pace.is_full(1, lambda: NOW_MS + 1)
    assert pace.due_ms == NOW_MS + 1 + COMMIT_INTERVAL_MS


def test_what_a_commit_has_taken_counts_as_not_durable_until_its_end() -> None:
    pace = CommitPace()
    pace.bytes = 300
    pace.taken(1)
    pace.bytes += 20
    assert pace.undurable_bytes == 320
    pace.committed()
    assert pace.undurable_bytes == 20


def test_a_large_commit_may_have_as_much_behind_it_as_it_has_taken_and_more() -> None:
    pace = CommitPace()
    pace.taken(1_000_000)
    assert not pace.is_too_full(1_000_000 + KEPT_CHANGES_MAX - 1)
    assert pace.is_too_full(1_000_000 + KEPT_CHANGES_MAX)
    pace.bytes = KEPT_BYTES_MAX
    assert pace.is_too_full(1)
