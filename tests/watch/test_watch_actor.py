"""The watch actor, unstarted: what each message makes clients see, in order."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from actors.language.audit import Note, WatchAnswered
from actors.language.auth import Principal, WatchRights
from actors.language.commands import Change, Event, KeyValue
from actors.language.intervals import KeySet, interval_of
from actors.language.messages import (
    Congestion,
    Connection,
    ConnectionGone,
    Deliver,
    Events,
    HistoryCut,
    HistoryPortion,
    Leadership,
    ReadHistory,
    Skipped,
    WatchBegin,
    WatchCancel,
    WatchOpen,
    WatchProgress,
)
from actors.language.metrics import Survey, WatchMetrics
from actors.watch import actor as watch_actor
from actors.watch.actor import FRAMING_BYTES, READING_PAUSE_MS, WatchActor
from actors.watch.hub import Hub
from actors.watch.long_batch import LongBatch
from actors.watch.rhythm import BEAT_INTERVAL_MS, BOOKMARK_INTERVAL_MS
from cluster.wire import pack, unpack
from tests.probes import ManualClock, ProbeRing

ONE = (b"\0one",)
TWO = (b"\0two",)
NO_LEADER_MS = 900
PROGRESS_MS = 4_000
LED = Leadership(leader=1, term=4, clock=None)
LEADERLESS = Leadership(leader=0, term=5, clock=None)


def put(key: bytes, revision: int, value: bytes = b"v") -> Event:
    return Event(Change.PUT, KeyValue(key, revision, revision, 1, value, 0), None)


def revisions(replies: list[dict[str, Any]]) -> list[int]:
    """Of the events in these replies."""
    return [event["kv"]["mod_revision"] for reply in replies for event in reply["events"]]


class Bench:
    """An actor that has a leader and whose store is at revision 1."""

    def __init__(self, hub: Hub | None = None) -> None:
        self.clock = ManualClock()
        self.probes = ProbeRing()
        self.actor = WatchActor(
            11, 22, NO_LEADER_MS, self.clock, hub, PROGRESS_MS, request_bytes_max=1_000
        )
        self.actor.join(self.probes.ring)
        self.actor.open()
        self.actor.receive(LED)
        self.actor.receive(Events(1, ()))

    def begin(
        self,
        key: bytes = b"k",
        range_end: bytes = b"",
        *,
        connection: Connection = ONE,
        watch_id: int = 0,
        start_revision: int = 0,
        revision: int = 1,
        no_put: bool = False,
        **wishes: bool,
    ) -> list[dict[str, Any]]:
        opened = WatchOpen(
            connection,
            pack(5),
            watch_id,
            key,
            range_end,
            start_revision,
            False,
            no_put,
            False,
            **wishes,  # type: ignore[arg-type]  # all of these are flags
        )
        self.actor.receive(WatchBegin(opened, revision))
        return self.to(connection)

    def asked(self) -> list[ReadHistory]:
        """What the store was asked to read since the last look."""
        return self.probes.store.take()

    def to(self, connection: Connection) -> list[dict[str, Any]]:
        """What the connection is sent since the last look; others' frames are dropped."""
        return [reply for target, reply in self.sent() if target == connection]

    def sent(self) -> list[tuple[Connection, dict[str, Any]]]:
        messages = self.probes.gateway.take()
        assert all(isinstance(message, Deliver) for message in messages)
        return [(target, unpack(frame)) for message in messages for target, frame in message.frames]

    def wait(self, milliseconds: int) -> None:
        """Let time pass, with every tick that the actor asked for."""
        end_ms = self.clock.now_ms + milliseconds
        while (wake_ms := self.actor.mailbox.next_wake_ms) is not None and wake_ms <= end_ms:
            self.clock.now_ms = max(wake_ms, self.clock.now_ms)
            tick = self.actor.mailbox.pop_tick(self.clock.now_ms)
            assert tick is not None
            self.actor.receive(tick)
        self.clock.now_ms = end_ms


def test_a_watch_is_created_and_then_sees_what_happens() -> None:
    bench = Bench()
    (created,) = bench.begin(revision=3)
    assert (created["id"], created["watch_id"], created["created"]) == (5, 0, True)
    assert created["header"] == {"cluster_id": 11, "member_id": 22, "revision": 3, "raft_term": 4}
    bench.actor.receive(Events(5, (put(b"other", 4), put(b"k", 5))))
    (reply,) = bench.to(ONE)
    assert "id" not in reply
    assert [event["kv"]["mod_revision"] for event in reply["events"]] == [5]
    assert reply["header"]["revision"] == 5


def test_what_it_missed_comes_after_created_and_before_what_follows() -> None:
    bench = Bench()
    (created,) = bench.begin(start_revision=2, revision=1_502)
    assert created["created"]
    assert bench.asked() == [ReadHistory(2, ((b"k", b""),), False)]
    missed = tuple(put(b"k", revision) for revision in range(2, 1_503))
    bench.actor.receive(HistoryPortion(2, 1_502, 1_502, missed))
    parts = bench.to(ONE)
    assert revisions(parts) == list(range(2, 1_503))
    assert [part["header"]["revision"] for part in parts] == [1_001, 1_502]
    bench.actor.receive(Events(1_503, (put(b"k", 1_503),)))
    assert revisions(bench.to(ONE)) == [1_503]


def test_a_filter_holds_for_the_past_too() -> None:
    bench = Bench()
    gone = Event(Change.DELETED, KeyValue(b"k", 0, 3, 0, b"", 0), None)
    bench.begin(start_revision=2, revision=3, no_put=True)
    bench.actor.receive(HistoryPortion(2, 3, 3, (put(b"k", 2), gone)))
    (part,) = bench.to(ONE)
    assert [event["type"] for event in part["events"]] == ["DELETE"]


def test_a_portion_without_an_event_is_not_told() -> None:
    bench = Bench()
    bench.begin(start_revision=2, revision=9)
    bench.actor.receive(HistoryPortion(2, 9, 9, ()))
    assert bench.sent() == []


def test_a_long_history_is_read_in_portions_with_pauses() -> None:
    bench = Bench()
    bench.begin(start_revision=2, revision=9)
    bench.asked()
    bench.actor.receive(HistoryPortion(2, 5, 9, (put(b"k", 3),)))
    assert (revisions(bench.to(ONE)), bench.asked()) == ([3], [])
    bench.actor.receive(Events(10, (put(b"k", 10),)))
    assert bench.sent() == []
    bench.wait(READING_PAUSE_MS)
    assert bench.asked() == [ReadHistory(6, ((b"k", b""),), False)]
    bench.actor.receive(HistoryPortion(6, 10, 10, (put(b"k", 10),)))
    assert revisions(bench.to(ONE)) == [10]
    bench.wait(10 * READING_PAUSE_MS)
    assert bench.asked() == []


def test_one_reads_at_a_time_and_the_next_at_once_when_little_was_read() -> None:
    bench = Bench()
    bench.begin(start_revision=2, revision=9)
    bench.begin(start_revision=4, revision=9, connection=TWO)
    assert [asked.from_revision for asked in bench.asked()] == [2]
    bench.actor.receive(HistoryPortion(2, 9, 9, ()))
    assert [asked.from_revision for asked in bench.asked()] == [4]


def test_a_congested_connection_hears_nothing_until_it_has_room_and_then_all() -> None:
    bench = Bench()
    bench.begin()
    bench.begin(connection=TWO)
    bench.actor.receive(Congestion(ONE, True))
    bench.actor.receive(Events(3, (put(b"k", 2), put(b"k", 3))))
    assert [target for target, _ in bench.sent()] == [TWO]
    bench.actor.receive(Congestion(ONE, False))
    assert bench.asked() == [ReadHistory(2, ((b"k", b""),), False)]
    bench.actor.receive(HistoryPortion(2, 3, 3, (put(b"k", 2), put(b"k", 3))))
    bench.actor.receive(Events(4, (put(b"k", 4),)))
    assert revisions(bench.to(ONE)) == [2, 3, 4]


def test_a_snapshot_that_skips_events_makes_watches_read_them() -> None:
    bench = Bench()
    bench.begin()
    bench.begin(connection=TWO, start_revision=12)
    bench.actor.receive(Skipped(11))
    assert bench.asked() == [ReadHistory(2, ((b"k", b""),), False)]
    bench.actor.receive(HistoryPortion(2, 11, 11, (put(b"k", 9),)))
    assert revisions(bench.to(ONE)) == [9]
    bench.actor.receive(Events(12, (put(b"k", 12),)))
    assert sorted(target for target, _ in bench.sent()) == [ONE, TWO]


def test_a_start_in_the_future_is_waited_for_and_a_past_one_is_not() -> None:
    bench = Bench()
    bench.begin(start_revision=4, revision=1)
    bench.begin(start_revision=2, revision=1, connection=TWO)
    bench.actor.receive(Events(3, (put(b"k", 2), put(b"k", 3))))
    assert [target for target, _ in bench.sent()] == [TWO]
    bench.actor.receive(Events(4, (put(b"k", 4),)))
    assert sorted(target for target, _ in bench.sent()) == [ONE, TWO]


def test_refusals_are_told_in_etcds_way() -> None:
    bench = Bench()
    bench.begin(watch_id=3)
    (duplicate,) = bench.begin(watch_id=3)
    assert duplicate["watch_id"] == -1
    assert duplicate["created"]
    assert duplicate["canceled"]
    assert duplicate["cancel_reason"] == "mvcc: duplicate watch ID provided on the WatchStream"
    (empty,) = bench.begin(b"b", b"a")
    assert empty["cancel_reason"] == "mvcc: watcher range is empty"
    (negative,) = bench.begin(start_revision=-1)
    assert negative["cancel_reason"] == "etcdserver: mvcc: required revision has been compacted"


def test_a_compacted_start_is_created_and_canceled_with_the_oldest_revision() -> None:
    bench = Bench()
    (created,) = bench.begin(start_revision=2, revision=9)
    bench.actor.receive(HistoryPortion(2, 0, 9, (), compact_revision=5))
    (canceled,) = bench.to(ONE)
    assert (created["created"], canceled["canceled"]) == (True, True)
    assert canceled["watch_id"] == created["watch_id"]
    assert canceled["cancel_reason"] == "etcdserver: mvcc: required revision has been compacted"
    assert (canceled["compact_revision"], canceled["header"]["revision"]) == (5, 9)
    bench.actor.receive(Events(10, (put(b"k", 10),)))
    assert bench.sent() == []


def test_one_watch_too_many_is_an_error() -> None:
    bench = Bench(Hub(per_connection_max=1))
    bench.begin()
    (error,) = bench.begin()
    assert error == {"id": 5, "error": {"code": 8, "message": "etcdserver: too many requests"}}


def test_canceling_answers_the_request_and_ends_the_watch() -> None:
    bench = Bench()
    bench.begin()
    bench.actor.receive(WatchCancel(ONE, pack("x"), 0))
    (reply,) = bench.to(ONE)
    assert (reply["id"], reply["watch_id"], reply["canceled"]) == ("x", 0, True)
    bench.actor.receive(Events(2, (put(b"k", 2),)))
    assert bench.sent() == []
    bench.actor.receive(WatchCancel(ONE, b"", 0))
    (error,) = bench.to(ONE)
    assert error["error"]["code"] == 5


def test_a_bookmark_comes_when_asked_for_and_soon_after_something_happened() -> None:
    bench = Bench()
    bench.begin()
    bench.actor.receive(Events(6, ()))
    bench.actor.receive(WatchProgress(ONE, pack(9)))
    (asked,) = bench.to(ONE)
    assert (asked["id"], asked["watch_id"], asked["events"]) == (9, -1, ())
    assert asked["header"]["revision"] == 6
    bench.wait(BOOKMARK_INTERVAL_MS - 1)
    assert bench.sent() == []
    bench.wait(1)
    ((target, unasked),) = bench.sent()
    assert target == ONE
    assert (unasked["watch_id"], unasked["events"]) == (-1, ())
    assert unasked["header"]["revision"] == 6
    assert "id" not in unasked


def test_where_nothing_happens_a_bookmark_comes_once_a_minute() -> None:
    bench = Bench()
    bench.begin()
    bench.wait(BOOKMARK_INTERVAL_MS)
    bench.sent()
    for _ in range(BEAT_INTERVAL_MS // BOOKMARK_INTERVAL_MS - 1):
        bench.wait(BOOKMARK_INTERVAL_MS)
        assert bench.sent() == []
    bench.wait(BOOKMARK_INTERVAL_MS)
    assert [target for target, _ in bench.sent()] == [ONE]


def test_a_compaction_brings_a_bookmark_to_all_who_watch() -> None:
    bench = Bench()
    bench.begin()
    bench.begin(connection=TWO, start_revision=2, revision=6)
    bench.sent()
    bench.actor.receive(HistoryCut())
    told = {target: reply["header"]["revision"] for target, reply in bench.sent()}
    assert told == {ONE: 6, TWO: 1}


def test_a_bookmark_that_is_asked_for_waits_for_what_is_on_its_way() -> None:
    bench = Bench()
    bench.begin(start_revision=2, revision=9)
    bench.actor.receive(WatchProgress(ONE, pack(6)))
    bench.actor.receive(WatchProgress(TWO, pack(7)))
    assert [reply["id"] for _, reply in bench.sent()] == [7]
    bench.actor.receive(HistoryPortion(2, 5, 9, (put(b"k", 3),)))
    bench.actor.receive(Events(10, ()))
    assert revisions(bench.to(ONE)) == [3]
    bench.wait(READING_PAUSE_MS)
    bench.actor.receive(HistoryPortion(6, 10, 10, (put(b"k", 7),)))
    event, bookmark = bench.to(ONE)
    assert revisions([event]) == [7]
    assert (bookmark["id"], bookmark["watch_id"], bookmark["header"]["revision"]) == (6, -1, 10)


def test_a_bookmark_that_waits_is_given_when_the_watch_ends() -> None:
    bench = Bench()
    bench.begin(start_revision=2, revision=9)
    bench.actor.receive(WatchProgress(ONE, pack(6)))
    bench.actor.receive(WatchCancel(ONE, b"", 0))
    assert [reply.get("id") for reply in bench.to(ONE)] == [None, 6]


def test_a_bookmark_says_no_more_than_what_was_delivered() -> None:
    bench = Bench()
    bench.begin()
    bench.begin(connection=TWO)
    bench.actor.receive(Congestion(ONE, True))
    bench.actor.receive(Events(6, (put(b"k", 6),)))
    bench.sent()
    bench.wait(BOOKMARK_INTERVAL_MS)
    told = {target: reply["header"]["revision"] for target, reply in bench.sent()}
    assert told == {ONE: 1, TWO: 6}


def test_a_watch_that_asked_hears_how_far_it_is_while_nothing_happens() -> None:
    bench = Bench()
    bench.begin(progress_notify=True)
    bench.begin()
    bench.wait(PROGRESS_MS - 1)
    assert bench.sent() == []
    bench.wait(1)
    (progress,) = bench.to(ONE)
    assert (progress["watch_id"], progress["events"]) == (0, ())
    assert progress["header"]["revision"] == 1


def test_a_watch_that_heard_events_or_waits_for_some_hears_no_progress() -> None:
    bench = Bench()
    bench.begin(progress_notify=True)
    bench.begin(b"x", progress_notify=True, start_revision=4)
    bench.begin(b"x", progress_notify=True, connection=TWO)
    bench.actor.receive(Congestion(TWO, True))
    bench.actor.receive(Events(2, (put(b"k", 2), put(b"x", 2))))
    bench.sent()
    bench.wait(PROGRESS_MS)
    assert bench.sent() == []
    bench.wait(PROGRESS_MS)
    told = [(target, reply["watch_id"]) for target, reply in bench.sent()]
    assert [each for each in told if each[1] != -1] == [(ONE, 0)], "beside bookmarks"


def test_keys_only_and_fragments_are_each_watchs_own_wish() -> None:
    bench = Bench()
    bench.begin(keys_only=True)
    bench.begin(fragment=True)
    value = b"v" * FRAMING_BYTES
    bench.actor.receive(Events(2, (put(b"k", 2, value), put(b"k", 2, value))))
    bare, *parts = bench.to(ONE)
    assert [event["kv"]["value"] for event in bare["events"]] == [b"", b""]
    assert [(part["watch_id"], part.get("fragment"), len(part["events"])) for part in parts] == [
        (1, True, 1),
        (1, None, 1),
    ]


def test_a_connection_without_watches_left_is_still_visited_in_case_it_is_gone() -> None:
    bench = Bench()
    bench.begin()
    bench.actor.receive(WatchCancel(ONE, b"", 0))
    bench.to(ONE)
    bench.wait(BEAT_INTERVAL_MS)
    assert [target for target, _ in bench.sent()] == [ONE]
    bench.actor.receive(ConnectionGone(ONE))
    bench.probes.gateway.take()
    bench.wait(BEAT_INTERVAL_MS)
    assert bench.sent() == []


def test_watches_end_when_a_new_member_hears_that_it_is_a_learner() -> None:
    bench = Bench()
    bench.begin()
    bench.actor.receive(LED._replace(is_learner=True))
    (canceled,) = bench.to(ONE)
    assert canceled["cancel_reason"] == "etcdserver: rpc not supported for learner"
    (error,) = bench.begin()
    assert error["error"] == {"code": 9, "message": "etcdserver: rpc not supported for learner"}
    bench.actor.receive(LED)
    (created,) = bench.begin()
    assert created["created"]


def test_watches_end_when_there_was_no_leader_for_long_enough() -> None:
    bench = Bench()
    bench.begin()
    bench.actor.receive(LEADERLESS)
    bench.wait(NO_LEADER_MS - 1)
    assert bench.sent() == []
    bench.wait(1)
    (canceled,) = bench.to(ONE)
    assert canceled["cancel_reason"] == "etcdserver: no leader"
    (error,) = bench.begin()
    assert error["error"] == {"code": 14, "message": "etcdserver: no leader"}
    bench.actor.receive(LED)
    (created,) = bench.begin()
    assert created["created"]


def test_a_watch_that_needs_no_leader_goes_on_without_one() -> None:
    bench = Bench()
    bench.begin(b"a", connection=ONE)
    bench.begin(b"b", connection=ONE, without_leader=True)
    bench.actor.receive(LEADERLESS)
    bench.wait(NO_LEADER_MS)
    (canceled,) = bench.to(ONE)
    assert canceled["watch_id"] == 0
    (created,) = bench.begin(b"c", connection=TWO, without_leader=True)
    assert created["created"]
    # Nothing is left to be done about the leader, so it does not wake the actor for that again.
    assert bench.actor.mailbox.next_wake_ms is not None
    assert bench.actor.mailbox.next_wake_ms > bench.clock.now_ms
    bench.actor.receive(LED)
    bench.actor.receive(Events(2, (put(b"b", 2), put(b"c", 2))))
    assert [(to, reply["watch_id"]) for to, reply in bench.sent()] == [(ONE, 1), (TWO, 0)]


def test_a_short_time_without_a_leader_ends_nothing() -> None:
    bench = Bench()
    bench.begin()
    bench.actor.receive(LEADERLESS)
    bench.wait(NO_LEADER_MS - 1)
    bench.actor.receive(LED)
    bench.wait(NO_LEADER_MS * 3)
    assert bench.sent() == []


def test_a_connection_that_is_gone_is_forgotten_and_confirmed() -> None:
    bench = Bench()
    bench.begin()
    bench.begin(connection=TWO)
    bench.actor.receive(ConnectionGone(ONE))
    assert bench.probes.gateway.take() == [Deliver((), ended=(ONE,))]
    bench.actor.receive(Events(2, (put(b"k", 2),)))
    assert [target for target, _ in bench.sent()] == [TWO]


def test_a_connection_that_is_too_slow_is_told_that_its_watches_ended() -> None:
    bench = Bench()
    bench.begin()
    bench.begin()
    bench.actor.receive(ConnectionGone(ONE, "too slow"))
    (message,) = bench.probes.gateway.take()
    assert message.ended == (ONE,)
    told = [unpack(frame) for _, frame in message.frames]
    assert [(each["watch_id"], each["cancel_reason"]) for each in told] == [
        (0, "too slow"),
        (1, "too slow"),
    ]


def test_watches_are_counted_with_those_that_lag_and_with_what_they_were_told() -> None:
    bench = Bench()
    bench.begin()
    bench.begin(b"", b"\0")
    bench.begin(connection=TWO)
    bench.actor.receive(Events(2, (put(b"k", 2), put(b"k", 2))))
    bench.actor.receive(Congestion(TWO, True))
    bench.sent()
    bench.actor.receive(Survey(7))
    (survey,) = bench.probes.gateway.take()
    assert survey == Survey(7, watch=WatchMetrics(3, 2, 1, 6))


# --- very many events at once ---


def told(bench: Bench) -> list[tuple[Connection, bytes]]:
    """All frames since the last call."""
    messages = bench.probes.gateway.take()
    return [frame for message in messages for frame in message.frames]


def many(revision: int) -> Events:
    """A deletion of 600 keys and then a few puts."""
    gone = [
        Event(Change.DELETED, KeyValue(b"k%03d" % number, 0, revision, 0, b"", 0), None)
        for number in range(600)
    ]
    return Events(revision + 2, (*gone, put(b"k", revision + 1), put(b"z", revision + 2)))


def watched() -> Bench:
    """Watches of several kinds, on two connections."""
    bench = Bench()
    bench.begin(b"k", b"l")
    bench.begin(b"k", b"l", connection=TWO, no_put=True, fragment=True)
    bench.begin(b"\0", b"\0", connection=TWO, watch_id=7, keys_only=True)
    bench.begin(b"k007", connection=TWO, watch_id=8)
    bench.probes.gateway.take()
    return bench


def test_a_long_batch_in_portions_tells_what_it_would_tell_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    at_once = watched()
    at_once.actor.receive(many(2))
    monkeypatch.setattr(watch_actor, "EVENTS_AT_ONCE", 100)
    monkeypatch.setattr(watch_actor, "LongBatch", partial(LongBatch, 1))
    bench = watched()
    bench.actor.receive(many(2))
    assert told(bench) == []
    turns = 0
    while tick := bench.actor.mailbox.pop_tick(bench.clock.now_ms):
        bench.actor.receive(tick)
        turns += 1
    assert turns > 5
    assert told(bench) == told(at_once)


def test_what_follows_a_long_batch_waits_for_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch_actor, "EVENTS_AT_ONCE", 100)
    monkeypatch.setattr(watch_actor, "LongBatch", partial(LongBatch, 1))
    bench = watched()
    bench.actor.receive(many(2))
    bench.actor.receive(Events(5, (put(b"k", 5),)))
    bench.actor.receive(WatchCancel(ONE, b"", 0))
    bench.actor.mailbox.tell(Events(6, (put(b"k", 6),)))
    while tick := bench.actor.mailbox.pop_tick(bench.clock.now_ms):
        bench.actor.receive(tick)
    while (message := bench.actor.mailbox.pop()) is not None:
        bench.actor.receive(message)
    of_one = [unpack(frame) for connection, frame in told(bench) if connection == ONE]
    events = [reply for reply in of_one if "events" in reply]
    assert revisions(events) == [*([2] * 600), 3, 5]
    assert of_one[-1]["canceled"]


# --- rights -----------------------------------------------------------------------------------


ANN, EVE = Principal(7, 3), Principal(8, 3)


def begin_for(bench: Bench, principal: Principal, key: bytes, range_end: bytes = b"") -> Any:
    opened = WatchOpen(ONE, pack(5), 0, key, range_end, 0, False, False, False)
    bench.actor.receive(WatchBegin(opened._replace(principal=principal), 1))
    (reply,) = bench.to(ONE)
    return reply["watch_id"]


def test_a_user_with_too_many_watches_is_told_so() -> None:
    bench = Bench()
    opened = WatchOpen(ONE, pack(5), 0, b"k", b"", 0, False, False, False, principal=ANN)
    for _ in range(2):
        bench.actor.receive(WatchBegin(opened, 1, watches_max=1))
    first, second = bench.to(ONE)
    assert first["created"]
    assert second == {"id": 5, "error": {"code": 8, "message": "etcdserver: too many requests"}}


def test_a_watch_that_may_not_begin_is_created_and_ended_as_in_etcd() -> None:
    bench = Bench()
    opened = WatchOpen(ONE, pack(5), 0, b"k", b"", 0, False, False, False)
    bench.actor.receive(WatchBegin(opened, 1, "PermissionDenied"))
    (reply,) = bench.to(ONE)
    assert (reply["id"], reply["created"], reply["canceled"]) == (5, True, True)
    assert reply["cancel_reason"] == "etcdserver: permission denied"
    bench.actor.receive(Events(2, (put(b"k", 2),)))
    assert bench.to(ONE) == []


def test_watches_end_when_their_principal_may_not_read_all_of_them_any_more() -> None:
    bench = Bench()
    kept = begin_for(bench, ANN, b"k")
    wider = begin_for(bench, ANN, b"k", b"l")
    gone = begin_for(bench, EVE, b"k")
    bench.actor.receive(WatchRights(((ANN, KeySet([interval_of(b"k", b"")])),)))
    ended = bench.to(ONE)
    assert [reply["watch_id"] for reply in ended] == [wider, gone]
    assert {reply["cancel_reason"] for reply in ended} == {"etcdserver: permission denied"}
    bench.actor.receive(Events(2, (put(b"k", 2),)))
    assert [reply["watch_id"] for reply in bench.to(ONE)] == [kept]


def test_a_watch_that_was_behind_is_told_nothing_of_before_when_it_may_not_any_more() -> None:
    bench = Bench()
    opened = WatchOpen(ONE, pack(5), 0, b"k", b"", 2, False, False, False)._replace(principal=ANN)
    bench.actor.receive(WatchBegin(opened, 9))
    bench.to(ONE)
    assert bench.asked()
    bench.actor.receive(WatchRights(()))
    assert [reply["canceled"] for reply in bench.to(ONE)] == [True]
    bench.actor.receive(HistoryPortion(2, 9, 9, (put(b"k", 3),)))
    assert bench.to(ONE) == []


def test_the_gateway_is_told_what_became_of_a_watch_that_was_noted() -> None:
    bench = Bench()
    note = Note("watch_create", 2, {}, b"", ANN)
    plain = WatchOpen(ONE, pack(5), 3, b"k", b"", 0, False, False, False)
    bench.actor.receive(WatchBegin(plain, 1))
    assert all(isinstance(told, Deliver) for told in bench.probes.gateway.take())
    noted = plain._replace(watch_id=4, note=note)
    for fault in ("", "", "PermissionDenied"):
        bench.actor.receive(WatchBegin(noted, 1, fault))
    told = bench.probes.gateway.take()
    assert [message for message in told if isinstance(message, WatchAnswered)] == [
        WatchAnswered(note, 1, ""),
        WatchAnswered(note, 1, "mvcc: duplicate watch ID provided on the WatchStream"),
        WatchAnswered(note, 1, "etcdserver: permission denied"),
    ]
