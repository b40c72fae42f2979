"""What watches are told, as frames, each with its connection.

The hub says which watch something concerns, and `frames.py` makes the bytes of a reply. The actor
decides when to tell it, and the gateway sends it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import assert_never

from actors.language.auth import Principal
from actors.language.commands import Event
from actors.language.encoding import error_reply
from actors.language.intervals import KeySet
from actors.language.messages import Connection, WatchCancel, WatchOpen, WatchProgress
from actors.language.results import Failure
from actors.watch.audience import Match, View, Watch
from actors.watch.bookmarks import Bookmarks
from actors.watch.frames import EventBatch, Reply, WatchFrames
from actors.watch.hub import Hub, WatchRefused
from actors.watch.long_batch import EVENTS_AT_ONCE, Frames
from actors.watch.spans import Span
from cluster.faults import FAULTS, NOT_FOUND, Fault


class Teller:
    """Tells one hub's watches; a reply of more than `fragment_bytes_max` may come in fragments."""

    def __init__(self, frames: WatchFrames, hub: Hub, fragment_bytes_max: int) -> None:
        self._frames = frames
        self._hub = hub
        self._progress = Bookmarks(hub)
        self._fragment_bytes_max = fragment_bytes_max
        # How many events watches were told.
        self.told = 0

    def events(
        self, matches: Sequence[Match], revision: int, events: Sequence[Event], bytes_max: int
    ) -> tuple[Frames, list[Watch]]:
        """The frames of these events, up to a revision, for the live watches that they match.

        Above `bytes_max` no more are made; the watches for which none were are returned, too.
        """
        told: Frames = []
        left: list[Watch] = []
        batch = EventBatch(self._frames, revision, events, self._fragment_bytes_max)
        pack = self._frames.pack
        for view, all_watches, positions in matches:
            if bytes_max <= 0:
                left += all_watches
                continue
            replies = batch.replies(positions, view)
            size = _size(replies)
            # The last one may cross the limit: or a large reply could never be told.
            fitting = -(-bytes_max // size)
            watches = all_watches[:fitting]
            left += all_watches[fitting:]
            bytes_max -= size * len(watches)
            for head, tail in replies:
                told += [(route, head + pack(number) + tail) for route, number, *_ in watches]
            self._heard(view, watches, positions)
        return told, left

    def history(
        self,
        found: Iterator[list[Match]],
        revision: int,
        events: Sequence[Event],
        bytes_max: int,
    ) -> Iterator[Frames]:
        """The frames of what was read, up to a revision, in steps of `bytes_max` at most.

        A watch that has ended or is held when its turn comes is left out.
        """
        keeps = len(events) <= EVENTS_AT_ONCE
        batch = EventBatch(self._frames, revision, events, self._fragment_bytes_max, keeps=keeps)
        pack, may_tell = self._frames.pack, self._hub.may_tell
        told: Frames = []
        left = bytes_max
        for matches in found:
            for view, watches, positions in matches:
                replies: list[Reply] = []
                if keeps:
                    replies = batch.replies(positions, view)
                else:
                    for made in batch.made(positions, view):
                        replies += made
                        yield []
                size = _size(replies)
                for watch in watches:
                    if not may_tell(watch):
                        continue
                    number = pack(watch.watch_id)
                    told += [(watch.connection, head + number + tail) for head, tail in replies]
                    self._heard(view, (watch,), positions)
                    left -= size
                    if left <= 0:
                        yield told
                        told, left = [], bytes_max
            yield told
            told = []

    def events_in_portions(
        self, found: Iterator[list[Match]], revision: int, events: Sequence[Event]
    ) -> Iterator[Frames]:
        """The same for very many live events, in steps: each gives the frames that it has made."""
        bytes_max = self._fragment_bytes_max
        batch = EventBatch(self._frames, revision, events, bytes_max, keeps=False)
        pack = self._frames.pack
        for matches in found:
            yield []
            for view, watches, positions in matches:
                replies: list[Reply] = []
                for made in batch.made(positions, view):
                    replies += made
                    yield []
                for route, number, *_ in watches:
                    yield [(route, head + pack(number) + tail) for head, tail in replies]
                self._heard(view, watches, positions)

    def _heard(self, view: View, watches: Sequence[Watch], positions: Sequence[int]) -> None:
        """These watches were told the events at these positions."""
        self.told += len(positions) * len(watches)
        if view.progress:
            self._progress.heard(watches)

    # --- watches that begin and end ---

    def open(self, opened: WatchOpen, revision: int, user_max: int = 0) -> tuple[Frames, str]:
        """Begin a watch, which is one of `user_max` of its user (0: of any number); returns what
        its client is told, and why there is no watch ("": there is one)."""
        connection, request_id = opened.connection, opened.request_id
        span = Span(opened.key, opened.range_end)
        watch = self._hub.open(
            connection,
            opened.watch_id,
            span,
            _view_of(opened),
            opened.start_revision,
            opened.principal,
            user_max,
        )
        match watch:
            case Watch():
                created = self._frames.created(request_id, revision, watch.watch_id)
                return [(connection, created)], ""
            case WatchRefused(reason):
                return [(connection, self._frames.refused(request_id, revision, reason))], reason
            case Failure(name):
                return self.error(opened, FAULTS[name]), FAULTS[name].message
            case _:
                assert_never(watch)

    def error(self, request: WatchOpen | WatchProgress, fault: Fault) -> Frames:
        """A request cannot be served."""
        return [(request.connection, error_reply(request.request_id, fault))]

    def cancel(self, cancel: WatchCancel) -> Frames:
        """A client ends a watch."""
        connection, request_id, watch_id = cancel
        if self._hub.cancel(connection, watch_id):
            frame = self._frames.canceled(request_id, self._hub.revision, watch_id, "")
        else:
            fault = Fault(NOT_FOUND, f"leasehold: there is no watch {watch_id} on this connection")
            frame = error_reply(request_id, fault)
        return [(connection, frame)]

    def forget(self, connection: Connection, reason: str) -> Frames:
        """A connection has ended, with its watches; its client is told if there is a reason."""
        watches = self._hub.forget(connection)
        self._progress.forget(connection)
        return self.canceled(watches, reason) if reason else []

    def end(self, connection: Connection, reason: str, but_without_leader: bool) -> Frames:
        """The watches of a connection end; the connection stays and may begin others."""
        return self.canceled(self._hub.end(connection, but_without_leader), reason)

    def refuse(self, opened: WatchOpen, revision: int, fault: Fault) -> Frames:
        """A watch may not begin; as in etcd it is created and ended at once."""
        refused = self._frames.refused(opened.request_id, revision, fault.message)
        return [(opened.connection, refused)]

    def revoke(self, readable: Mapping[Principal, KeySet]) -> Frames:
        """Rights have changed: the watches that need more than these allow end."""
        return self.canceled(self._hub.revoke(readable), FAULTS["PermissionDenied"].message)

    def canceled(self, watches: Sequence[Watch], reason: str, compact_revision: int = 0) -> Frames:
        """These watches have ended."""
        canceled, revision = self._frames.canceled, self._hub.revision
        return [
            (
                watch.connection,
                canceled(b"", revision, watch.watch_id, reason, compact_revision),
            )
            for watch in watches
        ]

    # --- how far it is ---

    def ask(self, asked: WatchProgress) -> Frames:
        """A client asks how far its watches are; `answers` has the answer once no event is due."""
        if self._progress.ask(asked.connection, asked.request_id):
            return []
        return self.error(asked, FAULTS["TooManyRequests"])

    def answers(self) -> Frames:
        """The answers to the questions that need not wait any more."""
        bookmark = self._frames.bookmark
        return [
            (connection, bookmark(request_id, revision))
            for connection, request_id, revision in self._progress.answers()
        ]

    def bookmarks(self) -> Frames:
        """A bookmark for every watching connection."""
        delivered, bookmark = self._hub.delivered, self._frames.bookmark
        return [(to, bookmark(b"", delivered(to))) for to in self._hub.connections]

    def progress(self) -> Frames:
        """A progress notification for each watch that wants them and had no events meanwhile."""
        revision, progress = self._hub.revision, self._frames.progress
        return [(to, progress(number, revision)) for to, number, *_ in self._progress.quiet()]


def _size(replies: Sequence[Reply]) -> int:
    """The bytes of these replies to one watch."""
    return sum([len(head) + len(tail) for head, tail in replies])


def _view_of(opened: WatchOpen) -> View:
    return View(
        opened.prev_kv,
        opened.no_put,
        opened.no_delete,
        keys_only=opened.keys_only,
        fragment=opened.fragment,
        progress=opened.progress_notify,
        without_leader=opened.without_leader,
    )
