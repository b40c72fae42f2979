"""LoopConnection: a client's engine and sockets in an event loop.

It moves frames between the sockets and the engine in turns of the loop, and hands the outcome of
calls to the tasks that wait. What a request means and where it should go, it leaves to the engine.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from typing import Any, Final, TypeVar

import zmq

from cluster.client.engine.call import FOREVER, Call
from cluster.client.engine.calling import CallOptions
from cluster.client.engine.core import Core
from cluster.client.engine.key_news import all_keyed
from cluster.client.engine.leasing import FAREWELL_SECONDS
from cluster.client.engine.leaving import Regret, leave
from cluster.client.flows.shell import Action, Changed, Subscriber
from cluster.client.heartbeats import Heartbeats
from cluster.client.identity import ClientIdentity
from cluster.client.replies import Reply, read
from cluster.client.sockets import EndpointLinks
from cluster.client.waker import Waker
from cluster.errors import (
    ClientClosedError,
    LeaseholdError,
    ResourceExhaustedError,
    UnavailableError,
    WatchCanceledError,
)

OUTSTANDING_CALLS_MAX: Final = 20_000

T = TypeVar("T")


class _Readers:
    """The sockets as readers of the loop; one with news is ready until the next turn."""

    def __init__(self, loop: asyncio.AbstractEventLoop, turn: Callable[[], None]) -> None:
        self.ready: dict[Any, None] = {}
        self._loop = loop
        self._turn = turn
        self._descriptors: dict[Any, int] = {}

    def register(self, source: Any, flags: int) -> None:
        """Have the loop watch a ZeroMQ socket, or a file descriptor."""
        descriptor = source if isinstance(source, int) else source.getsockopt(zmq.FD)
        self._descriptors[source] = descriptor
        self._loop.add_reader(descriptor, self._news, source)
        # A socket's descriptor tells of nothing before somebody has looked for news in vain.
        self._news(source)

    def unregister(self, source: Any) -> None:
        """Have the loop watch it no more."""
        descriptor = self._descriptors.pop(source)
        self.ready.pop(source, None)
        if not self._loop.is_closed():
            self._loop.remove_reader(descriptor)

    def _news(self, source: Any) -> None:
        self.ready[source] = None
        self._turn()


class LoopConnection:
    """A running engine; made when a client is first used, for the loop that runs then."""

    def __init__(
        self,
        addresses: Mapping[str, str],
        options: CallOptions,
        direct: Mapping[str, str],
        changed: Changed,
        identity: ClientIdentity,
        heartbeats: Heartbeats,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        chance = random.Random().random
        first = int(chance() * len(addresses))
        keyed = all_keyed(addresses)
        self._core = Core(addresses, options, chance, first, direct, addresses, keyed=keyed)
        self._posted: deque[Call | Action] = deque()
        self._subscribers: dict[int, Subscriber] = {}
        self._changed = changed
        self._last_number = 0
        self._timer: asyncio.TimerHandle | None = None
        self._turn_at = FOREVER
        self._is_due = False
        self._ended = False
        self._reason: LeaseholdError = ClientClosedError("the client was closed")
        self._waker = Waker()
        self._readers = _Readers(self._loop, self._turn_soon)
        self._links = EndpointLinks(self._waker, self._readers, identity, heartbeats)
        self._links.open(addresses, self._core)
        self._turn_soon()

    # --- tasks of the loop ---

    async def ask(self, call: Call, regret: Regret | None = None) -> Reply:
        """Send a call and wait for its reply, or raise the error that the engine ended it with."""
        done = self._loop.create_future()
        call.wake = partial(_wake, done)
        self._submit(call)
        try:
            await done
        except asyncio.CancelledError:
            self.run(lambda core, now: leave(core.calls, call, regret, now))
            raise
        return call.result()

    def begin(self, call: Call, decode: Callable[[Reply], T]) -> asyncio.Future[T]:
        """Send a call and return a future of its decoded reply.

        To cancel the future does not take the request back.
        """
        future: asyncio.Future[T] = self._loop.create_future()
        call.wake = lambda: _settle(future, call, decode)
        self._submit(call)
        return future

    async def outcome(self, future: asyncio.Future[T]) -> T:
        """Wait for the result of a call that was begun."""
        return await future

    def run(self, action: Action) -> None:
        """Call an action with the engine in the next turn."""
        self._post(action)

    def attach(self, subscriber: Subscriber) -> int:
        """Give a watch or a lease its number; notices of this number go to the subscriber."""
        if self._ended:
            raise self._reason
        self._last_number += 1
        self._subscribers[self._last_number] = subscriber
        return self._last_number

    def detach(self, number: int) -> None:
        """No more notices under this number."""
        self._subscribers.pop(number, None)

    def tell(self, told: Callable[[], None]) -> None:
        """Call a function of the program in the next turn of the loop."""
        self._loop.call_soon(told)

    async def give_back(self) -> None:
        """End the watches and leases, and wait a moment for that, unless the loop is another."""
        if self._loop is _running_loop() and not self._ended:
            done = asyncio.Event()
            self.run(partial(self._end_leases, done.set))
            with suppress(TimeoutError):
                async with asyncio.timeout(FAREWELL_SECONDS):
                    await done.wait()

    def close(self) -> None:
        """End every call and watch, and close the sockets.

        In another thread (a client that is collected there) the loop does it soon.
        """
        if self._loop.is_closed():
            # Its tasks have ended before it.
            self._ended = True
            self._close_sockets()
        elif self._loop is _running_loop():
            self._close()
        else:
            self._loop.call_soon_threadsafe(self._close)

    def orphan(self, reason: str) -> None:
        """In a forked child: end the watches that the parent began.

        The loop, its tasks and the sockets are the parent's: leave them alone.
        """
        self._ended = True
        self._reason = UnavailableError(reason)
        self._waker.disown()
        self._posted.clear()
        for subscriber in tuple(self._subscribers.values()):
            subscriber.orphan(WatchCanceledError(reason))

    def _submit(self, call: Call) -> None:
        if self._loop is not _running_loop():
            raise RuntimeError("this client belongs to another event loop: open one here")
        if len(self._posted) + self._core.calls.outstanding >= OUTSTANDING_CALLS_MAX:
            raise ResourceExhaustedError(
                f"{OUTSTANDING_CALLS_MAX} requests of this client are under way: wait for some"
            )
        self._post(call)

    def _post(self, item: Call | Action) -> None:
        self._posted.append(item)
        if self._ended:
            self._refuse_posted()
        else:
            self._turn_soon()

    # --- turns of the loop ---

    def _turn_soon(self) -> None:
        """Take a turn after the callbacks that are due now: it then serves all their calls."""
        if not self._is_due and not self._ended:
            self._is_due = True
            self._loop.call_soon(self._turn)

    def _turn(self) -> None:
        """One turn: receive, do what is due, take the tasks' calls, send, report."""
        if self._ended:
            return
        self._is_due = False
        try:
            self._carry(time.monotonic())
        except BaseException as error:
            self._reason = UnavailableError(f"the client's turn failed: {error!r}")
            self._close()
            raise

    def _carry(self, now: float) -> None:
        core, links, readers = self._core, self._links, self._readers
        if readers.ready:
            ready = list(readers.ready)
            readers.ready.clear()
            links.receive(ready, core, now)
        core.tick(now)
        while self._posted:
            item = self._posted.popleft()
            if isinstance(item, Call):
                core.calls.begin(item, now)
            else:
                item(core, now)
        links.tick(core, now)
        links.send(core.sends)
        if core.dials:
            links.dial(core.dials, core)
        self._report()
        for socket in links.unread():
            readers.ready[socket] = None
        if readers.ready or core.sends:
            self._turn_soon()
        self._set_timer(min(core.wake_at, links.wake_at), now)

    def _set_timer(self, due: float, now: float) -> None:
        """Have a turn at this time at the latest; a timer that rings too early does no harm."""
        if due < self._turn_at:
            if self._timer is not None:
                self._timer.cancel()
            self._turn_at = due
            self._timer = self._loop.call_later(max(0.0, due - now), self._timer_rings)

    def _timer_rings(self) -> None:
        self._turn_at = FOREVER
        self._turn_soon()

    def _report(self) -> None:
        """Wake the tasks whose calls are done, and pass notices on to the subscribers."""
        core = self._core
        for call in core.completed:
            assert call.wake is not None, "the engine's own calls have on_done"
            call.wake()
        core.completed.clear()
        for state in core.changes:
            self._changed(state, self.tell)
        core.changes.clear()
        if core.notices:
            notices = core.notices.copy()
            core.notices.clear()
            for notice in notices:
                subscriber = self._subscribers.get(notice.number)
                if subscriber is not None and not subscriber.notice(notice):
                    core.watches.pause(notice.number)

    def _close(self) -> None:
        if self._ended:
            return
        self._ended = True
        if self._timer is not None:
            self._timer.cancel()
        self._core.close(time.monotonic())
        self._report()
        self._refuse_posted()
        self._abort_all()
        self._close_sockets()

    def _close_sockets(self) -> None:
        self._links.close()
        self._readers.unregister(self._waker.fd)
        self._waker.close()

    def _end_leases(self, done: Callable[[], None], core: Core, now: float) -> None:
        # The holders first: when the leases have ended, others may have what they held.
        self._abort_all()
        core.keepers.give_back(now, done)

    def _abort_all(self) -> None:
        for subscriber in list(self._subscribers.values()):
            subscriber.abort(WatchCanceledError(self._reason.message))

    def _refuse_posted(self) -> None:
        while self._posted:
            item = self._posted.popleft()
            if isinstance(item, Call):
                item.error = self._reason
                assert item.wake is not None, "somebody waits for what is posted"
                item.wake()


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def _wake(done: asyncio.Future[None]) -> None:
    if not done.done():
        done.set_result(None)


def _settle(future: asyncio.Future[T], call: Call, decode: Callable[[Reply], T]) -> None:
    if future.done():
        return  # it was cancelled
    try:
        result = read(decode, call.result())
    except LeaseholdError as error:
        future.set_exception(error)
    else:
        future.set_result(result)
