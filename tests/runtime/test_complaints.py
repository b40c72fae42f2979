"""Complaints: said at once, then once a minute with their number, whatever the flood."""

from __future__ import annotations

import logging

import pytest

from actors.runtime.complaints import EVERY_MS, KINDS_MAX, Complaints

LOG = logging.getLogger("leasehold.test")


class Desk:
    """Complaints on a clock that a test moves."""

    def __init__(self, caplog: pytest.LogCaptureFixture) -> None:
        self.now_ms = 5
        self.complaints = Complaints(lambda: self.now_ms, LOG)
        self._caplog = caplog

    def said(self) -> list[str]:
        """What was logged since the last call."""
        said = [record.getMessage() for record in self._caplog.records]
        self._caplog.clear()
        return said


@pytest.fixture
def desk(caplog: pytest.LogCaptureFixture) -> Desk:
    return Desk(caplog)


def test_a_kind_is_said_at_once_and_then_once_a_minute_with_its_count(desk: Desk) -> None:
    for sender in range(1_000):
        desk.complaints.say("strangers", f"ignored a frame of {sender}")
    assert desk.said() == ["ignored a frame of 0"]
    desk.now_ms += EVERY_MS
    desk.complaints.say("strangers", "ignored a frame of 7")
    desk.complaints.say("strangers", "ignored a frame of 8")
    assert desk.said() == ["ignored a frame of 7 (1000 times in 60 s)"]
    assert desk.complaints.count == 1_002


def test_what_ended_before_the_minute_is_counted_in_the_end(desk: Desk) -> None:
    for _ in range(3):
        desk.complaints.say("terms", "ignored a term")
    desk.complaints.tick(desk.now_ms + EVERY_MS - 1)
    assert desk.said() == ["ignored a term"]
    desk.complaints.tick(desk.now_ms + EVERY_MS)
    assert desk.said() == ["ignored a term (2 times in 60 s)"]
    desk.complaints.tick(desk.now_ms + 3 * EVERY_MS)
    assert desk.said() == []


def test_kinds_do_not_hide_each_other(desk: Desk) -> None:
    desk.complaints.say("a", "first")
    desk.complaints.say("b", "second")
    assert desk.said() == ["first", "second"]


def test_a_kind_that_was_quiet_for_a_minute_is_new_again(desk: Desk) -> None:
    desk.complaints.say("a", "first")
    desk.now_ms += EVERY_MS
    desk.complaints.tick(desk.now_ms)
    desk.complaints.say("a", "again")
    assert desk.said() == ["first", "again"]


def test_kinds_beyond_the_limit_count_as_one(desk: Desk) -> None:
    for key in range(3 * KINDS_MAX):
        desk.complaints.say(str(key), f"kind {key}")
    assert len(desk.said()) == KINDS_MAX + 1
