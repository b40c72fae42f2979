"""WatchActor: tells watching clients what the store has applied, in order and each event once.

The store's messages come in the order of revisions, and the history that it reads for those who are
behind comes among them: so a watch that has read all of it misses nothing of what follows, and sees
nothing twice. Who sees what and when is the hub's, how it looks is `frames`', and sending is the
gateway's.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, assert_never

from actors.language.commands import Event
from actors.language.encoding import error_reply
from actors.language.messages import (
    Congestion,
    Connection,
    ConnectionGone,
    Deliver,
    Drained,
    Events,
    History,
    HistoryCut,
    Leadership,
    ReadHistory,
    Skipped,
    Tick,
    WatchBegin,
    WatchCancel,
    WatchOpen,
    WatchProgress,
)
from actors.language.results import Failure
from actors.runtime.base import Clock, NodeActor, send
from actors.watch.audience import Match, View, Watch
from actors.watch.frames import EventBatch, WatchFrames
from actors.watch.hub import COMPACTED, Hub, Refused
from actors.watch.progress import Progress
from actors.watch.spans import Span
from cluster.errors import FAULTS, NOT_FOUND, Fault

BOOKMARK_INTERVAL_MS: Final = 5_000
"""So often those who watch are told how far they are, if anything has happened. A quiet watch that
must go on at another node goes on from there: what is compacted that is older does not end it."""

BEAT_INTERVAL_MS: Final = 60_000
"""Every connection that watches hears something so often: so the gateway notices that it died."""

PROGRESS_INTERVAL_MS: Final = 10 * 60 * 1_000

READING_PAUSE_MS: Final = 2
"""Between two portions of a long history: for the events that happen meanwhile, and for others."""

FRAMING_BYTES: Final = 512 * 1024
"""As in etcd, a reply may be so much larger than a request before it comes in fragments."""

REQUEST_BYTES_MAX: Final = 1_572_864

WatchMessage = (
    Events
    | History
    | WatchBegin
    | WatchCancel
    | WatchProgress
    | Congestion
    | ConnectionGone
    | Leadership
    | Skipped
    | HistoryCut
    | Drained
    | Tick  # hottest first
)

Frames = list[tuple[Connection, bytes]]


class WatchActor(NodeActor):
    """Between the store's events and the gateway's clients.

    After `no_leader_ms` without a leader (three election timeouts) it ends all watches, and refuses
    new ones until there is a leader: what this node has applied may be long out of date.
    """

    def __init__(
        self,
        cluster_id: int,
        member_id: int,
        no_leader_ms: int,
        clock: Clock,
        hub: Hub | None = None,
        progress_interval_ms: int = PROGRESS_INTERVAL_MS,
        request_bytes_max: int = REQUEST_BYTES_MAX,
    ) -> None:
        super().__init__()
        self._frames = WatchFrames(cluster_id, member_id)
        self._hub = Hub() if hub is None else hub
        self._progress = Progress(self._hub)
        self._clock = clock
        self._no_leader_ms = no_leader_ms
        self._progress_interval_ms = progress_interval_ms
        self._fragment_bytes_max = request_bytes_max + FRAMING_BYTES
        self._bookmarks_at_ms = 0
        self._beat_at_ms = 0
        # As of when those who watch were last told how far they are.
        self._bookmarked = 0
        self._progress_at_ms = 0
        # When the next portion of history may be read; None while nobody needs any.
        self._read_at_ms: int | None = None
        # When the wait for a leader is over; None while there is one.
        self._patience_until_ms: int | None = None
        self._is_learner = False

    def open(self) -> None:
        now_ms = self._clock()
        self._bookmarks_at_ms = now_ms + BOOKMARK_INTERVAL_MS
        self._beat_at_ms = now_ms + BEAT_INTERVAL_MS
        self._progress_at_ms = now_ms + self._progress_interval_ms
        self._patience_until_ms = now_ms + self._no_leader_ms
        self._arm()

    def receive(self, message: WatchMessage) -> None:
        match message:
            case Events(revision, events):
                self._tell(self._hub.publish(revision, events), revision, events)
            case History():
                self._take_history(message)
            case WatchBegin():
                self._begin(message)
            case WatchCancel():
                self._cancel(message)
            case WatchProgress():
                self._ask(message)
            case Congestion(connection, is_congested):
                self._regulate(connection, is_congested)
            case ConnectionGone(connection, reason):
                self._end(connection, reason)
            case Leadership(leader, term, is_learner=is_learner):
                self._lead(leader, term)
                self._learn(is_learner)
            case Skipped(revision):
                self._hub.skip(revision)
                self._read_on()
            case HistoryCut():
                self._bookmark()
            case Drained():
                pass
            case Tick(now_ms):
                self._on_tick(now_ms)
            case _:
                assert_never(message)

    # --- events ---

    def _tell(self, matches: Sequence[Match], revision: int, events: Sequence[Event]) -> None:
        """Tell these watches of these events, which end at a revision."""
        if not matches:
            return
        batch = EventBatch(self._frames, revision, events, self._fragment_bytes_max)
        pack = self._frames.pack
        frames: Frames = []
        for view, watches, positions in matches:
            for head, tail in batch.replies(positions, view):
                frames += [(route, head + pack(number) + tail) for route, number, _, _ in watches]
            if view.progress:
                self._progress.heard(watches)
        self._deliver(frames)

    def _deliver(self, frames: Frames) -> None:
        if frames:
            send(self.ring.gateway, Deliver(tuple(frames)))

    # --- history ---

    def _read_on(self) -> None:
        """Have somebody's next portion of history read, if it is time and none is being read."""
        if self._read_at_ms is not None and self._clock() < self._read_at_ms:
            return
        self._read_at_ms = None
        reading = self._hub.next_reading()
        if reading is not None:
            from_revision, spans, prev_kv = reading
            send(self.ring.store, ReadHistory(from_revision, spans, prev_kv))

    def _take_history(self, history: History) -> None:
        _, reached, revision, events, compact_revision = history
        if compact_revision:
            ended = self._hub.lost(revision)
            self._deliver(self._cancellations(ended, COMPACTED, compact_revision))
        else:
            self._tell(self._hub.read(reached, revision, events), reached, events)
        self._answer()
        if reached < revision and not compact_revision:
            self._read_at_ms = self._clock() + READING_PAUSE_MS
            self._arm()
        else:
            self._read_on()

    def _regulate(self, connection: Connection, is_congested: bool) -> None:
        if is_congested:
            self._hub.hold(connection)
        else:
            self._hub.release(connection)
            self._answer()
            self._read_on()

    # --- watches ---

    def _begin(self, begin: WatchBegin) -> None:
        opened, revision = begin
        self._hub.revision = revision
        # A bookmark a minute goes to whoever ever watched: so that the gateway notices its death.
        self._hub.meet(opened.connection)
        if self._leaderless(self._clock()):
            self._deliver([_error(opened, FAULTS["NoLeader"])])
            return
        if self._is_learner:
            self._deliver([_error(opened, FAULTS["NotSupportedForLearner"])])
            return
        watch = self._hub.open(
            opened.connection,
            opened.watch_id,
            Span(opened.key, opened.range_end),
            _view_of(opened),
            opened.start_revision,
        )
        match watch:
            case Watch():
                frame = self._frames.created(opened.request_id, revision, watch.watch_id)
                self._deliver([(opened.connection, frame)])
                self._read_on()
                self._arm()
            case Refused(reason):
                frame = self._frames.refused(opened.request_id, revision, reason)
                self._deliver([(opened.connection, frame)])
            case Failure(name):
                self._deliver([_error(opened, FAULTS[name])])
            case _:
                assert_never(watch)

    def _cancel(self, cancel: WatchCancel) -> None:
        connection, request_id, watch_id = cancel
        if self._hub.cancel(connection, watch_id):
            frame = self._frames.canceled(request_id, self._hub.revision, watch_id, "")
        else:
            fault = Fault(NOT_FOUND, f"leasehold: there is no watch {watch_id} on this connection")
            frame = error_reply(request_id, fault)
        self._deliver([(connection, frame)])
        self._answer()

    def _end(self, connection: Connection, reason: str) -> None:
        watches = self._hub.forget(connection)
        self._progress.forget(connection)
        frames = self._cancellations(watches, reason) if reason else []
        # Confirmed even if there was no watch: the gateway sends nothing there until it is.
        send(self.ring.gateway, Deliver(tuple(frames), ended=(connection,)))

    def _cancellations(
        self, watches: Sequence[Watch], reason: str, compact_revision: int = 0
    ) -> Frames:
        canceled, revision = self._frames.canceled, self._hub.revision
        return [
            (
                watch.connection,
                canceled(b"", revision, watch.watch_id, reason, compact_revision),
            )
            for watch in watches
        ]

    # --- how far it is ---

    def _ask(self, asked: WatchProgress) -> None:
        connection, request_id = asked
        if not self._progress.ask(connection, request_id):
            self._deliver([(connection, error_reply(request_id, FAULTS["TooManyRequests"]))])
        self._answer()

    def _answer(self) -> None:
        """Answer those who asked how far they are, as soon as nothing is on its way to them."""
        bookmark = self._frames.bookmark
        self._deliver(
            [
                (connection, bookmark(request_id, revision))
                for connection, request_id, revision in self._progress.answers()
            ]
        )

    def _bookmark(self) -> None:
        """Tell all who watch how far they are."""
        self._bookmarked = self._hub.revision
        delivered, bookmark = self._hub.delivered, self._frames.bookmark
        self._deliver([(to, bookmark(b"", delivered(to))) for to in self._hub.connections])

    # --- time and leaders ---

    def _lead(self, leader: int, term: int) -> None:
        self._frames.set_term(term)
        if leader:
            self._patience_until_ms = None
        elif self._patience_until_ms is None:
            self._patience_until_ms = self._clock() + self._no_leader_ms
        self._arm()

    def _learn(self, is_learner: bool) -> None:
        """A learner serves no watches; a new member may have begun some before it knew its part."""
        self._is_learner = is_learner
        if is_learner:
            self._end_all(FAULTS["NotSupportedForLearner"].message)

    def _end_all(self, reason: str) -> None:
        for connection in self._hub.connections:
            self._deliver(self._cancellations(self._hub.end(connection), reason))
        self._answer()

    def _leaderless(self, now_ms: int) -> bool:
        return self._patience_until_ms is not None and now_ms >= self._patience_until_ms

    def _on_tick(self, now_ms: int) -> None:
        if self._leaderless(now_ms):
            self._end_all(FAULTS["NoLeader"].message)
        if now_ms >= self._bookmarks_at_ms:
            self._bookmarks_at_ms = now_ms + BOOKMARK_INTERVAL_MS
            if now_ms >= self._beat_at_ms or self._hub.revision != self._bookmarked:
                self._beat_at_ms = now_ms + BEAT_INTERVAL_MS
                self._bookmark()
        if now_ms >= self._progress_at_ms:
            self._progress_at_ms = now_ms + self._progress_interval_ms
            revision, progress = self._hub.revision, self._frames.progress
            quiet = self._progress.quiet()
            self._deliver([(to, progress(number, revision)) for to, number, *_ in quiet])
        self._read_on()
        self._arm()

    def _arm(self) -> None:
        self.mailbox.wake_at(self._bookmarks_at_ms)
        self.mailbox.wake_at(self._progress_at_ms)
        if self._read_at_ms is not None:
            self.mailbox.wake_at(self._read_at_ms)
        if self._patience_until_ms is not None and len(self._hub):
            self.mailbox.wake_at(self._patience_until_ms)


def _view_of(opened: WatchOpen) -> View:
    return View(
        opened.prev_kv,
        opened.no_put,
        opened.no_delete,
        keys_only=opened.keys_only,
        fragment=opened.fragment,
        progress=opened.progress_notify,
    )


def _error(opened: WatchOpen, fault: Fault) -> tuple[Connection, bytes]:
    return opened.connection, error_reply(opened.request_id, fault)
