"""When those who watch are told something though nothing happens, and when they wait in vain."""

from __future__ import annotations

from actors.watch.rhythm import BEAT_INTERVAL_MS, BOOKMARK_INTERVAL_MS, Patience, Rhythm

NOW_MS = 5_000
PROGRESS_MS = 4_000
NO_LEADER_MS = 900


def test_a_bookmark_is_told_when_something_has_happened_since_the_last() -> None:
    rhythm = Rhythm(PROGRESS_MS, NOW_MS)
    assert not rhythm.maybe_bookmark(7, NOW_MS + BOOKMARK_INTERVAL_MS - 1)
    assert rhythm.maybe_bookmark(7, NOW_MS + BOOKMARK_INTERVAL_MS)
    rhythm.bookmarked(7)
    assert not rhythm.maybe_bookmark(7, NOW_MS + 2 * BOOKMARK_INTERVAL_MS)
    assert rhythm.maybe_bookmark(8, NOW_MS + 3 * BOOKMARK_INTERVAL_MS)


def test_now_and_then_it_is_told_though_nothing_has_happened() -> None:
    rhythm = Rhythm(PROGRESS_MS, NOW_MS)
    rhythm.bookmarked(7)
    times = range(NOW_MS, NOW_MS + 2 * BEAT_INTERVAL_MS + 1, BOOKMARK_INTERVAL_MS)
    told = [now_ms for now_ms in times if rhythm.maybe_bookmark(7, now_ms)]
    assert told == [NOW_MS + BEAT_INTERVAL_MS, NOW_MS + 2 * BEAT_INTERVAL_MS]


def test_progress_is_told_at_its_own_interval() -> None:
    rhythm = Rhythm(PROGRESS_MS, NOW_MS)
    assert rhythm.next_wake_ms() == NOW_MS + PROGRESS_MS
    assert not rhythm.maybe_progress(NOW_MS + PROGRESS_MS - 1)
    assert rhythm.maybe_progress(NOW_MS + PROGRESS_MS)
    assert not rhythm.maybe_progress(NOW_MS + PROGRESS_MS)
    assert rhythm.next_wake_ms() == NOW_MS + BOOKMARK_INTERVAL_MS


def test_a_node_waits_for_a_leader_for_a_while() -> None:
    patience = Patience(NO_LEADER_MS, NOW_MS)
    assert not patience.is_over(NOW_MS + NO_LEADER_MS - 1)
    assert patience.is_over(NOW_MS + NO_LEADER_MS)
    patience.led(2, NOW_MS + NO_LEADER_MS)
    assert not patience.is_over(1 << 40)


def test_the_wait_begins_when_the_leader_is_lost_and_not_again() -> None:
    patience = Patience(NO_LEADER_MS, NOW_MS)
    patience.led(2, NOW_MS)
    patience.led(0, NOW_MS + 100)
    patience.led(0, NOW_MS + 200)
    assert patience.until_ms == NOW_MS + 100 + NO_LEADER_MS
