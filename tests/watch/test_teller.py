"""What those who watch are told, as frames: no actor, no clock."""

from __future__ import annotations

from typing import Any

from actors.language.commands import Change, Event, KeyValue
from actors.language.messages import WatchCancel, WatchOpen, WatchProgress
from actors.watch.bookmarks import DEFERRED_PER_CONNECTION_MAX
from actors.watch.frames import WatchFrames
from actors.watch.hub import Hub
from actors.watch.long_batch import Frames
from actors.watch.teller import Teller
from cluster.wire import pack, unpack

ONE = (b"\0one",)
TWO = (b"\0two",)
REVISION = 4


class Room:
    """A hub at a revision, and who tells of it."""

    def __init__(self) -> None:
        self.hub = Hub()
        self.hub.revision = REVISION
        self.teller = Teller(WatchFrames(11, 22), self.hub, 1 << 20)

    def open(self, key: bytes = b"k", connection: Any = ONE, **more: Any) -> tuple[Any, bool]:
        """Begin a watch; what its client hears, and whether there is one more."""
        opened = WatchOpen(
            connection, pack(5), 0, key, b"", more.pop("start", 0), False, False, False, **more
        )
        frames, why_not = self.teller.open(opened, REVISION)
        ((_, reply),) = said(frames)
        return reply, not why_not

    def put(self, key: bytes, revision: int) -> Frames:
        """What is told of a put."""
        event = Event(Change.PUT, KeyValue(key, revision, revision, 1, b"v", 0), None)
        matches = self.hub.publish(revision, (event,))
        frames, left = self.teller.events(matches, revision, (event,), 1 << 20)
        assert left == []
        return frames


def said(frames: Frames) -> list[tuple[Any, Any]]:
    return [(connection, unpack(frame)) for connection, frame in frames]


def test_a_watch_that_begins_hears_its_number_and_then_what_it_watches() -> None:
    room = Room()
    created, has_begun = room.open()
    assert has_begun
    assert (created["id"], created["created"], created["watch_id"]) == (5, True, 0)
    ((connection, reply),) = said(room.put(b"k", 5))
    assert connection == ONE
    assert [event["kv"]["mod_revision"] for event in reply["events"]] == [5]
    assert room.put(b"other", 6) == []


def test_a_watch_that_ends_is_confirmed_and_another_is_not_there() -> None:
    room = Room()
    room.open()
    ((_, ended),) = said(room.teller.cancel(WatchCancel(ONE, pack(6), 0)))
    assert (ended["id"], ended["canceled"]) == (6, True)
    ((_, fault),) = said(room.teller.cancel(WatchCancel(ONE, pack(7), 0)))
    assert "there is no watch 0" in fault["error"]["message"]


def test_a_connection_that_is_gone_is_told_why_only_if_there_is_a_reason() -> None:
    room = Room()
    for connection in (ONE, TWO):
        room.open(connection=connection)
    assert room.teller.forget(ONE, "") == []
    ((connection, reply),) = said(room.teller.forget(TWO, "too slow"))
    assert (connection, reply["canceled"], reply["cancel_reason"]) == (TWO, True, "too slow")
    assert room.put(b"k", 5) == []


def test_who_asks_how_far_it_is_is_answered_when_nothing_is_on_its_way() -> None:
    room = Room()
    room.open(start=1)
    assert room.teller.ask(WatchProgress(ONE, pack(8))) == []
    assert room.teller.answers() == [], "history is still to be read"
    room.hub.next_reading()
    matches = room.hub.read(REVISION, REVISION, ())
    assert list(room.teller.history(matches, REVISION, (), 1 << 20)) == []
    room.hub.end_reading()
    ((connection, reply),) = said(room.teller.answers())
    assert (connection, reply["id"], reply["header"]["revision"]) == (ONE, 8, REVISION)
    assert room.teller.answers() == []


def test_too_many_who_ask_are_refused() -> None:
    room = Room()
    room.open(start=1)
    for _ in range(DEFERRED_PER_CONNECTION_MAX):
        room.teller.ask(WatchProgress(ONE, b""))
    ((_, reply),) = said(room.teller.ask(WatchProgress(ONE, pack(9))))
    assert reply["error"]["message"] == "etcdserver: too many requests"


def test_progress_is_told_to_those_that_want_it_and_heard_nothing_else() -> None:
    room = Room()
    room.open(b"k", progress_notify=True)
    room.open(b"l", progress_notify=True)
    room.open(b"m")
    room.put(b"k", 5)
    assert [reply["watch_id"] for _, reply in said(room.teller.progress())] == [1]
    assert [reply["watch_id"] for _, reply in said(room.teller.progress())] == [0, 1]
