"""Watches that outlive the nodes that serve them: every event once, in order, from any endpoint.

Pure, made of the client's calls. A watch remembers the next revision it has not seen; whatever
breaks, it is opened again from there. A bookmark moves that revision on though nothing happened to
the watch, so that a compaction of what it has seen does not end it.
"""

from __future__ import annotations

from typing import Any, Final

from cluster.client.call import FOREVER, Call
from cluster.client.calling import Calls
from cluster.client.notices import Notice, WatchEnded, WatchEvents, WatchOpened
from cluster.client.replies import Reply, event, header, read
from cluster.client.results import Event, Header
from cluster.errors import (
    FAULTS,
    CompactedError,
    HistoryLostError,
    LeaseholdError,
    WatchCanceledError,
    name_of,
)

RESUMED: Final = frozenset(
    ("NoLeader", "LeaderChanged", "Stopped", "TooManyRequests", "Timeout", "NotSupportedForLearner")
)
"""Reasons of a cancellation that are the node's trouble: the watch goes on at another one."""

STEADY_SECONDS: Final = 1.0
"""A watch that was open for so long has recovered: its next failure is a first one again."""

BOOKMARK_WATCH_ID: Final = -1


class _Watch:
    """One watch. Opening: `call` is set. Open: `endpoint` is set. Neither: paused, or it waits."""

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
        # What a node has shown of the cluster: it cannot go back behind that.
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


class Watches:
    """All watches of one client, each under the number its owner gave it."""

    def __init__(self, calls: Calls, notices: list[Notice]) -> None:
        self._calls = calls
        self._notices = notices
        self._watches: dict[int, _Watch] = {}
        self._by_watch_id: dict[int, _Watch] = {}
        self._last_watch_id = 0
        # Watches whose node is behind what they have seen, with that; and the question whether the
        # whole cluster is.
        self._doubts: dict[int, int] = {}
        self._asking: Call | None = None

    # --- inputs ---

    def open(self, number: int, fields: dict[str, Any], timeout: float, now: float) -> None:
        """Begin a watch (`fields` of watch_create); WatchOpened or WatchEnded comes in time."""
        watch = _Watch(number, fields)
        self._watches[number] = watch
        self._create(watch, timeout, now)

    def cancel(self, number: int) -> None:
        """Forget a watch; nothing more is heard of it."""
        watch = self._watches.pop(number, None)
        if watch is not None:
            self._detach(watch)

    def pause(self, number: int) -> None:
        """Ask for no more events for now: those delivered are not yet taken."""
        watch = self._watches.get(number)
        if watch is not None:
            self._detach(watch)

    def resume(self, number: int, now: float) -> None:
        """Go on after a pause, with the first event that was not delivered."""
        watch = self._watches.get(number)
        if watch is not None and watch.call is None and watch.endpoint is None:
            self._create(watch, FOREVER, now)

    def progress(self, number: int) -> None:
        """Ask how far a watch has come; WatchEvents without events comes when it is known."""
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
            return  # the rest of a watch that was cancelled or has moved
        if message.get("canceled"):
            self._canceled(watch, message, now)
        else:
            self._events(watch, message, now)

    def endpoint_down(self, endpoint: str, now: float) -> None:
        """The node is gone: its watches go on at another one. Those just opening retry as calls."""
        for watch in list(self._watches.values()):
            if watch.endpoint == endpoint:
                self._interrupted(watch, now, at_once=True)

    def endpoint_silent(self, endpoint: str, now: float) -> None:
        """Nothing comes from the node, though it is connected: its watches go on at another one."""
        for watch in list(self._watches.values()):
            if watch.endpoint == endpoint:
                self._release_id(watch, endpoint)
                self._interrupted(watch, now, at_once=True)

    def tick(self, now: float) -> None:
        """Open again what has waited long enough."""
        for watch in list(self._watches.values()):
            if watch.due <= now:
                self._create(watch, FOREVER, now)
            else:
                self._calls.wake_by(watch.due)

    # --- opening ---

    def _create(self, watch: _Watch, timeout: float, now: float) -> None:
        watch.due = FOREVER
        call = Call(watch.fields, timeout)
        watch.call = call
        call.on_attempt = lambda attempt, endpoint: self._attempt(watch, attempt)
        call.on_done = lambda done, when: self._created(watch, done, when)
        self._calls.begin(call, now)

    def _attempt(self, watch: _Watch, call: Call) -> None:
        """Each attempt has a watch id of its own, so that a late one is not taken for another."""
        self._release_id(watch, call.endpoint)
        self._last_watch_id += 1
        watch.watch_id = self._last_watch_id
        self._by_watch_id[watch.watch_id] = watch
        watch.fields["watch_id"] = watch.watch_id
        watch.fields["start_revision"] = watch.next_revision

    def _created(self, watch: _Watch, call: Call, now: float) -> None:
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
            # Remembered at once: a node that dies before the first event costs none.
            watch.next_revision = opened.revision + 1
        if call.reply.get("canceled"):
            self._canceled(watch, call.reply, now)
        elif not watch.was_opened:
            watch.was_opened = True
            self._notices.append(WatchOpened(watch.number, opened))
        if watch.progress_wanted:
            self._ask_for_progress(watch)

    # --- what an open watch hears ---

    def _events(self, watch: _Watch, message: Reply, now: float) -> None:
        try:
            head = read(header, message)
            events = tuple(read(event, raw) for raw in message.get("events", ()))
        except LeaseholdError as error:
            self._end(watch, error)
            return
        if not self._heard(watch, head, now):
            return
        if message.get("fragment"):
            watch.fragments += events  # the rest of the revision is still to come
            return
        if not events and not watch.fragments:
            self._progressed(watch, head, wanted=bool(watch.fields.get("progress_notify")))
            return
        if watch.fragments:
            events = (*watch.fragments, *events)
            watch.fragments = []
        floor = watch.next_revision
        if events[0].revision < floor:
            events = tuple(one for one in events if one.revision >= floor)
        if events:
            watch.failures = 0
            watch.next_revision = events[-1].revision + 1
            self._notices.append(WatchEvents(watch.number, head, events))

    def _bookmark(self, endpoint: str, message: Reply, now: float) -> None:
        """Every event up to a revision was delivered, to all watches there."""
        try:
            head = read(header, message)
        except LeaseholdError:
            return
        for watch in list(self._watches.values()):
            if watch.endpoint == endpoint and self._heard(watch, head, now):
                self._progressed(watch, head, wanted=False)

    def _progressed(self, watch: _Watch, head: Header, wanted: bool) -> None:
        """Everything up to a revision was delivered; tell the watch's owner, if that is wanted."""
        watch.next_revision = max(watch.next_revision, head.revision + 1)
        if wanted or watch.progress_wanted:
            watch.progress_wanted = False
            self._notices.append(WatchEvents(watch.number, head, ()))

    def _ask_for_progress(self, watch: _Watch) -> None:
        """Ask the node that serves it; a watch that is not open anywhere asks when it is."""
        if watch.endpoint is not None:
            self._calls.send(watch.endpoint, {"op": "watch_progress"})

    def _canceled(self, watch: _Watch, message: Reply, now: float) -> None:
        reason = str(message.get("cancel_reason", ""))
        compact_revision = message.get("compact_revision", 0)
        name = name_of(reason)
        if compact_revision or name == "Compacted":
            text = reason or FAULTS["Compacted"].message
            self._end(watch, CompactedError(text, compact_revision=compact_revision))
        elif name in RESUMED:
            if watch.endpoint is not None:
                self._calls.endpoints.failed(watch.endpoint, now)
            self._interrupted(watch, now, at_once=False)
        else:
            self._end(watch, WatchCanceledError(reason or "the server canceled the watch"))

    # --- a cluster that has gone back ---

    def _heard(self, watch: _Watch, head: Header, now: float) -> bool:
        """Compare a header with those before it; False if that has ended the watch."""
        if watch.cluster_id not in (0, head.cluster_id):
            was = f"{watch.cluster_id:x}, which was watched"
            text = f"another cluster ({head.cluster_id:x}) answers than {was}"
            self._leave(watch, HistoryLostError(f"leasehold: {text}"))
            return False
        watch.cluster_id = head.cluster_id
        if head.revision >= watch.seen:
            watch.seen = head.revision
        else:
            # This node may just be late. All of them cannot be.
            self._doubts[watch.number] = watch.seen
            self._ask_how_far(now)
        return True

    def _ask_how_far(self, now: float) -> None:
        """Ask the cluster for its revision: a linearizable read is never behind what was seen."""
        if self._asking is None and self._doubts:
            doubts, self._doubts = self._doubts, {}
            call = Call({"op": "range", "key": b"\0", "count_only": True}, FOREVER)
            call.on_done = lambda done, when: self._know_how_far(doubts, done, when)
            self._asking = call
            self._calls.begin(call, now)

    def _know_how_far(self, doubts: dict[int, int], call: Call, now: float) -> None:
        self._asking = None
        if call.reply is None:
            return  # nothing is proved; the next header that is behind asks again
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

    def _interrupted(self, watch: _Watch, now: float, at_once: bool) -> None:
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

    def _end(self, watch: _Watch, error: LeaseholdError) -> None:
        self._release_id(watch, None)
        if self._watches.pop(watch.number, None) is not None:
            self._notices.append(WatchEnded(watch.number, error))

    def _leave(self, watch: _Watch, error: LeaseholdError) -> None:
        """End a watch that its node would go on with."""
        self._detach(watch)
        self._end(watch, error)

    def _detach(self, watch: _Watch) -> None:
        """Stop hearing of the watch, wherever it is."""
        endpoint = watch.endpoint
        if watch.call is not None:
            endpoint = watch.call.endpoint
            self._calls.abandon(watch.call)
            watch.call = None
        self._release_id(watch, endpoint)
        watch.endpoint = None
        watch.due = FOREVER

    def _release_id(self, watch: _Watch, endpoint: str | None) -> None:
        """Give the watch id back; tell the endpoint, if there may be a watch of that id there."""
        if watch.watch_id and endpoint is not None:
            self._calls.send(endpoint, {"op": "watch_cancel", "watch_id": watch.watch_id})
        self._by_watch_id.pop(watch.watch_id, None)
        watch.watch_id = 0
        watch.fragments = []
