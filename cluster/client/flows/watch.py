"""Watch: the object by which a program follows changes.

It owns the queue in which events wait, in order, for the program. How a watch survives the death of
nodes is `watching`'s business.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterator
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, Final

from cluster.client.arguments import patience
from cluster.client.engine.notices import (
    LeaseLost,
    LeaseRenewed,
    Notice,
    WatchEnded,
    WatchEvents,
    WatchOpened,
)
from cluster.client.flows.stream import Stream
from cluster.client.results import Event, Header, WatchBatch
from cluster.client.threads.connection import ANSWER_GRACE_SECONDS, Connection
from cluster.errors import DeadlineExceededError, LeaseholdError, WatchCanceledError

if TYPE_CHECKING:
    from cluster.client.flows.caller import Caller

QUEUED_EVENTS_MAX: Final = 10_000
"""When more events wait for the program, the watch is paused: cancelled at its node. It is opened
again when half of this number waits."""


class Watch(Stream[Event]):
    """Changes of a key, an interval or a prefix, as they happen: an iterator of `Event`.

    Each event comes once and in order, also when the nodes that serve the watch die. The watch ends
    with CompactedError when the history that it needs is gone, with HistoryLostError when the
    cluster has lost history that the watch had seen, and with WatchCanceledError when the cluster
    refuses it. After `cancel` (or the end of a `with` block) the iteration just ends. A watch may
    be shared by threads.
    """

    called = "watch"

    def __init__(
        self, client: Caller, connection: Connection, fields: dict[str, Any], timeout: float
    ) -> None:
        # A client without references is closed, so a watch holds a reference to its client.
        self._client = client
        self._connection = connection
        self._incoming: SimpleQueue[WatchOpened | WatchBatch | LeaseholdError | None] = (
            SimpleQueue()
        )
        self._taking = threading.Lock()
        self._taken: deque[Event] = deque()
        # Two counters, because each is written by another thread: events that came in (the I/O
        # thread's), and events that the program took out.
        self._events_in = 0
        self._events_out = 0
        self._paused = False
        self._number = connection.attach(self)
        number = self._number
        connection.run(lambda core, now: core.watches.open(number, fields, timeout, now))
        self.header = self._header_taken = self._opened(timeout)

    def batches(self) -> Iterator[WatchBatch]:
        """The events in batches, as they arrive: whole revisions, with the reply's header."""
        while True:
            batch = self._next_batch(None)
            if batch is None:
                return
            yield batch

    def batch(self, timeout: float | None = None) -> WatchBatch:
        """The next batch of `batches`; it raises as `get` does."""
        batch = self._next_batch(timeout)
        if batch is None:
            raise WatchCanceledError(f"the {self.called} was cancelled")
        return batch

    def progress(self) -> None:
        """Ask up to which revision the watch is complete; an empty batch in `batches` answers.

        All events up to its `header.revision` are in batches before it.
        """
        number = self._number
        self._connection.run(lambda core, now: core.watches.progress(number))

    def cancel(self) -> None:
        """Stop watching, and release the threads that wait for an event. May be repeated."""
        number = self._number
        self._connection.detach(number)
        self._connection.run(lambda core, now: core.watches.cancel(number))
        self._incoming.put(None)

    def notice(self, notice: Notice) -> bool:
        """Queue the core's notice for the program; False when too many events wait there.

        Called in the I/O thread.
        """
        match notice:
            case WatchEvents():
                self._events_in += len(notice.events)
                self._incoming.put(WatchBatch(notice.header, notice.events))
                if self._events_in - self._events_out > QUEUED_EVENTS_MAX:
                    self._paused = True
                    return False
            case WatchOpened():
                self._incoming.put(notice)
            case WatchEnded():
                self._connection.detach(self._number)
                self._incoming.put(notice.error)
            case LeaseRenewed() | LeaseLost():
                raise AssertionError("a watch keeps no lease")
        return True

    def abort(self, error: LeaseholdError) -> None:
        """End the watch with this error; no notice of the core will end it."""
        self._incoming.put(error)

    def orphan(self, error: LeaseholdError) -> None:
        """In a forked child: drop the events that wait, which the parent has too, and end."""
        # A thread of the parent may have held these locks at the fork: make new ones.
        self._taking = threading.Lock()
        self._taken.clear()
        self._incoming = SimpleQueue()
        self._incoming.put(error)

    def _opened(self, timeout: float) -> Header:
        try:
            first = self._incoming.get(timeout=timeout + ANSWER_GRACE_SECONDS)
        except Empty:
            first = DeadlineExceededError("the client's I/O thread does not answer")
        except BaseException:
            # Ctrl-C, for example: the program never gets the object that could cancel the watch.
            self.cancel()
            raise
        if isinstance(first, LeaseholdError):
            self.cancel()
            raise first
        assert isinstance(first, WatchOpened), "events come after the watch has opened"
        return first.header

    def _next(self, timeout: float | None) -> Event | None:
        patience(timeout)
        deadline = None if timeout is None else time.monotonic() + timeout
        with self._taking:
            while not self._taken:
                left = None if deadline is None else max(0.0, deadline - time.monotonic())
                batch = self._take_batch(left)
                if batch is None:
                    return None
                self._taken.extend(batch.events)
                self._header_taken = batch.header
            return self._taken.popleft()

    def _next_batch(self, timeout: float | None) -> WatchBatch | None:
        patience(timeout)
        with self._taking:
            if self._taken:  # the rest of a batch whose first events were taken singly
                rest = WatchBatch(self._header_taken, tuple(self._taken))
                self._taken.clear()
                return rest
            return self._take_batch(timeout)

    def _take_batch(self, timeout: float | None) -> WatchBatch | None:
        try:
            item = self._incoming.get(timeout=timeout)
        except Empty:
            raise DeadlineExceededError("no event in time") from None
        if isinstance(item, WatchBatch):
            self._events_out += len(item.events)
            if self._paused and self._events_in - self._events_out <= QUEUED_EVENTS_MAX // 2:
                self._paused = False
                number = self._number
                self._connection.run(lambda core, now: core.watches.resume(number, now))
            return item
        # Leave the end in the queue: another thread, or a later call, must find it too.
        self._incoming.put(item)
        if isinstance(item, LeaseholdError):
            raise item
        return None
