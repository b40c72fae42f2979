"""Watch: the object by which a program follows changes.

It owns the queue in which events wait, in order, for the program. How a watch survives the death of
nodes is `watching`'s business.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Generic, Self

from cluster.client.arguments import patience
from cluster.client.engine.notices import (
    LeaseLost,
    LeaseRenewed,
    Notice,
    WatchEnded,
    WatchEvents,
    WatchOpened,
)
from cluster.client.flows.deadlines import deadline_in, left_until
from cluster.client.flows.shell import ANSWER_GRACE_SECONDS, Arrivals, Subscriber
from cluster.client.flows.stream import Stream
from cluster.client.results import Data, Event, Header, WatchBatch
from cluster.errors import (
    DeadlineExceededError,
    LeaseholdError,
    NotTextError,
    WatchCanceledError,
)

if TYPE_CHECKING:
    from cluster.client.flows.caller import Caller
    from cluster.client.forms import DataForm

QUEUED_EVENTS_MAX: Final = 10_000
"""When more events wait for the program, the watch is paused: cancelled at its node. It is opened
again when half of this number waits."""


WatchCallback = Callable[[WatchBatch[Data] | LeaseholdError], None]

_Item = WatchOpened | WatchBatch | LeaseholdError | None


class Watch(Stream[Event[Data]], Generic[Data]):
    """Changes of a key, an interval or a prefix, as they happen: an iterator of `Event`.

    Each event comes once and in order, also when the nodes that serve the watch die. The watch ends
    with CompactedError when the history that it needs is gone, with HistoryLostError when the
    cluster has lost history that the watch had seen, and with WatchCanceledError when the cluster
    refuses it. After `cancel` (or the end of a `with` block) the iteration just ends. A watch may
    be shared by threads or tasks.
    """

    _called = "watch"

    def __init__(
        self,
        caller: Caller,
        form: DataForm[Data],
        fields: dict[str, Any],
        callback: WatchCallback[Data] | None = None,
    ) -> None:
        self._form = form
        self._callback = callback
        # A client without references is closed, so a watch holds a reference to its client.
        self._caller = caller
        self._fields = fields
        self._incoming: Arrivals[_Item] = caller.shell.arrivals()
        self._taking = caller.shell.turnstile()
        self._taken: deque[Event] = deque()
        # Two counters, because each is written by another thread: events that came in (the I/O
        # thread's), and events that the program took out.
        self._events_in = 0
        self._events_out = 0
        self._paused = False
        self._connection = caller.connection()
        self._number = 0
        self._opened: Header | None = None
        self._was_accepted = False

    async def _begin(self) -> Self:
        """Open the watch, and wait until the cluster has accepted it."""
        subscriber = Subscriber(self._notice, self._abort, self._orphan)
        timeout = self._caller.timeout
        self._number = self._caller.attach(self._connection, subscriber)
        self._caller.open_watch(self._connection, self._number, self._fields, timeout)
        self._opened = self._header_taken = await self._accepted(timeout)
        return self

    @property
    def header(self) -> Header:
        """The header of the answer by which the cluster accepted the watch."""
        assert self._opened is not None, "the watch has begun"
        return self._opened

    def _next_taken(self) -> Event[Data] | None:
        """The next event of the batch that is being taken, if there is one."""
        try:
            event = self._taken.popleft()
        except IndexError:
            return None
        return self._form.event(event)

    async def __anext__(self) -> Event[Data]:
        event = self._next_taken()
        return await super().__anext__() if event is None else event

    async def batches(self) -> AsyncIterator[WatchBatch[Data]]:
        """The events in batches, as they arrive: whole revisions, with the reply's header."""
        while True:
            batch = await self._next_batch(None)
            if batch is None:
                return
            yield batch

    async def revisions(self) -> AsyncIterator[WatchBatch[Data]]:
        """As `batches`, but the events of each revision, of a transaction for example, alone."""
        async for batch in self.batches():
            rest = batch.events
            while rest and rest[0].revision != rest[-1].revision:
                size = sum(event.revision == rest[0].revision for event in rest)
                yield WatchBatch(batch.header._replace(revision=rest[0].revision), rest[:size])
                rest = rest[size:]
            yield WatchBatch(batch.header, rest)

    async def batch(self, timeout: float | None = None) -> WatchBatch[Data]:
        """The next batch of `batches`; it raises as `get` does."""
        batch = await self._next_batch(timeout)
        if batch is None:
            raise WatchCanceledError(f"the {self._called} was cancelled")
        return batch

    def progress(self) -> None:
        """Ask up to which revision the watch is complete; an empty batch in `batches` answers.

        All events up to its `header.revision` are in batches before it.
        """
        number = self._number
        self._connection.run(lambda core, now: core.watches.progress(number))

    def cancel(self) -> None:
        """Stop watching, and release those who wait for an event. May be repeated."""
        number = self._number
        self._connection.detach(number)
        self._connection.run(lambda core, now: core.watches.cancel(number))
        self._incoming.put(None)

    def _notice(self, notice: Notice) -> bool:
        """Queue the engine's notice for the program; False when too many events wait there.

        Called by the engine's carrier.
        """
        match notice:
            case WatchEvents():
                self._events_in += len(notice.events)
                self._deliver(WatchBatch(notice.header, notice.events))
                if self._events_in - self._events_out > QUEUED_EVENTS_MAX:
                    self._paused = True
                    return False
            case WatchOpened():
                self._was_accepted = True
                self._incoming.put(notice)
            case WatchEnded():
                self._connection.detach(self._number)
                self._abort(notice.error)
            case LeaseRenewed() | LeaseLost():
                raise AssertionError("a watch keeps no lease")
        return True

    def _abort(self, error: LeaseholdError) -> None:
        """End the watch with this error; no notice of the engine will end it."""
        if self._callback is not None and self._was_accepted:
            self._connection.tell(partial(self._callback, error))
        self._incoming.put(error)

    def _orphan(self, error: LeaseholdError) -> None:
        """In a forked child: drop the events that wait, which the parent has too, and end."""
        # A thread of the parent may have held these locks at the fork: make new ones.
        self._taking = self._caller.shell.turnstile()
        self._taken.clear()
        self._incoming = self._caller.shell.arrivals()
        self._incoming.put(error)

    def _deliver(self, batch: WatchBatch) -> None:
        if self._callback is None:
            self._incoming.put(batch)
        else:
            self._connection.tell(partial(self._call, batch))

    def _call(self, batch: WatchBatch) -> None:
        callback = self._callback
        try:
            if callback is not None:
                callback(self._shown(batch))
        finally:
            self._taken_out(len(batch.events))

    def _shown(self, batch: WatchBatch) -> WatchBatch[Data] | NotTextError:
        """A batch for the callback; if it cannot be shown, the error, which ends the watch."""
        try:
            return self._form.batch(batch)
        except NotTextError as error:
            self._callback = None
            self.cancel()
            return error

    def _taken_out(self, events: int) -> None:
        """The program has taken events: go on if the watch was paused because it had not."""
        self._events_out += events
        if self._paused and self._events_in - self._events_out <= QUEUED_EVENTS_MAX // 2:
            self._paused = False
            number = self._number
            self._connection.run(lambda core, now: core.watches.resume(number, now))

    async def _accepted(self, timeout: float) -> Header:
        try:
            first = await self._incoming.get(timeout + ANSWER_GRACE_SECONDS)
        except TimeoutError:
            first = DeadlineExceededError("the client's I/O thread does not answer")
        except BaseException:
            # A cancellation, or Ctrl-C: the program never gets the object that could cancel it.
            self.cancel()
            raise
        if isinstance(first, LeaseholdError):
            self.cancel()
            raise first
        assert isinstance(first, WatchOpened), "events come after the watch has opened"
        return first.header

    async def _next(self, timeout: float | None) -> Event[Data] | None:
        deadline = deadline_in(timeout)
        async with self._taking:
            while not (rest := self._rest(1)):
                left = left_until(deadline)
                batch = await self._take_batch(left)
                if batch is None:
                    return None
                self._header_taken = batch.header
                self._taken.extend(batch.events)
            return self._form.event(rest[0])

    async def _next_batch(self, timeout: float | None) -> WatchBatch[Data] | None:
        patience(timeout)
        async with self._taking:
            # First the rest of a batch whose first events were taken singly.
            if rest := self._rest(len(self._taken)):
                return self._form.batch(WatchBatch(self._header_taken, rest))
            batch = await self._take_batch(timeout)
            return None if batch is None else self._form.batch(batch)

    def _rest(self, most: int) -> tuple[Event, ...]:
        """Take up to `most` events of the batch that is being taken. Iterations of other threads
        take from it at the same time."""
        rest: list[Event] = []
        with suppress(IndexError):
            while len(rest) < most:
                rest.append(self._taken.popleft())
        return tuple(rest)

    async def _take_batch(self, timeout: float | None) -> WatchBatch | None:
        try:
            item = await self._incoming.get(timeout)
        except TimeoutError:
            raise DeadlineExceededError("no event in time") from None
        if isinstance(item, WatchBatch):
            self._taken_out(len(item.events))
            return item
        # Leave the end in the queue: another thread, or a later call, must find it too.
        self._incoming.put(item)
        if isinstance(item, LeaseholdError):
            raise item
        return None
