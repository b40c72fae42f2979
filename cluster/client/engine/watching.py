"""Watches that outlive the nodes that serve them: every event once, in order, from any endpoint.

Pure; it sends by the client's calls. A watch remembers the first revision that it has not seen.
When its node fails, the watch is opened again from that revision, at another node. A bookmark is a
message that says "nothing happened up to this revision": it moves the remembered revision on, so
that a later compaction of the seen history does not end an idle watch.
"""

from __future__ import annotations

from typing import Any, Final

from cluster.client.engine.call import FOREVER, Call
from cluster.client.engine.calling import Calls
from cluster.client.engine.endpoints import BROKEN
from cluster.client.engine.news import Retry
from cluster.client.engine.notices import Notice, WatchEnded, WatchEvents, WatchOpened
from cluster.client.replies import Reply, event, header, read
from cluster.client.results import Event, Header
from cluster.errors import (
    CompactedError,
    HistoryLostError,
    LeaseholdError,
    WatchCanceledError,
    exception_for,
)
from cluster.faults import FAULTS, FaultName, name_of

RESUMED: Final = frozenset(
    ("NoLeader", "LeaderChanged", "Stopped", "TooManyRequests", "Timeout", "NotSupportedForLearner")
)
"""Reasons of a cancellation that lie with the node: the watch goes on at another node."""

FORBIDDEN: Final[tuple[FaultName, ...]] = ("PermissionDenied", "InvalidAuthToken", "UserEmpty")
"""Reasons of a cancellation, or of a refusal, that lie with the user."""

STEADY_SECONDS: Final = 1.0
"""A watch that was open for this time has recovered: its count of failures begins at 0 again."""

BOOKMARK_WATCH_ID: Final = -1
"""The watch id of a bookmark, which is for all watches of a connection."""


class WatchState:
    """One watch, in one of four states.

    Opening: `call` is set. Open: `endpoint` is set. Waiting to be opened again: `due` is set.
    Paused: none of them is.
    """

    __slots__ = (
        "call",
        "cluster_id",
        "due",
        "endpoint",
        "failures",
        "fields",
        "fragments",
        "next_revision",
        "number",
        "opened_at",
        "progress_wanted",
        "seen",
        "was_opened",
        "watch_id",
    )

    def __init__(self, number: int, fields: dict[str, Any]) -> None:
        self.number = number
        self.fields = fields
        self.next_revision: int = fields.get("start_revision", 0)
        # The cluster's id and the highest revision in the headers so far: a cluster that keeps its
        # promises never answers with another id, and never falls back behind that revision.
        self.cluster_id = 0
        self.seen = 0
        self.call: Call | None = None
        self.endpoint: str | None = None
        self.watch_id = 0
        self.failures = 0
        self.due = FOREVER
        self.opened_at = 0.0
        self.was_opened = False
        self.progress_wanted = False
        self.fragments: list[Event] = []

    def forget_id(self) -> None:
        """Forget the watch id, and the parts of a revision that came under it.

        The next node sends that revision from its start.
        """
        self.watch_id = 0
        self.fragments = []


class Watches:
    """All watches of one client, each under the number its owner gave it."""

    def __init__(self, calls: Calls, notices: list[Notice]) -> None:
        self._calls = calls
        self._notices = notices
        self._watches: dict[int, WatchState] = {}
        self._by_watch_id: dict[int, WatchState] = {}
        self._last_watch_id = 0
        # Watches whose node answered with a revision below the highest they have seen, with that
        # highest one; and the call that asks whether the whole cluster is below it.
        self._doubts: dict[int, int] = {}
        self._asking: Call | None = None

    # --- inputs ---

    def open(self, number: int, fields: dict[str, Any], timeout: float, now: float) -> None:
        """Begin a watch (`fields` of watch_create); WatchOpened or WatchEnded follows in `notices`
        within `timeout` seconds."""
        watch = WatchState(number, fields)
        self._watches[number] = watch
        self._create(watch, timeout, now)

    def cancel(self, number: int) -> None:
        """Forget a watch and cancel it at its node; no more notices come."""
        watch = self._watches.pop(number, None)
        if watch is not None:
            self._detach(watch)

    def pause(self, number: int) -> None:
        """Stop the events for now, because the program has not taken those already delivered."""
        watch = self._watches.get(number)
        if watch is not None:
            self._detach(watch)

    def resume(self, number: int, now: float) -> None:
        """End a pause: events go on with the first one that was not delivered."""
        watch = self._watches.get(number)
        if watch is not None and watch.call is None and watch.endpoint is None:
            self._create(watch, FOREVER, now)

    def progress(self, number: int) -> None:
        """Ask up to which revision a watch is complete; a WatchEvents without events answers."""
        watch = self._watches.get(number)
        if watch is not None:
            watch.progress_wanted = True
            self._ask_for_progress(watch)

    def message(self, endpoint: str, message: Reply, now: float) -> None:
        """A reply without an id: events, a cancellation or a bookmark."""
        watch_id = message.get("watch_id")
        if watch_id == BOOKMARK_WATCH_ID:
            self._bookmark(endpoint, message, now)
            return
        watch = self._by_watch_id.get(watch_id) if isinstance(watch_id, int) else None
        if watch is None or watch.endpoint != endpoint:
            return  # a late message of a watch that was cancelled, or that moved to another node
        if message.get("canceled"):
            self._canceled(watch, message, now)
        else:
            self._events(watch, message, now)

    def endpoint_down(self, endpoint: str, now: float) -> None:
        """The node is gone: its watches go on at another one. Those still opening are calls, and
        calls are tried again by themselves."""
        for watch in list(self._watches.values()):
            if watch.endpoint == endpoint:
                self._interrupted(watch, now, BROKEN, at_once=True)

    def endpoint_silent(self, endpoint: str, now: float) -> None:
        """Nothing comes from the node, though it is connected: its watches go on at another one."""
        for watch in list(self._watches.values()):
            if watch.endpoint == endpoint:
                self._release_id(watch, endpoint)
                self._interrupted(watch, now, "no answer in time", at_once=True)

    def tick(self, now: float) -> None:
        """Open the watches again whose wait is over."""
        for watch in list(self._watches.values()):
            if watch.due <= now:
                self._create(watch, FOREVER, now)
            else:
                self._calls.wake_by(watch.due)

    # --- opening ---

    def _create(self, watch: WatchState, timeout: float, now: float) -> None:
        watch.due = FOREVER
        call = Call(watch.fields, timeout)
        watch.call = call
        call.on_attempt = lambda attempt, endpoint: self._attempt(watch, attempt)
        call.on_done = lambda done, when: self._created(watch, done, when)
        self._calls.begin(call, now)

    def _attempt(self, watch: WatchState, call: Call) -> None:
        """Give each attempt a watch id of its own: then events of an attempt that was given up
        cannot be taken for events of the next one."""
        self._release_id(watch, call.endpoint)
        self._last_watch_id += 1
        watch.watch_id = self._last_watch_id
        self._by_watch_id[watch.watch_id] = watch
        watch.fields["watch_id"] = watch.watch_id
        watch.fields["start_revision"] = watch.next_revision

    def _created(self, watch: WatchState, call: Call, now: float) -> None:
        watch.call = None
        if call.error is not None:
            self._end(watch, call.error)
            return
        assert call.reply is not None, "a call that is done has a reply or an error"
        try:
            opened = read(header, call.reply)
        except LeaseholdError as error:
            self._end(watch, error)
            return
        watch.endpoint = call.endpoint
        watch.opened_at = now
        if not self._heard(watch, opened, now):
            return
        if watch.next_revision == 0:
            # "From now on" is fixed now: if the node dies before the first event, none is missed.
            watch.next_revision = opened.revision + 1
        if call.reply.get("canceled"):
            self._canceled(watch, call.reply, now)
        elif not watch.was_opened:
            watch.was_opened = True
            self._notices.append(WatchOpened(watch.number, opened))
        if watch.progress_wanted:
            self._ask_for_progress(watch)

    # --- messages of an open watch ---

    def _events(self, watch: WatchState, message: Reply, now: float) -> None:
        try:
            head = read(header, message)
            events = tuple(read(event, raw) for raw in message.get("events", ()))
        except LeaseholdError as error:
            self._end(watch, error)
            return
        if not self._heard(watch, head, now):
            return
        if message.get("fragment"):
            # A large revision comes in parts. The owner gets it whole: if this node dies before
            # the last part, the next node sends the revision from its start.
            watch.fragments += events
            return
        if not events and not watch.fragments:
            self._progressed(watch, head, wanted=bool(watch.fields.get("progress_notify")))
            return
        if watch.fragments:
            events = (*watch.fragments, *events)
            watch.fragments = []
        # A node that was told to begin at `next_revision` sends nothing older; this makes sure.
        floor = watch.next_revision
        if events[0].revision < floor:
            events = tuple(one for one in events if one.revision >= floor)
        if events:
            watch.failures = 0
            watch.next_revision = events[-1].revision + 1
            self._notices.append(WatchEvents(watch.number, head, events))

    def _bookmark(self, endpoint: str, message: Reply, now: float) -> None:
        """The endpoint has delivered every event up to a revision, to all of its watches."""
        try:
            head = read(header, message)
        except LeaseholdError:
            return
        for watch in list(self._watches.values()):
            if watch.endpoint == endpoint and self._heard(watch, head, now):
                self._progressed(watch, head, wanted=False)

    def _progressed(self, watch: WatchState, head: Header, wanted: bool) -> None:
        """Every event up to the header's revision was delivered; tell the owner if `wanted`."""
        watch.next_revision = max(watch.next_revision, head.revision + 1)
        if wanted or watch.progress_wanted:
            watch.progress_wanted = False
            self._notices.append(WatchEvents(watch.number, head, ()))

    def _ask_for_progress(self, watch: WatchState) -> None:
        """Ask the watch's node for its progress. A watch that is not open asks once it is."""
        if watch.endpoint is not None:
            self._calls.send(watch.endpoint, {"op": "watch_progress"})

    def _canceled(self, watch: WatchState, message: Reply, now: float) -> None:
        reason = str(message.get("cancel_reason", ""))
        compact_revision = message.get("compact_revision", 0)
        name = name_of(reason)
        if compact_revision or name == "Compacted":
            text = reason or FAULTS["Compacted"].message
            self._end(watch, CompactedError(text, compact_revision=compact_revision))
        elif name in RESUMED:
            # The watch should go on at another node, but not at once: if all nodes have the same
            # trouble (no leader), it would go from one to the next without a pause.
            if watch.endpoint is not None:
                self._calls.endpoints.failed(watch.endpoint, now, reason)
            self._interrupted(watch, now, reason, at_once=False)
        elif name in FORBIDDEN:
            self._end(watch, exception_for(FAULTS[name].code, reason))
        else:
            self._end(watch, WatchCanceledError(reason or "the server canceled the watch"))

    # --- a cluster that has lost history ---

    def _heard(self, watch: WatchState, head: Header, now: float) -> bool:
        """Compare a header with those before it; False when the watch ends over a difference.

        A cluster made anew, or restored from an old snapshot, gives its revisions out again: the
        watch would take them for those it knows, and miss events without a word.
        """
        if watch.cluster_id not in (0, head.cluster_id):
            was = f"{watch.cluster_id:x}, which was watched"
            text = f"another cluster ({head.cluster_id:x}) answers than {was}"
            self._leave(watch, HistoryLostError(f"leasehold: {text}"))
            return False
        watch.cluster_id = head.cluster_id
        if head.revision >= watch.seen:
            watch.seen = head.revision
        else:
            # One node may lag behind the others. A linearizable read says where the cluster is.
            self._doubts[watch.number] = watch.seen
            self._ask_how_far(now)
        return True

    def _ask_how_far(self, now: float) -> None:
        """Ask the cluster for its revision by a linearizable read, which never lags behind.

        The read is one for all doubts. Doubts that come while it is under way wait for the next
        read, for it may have been answered before they arose.
        """
        if self._asking is None and self._doubts:
            doubts, self._doubts = self._doubts, {}
            call = Call({"op": "range", "key": b"\0", "count_only": True}, FOREVER)
            call.on_done = lambda done, when: self._know_how_far(doubts, done, when)
            self._asking = call
            self._calls.begin(call, now)

    def _know_how_far(self, doubts: dict[int, int], call: Call, now: float) -> None:
        self._asking = None
        if call.reply is None:
            return  # nothing is proved: the next header with a lower revision asks again
        try:
            revision = read(header, call.reply).revision
        except LeaseholdError:
            return
        for number, seen in doubts.items():
            watch = self._watches.get(number)
            if watch is not None and revision < seen:
                text = f"the watch has seen revision {seen}, and the cluster is at {revision}"
                why = "it was made anew, or restored from an older snapshot"
                self._leave(watch, HistoryLostError(f"leasehold: {text}: {why}"))
        self._ask_how_far(now)

    # --- interruptions and the end ---

    def _interrupted(self, watch: WatchState, now: float, cause: str, at_once: bool) -> None:
        """Open the watch again: `at_once` after a first failure, else after a random delay."""
        news = Retry("watch", watch.failures + 1, watch.endpoint or "", cause)
        self._calls.news.append(news)
        self._release_id(watch, None)
        watch.endpoint = None
        if now - watch.opened_at >= STEADY_SECONDS:
            watch.failures = 0
        watch.failures += 1
        if at_once and watch.failures == 1:
            self._create(watch, FOREVER, now)
            return
        watch.due = now + self._calls.backoff(watch.failures)
        self._calls.wake_by(watch.due)

    def _end(self, watch: WatchState, error: LeaseholdError) -> None:
        self._release_id(watch, None)
        if self._watches.pop(watch.number, None) is not None:
            self._notices.append(WatchEnded(watch.number, error))

    def _leave(self, watch: WatchState, error: LeaseholdError) -> None:
        """Cancel a watch at its node, and end it for its owner."""
        self._detach(watch)
        self._end(watch, error)

    def _detach(self, watch: WatchState) -> None:
        """Cancel the watch at its node, or the attempt to open it."""
        endpoint = watch.endpoint
        if watch.call is not None:
            endpoint = watch.call.endpoint
            self._calls.abandon(watch.call)
            watch.call = None
        self._release_id(watch, endpoint)
        watch.endpoint = None
        watch.due = FOREVER

    def _release_id(self, watch: WatchState, endpoint: str | None) -> None:
        """Forget the watch id. `endpoint`, if there is one, may have the watch: cancel it there."""
        if watch.watch_id and endpoint is not None:
            self._calls.send(endpoint, {"op": "watch_cancel", "watch_id": watch.watch_id})
        self._by_watch_id.pop(watch.watch_id, None)
        watch.forget_id()
