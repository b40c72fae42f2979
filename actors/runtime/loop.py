"""Loop: the one thread that runs all actors of a node, and the only place where it sleeps.

A turn takes what has come in at the sockets, hands each message to its actor until no message is
left, and then lets the actors settle what has gathered (DESIGN.md#the-ring). Refuses to know what a
message means.
"""

from __future__ import annotations

import os
import select
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any, Final, NamedTuple

from pykka._envelope import Envelope

from actors.runtime.base import NodeActor
from actors.runtime.mailbox import FRAMES_PER_LOOK_MAX, Source, monotonic_ms
from actors.runtime.overruns import BUDGET_MS, NS_PER_MS, Overruns

ROUNDS_MAX: Final = 16
"""After this number of rounds through the ring a turn ends, even if messages are left."""

MESSAGES_PER_ROUND_MAX: Final = 64
"""The messages that one actor is given before the next one has its round."""

_BUDGET_NS: Final = BUDGET_MS * NS_PER_MS
_ROUND: Final = range(MESSAGES_PER_ROUND_MAX)


class _Seat:
    """An actor's place in the loop, and whether it has something to settle."""

    __slots__ = ("actor", "has_run", "has_stopped", "mailbox", "queue", "settles")

    def __init__(self, actor: NodeActor) -> None:
        self.actor = actor
        self.mailbox = actor.mailbox
        self.queue: deque[Any] = actor.mailbox.queue
        self.settles = type(actor).settle is not NodeActor.settle
        self.has_run = False
        self.has_stopped = False


class _Input(NamedTuple):
    """A source, and the actor that its input is for."""

    seat: _Seat
    source: Source
    wrap: Callable[[tuple[Any, ...]], Any]


class Loop:
    """Runs the actors that were added, in this order, from `start` until all have stopped.

    Before `start` it is a plain object: a simulation calls `turn` by itself. By `clock_ns` it
    counts the messages that take long, in `overruns`.
    """

    def __init__(self, clock_ns: Callable[[], int] = time.monotonic_ns) -> None:
        self._clock_ns = clock_ns
        self.is_asleep = False
        self.turns = 0
        self.overruns = Overruns()
        self._seats: list[_Seat] = []
        self._running: _Seat | None = None
        self._may_dismiss = False
        # When the turn is to end.
        self._until_ns = 0
        self._inputs: list[_Input] = []
        self._by_descriptor: dict[int, _Input] = {}
        # Not zmq.Poller, which makes a system call for every socket at each look.
        self._poller = select.poll()
        self._wake_fd = -1
        self._wake_lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def add(self, actor: NodeActor) -> None:
        """Run this actor, too; call it before `start`."""
        actor.mailbox.loop = self
        self._seats.append(_Seat(actor))

    def start(self) -> None:
        """Start the thread."""
        self._wake_fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._thread = threading.Thread(target=self._run, name="loop", daemon=True)
        self._thread.start()

    def join(self, timeout_seconds: float) -> None:
        """Wait until all actors have stopped, for this time at most."""
        if self._thread is not None:
            self._thread.join(timeout_seconds)

    def wake(self) -> None:
        """End the loop's sleep: another thread has queued a message."""
        # The lock: the last message may end the loop before its sender comes to this line.
        with self._wake_lock:
            if self._wake_fd >= 0:
                os.eventfd_write(self._wake_fd, 1)

    def refresh(self) -> None:
        """Poll the sockets that the sources have now."""
        self._poller = select.poll()
        if self._wake_fd >= 0:
            self._poller.register(self._wake_fd, select.POLLIN)
        self._inputs = [
            _Input(seat, *attached)
            for seat in self._seats
            for attached in seat.actor.mailbox.sources
        ]
        self._by_descriptor = {
            descriptor: each for each in self._inputs for descriptor in each.source.descriptors()
        }
        for descriptor in self._by_descriptor:
            self._poller.register(descriptor, select.POLLIN)

    # --- a turn ---

    def turn(self) -> None:
        """Hand all queued messages to their actors; then let those settle that had one.

        After BUDGET_MS each actor is given one message more at most: then the sockets come first.
        """
        self._until_ns = self._clock_ns() + _BUDGET_NS
        self.turns += 1
        for _ in range(ROUNDS_MAX):
            found = False
            for seat in self._seats:
                if seat.queue and not seat.has_stopped:
                    found = True
                    self._run_one(seat)
            if not found and not self._settle():
                return
            if self._clock_ns() >= self._until_ns:
                break
        self._settle()

    def _settle(self) -> bool:
        """Let those settle that have run; whether one has to settle again."""
        again = False
        for seat in self._seats:
            if seat.has_run and seat.settles:
                self._running = seat
                seat.has_run = seat.actor.settle()
                again = again or seat.has_run
        return again

    def _run_one(self, seat: _Seat) -> None:
        self._running = seat
        seat.has_run = True
        queue, receive, clock = seat.queue, seat.actor.receive, self._clock_ns
        began_ns = clock()
        for _ in _ROUND:
            if not queue:
                break
            message = queue.popleft()
            if type(message) is Envelope:
                seat.actor.take(message)
                if seat.actor.actor_stopped.is_set():
                    self._has_stopped(seat)
                    return
            else:
                receive(message)
            now_ns = clock()
            if now_ns - began_ns > _BUDGET_NS:
                self.overruns.note(type(seat.actor), type(message), now_ns - began_ns)
            if now_ns >= self._until_ns:
                break
            began_ns = now_ns

    # --- the thread ---

    def _run(self) -> None:
        for seat in self._seats:
            seat.actor.set_up()
        self.refresh()
        while self._seats:
            try:
                self._look()
                self.turn()
            except Exception:  # noqa: BLE001 - whatever an actor raises ends the process
                assert self._running is not None
                self._running.actor.fail()
                self._has_stopped(self._running)
            if self._may_dismiss:
                self._dismiss()
        with self._wake_lock:
            os.close(self._wake_fd)
            self._wake_fd = -1

    def _has_stopped(self, seat: _Seat) -> None:
        """An actor has closed: it handles no message any more, and settles nothing."""
        seat.has_stopped, seat.has_run = True, False
        self._may_dismiss = True

    def _dismiss(self) -> None:
        """Let those go that have stopped."""
        self._may_dismiss = False
        for seat in [each for each in self._seats if each.has_stopped]:
            seat.actor.tear_down()
            self._seats.remove(seat)
        self.refresh()

    def _look(self) -> None:
        """Queue the frames and the ticks that are ready; wait for one if there is nothing to do."""
        inputs = [each for each in self._inputs if each.source.must_drain()]
        ready = self._poller.poll(0) if inputs or self._has_messages() else self._sleep()
        for descriptor, _ in ready:
            found = self._by_descriptor.get(descriptor)
            if found is None:
                os.eventfd_read(self._wake_fd)
            elif found not in inputs:
                inputs.append(found)
        # Frames before timers: a process that was frozen must hear its peers before it decides
        # that they are gone.
        for seat, source, wrap in inputs:
            self._running = seat
            items = source.drain(FRAMES_PER_LOOK_MAX)
            if items:
                seat.queue.append(wrap(tuple(items)))
        now_ms = monotonic_ms()
        for seat in self._seats:
            wake_ms = seat.mailbox.next_wake_ms
            if wake_ms is not None and now_ms >= wake_ms:
                seat.queue.append(seat.mailbox.pop_tick(now_ms))

    def _has_messages(self) -> bool:
        return any(seat.queue for seat in self._seats)

    def _sleep(self) -> list[tuple[int, int]]:
        first_ms: int | None = None
        for seat in self._seats:
            wake_ms = seat.mailbox.next_wake_ms
            if wake_ms is not None and (first_ms is None or wake_ms < first_ms):
                first_ms = wake_ms
        wait_ms = None if first_ms is None else max(0, first_ms - monotonic_ms())
        self.is_asleep = True
        # A `tell` before the flag was set has written no wake-up, so the queues are looked at
        # again. A `tell` after it writes one.
        ready = self._poller.poll(0 if self._has_messages() else wait_ms)
        self.is_asleep = False
        return ready
