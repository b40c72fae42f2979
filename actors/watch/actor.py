"""WatchActor: tells watching clients what the store has applied, in order and each event once.

The store's messages come in the order of revisions, a watch's backlog among them: so a watch that
begins between two of them misses nothing and sees nothing twice. Who sees what is the hub's, how it
looks is `frames`', and sending is the gateway's.
"""

from __future__ import annotations

from typing import Final, assert_never

from actors.base import Clock, NodeActor, send
from actors.encoding import error_reply
from actors.messages import (
    Connection,
    ConnectionGone,
    Deliver,
    Drained,
    Events,
    Leadership,
    Tick,
    WatchBegin,
    WatchCancel,
    WatchOpen,
    WatchProgress,
)
from actors.store.commands import Event, Failure
from actors.watch.frames import EventBatch, WatchFrames
from actors.watch.hub import COMPACTED, Hub, Refused, View, Watch
from actors.watch.spans import Span
from cluster.errors import FAULTS, NOT_FOUND, Fault

PROGRESS_INTERVAL_MS: Final = 60_000

WatchMessage = (
    Events
    | WatchBegin
    | WatchCancel
    | WatchProgress
    | ConnectionGone
    | Leadership
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
    ) -> None:
        super().__init__()
        self._frames = WatchFrames(cluster_id, member_id)
        self._hub = Hub() if hub is None else hub
        self._clock = clock
        self._no_leader_ms = no_leader_ms
        self._revision = 0
        self._bookmarks_at_ms = 0
        # When the wait for a leader is over; None while there is one.
        self._patience_until_ms: int | None = None

    def open(self) -> None:
        now_ms = self._clock()
        self._bookmarks_at_ms = now_ms + PROGRESS_INTERVAL_MS
        self._patience_until_ms = now_ms + self._no_leader_ms
        self._arm()

    def receive(self, message: WatchMessage) -> None:
        match message:
            case Events(revision, events):
                self._revision = revision
                self._publish(events)
            case WatchBegin():
                self._begin(message)
            case WatchCancel():
                self._cancel(message)
            case WatchProgress(connection, request_id):
                self._deliver([(connection, self._frames.bookmark(request_id, self._revision))])
            case ConnectionGone(connection, reason):
                self._end(connection, reason)
            case Leadership(leader, term):
                self._lead(leader, term)
            case Drained():
                pass
            case Tick(now_ms):
                self._on_tick(now_ms)
            case _:
                assert_never(message)

    # --- events ---

    def _publish(self, events: tuple[Event, ...]) -> None:
        matches = self._hub.match(events)
        if not matches:
            return
        batch = EventBatch(self._frames, self._revision, events)
        encode = self._frames.events
        frames: Frames = []
        for view, watches, positions in matches:
            for tail in batch.tails(positions, view.prev_kv):
                frames += [(watch.connection, encode(watch.watch_id, tail)) for watch in watches]
        self._deliver(frames)

    def _deliver(self, frames: Frames) -> None:
        if frames:
            send(self.ring.gateway, Deliver(tuple(frames)))

    # --- watches ---

    def _begin(self, begin: WatchBegin) -> None:
        opened = begin.open
        self._revision = begin.revision
        # A bookmark a minute goes to whoever ever watched: so that the gateway notices its death.
        self._hub.meet(opened.connection)
        if self._leaderless(self._clock()):
            self._deliver([_error(opened, FAULTS["NoLeader"])])
            return
        watch = self._hub.open(
            opened.connection,
            opened.watch_id,
            Span(opened.key, opened.range_end),
            _view_of(opened, begin.revision),
            opened.start_revision,
        )
        match watch:
            case Watch():
                self._begun(begin, watch)
            case Refused(reason):
                frame = self._frames.refused(opened.request_id, begin.revision, reason)
                self._deliver([(opened.connection, frame)])
            case Failure(name):
                self._deliver([_error(opened, FAULTS[name])])
            case _:
                assert_never(watch)

    def _begun(self, begin: WatchBegin, watch: Watch) -> None:
        replies = [self._frames.created(begin.open.request_id, begin.revision, watch.watch_id)]
        if begin.compact_revision:
            self._hub.cancel(watch.connection, watch.watch_id)
            replies.append(
                self._frames.canceled(
                    b"", begin.revision, watch.watch_id, COMPACTED, begin.compact_revision
                )
            )
        else:
            replies += self._backlog(begin, watch)
        self._deliver([(watch.connection, reply) for reply in replies])
        self._arm()

    def _backlog(self, begin: WatchBegin, watch: Watch) -> list[bytes]:
        positions = watch.view.select(begin.backlog, range(len(begin.backlog)))
        if not positions:
            return []
        batch = EventBatch(self._frames, begin.revision, begin.backlog)
        tails = batch.tails(positions, watch.view.prev_kv)
        return [self._frames.events(watch.watch_id, tail) for tail in tails]

    def _cancel(self, cancel: WatchCancel) -> None:
        connection, request_id, watch_id = cancel
        if self._hub.cancel(connection, watch_id):
            frame = self._frames.canceled(request_id, self._revision, watch_id, "")
        else:
            fault = Fault(NOT_FOUND, f"leasehold: there is no watch {watch_id} on this connection")
            frame = error_reply(request_id, fault)
        self._deliver([(connection, frame)])

    def _end(self, connection: Connection, reason: str) -> None:
        watches = self._hub.forget(connection)
        frames = self._cancellations(watches, reason) if reason else []
        # Confirmed even if there was no watch: the gateway sends nothing there until it is.
        send(self.ring.gateway, Deliver(tuple(frames), ended=(connection,)))

    def _cancellations(self, watches: tuple[Watch, ...], reason: str) -> Frames:
        return [
            (
                watch.connection,
                self._frames.canceled(b"", self._revision, watch.watch_id, reason),
            )
            for watch in watches
        ]

    # --- time and leaders ---

    def _lead(self, leader: int, term: int) -> None:
        self._frames.set_term(term)
        if leader:
            self._patience_until_ms = None
        elif self._patience_until_ms is None:
            self._patience_until_ms = self._clock() + self._no_leader_ms
        self._arm()

    def _leaderless(self, now_ms: int) -> bool:
        return self._patience_until_ms is not None and now_ms >= self._patience_until_ms

    def _on_tick(self, now_ms: int) -> None:
        if self._leaderless(now_ms):
            reason = FAULTS["NoLeader"].message
            for connection in self._hub.connections:
                self._deliver(self._cancellations(self._hub.end(connection), reason))
        if now_ms >= self._bookmarks_at_ms:
            frame = self._frames.bookmark(b"", self._revision)
            self._deliver([(connection, frame) for connection in self._hub.connections])
            self._bookmarks_at_ms = now_ms + PROGRESS_INTERVAL_MS
        self._arm()

    def _arm(self) -> None:
        self.mailbox.wake_at(self._bookmarks_at_ms)
        if self._patience_until_ms is not None and len(self._hub):
            self.mailbox.wake_at(self._patience_until_ms)


def _view_of(opened: WatchOpen, revision: int) -> View:
    """The wishes of a watch; a start that all coming events have passed is no wish any more."""
    ahead = opened.start_revision if opened.start_revision > revision + 1 else 0
    return View(opened.prev_kv, opened.no_put, opened.no_delete, ahead)


def _error(opened: WatchOpen, fault: Fault) -> tuple[Connection, bytes]:
    return opened.connection, error_reply(opened.request_id, fault)
