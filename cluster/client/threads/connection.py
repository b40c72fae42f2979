"""Connection: a client's I/O thread, which owns its sockets and engine, and the way there and back.

It moves frames between the sockets and the engine, and hands the outcome of calls to the callers'
threads. What a request means and where it should go, it leaves to the engine.
"""

from __future__ import annotations

import math
import random
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar, cast

import zmq

from cluster.client.engine.call import Call
from cluster.client.engine.calling import CallOptions
from cluster.client.engine.core import Core
from cluster.client.engine.key_news import all_keyed
from cluster.client.engine.leasing import FAREWELL_SECONDS
from cluster.client.engine.leaving import Regret, leave
from cluster.client.flows.shell import ANSWER_GRACE_SECONDS, Action, Changed, Subscriber
from cluster.client.heartbeats import Heartbeats
from cluster.client.identity import ClientIdentity
from cluster.client.replies import Reply, read
from cluster.client.sockets import EndpointLinks
from cluster.client.threads.callbacks import CallbackThread
from cluster.client.waker import Waker
from cluster.errors import (
    ClientClosedError,
    DeadlineExceededError,
    LeaseholdError,
    OutcomeUnknownError,
    ResourceExhaustedError,
    UnavailableError,
    WatchCanceledError,
)

if TYPE_CHECKING:
    import asyncio

OUTSTANDING_CALLS_MAX: Final = 20_000

POSTED_PER_TURN_MAX: Final = 256
"""The posted calls that one turn of the I/O thread takes; then it looks at the sockets again."""

POLL_SECONDS_MAX: Final = 60.0

JOIN_SECONDS_MAX: Final = 5.0
"""How long `close` waits for the I/O thread to end."""

T = TypeVar("T")


class BegunCall(Generic[T]):
    """A call whose end is the result of a Future; it is decoded in the I/O thread."""

    def __init__(self, call: Call, decode: Callable[[Reply], T]) -> None:
        self._call = call
        self._decode = decode
        self.future: Future[T] = Future()
        # From now on the future cannot be cancelled: a request that was sent cannot be taken back.
        self.future.set_running_or_notify_cancel()

    def settle(self) -> None:
        """The call is done: settle the future; in the I/O thread."""
        try:
            result = read(self._decode, self._call.result())
        except LeaseholdError as error:
            self.future.set_exception(error)
        else:
            self.future.set_result(result)

    def orphan(self, reason: str) -> None:
        """Settle the future in a forked child, where no I/O thread does."""
        # The future is made anew, with a new lock and without callbacks: the parent's I/O thread
        # may have held the old lock at the fork, and the callbacks are for waiters in the parent.
        Future.__init__(self.future)
        lost = OutcomeUnknownError if self._call.write else UnavailableError
        self.future.set_exception(lost(reason))


class ThreadedConnection:
    """A running I/O thread and the engine that it serves; made when a client is first used."""

    def __init__(
        self,
        addresses: Mapping[str, str],
        options: CallOptions,
        direct: Mapping[str, str],
        changed: Changed,
        identity: ClientIdentity,
        heartbeats: Heartbeats,
    ) -> None:
        chance = random.Random().random
        first = int(chance() * len(addresses))
        keyed = all_keyed(addresses)
        self._core = Core(addresses, options, chance, first, direct, addresses, keyed=keyed)
        self._addresses = addresses
        self._identity = identity
        self._heartbeats = heartbeats
        self._posted: deque[Call | Action] = deque()
        self._subscribers: dict[int, Subscriber] = {}
        self._changed = changed
        # Futures that are not settled, for the child if the process forks.
        self._unsettled: set[BegunCall[Any]] = set()
        self._last_number = 0
        self._numbers = threading.Lock()
        self._waker = Waker()
        self._asleep = False
        self._stopping = False
        self._ended = False
        self._reason: LeaseholdError = ClientClosedError("the client was closed")
        self._callbacks = CallbackThread()
        self._thread = threading.Thread(target=self._run, name="leasehold-client", daemon=True)
        self._thread.start()

    # --- any thread ---

    async def ask(self, call: Call, regret: Regret | None = None) -> Reply:
        """Send a call and wait for its reply, or raise the error that the engine ended it with."""
        is_own = threading.current_thread() is self._thread
        assert not is_own, "a callback of a future must not wait for another call"
        # A bare lock is the cheapest signal from one thread to another.
        done = threading.Lock()
        done.acquire()
        call.wake = done.release
        self._submit(call)
        try:
            answered = done.acquire(timeout=call.timeout + ANSWER_GRACE_SECONDS)
        except BaseException:  # Ctrl-C, for example
            self.run(lambda core, now: leave(core.calls, call, regret, now))
            raise
        if not answered:
            raise DeadlineExceededError("the client's I/O thread does not answer")
        return call.result()

    def begin(self, call: Call, decode: Callable[[Reply], T]) -> asyncio.Future[T]:
        """Send a call and return a `concurrent.futures.Future` of its decoded reply."""
        pending = BegunCall(call, decode)

        def settle() -> None:
            pending.settle()
            self._unsettled.discard(pending)

        call.wake = settle
        self._unsettled.add(pending)
        try:
            self._submit(call)
        except LeaseholdError:
            self._unsettled.discard(pending)
            raise
        return cast("asyncio.Future[T]", pending.future)

    async def outcome(self, future: asyncio.Future[T]) -> T:
        """Wait for the result of a call that was begun."""
        return future.result()

    def run(self, action: Action) -> None:
        """Have the I/O thread call an action with the engine, soon."""
        self._post(action)

    def attach(self, subscriber: Subscriber) -> int:
        """Give a watch or a lease its number; notices of this number go to the subscriber."""
        if self._ended:
            raise self._reason
        with self._numbers:
            self._last_number += 1
            self._subscribers[self._last_number] = subscriber
            return self._last_number

    def detach(self, number: int) -> None:
        """No more notices under this number."""
        self._subscribers.pop(number, None)

    def tell(self, told: Callable[[], None]) -> None:
        """Call a function of the program soon, in the thread for such calls."""
        self._callbacks.tell(told)

    async def give_back(self) -> None:
        """End the watches and leases, and wait a moment for that, unless in the I/O thread."""
        if threading.current_thread() is not self._thread and not self._ended:
            done = threading.Event()
            self.run(partial(self._end_leases, done.set))
            done.wait(FAREWELL_SECONDS)

    def close(self) -> None:
        """End every call and watch, close the sockets, and wait for the thread to end."""
        self._stopping = True
        self._waker.wake()
        if threading.current_thread() is not self._thread:
            self._thread.join(JOIN_SECONDS_MAX)

    def orphan(self, reason: str) -> None:
        """In a forked child: end the calls and watches that the parent began.

        The thread and the sockets are the parent's: leave them alone.
        """
        self._ended = True
        self._reason = UnavailableError(reason)
        self._waker.disown()
        self._posted.clear()
        for subscriber in tuple(self._subscribers.values()):
            subscriber.orphan(WatchCanceledError(reason))
        for pending in tuple(self._unsettled):
            pending.orphan(reason)

    def _submit(self, call: Call) -> None:
        if len(self._posted) + self._core.calls.outstanding >= OUTSTANDING_CALLS_MAX:
            raise ResourceExhaustedError(
                f"{OUTSTANDING_CALLS_MAX} requests of this client are under way: wait for some"
            )
        self._post(call)

    def _post(self, item: Call | Action) -> None:
        self._posted.append(item)
        if self._asleep:
            # One waking is enough for all who post before the I/O thread runs. Each costs a system
            # call, and lets other threads run in between.
            self._asleep = False
            self._waker.wake()
        if self._ended:
            # The I/O thread ended meanwhile and may not have seen the item: refuse it here.
            self._refuse_posted()

    # --- the I/O thread ---

    def _run(self) -> None:
        core = self._core
        poller = zmq.Poller()
        links = EndpointLinks(self._waker, poller, self._identity, self._heartbeats)
        try:
            links.open(self._addresses, core)
            while not self._stopping:
                self._turn(core, links, poller)
        except BaseException as error:
            self._reason = UnavailableError(f"the client's I/O thread failed: {error!r}")
            raise
        finally:
            self._ended = True
            core.close(time.monotonic())
            self._report(core)
            self._refuse_posted()
            self._abort_all()
            links.close()
            self._waker.close()
            self._callbacks.end()

    def _turn(self, core: Core, links: EndpointLinks, poller: zmq.Poller) -> None:
        """One turn: do what is due, take the callers' calls, send, report, wait, receive."""
        now = time.monotonic()
        core.tick(now)
        posted = self._posted
        for _ in range(min(len(posted), POSTED_PER_TURN_MAX)):
            item = posted.popleft()
            if isinstance(item, Call):
                core.calls.begin(item, now)
            else:
                item(core, now)
        links.tick(core, now)
        links.send(core.sends)
        if core.dials:
            links.dial(core.dials, core)
        self._report(core)
        due_at = min(core.wake_at, links.wake_at)
        wait_ms = max(0, math.ceil(min(POLL_SECONDS_MAX, due_at - now) * 1000))
        self._asleep = True
        # A caller that posted before `_asleep` was set did not wake us: look once more.
        ready = poller.poll(0 if posted or self._stopping else wait_ms)
        self._asleep = False
        if ready:
            # Whatever is not received now is reported by the next poll again.
            links.receive([source for source, _ in ready], core, time.monotonic())

    def _report(self, core: Core) -> None:
        """Wake the callers of completed calls, and pass notices on to the subscribers."""
        if core.completed:
            completed = core.completed.copy()
            core.completed.clear()
            for call in completed:
                _wake(call)
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

    def _end_leases(self, done: Callable[[], None], core: Core, now: float) -> None:
        # The holders first: when the leases have ended, others may have what they held.
        self._abort_all()
        core.keepers.give_back(now, done)

    def _abort_all(self) -> None:
        for subscriber in list(self._subscribers.values()):
            subscriber.abort(WatchCanceledError(self._reason.message))

    def _refuse_posted(self) -> None:
        while True:
            try:
                item = self._posted.popleft()
            except IndexError:
                return
            if isinstance(item, Call):
                item.error = self._reason
                _wake(item)


def _wake(call: Call) -> None:
    assert call.wake is not None, "the engine's own calls have on_done"
    call.wake()
