"""Refusals that are held: how long, how many leave at once, and in whose turn."""

from __future__ import annotations

import pytest

from actors.gateway import held
from actors.gateway.held import HELD_MS, PAUSE_MS, SENT_AT_ONCE_MAX, HeldRefusals

ONE, TWO = (b"\0one",), (b"\0two", b"")


def test_a_refusal_is_held_for_its_time() -> None:
    refusals = HeldRefusals()
    assert refusals.due_ms is None
    assert refusals.maybe_hold(ONE, b"1", 100) and refusals.maybe_hold(ONE, b"2", 150)
    assert refusals.due_ms == 100 + HELD_MS
    assert list(refusals.due(99 + HELD_MS)) == []
    assert list(refusals.due(100 + HELD_MS + PAUSE_MS)) == [(ONE, b"1")]
    assert refusals.due_ms == 150 + HELD_MS
    assert list(refusals.due(150 + HELD_MS)) == [(ONE, b"2")]
    assert refusals.due_ms is None


def test_a_few_leave_at_once_and_connections_take_turns() -> None:
    refusals = HeldRefusals()
    for number in range(3 * SENT_AT_ONCE_MAX):
        refusals.maybe_hold(ONE, b"%d" % number, 0)
    refusals.maybe_hold(TWO, b"two", 0)
    first = list(refusals.due(HELD_MS))
    assert len(first) == SENT_AT_ONCE_MAX
    assert first[:3] == [(ONE, b"0"), (TWO, b"two"), (ONE, b"1")]
    assert list(refusals.due(HELD_MS + PAUSE_MS - 1)) == []
    now_ms, left = HELD_MS, []
    while refusals.due_ms is not None:
        assert refusals.due_ms == now_ms + PAUSE_MS
        now_ms = refusals.due_ms
        left += list(refusals.due(now_ms))
    frames = [frame for connection, frame in (*first, *left) if connection == ONE]
    assert frames == [b"%d" % number for number in range(3 * SENT_AT_ONCE_MAX)]


def test_no_more_are_held_than_there_is_room_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(held, "HELD_MAX", 2)
    refusals = HeldRefusals()
    assert [refusals.maybe_hold(ONE, b"%d" % number, 0) for number in range(3)] == [1, 1, 0]
    assert list(refusals.due(HELD_MS)) == [(ONE, b"0"), (ONE, b"1")]
    assert refusals.maybe_hold(ONE, b"4", HELD_MS)


def test_all_are_given_at_the_end() -> None:
    refusals = HeldRefusals()
    for number in range(2 * SENT_AT_ONCE_MAX):
        refusals.maybe_hold(ONE, b"%d" % number, number)
    list(refusals.due(HELD_MS))
    assert len(list(refusals.all())) == 2 * SENT_AT_ONCE_MAX - 1
    assert refusals.due_ms is None
