"""Repeats: a line is written at once, then once a minute with its number, whatever the flood."""

from __future__ import annotations

import pytest

from cluster.repeats import EVERY_MS, LINE_KEYS_MAX, Due, Repeats


@pytest.fixture
def repeats() -> Repeats[str]:
    return Repeats()


def test_a_line_is_written_at_once_and_then_once_a_minute_with_its_count(
    repeats: Repeats[str],
) -> None:
    written = [repeats.take("strangers", f"frame {sender}", sender) for sender in range(1_000)]
    assert [each for each in written if each] == [Due("frame 0", 0, 0)]
    assert repeats.take("strangers", "frame 7", EVERY_MS) == Due("frame 7", 1_000, EVERY_MS)
    assert repeats.take("strangers", "frame 8", EVERY_MS) is None


def test_what_ended_before_the_minute_is_counted_in_the_end(repeats: Repeats[str]) -> None:
    for _ in range(3):
        repeats.take("terms", "a term", 5)
    assert repeats.due(4 + EVERY_MS) == []
    assert repeats.due(5 + EVERY_MS) == [Due("a term", 2, EVERY_MS)]
    assert repeats.due(5 + 3 * EVERY_MS) == []


def test_lines_do_not_hide_each_other(repeats: Repeats[str]) -> None:
    assert repeats.take("a", "first", 0) == Due("first", 0, 0)
    assert repeats.take("b", "second", 0) == Due("second", 0, 0)


def test_a_line_that_was_away_for_a_minute_is_new_again(repeats: Repeats[str]) -> None:
    repeats.take("a", "first", 0)
    assert repeats.take("a", "again", EVERY_MS) == Due("again", 0, 0)
    assert repeats.take("a", "at once", EVERY_MS + 1) is None


def test_keys_beyond_the_limit_count_as_one_until_others_are_quiet(repeats: Repeats[str]) -> None:
    written = [repeats.take(str(key), f"line {key}", 0) for key in range(3 * LINE_KEYS_MAX)]
    assert len([each for each in written if each]) == LINE_KEYS_MAX + 1
    assert repeats.take("later", "later", EVERY_MS) == Due("later", 0, 0)


def test_at_the_end_all_counts_are_written(repeats: Repeats[str]) -> None:
    for _ in range(3):
        repeats.take("a", "a line", 0)
    repeats.take("b", "another", 0)
    assert repeats.rest(10) == [Due("a line", 2, 10)]
