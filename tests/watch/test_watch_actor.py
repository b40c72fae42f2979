"""The watch actor, unstarted: what each message makes clients see, in order."""

from __future__ import annotations

from typing import Any

from actors.messages import (
    Connection,
    ConnectionGone,
    Deliver,
    Events,
    Leadership,
    WatchBegin,
    WatchCancel,
    WatchOpen,
    WatchProgress,
)
from actors.store.commands import Change, Event, KeyValue
from actors.watch.actor import PROGRESS_INTERVAL_MS, WatchActor
from actors.watch.hub import Hub
from cluster.wire import pack, unpack
from tests.probes import ManualClock, ProbeRing

ONE = (b"\0one",)
TWO = (b"\0two",)
NO_LEADER_MS = 900
LED = Leadership(leader=1, term=4, clock=None)
LEADERLESS = Leadership(leader=0, term=5, clock=None)


def put(key: bytes, revision: int) -> Event:
    return Event(Change.PUT, KeyValue(key, revision, revision, 1, b"v", 0), None)


class Bench:
    """An actor that has a leader and whose store is at revision 1."""

    def __init__(self, hub: Hub | None = None) -> None:
        self.clock = ManualClock()
        self.probes = ProbeRing()
        self.actor = WatchActor(11, 22, NO_LEADER_MS, self.clock, hub)
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
        backlog: tuple[Event, ...] = (),
        compact_revision: int = 0,
        no_put: bool = False,
    ) -> list[dict[str, Any]]:
        opened = WatchOpen(
            connection, pack(5), watch_id, key, range_end, start_revision, False, no_put, False
        )
        self.actor.receive(WatchBegin(opened, revision, backlog, compact_revision))
        return self.to(connection)

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
    assert (created["id"], created["watch_id"], created["created"]) == (5, 1, True)
    assert created["header"] == {"cluster_id": 11, "member_id": 22, "revision": 3, "raft_term": 4}
    bench.actor.receive(Events(5, (put(b"other", 4), put(b"k", 5))))
    (reply,) = bench.to(ONE)
    assert "id" not in reply
    assert [event["kv"]["mod_revision"] for event in reply["events"]] == [5]
    assert reply["header"]["revision"] == 5


def test_the_backlog_comes_after_created_and_before_what_follows() -> None:
    bench = Bench()
    backlog = tuple(put(b"k", revision) for revision in range(2, 1_503))
    created, *parts = bench.begin(start_revision=2, revision=1_502, backlog=backlog)
    assert created["created"]
    revisions = [event["kv"]["mod_revision"] for part in parts for event in part["events"]]
    assert revisions == list(range(2, 1_503))
    assert len(parts) == 2
    bench.actor.receive(Events(1_503, (put(b"k", 1_503),)))
    assert len(bench.to(ONE)) == 1


def test_a_filter_holds_for_the_backlog_too() -> None:
    bench = Bench()
    gone = Event(Change.DELETED, KeyValue(b"k", 0, 3, 0, b"", 0), None)
    _, part = bench.begin(start_revision=2, revision=3, backlog=(put(b"k", 2), gone), no_put=True)
    assert [event["type"] for event in part["events"]] == ["DELETE"]


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
    created, canceled = bench.begin(start_revision=2, revision=9, compact_revision=5)
    assert created["created"]
    assert canceled["canceled"]
    assert canceled["compact_revision"] == 5
    assert canceled["watch_id"] == created["watch_id"]
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
    bench.actor.receive(WatchCancel(ONE, pack("x"), 1))
    (reply,) = bench.to(ONE)
    assert (reply["id"], reply["watch_id"], reply["canceled"]) == ("x", 1, True)
    bench.actor.receive(Events(2, (put(b"k", 2),)))
    assert bench.sent() == []
    bench.actor.receive(WatchCancel(ONE, b"", 1))
    (error,) = bench.to(ONE)
    assert error["error"]["code"] == 5


def test_a_bookmark_comes_when_asked_for_and_once_a_minute() -> None:
    bench = Bench()
    bench.begin()
    bench.actor.receive(Events(6, ()))
    bench.actor.receive(WatchProgress(ONE, pack(9)))
    (asked,) = bench.to(ONE)
    assert (asked["id"], asked["watch_id"], asked["events"]) == (9, -1, ())
    assert asked["header"]["revision"] == 6
    bench.wait(PROGRESS_INTERVAL_MS - 1)
    assert bench.sent() == []
    bench.wait(1)
    ((target, unasked),) = bench.sent()
    assert target == ONE
    assert (unasked["watch_id"], unasked["events"]) == (-1, ())
    assert "id" not in unasked


def test_a_connection_without_watches_left_is_still_visited_in_case_it_is_gone() -> None:
    bench = Bench()
    bench.begin()
    bench.actor.receive(WatchCancel(ONE, b"", 1))
    bench.to(ONE)
    bench.wait(PROGRESS_INTERVAL_MS)
    assert [target for target, _ in bench.sent()] == [ONE]
    bench.actor.receive(ConnectionGone(ONE))
    bench.probes.gateway.take()
    bench.wait(PROGRESS_INTERVAL_MS)
    assert bench.sent() == []


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
        (1, "too slow"),
        (2, "too slow"),
    ]
