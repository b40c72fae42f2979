"""Connection: a client's I/O thread, which owns its sockets and core, and the way there and back.

It moves frames between the sockets and the core, and hands the outcome of calls to the callers'
threads. What a request means and where it should go, it leaves to the core.
"""

from __future__ import annotations

import math
import random
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from typing import Any, ClassVar, Final, Generic, Protocol, TypeVar

from cluster.client.engine.call import Call
from cluster.client.engine.calling import CallOptions
from cluster.client.engine.core import Core
from cluster.client.engine.notices import Notice
from cluster.client.replies import Reply, read
from cluster.client.sockets import EndpointLinks
from cluster.client.waker import Waker
from cluster.errors import (
    DeadlineExceededError,
    LeaseholdError,
    OutcomeUnknownError,
    ResourceExhaustedError,
    UnavailableError,
    WatchCanceledError,
)

OUTSTANDING_CALLS_MAX: Final = 20_000

POSTED_PER_TURN_MAX: Final = 256
"""The posted calls that one turn of the I/O thread takes; then it looks at the sockets again."""

POLL_SECONDS_MAX: Final = 60.0

ANSWER_GRACE_SECONDS: Final = 10.0
"""The core ends each call at its timeout. A caller that waits this much longer gives up on the I/O
thread itself."""

JOIN_SECONDS_MAX: Final = 5.0
"""How long `close` waits for the I/O thread to end."""

T = TypeVar("T")
Action = Callable[[Core, float], None]


class Subscriber(Protocol):
    """The owner of a watch or of a lease that is renewed: the core's notices go to it.

    It is called in the I/O thread, where nothing may block.
    """

    def notice(self, notice: Notice) -> bool:
        """Take a notice. False: the watch is to pause, because too many events are not taken."""

    def abort(self, error: LeaseholdError) -> None:
        """No more notices will come, for this reason; called in any thread."""

    def orphan(self, error: LeaseholdError) -> None:
        """This process is a forked child, so the watch or lease is the parent's: raise this error.

        Do not take a lock that existed before the fork. A thread of the parent may have held it,
        and that thread, which would release it, does not exist in the child.
        """


class WaitedCall(Call):
    """A call whose caller waits for its end in `wait`."""

    __slots__ = ("_done",)

    def __init__(
        self, fields: dict[str, Any], timeout: float, write: bool = False, pinned: str | None = None
    ) -> None:
        super().__init__(fields, timeout, write, pinned)
        # A bare lock is the cheapest signal from one thread to another.
        self._done = threading.Lock()
        self._done.acquire()

    def finished(self) -> None:
        """Wake the caller; in the I/O thread."""
        self._done.release()

    def wait(self) -> Reply:
        """Wait for the reply, or raise the error that the core ended the call with."""
        if not self._done.acquire(timeout=self.timeout + ANSWER_GRACE_SECONDS):
            raise DeadlineExceededError("the client's I/O thread does not answer")
        if self.error is not None:
            raise self.error
        assert self.reply is not None, "a call that is done has a reply or an error"
        return self.reply


class FutureCall(Call, Generic[T]):
    """A call whose end is the result of a Future; it is decoded in the I/O thread."""

    __slots__ = ("_decode", "future")

    pipelined: ClassVar[bool] = True

    def __init__(
        self,
        fields: dict[str, Any],
        timeout: float,
        decode: Callable[[Reply], T],
        write: bool = False,
        pinned: str | None = None,
    ) -> None:
        super().__init__(fields, timeout, write, pinned)
        self._decode = decode
        self.future: Future[T] = Future()
        # From now on the future cannot be cancelled: a request that was sent cannot be taken back.
        self.future.set_running_or_notify_cancel()

    def finished(self) -> None:
        """Settle the future; in the I/O thread."""
        if self.error is not None:
            self.future.set_exception(self.error)
            return
        assert self.reply is not None, "a call that is done has a reply or an error"
        try:
            result = read(self._decode, self.reply)
        except LeaseholdError as error:
            self.future.set_exception(error)
        else:
            self.future.set_result(result)

    def orphan(self, error: LeaseholdError) -> None:
        """Settle the future in a forked child, where no I/O thread does."""
        # The future is made anew, with a new lock and without callbacks: the parent's I/O thread
        # may have held the old lock at the fork, and the callbacks are for waiters in the parent.
        Future.__init__(self.future)
        self.future.set_exception(error)


class Connection:
    """A running I/O thread and the core that it serves; made when a client is first used."""

    def __init__(
        self, addresses: Mapping[str, str], options: CallOptions, direct: Mapping[str, str]
    ) -> None:
        chance = random.Random().random
        first = int(chance() * len(addresses))
        self._core = Core(addresses, options, chance, first, direct)
        self._addresses = addresses
        self._posted: deque[Call | Action] = deque()
        self._subscribers: dict[int, Subscriber] = {}
        # Futures that are not settled, for the child if the process forks.
        self._unsettled: set[Call] = set()
        self._last_number = 0
        self._numbers = threading.Lock()
        self._waker = Waker()
        self._asleep = False
        self._stopping = False
        self._ended = False
        self._reason = "the client was closed"
        self._thread = threading.Thread(target=self._run, name="leasehold-client", daemon=True)
        self._thread.start()

    # --- any thread ---

    def submit(self, call: WaitedCall | FutureCall[Any]) -> None:
        """Hand a call over to the core; its `finished` is called within its timeout."""
        if len(self._posted) + self._core.calls.outstanding >= OUTSTANDING_CALLS_MAX:
            raise ResourceExhaustedError(
                f"{OUTSTANDING_CALLS_MAX} requests of this client are under way: wait for some"
            )
        if isinstance(call, FutureCall):
            self._unsettled.add(call)
        self._post(call)

    def run(self, action: Action) -> None:
        """Have the I/O thread call an action with the core, soon."""
        self._post(action)

    def attach(self, subscriber: Subscriber) -> int:
        """Give a watch or a lease its number; notices of this number go to the subscriber."""
        if self._ended:
            raise UnavailableError(self._reason)
        with self._numbers:
            self._last_number += 1
            self._subscribers[self._last_number] = subscriber
            return self._last_number

    def detach(self, number: int) -> None:
        """No more notices under this number."""
        self._subscribers.pop(number, None)

    @property
    def is_own_thread(self) -> bool:
        """Whether the caller is the I/O thread itself, which must never wait for a call."""
        return threading.current_thread() is self._thread

    def close(self) -> None:
        """End every call and watch, close the sockets, and wait for the thread to end."""
        self._stopping = True
        self._waker.wake()
        if not self.is_own_thread:
            self._thread.join(JOIN_SECONDS_MAX)

    def orphan(self, reason: str) -> None:
        """In a forked child: end the calls and watches that the parent began.

        The thread and the sockets are the parent's: leave them alone.
        """
        self._ended = True
        self._reason = reason
        self._waker.disown()
        self._posted.clear()
        unavailable = UnavailableError(reason)
        for subscriber in tuple(self._subscribers.values()):
            subscriber.orphan(WatchCanceledError(reason))
        for call in tuple(self._unsettled):
            if isinstance(call, FutureCall):
                call.orphan(OutcomeUnknownError(reason) if call.write else unavailable)

    def _post(self, item: Call | Action) -> None:
        self._posted.append(item)
        if self._asleep:
            self._waker.wake()
        if self._ended:
            # The I/O thread ended meanwhile and may not have seen the item: refuse it here.
            self._refuse_posted()

    # --- the I/O thread ---

    def _run(self) -> None:
        core = self._core
        links = EndpointLinks(self._waker)
        try:
            links.open(self._addresses, core)
            while not self._stopping:
                self._turn(core, links)
        except BaseException as error:
            self._reason = f"the client's I/O thread failed: {error!r}"
            raise
        finally:
            self._ended = True
            core.close(time.monotonic())
            self._report(core)
            self._refuse_posted()
            for subscriber in list(self._subscribers.values()):
                subscriber.abort(WatchCanceledError(self._reason))
            links.close()
            self._waker.close()

    def _turn(self, core: Core, links: EndpointLinks) -> None:
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
        ready = links.poll(0 if posted or self._stopping else wait_ms)
        self._asleep = False
        if ready:
            links.receive(ready, core, time.monotonic())

    def _report(self, core: Core) -> None:
        """Wake the callers of completed calls, and pass notices on to the subscribers."""
        if core.completed:
            completed = core.completed.copy()
            core.completed.clear()
            for call in completed:
                assert isinstance(call, WaitedCall | FutureCall), (
                    "the core's own calls have on_done"
                )
                self._settle(call)
        if core.notices:
            notices = core.notices.copy()
            core.notices.clear()
            for notice in notices:
                subscriber = self._subscribers.get(notice.number)
                if subscriber is not None and not subscriber.notice(notice):
                    core.watches.pause(notice.number)

    def _refuse_posted(self) -> None:
        while True:
            try:
                item = self._posted.popleft()
            except IndexError:
                return
            if isinstance(item, WaitedCall | FutureCall):
                item.error = UnavailableError(self._reason)
                self._settle(item)

    def _settle(self, call: WaitedCall | FutureCall[Any]) -> None:
        call.finished()
        self._unsettled.discard(call)
