"""WatchActor: tells watching clients what the store has applied, in order and each event once.

The store sends its events in the order of revisions, and the history for watches that are behind in
the same mailbox. So a watch that has read its history misses no event that follows, and sees none
twice. The hub decides which watch sees what and when, the teller makes the frames, and the gateway
sends them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, assert_never

from actors.language.audit import WatchAnswered
from actors.language.auth import WatchRights
from actors.language.commands import Event
from actors.language.inboxes import ToWatch
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
    RoomToTell,
    Skipped,
    Tick,
    WatchBegin,
    WatchCancel,
    WatchOpen,
    WatchProgress,
)
from actors.language.metrics import Survey
from actors.runtime.base import Clock, NodeActor
from actors.watch.audience import Match
from actors.watch.flow import Flow
from actors.watch.frames import WatchFrames
from actors.watch.hub import COMPACTED_TEXT, Hub
from actors.watch.long_batch import (
    EVENTS_AT_ONCE,
    TELLING_MS,
    TELLING_STEPS_MAX,
    Frames,
    LongBatch,
)
from actors.watch.rhythm import Patience, Rhythm
from actors.watch.teller import Teller
from cluster.faults import FAULTS

PROGRESS_INTERVAL_MS: Final = 10 * 60 * 1_000
"""How often a quiet watch with `progress_notify` is told how far it is, as in etcd."""

READING_PAUSE_MS: Final = 2
"""The pause between two portions of a long history, for live events and for everything else."""

FRAMING_BYTES: Final = 512 * 1024
"""As in etcd, a reply comes in fragments if it is larger than a request may be by 512 KiB."""


class WatchActor(NodeActor):
    """Carries the store's events to the gateway's clients.

    After `no_leader_ms` without a leader (three election timeouts) it ends all watches, and refuses
    new ones until there is a leader: what this node knows may be long out of date.
    """

    def __init__(
        self,
        cluster_id: int,
        member_id: int,
        no_leader_ms: int,
        clock: Clock,
        hub: Hub | None = None,
        progress_interval_ms: int = PROGRESS_INTERVAL_MS,
        *,
        request_bytes_max: int,
    ) -> None:
        super().__init__()
        self._clock = clock
        self._frames = WatchFrames(cluster_id, member_id)
        self._hub = Hub() if hub is None else hub
        self._teller = Teller(self._frames, self._hub, request_bytes_max + FRAMING_BYTES)
        self._long_batch = LongBatch()
        self._flow = Flow()
        # What was read and is told in steps; empty while no watch is behind.
        self._history: Iterator[Frames] = iter(())
        self._rhythm = Rhythm(progress_interval_ms, clock())
        self._patience = Patience(no_leader_ms, clock())
        # When the next portion of a long history may be read; None: at once, if a watch needs one.
        self._read_at_ms: int | None = None
        self._is_learner = False

    def open(self) -> None:
        self._arm()

    def receive(self, message: ToWatch) -> None:
        teller = self._teller
        if self._long_batch.is_under_way and not isinstance(message, Tick | RoomToTell):
            self._long_batch.hold(message)
            return
        match message:
            case Events(revision, events) if len(events) > EVENTS_AT_ONCE:
                found = self._hub.publish_in_portions(revision, events)
                self._long_batch.begin(teller.events_in_portions(found, revision, events))
                self._arm()
            case Events(revision, events):
                matches = self._hub.publish(revision, events)
                if matches:
                    self._tell_live(matches, revision, events)
            case HistoryPortion():
                self._take_history(message)
            case WatchBegin():
                self._begin(message)
            case WatchCancel():
                self._deliver(teller.cancel(message))
                self._deliver(teller.answers())
            case WatchProgress():
                self._deliver(teller.ask(message))
                self._deliver(teller.answers())
            case Congestion(connection, is_congested):
                self._regulate(connection, is_congested)
            case RoomToTell():
                self._flow.refill()
                self._go_on()
            case ConnectionGone(connection, reason):
                # Confirmed even if there was no watch: until then the gateway drops every event for
                # this connection.
                frames = tuple(teller.forget(connection, reason))
                self.ring.gateway.tell(Deliver(frames, ended=(connection,)))
            case Leadership(leader, term, is_learner=is_learner):
                self._lead(leader, term, is_learner=is_learner)
            case WatchRights(readable):
                self._deliver(teller.revoke(dict(readable)))
                self._deliver(teller.answers())
            case Skipped(revision):
                self._hub.skip(revision)
                self._read_on()
            case HistoryCut():
                self._bookmark()
            case Survey():
                watch = self._hub.metrics(self._teller.told)
                self.ring.gateway.tell(message._replace(watch=watch))
            case Tick(now_ms):
                self._on_tick(now_ms)
            case _:
                assert_never(message)

    def _deliver(self, frames: Frames) -> None:
        if frames:
            asks = self._flow.must_ask(frames)
            self.ring.gateway.tell(Deliver(tuple(frames), asks=asks))

    def _tell_live(self, matches: Sequence[Match], revision: int, events: Sequence[Event]) -> None:
        """Tell what has just happened; the watches that would be too much read it as history."""
        bytes_max = self._flow.live_bytes_max
        frames, left = self._teller.events(matches, revision, events, bytes_max)
        self._deliver(frames)
        if left:
            self._hub.put_behind(left, events[0].kv.mod_revision)
            self._read_on()
            self._arm()

    # --- history ---

    def _read_on(self) -> None:
        """Ask the store for a next portion of history, if it is time and none is being read."""
        if self._read_at_ms is not None and self._clock() < self._read_at_ms:
            return
        self._read_at_ms = None
        reading = self._hub.next_reading()
        if reading is not None:
            from_revision, spans, prev_kv = reading
            self.ring.store.tell(ReadHistory(from_revision, spans, prev_kv))

    def _take_history(self, history: HistoryPortion) -> None:
        _, reached, revision, events, compact_revision = history
        if compact_revision:
            ended = self._hub.lost(revision)
            self._deliver(self._teller.canceled(ended, COMPACTED_TEXT, compact_revision))
            self._deliver(self._teller.answers())
            self._read_on()
            return
        # A long history: pause, or one watch that reads everything would hold up all live ones.
        if reached < revision:
            self._read_at_ms = self._clock() + READING_PAUSE_MS
            self._arm()
        found = self._hub.read(reached, revision, events)
        bytes_max = self._flow.told_bytes_max
        self._history = self._teller.history(found, reached, events, bytes_max)
        self._tell_history()

    def _tell_history(self) -> None:
        """Tell what was read, while it is this actor's turn and the gateway has room."""
        until_ms = self._clock() + TELLING_MS
        for _ in range(TELLING_STEPS_MAX):
            if not self._flow.is_open:
                return
            frames = next(self._history, None)
            if frames is None:
                self._hub.end_reading()
                self._deliver(self._teller.answers())
                self._read_on()
                return
            self._deliver(frames)
            if self._clock() >= until_ms:
                break
        self._arm()

    def _go_on(self) -> None:
        """It is this actor's turn again, or the gateway has room."""
        if self._long_batch.is_under_way:
            self._arm()
        elif self._hub.is_telling:
            self._tell_history()

    def _regulate(self, connection: Connection, is_congested: bool) -> None:
        if is_congested:
            self._hub.hold(connection)
        else:
            self._hub.release(connection)
            self._deliver(self._teller.answers())
            self._read_on()

    # --- watches ---

    def _begin(self, begin: WatchBegin) -> None:
        opened, revision, fault, watches_max = begin
        if fault:
            self._deliver(self._teller.refuse(opened, revision, FAULTS[fault]))
            self._tell_outcome(opened, revision, FAULTS[fault].message)
            return
        # Without listeners the store has sent no events, so the hub may be far behind it.
        self._hub.revision = revision
        # Every connection that ever watched gets a bookmark a minute: sending it shows the gateway
        # that a connection is gone.
        self._hub.meet(opened.connection)
        if self._patience.is_over(self._clock()) and not opened.without_leader:
            why_not = FAULTS["NoLeader"].message
            self._deliver(self._teller.error(opened, FAULTS["NoLeader"]))
        elif self._is_learner:
            why_not = FAULTS["NotSupportedForLearner"].message
            self._deliver(self._teller.error(opened, FAULTS["NotSupportedForLearner"]))
        else:
            frames, why_not = self._teller.open(opened, revision, watches_max)
            self._deliver(frames)
            if not why_not:
                self._read_on()
                self._arm()
        self._tell_outcome(opened, revision, why_not)

    def _tell_outcome(self, opened: WatchOpen, revision: int, why_not: str) -> None:
        """Tell the gateway what became of a watch, if its audit log is to have that."""
        if opened.note is not None:
            self.ring.gateway.tell(WatchAnswered(opened.note, revision, why_not))

    def _end_all(self, reason: str, *, but_without_leader: bool = False) -> None:
        """End all watches, or all but those that go on while there is no leader."""
        for connection in self._hub.connections:
            self._deliver(self._teller.end(connection, reason, but_without_leader))
        self._deliver(self._teller.answers())

    # --- time and leaders ---

    def _lead(self, leader: int, term: int, *, is_learner: bool) -> None:
        self._frames.set_term(term)
        self._patience.led(leader, self._clock())
        self._arm()
        # A learner serves no watches. It may have begun some before it knew that it is a learner.
        self._is_learner = is_learner
        if is_learner:
            self._end_all(FAULTS["NotSupportedForLearner"].message)

    def _bookmark(self) -> None:
        """Tell every watching connection how far its watches are."""
        self._rhythm.bookmarked(self._hub.revision)
        self._deliver(self._teller.bookmarks())

    def _on_tick(self, now_ms: int) -> None:
        if self._long_batch.is_under_way:
            if self._flow.is_open:
                bytes_max = self._flow.told_bytes_max
                self._deliver(self._long_batch.work(self._clock, bytes_max))
            if self._long_batch.is_under_way:
                self._arm()
                return
            self.mailbox.put_back(self._long_batch.take_waiting())
        if self._patience.maybe_end(now_ms):
            self._end_all(FAULTS["NoLeader"].message, but_without_leader=True)
        if self._rhythm.maybe_bookmark(self._hub.revision, now_ms):
            self._bookmark()
        if self._rhythm.maybe_progress(now_ms):
            self._deliver(self._teller.progress())
        self._go_on()
        self._read_on()
        self._arm()

    def _arm(self) -> None:
        is_telling = self._long_batch.is_under_way or self._hub.is_telling
        if is_telling and self._flow.is_open:
            self.mailbox.wake_at(self._clock())
        self.mailbox.wake_at(self._rhythm.next_wake_ms())
        if self._read_at_ms is not None:
            self.mailbox.wake_at(self._read_at_ms)
        if self._patience.wake_ms is not None and len(self._hub):
            self.mailbox.wake_at(self._patience.wake_ms)
