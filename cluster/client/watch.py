"""Watch: what a program holds while it follows changes.

Events wait here, in order, for the program to take them. How they survive the death of nodes is
`watching`'s business.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterator
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, Final

from cluster.client.arguments import patience
from cluster.client.connection import ANSWER_GRACE_SECONDS, Connection
from cluster.client.notices import (
    LeaseLost,
    LeaseRenewed,
    Notice,
    WatchEnded,
    WatchEvents,
    WatchOpened,
)
from cluster.client.results import Event, Header, WatchBatch
from cluster.client.stream import Stream
from cluster.errors import DeadlineExceededError, LeaseholdError, WatchCanceledError

if TYPE_CHECKING:
    from cluster.client.caller import Caller

QUEUED_EVENTS_MAX: Final = 10_000
"""With more events not yet taken, the watch pauses at the cluster; it goes on at half of them."""


class Watch(Stream[Event]):
    """Changes of a key, an interval or a prefix, as they happen: an iterator of `Event`.

    Every event comes once and in order, across the death of the nodes that serve it. It ends with
    CompactedError when the history it needs is gone and WatchCanceledError when the cluster refuses
    it; after `cancel` (or the end of a `with` block) it just stops. It may be shared by threads.
    """

    called = "watch"

    def __init__(
        self, client: Caller, connection: Connection, fields: dict[str, Any], timeout: float
    ) -> None:
        # A client that nobody holds is closed; whoever watches holds it.
        self._client = client
        self._connection = connection
        self._incoming: SimpleQueue[WatchOpened | WatchBatch | LeaseholdError | None] = (
            SimpleQueue()
        )
        self._taking = threading.Lock()
        self._taken: deque[Event] = deque()
        # Counted apart, because they belong to two threads: what came in, and what was taken out.
        self._events_in = 0
        self._events_out = 0
        self._paused = False
        self._number = connection.attach(self)
        number = self._number
        connection.run(lambda core, now: core.watches.open(number, fields, timeout, now))
        self.header = self._header_taken = self._opened(timeout)

    def batches(self) -> Iterator[WatchBatch]:
        """The events as they arrive: each batch holds whole revisions, with the reply's header."""
        while True:
            batch = self._next_batch(None)
            if batch is None:
                return
            yield batch

    def batch(self, timeout: float | None = None) -> WatchBatch:
        """The next of `batches`; raises as `get` does."""
        batch = self._next_batch(timeout)
        if batch is None:
            raise WatchCanceledError(f"the {self.called} was cancelled")
        return batch

    def progress(self) -> None:
        """Ask how far the watch has come; the answer is an empty batch in `batches`.

        Every event up to its `header.revision` is in a batch before it.
        """
        number = self._number
        self._connection.run(lambda core, now: core.watches.progress(number))

    def cancel(self) -> None:
        """Stop watching; whoever waits for an event is released. Doing it again does nothing."""
        number = self._number
        self._connection.detach(number)
        self._connection.run(lambda core, now: core.watches.cancel(number))
        self._incoming.put(None)

    def notice(self, notice: Notice) -> bool:
        """Take what the core says; False when too much waits to be taken. In the I/O thread."""
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
        """End the watch from outside, whatever the core does."""
        self._incoming.put(error)

    def orphan(self, error: LeaseholdError) -> None:
        """In a forked child: what has come and was not taken is the parent's, too."""
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
            if self._taken:  # the rest of one that was begun with single events
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
        # The end is left in the queue, for the next one who asks.
        self._incoming.put(item)
        if isinstance(item, LeaseholdError):
            raise item
        return None
