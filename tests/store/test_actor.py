"""The StoreActor, unstarted, between probes: who is told what and when, and what is durable."""

from __future__ import annotations

from typing import Any

import pytest

from actors.language.commands import (
    AdvanceClock,
    Change,
    Compact,
    DeleteRange,
    Event,
    Expiry,
    KeyValue,
    LeaseExpire,
    LeaseGrant,
    LeaseKeepAlive,
    Put,
    Range,
    Sequence,
    SessionOpen,
)
from actors.language.errors import StorageError
from actors.language.messages import (
    Apply,
    ConfirmedRead,
    Congestion,
    ConnectionGone,
    Durable,
    Events,
    HistoryPortion,
    LeaseFact,
    LeaseFacts,
    LocalRead,
    Published,
    Question,
    ReadHistory,
    Replies,
    Tick,
    WatchBegin,
    WatchCancel,
    WatchProgress,
)
from actors.language.queries import LeaseTimeToLive
from actors.language.results import Failure, LeaseGranted, LeaseLife, PutDone, RangeDone
from actors.store import pace as pace_module
from actors.store.machine import Machine
from actors.store.pace import COMMIT_INTERVAL_MS
from actors.store.steps import finish
from actors.store.storage import Backend, Batch
from tests.store.driver import FOUNDERS, everything
from tests.store.shell import HERE, Node, watch
from tests.twins import MemoryBackend

ELSEWHERE = 2


@pytest.fixture
def node(backend: Backend) -> Node:
    """A node on the disk, and on its twin."""
    return Node(backend)


def _put_event(key: bytes, revision: int, value: bytes) -> Event:
    return Event(Change.PUT, KeyValue(key, revision, revision, 1, value, 0), None)


def test_a_batch_tells_each_neighbour_once_the_waiting_client_first(node: Node) -> None:
    entries = (
        node.entry(None),
        node.entry(LeaseGrant(7, 5_000), HERE, 11),
        node.entry(Put(b"a", b"1"), ELSEWHERE, 12),
        node.entry(Put(b"b", b"2"), HERE, 13),
        node.entry(AdvanceClock(), HERE, 0),
    )
    assert node.hear(Apply(entries)) == [
        ("gateway", Replies(((11, LeaseGranted(1, 7, 5_000)), (13, PutDone(3))))),
        ("watch", Events(3, (_put_event(b"a", 2, b"1"), _put_event(b"b", 3, b"2")))),
        ("lease", LeaseFacts((LeaseFact(7, 6_000),), 1_000)),
    ]


def test_events_are_told_only_while_somebody_watches(node: Node) -> None:
    node.actor.receive(ConnectionGone((b"client",)))
    assert node.apply(Put(b"a", b"1")) == []
    opened = watch(b"a")
    assert node.hear(opened) == [("watch", WatchBegin(opened, 2))]
    told = node.apply(Put(b"a", b"2"))
    assert [event.kv.value for _, message in told for event in message.events] == [b"2"]


def test_a_batch_that_changes_nothing_tells_nobody(node: Node) -> None:
    assert node.apply(None, AdvanceClock(), DeleteRange(b"a")) == []


def test_an_answer_of_failure_is_an_answer(node: Node) -> None:
    told = node.hear(Apply((node.entry(Put(b"a", b"1", lease=9), HERE, 11),)))
    assert told == [("gateway", Replies(((11, Failure("LeaseNotFound")),)))]


def test_an_expired_lease_tells_the_watchers_why_and_the_lease_actor_that(node: Node) -> None:
    node.apply(LeaseGrant(7, 5_000), Put(b"a", b"1", lease=7))
    node.time_ms = 6_000
    event = Event(Change.LEASE_EXPIRED, KeyValue(b"a", 0, 3, 0, b"", 0), None)
    assert node.apply(LeaseExpire((Expiry(7, 6_000),))) == [
        ("watch", Events(3, (event,))),
        ("lease", LeaseFacts((LeaseFact(7, 0),), 6_000)),
    ]


def test_a_retried_command_is_answered_to_its_new_ticket_without_events(node: Node) -> None:
    node.apply(SessionOpen(77))
    put = Put(b"a", b"1")
    first = node.hear(Apply((node.entry(put, HERE, 11, Sequence(77, 1, 1)),)))
    again = node.hear(Apply((node.entry(put, HERE, 12, Sequence(77, 1, 1)),)))
    assert first[0] == ("gateway", Replies(((11, PutDone(2)),)))
    assert again == [("gateway", Replies(((12, PutDone(2)),)))]


def test_reads_are_answered_at_once_with_the_time_they_came_with(node: Node) -> None:
    node.apply(LeaseGrant(7, 5_000))
    life = LeaseTimeToLive(7)
    assert node.hear(ConfirmedRead((Question(21, life),), 2_500)) == [
        ("gateway", Replies(((21, LeaseLife(1, 7, 3_500, 5_000)),)))
    ]
    assert node.hear(LocalRead((Question(22, life),))) == [
        ("gateway", Replies(((22, LeaseLife(1, 7, 5_000, 5_000)),)))
    ]
    assert node.hear(LocalRead((Question(23, Range(b"a")),))) == [
        ("gateway", Replies(((23, RangeDone(1, (), False, 0)),)))
    ]


def test_history_is_told_as_it_was_asked_for_and_then_what_comes(node: Node) -> None:
    node.apply(Put(b"a", b"1"), Put(b"x", b"1"), DeleteRange(b"a"), Put(b"a", b"2"))
    gone = Event(Change.DELETED, KeyValue(b"a", 0, 4, 0, b"", 0), None)
    told = node.hear(ReadHistory(4, ((b"a", b""),), False))
    assert told == [("watch", HistoryPortion(4, 5, 5, (gone, _put_event(b"a", 5, b"2"))))]
    told = node.apply(Put(b"b", b"1"))
    assert told == [("watch", Events(6, (_put_event(b"b", 6, b"1"),)))]


@pytest.mark.parametrize("start", [0, 2, 99])
def test_a_watch_is_passed_on_with_the_revision_where_it_begins(node: Node, start: int) -> None:
    node.apply(Put(b"a", b"1"))
    opened = watch(b"a", start=start)
    assert node.hear(opened) == [("watch", WatchBegin(opened, 2))]


def test_history_from_before_the_compaction_is_gone(node: Node) -> None:
    node.apply(Put(b"a", b"1"), Put(b"a", b"2"), Put(b"a", b"3"))
    node.apply(Compact(3))
    spans = ((b"a", b""),)
    assert node.hear(ReadHistory(2, spans, False)) == [("watch", HistoryPortion(2, 0, 4, (), 3))]
    ((_, history),) = node.hear(ReadHistory(3, spans, True))
    assert [event.kv.mod_revision for event in history.events] == [3, 4]
    assert [event.prev_kv is None for event in history.events] == [True, False]


@pytest.mark.parametrize("is_congested", [True, False])
def test_congestion_is_passed_on_behind_the_watches(node: Node, is_congested: bool) -> None:
    node.hear(watch(b"a"))
    congestion = Congestion((b"client",), is_congested)
    assert node.hear(congestion) == [("watch", congestion)]


def test_previous_values_are_gathered_while_a_connection_watches_with_them(node: Node) -> None:
    node.apply(Put(b"a", b"1"))
    node.hear(watch(b"a", prev_kv=True))
    ((_, events),) = node.apply(Put(b"a", b"2"))
    assert events.events[0].prev_kv == KeyValue(b"a", 2, 2, 1, b"1", 0)
    gone = ConnectionGone((b"client",))
    assert node.hear(gone) == [("watch", gone)]
    node.hear(watch(b"a"))
    ((_, events),) = node.apply(Put(b"a", b"3"))
    assert events.events[0].prev_kv is None


def test_cancels_and_bookmarks_pass_through_in_order(node: Node) -> None:
    node.hear(watch(b"a"))
    for message in (WatchCancel((b"c",), b"1", 3), WatchProgress((b"c",), b"2")):
        assert node.hear(message) == [("watch", message)]


def test_who_asks_how_far_it_is_while_nobody_watches_hears_of_all_that_was_applied(
    node: Node,
) -> None:
    node.hear(ConnectionGone((b"client",)))
    node.apply(Put(b"a", b"1"))
    asked = WatchProgress((b"c",), b"2")
    assert node.hear(asked) == [("watch", Events(2, ())), ("watch", asked)]


def test_what_is_new_is_durable_at_the_end_of_the_interval(node: Node) -> None:
    node.apply(Put(b"a", b"1"))
    assert node.actor.mailbox.next_wake_ms == 50_000 + COMMIT_INTERVAL_MS
    node.now_ms += COMMIT_INTERVAL_MS - 1
    assert node.tick() == []
    node.apply(None)
    node.now_ms += 1
    assert node.tick() == [("raft", Durable(2))]
    assert finish(node.backend.load()).meta.applied_index == 2


def test_each_interval_with_something_new_ends_in_a_commit(node: Node) -> None:
    for index in (1, 2, 3):
        node.apply(Put(b"a", b"1"))
        node.now_ms += COMMIT_INTERVAL_MS
        assert node.tick() == [("raft", Durable(index))]


def test_an_idle_store_sleeps_and_commits_nothing(node: Node) -> None:
    node.apply(Put(b"a", b"1"))
    node.now_ms += COMMIT_INTERVAL_MS
    node.tick()
    assert node.actor.mailbox.next_wake_ms is None
    assert node.hear(Tick(node.now_ms)) == []


@pytest.mark.parametrize(
    ("limit", "value"),
    [("COMMIT_CHANGES_MAX", 3), ("COMMIT_BYTES_MAX", 30)],
)
def test_much_that_is_new_is_committed_at_once(
    node: Node, monkeypatch: pytest.MonkeyPatch, limit: str, value: int
) -> None:
    monkeypatch.setattr(pace_module, limit, value)
    assert ("raft", Durable(1)) not in node.apply(Put(b"a", b"1"))
    assert node.apply(Put(b"a", b"22"), Put(b"a", b"333"))[-1] == ("raft", Durable(3))
    assert ("raft", Durable(4)) not in node.apply(Put(b"a", b"1"))


def test_one_delete_of_many_keys_counts_as_many_changes(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    node.apply(*(Put(b"a%d" % number, b"1") for number in range(9)))
    node.now_ms += COMMIT_INTERVAL_MS
    node.tick()
    monkeypatch.setattr(pace_module, "COMMIT_CHANGES_MAX", 9)
    assert node.apply(DeleteRange(b"\0", b"\0"))[-1] == ("raft", Durable(10))


def test_a_restart_announces_leases_and_revision_and_goes_on_behind_the_backend(
    node: Node,
) -> None:
    node.apply(LeaseGrant(7, 5_000), Put(b"a", b"1"))
    node.now_ms += COMMIT_INTERVAL_MS
    node.tick()
    node.apply(Put(b"a", b"lost in the crash"))
    restarted = Node(node.backend)
    restarted.actor.open()
    assert restarted.told == [
        ("watch", Events(2, ())),
        ("lease", LeaseFacts((LeaseFact(7, 6_000),), 1_000)),
        ("raft", Published(())),
    ]
    assert restarted.actor.machine.applied_index == 2
    restarted.apply(Put(b"a", b"2"))
    assert restarted.machine.revision == 3


def test_an_entry_told_twice_is_a_bug(node: Node) -> None:
    entry = node.entry(Put(b"a", b"1"))
    node.hear(Apply((entry,)))
    with pytest.raises(AssertionError, match="entry 1 after 1"):
        node.hear(Apply((entry,)))


def test_closing_commits_what_is_new(node: Node, path: Any) -> None:
    node.apply(Put(b"a", b"1"))
    state = everything(node.machine)
    node.actor.close()
    if isinstance(node.backend, MemoryBackend):
        assert node.backend.is_closed
        assert everything(Machine(node.backend, FOUNDERS)) == state
    else:
        reopened = type(node.backend)(path)  # type: ignore[call-arg]
        assert everything(Machine(reopened, FOUNDERS)) == state
        reopened.close()


def test_a_state_left_half_done_by_a_failure_is_not_committed() -> None:
    backend = MemoryBackend()
    node = Node(backend)
    first = node.entry(Put(b"a", b"1"))
    with pytest.raises(AssertionError, match="entry 9 after 1"):
        node.hear(Apply((first, first._replace(index=9))))
    node.actor.close()
    assert (backend.commits, backend.is_closed) == (0, True)


def test_a_commit_that_fails_is_not_tried_again() -> None:
    class FullDisk(MemoryBackend):
        attempts = 0

        def sync(self, batch: Batch) -> None:
            self.attempts += 1
            raise StorageError("store.lmdb: No space left on device")

    backend = FullDisk()
    node = Node(backend)
    node.apply(LeaseGrant(7, 5_000), LeaseKeepAlive(7))
    node.now_ms += COMMIT_INTERVAL_MS
    with pytest.raises(StorageError, match="No space left"):
        node.tick()
    node.actor.close()
    assert backend.attempts == 1
