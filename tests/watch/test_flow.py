"""What many watches are told at once: in steps, as the gateway has room for it."""

from __future__ import annotations

from functools import partial

import pytest

from actors.language.messages import (
    Congestion,
    Deliver,
    Events,
    HistoryPortion,
    ReadHistory,
    RoomToTell,
    WatchCancel,
)
from actors.watch import actor as watch_actor
from actors.watch.flow import Flow
from actors.watch.long_batch import LongBatch
from cluster.wire import unpack
from tests.watch.test_watch_actor import ONE, Bench, put

TOLD_BYTES = 1_000
LIVE_BYTES = 2_000
WATCHES = 40
VALUE = bytes(100)
PAST = (put(b"k", 2, VALUE), put(b"k", 3, VALUE))

Told = dict[tuple[bytes, int], list[int]]
"""The revisions that each watch was told, by the connection's name and the watch's id."""


def many(start_revision: int = 2) -> Bench:
    """Forty watches on four connections, of which nothing was told yet; the store is at 3."""
    bench = Bench()
    # While it reads, the others gather, and read together then.
    bench.begin(b"other", start_revision=3, revision=3)
    for number in range(WATCHES):
        connection = (b"c%d" % (number % 4),)
        bench.begin(connection=connection, start_revision=start_revision, revision=3)
    bench.actor.receive(RoomToTell())
    bench.actor.receive(HistoryPortion(3, 3, 3, ()))
    bench.asked()
    return bench


@pytest.fixture(autouse=True)
def _small_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch_actor, "Flow", partial(Flow, TOLD_BYTES, LIVE_BYTES))


def take(bench: Bench, told: Told) -> tuple[int, bool]:
    """Note what watches are told now; returns its bytes, and whether the gateway is asked."""
    messages: list[Deliver] = bench.probes.gateway.take()
    frames = [each for message in messages for each in message.frames]
    for (name,), frame in frames:
        reply = unpack(frame)
        if "events" in reply:
            revisions = [event["kv"]["mod_revision"] for event in reply["events"]]
            told.setdefault((name, reply["watch_id"]), []).extend(revisions)
    asked = [message.asks for message in messages]
    assert sum(asked) <= 1, "the gateway has not answered yet"
    return sum(len(frame) for _, frame in frames), any(asked)


def everything(*revisions: int) -> Told:
    return {(b"c%d" % (n % 4), n // 4): list(revisions) for n in range(WATCHES)}


def test_history_for_many_watches_is_told_in_steps_and_each_step_waits_for_room() -> None:
    bench, told = many(), Told()
    bench.actor.receive(HistoryPortion(2, 3, 3, PAST))
    steps = 0
    while (taken := take(bench, told))[1]:
        assert TOLD_BYTES <= taken[0] < TOLD_BYTES + 500
        assert take(bench, told) == (0, False)
        bench.wait(10_000)
        assert bench.asked() == []
        bench.probes.gateway.take()  # bookmarks
        bench.actor.receive(RoomToTell())
        steps += 1
    assert steps > 5
    assert told == everything(2, 3)
    bench.actor.receive(Events(4, (put(b"k", 4),)))
    take(bench, told)
    assert len(told[b"c0", 0]) == 3


def test_a_watch_that_ends_or_is_held_before_its_turn_is_not_told_and_others_are() -> None:
    bench, told = many(), Told()
    bench.actor.receive(HistoryPortion(2, 3, 3, PAST))
    bench.actor.receive(Congestion((b"c1",), True))
    bench.actor.receive(WatchCancel((b"c2",), b"", 9))
    while True:
        take(bench, told)
        bench.actor.receive(RoomToTell())
        if not bench.probes.gateway.messages:
            break
    before = {key for key in told if key[0] == b"c1"}
    assert 0 < len(before) < 10
    assert (b"c2", 9) not in told
    bench.actor.receive(Congestion((b"c1",), False))
    assert bench.asked() == [ReadHistory(2, ((b"k", b""),), False)]
    bench.actor.receive(HistoryPortion(2, 3, 3, PAST))
    while bench.probes.gateway.messages:
        take(bench, told)
        bench.actor.receive(RoomToTell())
    expected = everything(2, 3)
    del expected[b"c2", 9]
    assert told == expected


def test_live_events_that_are_too_much_for_all_are_history_for_the_rest() -> None:
    bench, told = many(start_revision=0), Told()
    bench.probes.gateway.take()
    happened = (put(b"k", 4, VALUE), put(b"k", 5, VALUE))
    bench.actor.receive(Events(5, happened))
    size, is_asked = take(bench, told)
    assert LIVE_BYTES <= size < LIVE_BYTES + 500
    assert is_asked
    assert bench.asked() == [ReadHistory(4, ((b"k", b""),), False)]
    # Until there is room, less is told of what happens now, and no history at all.
    bench.actor.receive(Events(6, (put(b"k", 6),)))
    size, _ = take(bench, told)
    assert size < TOLD_BYTES + 500
    bench.actor.receive(HistoryPortion(4, 6, 6, (*happened, put(b"k", 6))))
    assert take(bench, told) == (0, False)
    for _ in range(100):
        bench.actor.receive(RoomToTell())
        take(bench, told)
        for _, spans, _ in bench.asked():
            assert spans == ((b"k", b""),)
            bench.actor.receive(HistoryPortion(6, 6, 6, (put(b"k", 6),)))
            take(bench, told)
    assert told == everything(4, 5, 6)


def test_a_reply_above_the_limits_is_told_to_one_watch_after_the_other() -> None:
    bench, told = many(start_revision=0), Told()
    bench.probes.gateway.take()
    large = put(b"k", 4, bytes(2 * LIVE_BYTES))
    bench.actor.receive(Events(4, (large,)))
    take(bench, told)
    assert len(told) == 1
    bench.actor.receive(RoomToTell())
    bench.actor.receive(HistoryPortion(4, 4, 4, (large,)))
    for count in range(2, WATCHES + 1):
        take(bench, told)
        assert len(told) == count
        bench.actor.receive(RoomToTell())
    assert told == everything(4)


def test_a_long_batch_waits_for_room_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch_actor, "EVENTS_AT_ONCE", 5)
    monkeypatch.setattr(watch_actor, "LongBatch", partial(LongBatch, 1_000))
    bench, told = many(start_revision=0), Told()
    bench.probes.gateway.take()
    bench.actor.receive(Events(4, tuple(put(b"k", 4, VALUE) for _ in range(6))))
    bench.actor.receive(WatchCancel((b"c0",), b"", 0))
    steps = 0
    while len(told) < WATCHES:
        bench.wait(0)
        size, is_asked = take(bench, told)
        assert is_asked
        assert size < TOLD_BYTES + 1_500
        assert bench.actor.mailbox.next_wake_ms != bench.clock.now_ms
        bench.actor.receive(RoomToTell())
        steps += 1
    assert steps > 10
    assert told == everything(*[4] * 6)


def test_who_asks_how_far_it_is_hears_of_what_is_told_and_not_of_what_was_read() -> None:
    bench = many()
    bench.actor.receive(HistoryPortion(2, 3, 3, PAST))
    bench.probes.gateway.take()
    assert bench.actor._hub.delivered((b"c0",)) == 1
    bench.actor.receive(Congestion((b"c0",), True))
    assert bench.actor._hub.delivered((b"c0",)) == 1
    assert bench.actor._hub.delivered(ONE) == 3
