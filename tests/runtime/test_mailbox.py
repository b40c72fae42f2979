"""Mailbox, NodeActor and Loop: Pykka's private names, wake-ups, timers, turns, fail-stop."""

from __future__ import annotations

import queue
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pykka
import pytest
import zmq
from pykka._envelope import Envelope

from actors.language.messages import PeerFrames, Tick
from actors.runtime import base
from actors.runtime.base import NodeActor
from actors.runtime.loop import Loop
from actors.runtime.mailbox import FRAMES_PER_LOOK_MAX, Mailbox, monotonic_ms
from actors.runtime.overruns import ALARMING_MS, BUDGET_MS
from cluster.links import PeerDoor
from cluster.peer_links import PeerLinks
from tests.limits import HANG_SECONDS
from tests.probes import ManualClock


class Recorder(NodeActor):
    """Writes down what it gets; the text "fail" makes it raise."""

    def __init__(self, on_open: Callable[[Mailbox], None] = lambda mailbox: None) -> None:
        super().__init__()
        self.seen: queue.Queue[Any] = queue.Queue()
        self._on_open = on_open

    def open(self) -> None:
        self._on_open(self.mailbox)

    def receive(self, message: Any) -> None:
        if message == "fail":
            raise ValueError("as asked")
        self.seen.put(message)

    def settle(self) -> bool:
        self.seen.put("settled")
        return False

    def close(self) -> None:
        self.seen.put("closed")


def run(*actors: NodeActor) -> Loop:
    """Let a loop of their own run these actors, in this order."""
    loop = Loop()
    for actor in actors:
        actor.begin(loop)
    loop.start()
    return loop


@pytest.fixture
def failures(monkeypatch: pytest.MonkeyPatch) -> queue.Queue[str]:
    """What would have stopped the process."""
    stopped: queue.Queue[str] = queue.Queue()
    monkeypatch.setattr(base, "fail_stop", stopped.put)
    return stopped


@pytest.fixture
def recorder() -> Iterator[Recorder]:
    actor = Recorder()
    run(actor)
    yield actor
    if actor.actor_ref.is_alive():
        actor.actor_ref.stop(block=True, timeout=HANG_SECONDS)


def taken(actor: Recorder, count: int) -> list[Any]:
    """The next messages; that it has settled is none."""
    messages: list[Any] = []
    while len(messages) < count:
        message = actor.seen.get(timeout=HANG_SECONDS)
        if message != "settled":
            messages.append(message)
    return messages


def test_pykka_still_has_the_private_names_that_we_use() -> None:
    assert Envelope("message").message == "message"
    actor = Recorder()
    assert isinstance(actor.actor_inbox, Mailbox)
    assert callable(actor._start_actor_loop)


def test_an_actor_that_was_never_started_only_queues() -> None:
    actor = Recorder()
    actor.actor_ref.tell("one")
    actor.actor_ref.tell("two")
    assert [actor.mailbox.pop(), actor.mailbox.pop(), actor.mailbox.pop()] == ["one", "two", None]


def test_messages_come_in_order_and_the_actor_settles_after_them() -> None:
    recorder, loop = Recorder(), Loop()
    recorder.begin(loop)
    for number in range(3):
        recorder.actor_ref.tell(number)
    loop.turn()
    assert [recorder.seen.get_nowait() for _ in range(4)] == [0, 1, 2, "settled"]
    loop.turn()
    assert recorder.seen.empty()


def test_no_message_is_left_asleep_by_many_threads(recorder: Recorder) -> None:
    def tell_all(first: int) -> None:
        for number in range(2_000):
            recorder.actor_ref.tell((first, number))

    threads = [threading.Thread(target=tell_all, args=(first,)) for first in range(4)]
    for thread in threads:
        thread.start()
    messages = taken(recorder, 8_000)
    for thread in threads:
        thread.join()
    for first in range(4):
        assert [number for who, number in messages if who == first] == list(range(2_000))


def test_a_timer_wakes_once_and_not_early() -> None:
    due_ms = monotonic_ms() + 30
    actor = Recorder(lambda mailbox: mailbox.wake_at(due_ms))
    run(actor)
    (tick,) = taken(actor, 1)
    assert isinstance(tick, Tick) and tick.now_ms >= due_ms
    assert actor.mailbox.next_wake_ms is None
    actor.actor_ref.stop(block=True, timeout=HANG_SECONDS)


def test_the_earliest_of_several_wake_ups_counts() -> None:
    mailbox = Mailbox()
    for due_ms in (500, 200, 900):
        mailbox.wake_at(due_ms)
    assert mailbox.pop_tick(199) is None
    assert mailbox.pop_tick(200) == Tick(200)
    assert mailbox.pop_tick(900) is None


class Flood:
    """A source that always has more."""

    def __init__(self) -> None:
        self.asked: list[int] = []

    def descriptors(self) -> list[int]:
        return []

    def must_drain(self) -> bool:
        return True

    def drain(self, items_max: int) -> list[Any]:
        self.asked.append(items_max)
        return [b"frame"]


class Passing(NodeActor):
    """Passes a number on to the next actor, one less, until none is left."""

    def __init__(self, log: list[str], name: str) -> None:
        super().__init__()
        self.next: Mailbox = self.mailbox
        self._log = log
        self._name = name

    def receive(self, message: int) -> None:
        self._log.append(f"{self._name}{message}")
        if message:
            self.next.tell(message - 1)

    def settle(self) -> bool:
        self._log.append(f"{self._name} settles")
        return False


def test_a_turn_goes_round_until_nobody_has_a_message_and_then_those_settle_that_had_one() -> None:
    log: list[str] = []
    first, second, idle = Passing(log, "a"), Passing(log, "b"), Passing(log, "c")
    first.next, second.next = second.mailbox, first.mailbox
    loop = Loop()
    for actor in (first, second, idle):
        actor.begin(loop)
    first.mailbox.tell(3)
    loop.turn()
    assert log == ["a3", "b2", "a1", "b0", "a settles", "b settles"]


def test_a_turn_ends_though_messages_never_do() -> None:
    log: list[str] = []
    actor, loop = Passing(log, ""), Loop()
    actor.begin(loop)
    actor.mailbox.tell(1 << 40)
    loop.turn()
    assert 1 < len(log) < 10_000
    assert log[-1] == " settles"
    assert not actor.mailbox.empty()


def test_sources_get_their_turn_though_messages_never_end() -> None:
    flood = Flood()
    actor, loop = Recorder(lambda mailbox: mailbox.attach(flood, PeerFrames)), Loop()
    actor.begin(loop)
    for _ in range(5):
        actor.actor_ref.tell("message")
    loop.start()
    assert set(taken(actor, 50)) == {"message", PeerFrames((b"frame",))}
    assert set(flood.asked) == {FRAMES_PER_LOOK_MAX}
    actor.actor_ref.stop(block=True, timeout=HANG_SECONDS)


def test_one_loop_runs_all_its_actors_until_the_last_has_stopped() -> None:
    first, second = Recorder(), Recorder()
    run(first, second)
    first.actor_ref.stop(block=True, timeout=HANG_SECONDS)
    assert taken(first, 1) == ["closed"]
    second.actor_ref.tell("still here")
    assert taken(second, 1) == ["still here"]
    second.actor_ref.stop(block=True, timeout=HANG_SECONDS)
    assert taken(second, 1) == ["closed"]


def test_an_actor_that_has_stopped_handles_and_settles_nothing_more() -> None:
    actor, loop = Recorder(), Loop()
    actor.begin(loop)
    actor.actor_ref.tell("before")
    actor.actor_ref.stop(block=False)
    actor.mailbox.tell("after")
    loop.turn()
    assert [actor.seen.get_nowait() for _ in range(2)] == ["before", "closed"]
    assert actor.seen.empty()


def test_whoever_is_late_to_wake_the_loop_finds_it_gone() -> None:
    actor = Recorder()
    loop = run(actor)
    actor.actor_ref.stop(block=True, timeout=HANG_SECONDS)
    loop.join(HANG_SECONDS)
    # As if it had been asleep when the sender of the last message looked.
    loop.is_asleep = True
    actor.mailbox.tell("too late")


def test_a_turn_ends_after_its_budget_and_the_next_one_goes_on() -> None:
    class Busy(NodeActor):
        def receive(self, message: int) -> None:
            handled.append(message)
            clock.now_ms += BUDGET_MS
            self.mailbox.tell(message + 1)

    clock, handled = ManualClock(), list[int]()
    loop, busy, other = Loop(lambda: clock() * 1_000_000), Busy(), Recorder()
    for actor in (busy, other):
        actor.begin(loop)
    busy.mailbox.tell(0)
    other.mailbox.tell("not starved")
    loop.turn()
    assert handled == [0]
    assert [other.seen.get_nowait() for _ in range(2)] == ["not starved", "settled"]
    loop.turn()
    assert handled == [0, 1]


def test_turns_are_counted_and_very_long_messages_by_their_type() -> None:
    now_ns = 0

    class Slow(NodeActor):
        def receive(self, message: Any) -> None:
            nonlocal now_ns
            now_ns += message

    actor, loop = Slow(), Loop(lambda: now_ns)
    actor.begin(loop)
    for took_ms in (BUDGET_MS, BUDGET_MS + 1, ALARMING_MS):
        actor.mailbox.tell(took_ms * 1_000_000)
        loop.turn()
    assert (loop.turns, loop.overruns.count, loop.overruns.alarming[int]) == (3, 2, 1)
    assert actor.mailbox.loop is loop


def test_frames_reach_the_actor_even_those_a_look_left_behind() -> None:
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    urls: queue.Queue[str] = queue.Queue()

    def open_door(mailbox: Mailbox) -> None:
        door = PeerDoor(context, ("tcp://127.0.0.1:0",))
        urls.put(door._socket.get_string(zmq.LAST_ENDPOINT))
        mailbox.attach(door, PeerFrames)
        doors.append(door)

    doors: list[PeerDoor] = []
    actor = Recorder(open_door)
    run(actor)
    links = PeerLinks(context)
    links.update({7: urls.get(timeout=HANG_SECONDS)})
    count, sent, arrived = 3 * FRAMES_PER_LOOK_MAX + 5, 0, 0
    while arrived < count:
        while sent < count and links.send(7, b"%d" % sent):
            sent += 1
        try:
            message = actor.seen.get(timeout=0.01)
        except queue.Empty:
            continue
        if isinstance(message, PeerFrames):
            assert len(message.frames) <= FRAMES_PER_LOOK_MAX
            assert message.frames[0] == b"%d" % arrived
            arrived += len(message.frames)
    actor.actor_ref.stop(block=True, timeout=HANG_SECONDS)
    doors[0].close()
    links.close()
    context.term()


def test_an_actor_that_raises_stops_the_process(failures: queue.Queue[str]) -> None:
    actor = Recorder()
    run(actor)
    actor.actor_ref.tell("fail")
    assert "Recorder failed" in failures.get(timeout=HANG_SECONDS)
    assert taken(actor, 1) == ["closed"]


def test_an_actor_that_cannot_start_stops_the_process(failures: queue.Queue[str]) -> None:
    def refuse(mailbox: Mailbox) -> None:
        raise OSError("the port is taken")

    run(Recorder(refuse))
    assert "the port is taken" in failures.get(timeout=HANG_SECONDS)


@pytest.mark.process
def test_a_failed_disk_is_said_in_a_line_without_a_traceback() -> None:
    code = """
import time
from actors.runtime.base import NodeActor
from actors.runtime.loop import Loop
class Writer(NodeActor):
    def receive(self, message):
        raise OSError(28, "No space left on device")
loop = Loop()
Writer().begin(loop).tell("write")
loop.start()
time.sleep(60)
"""
    finished = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert finished.returncode == base.EXIT_FAIL_STOP
    (line,) = finished.stderr.splitlines()
    assert line.endswith(b"Writer cannot use its disk: [Errno 28] No space left on device")


def test_a_message_for_an_actor_that_has_stopped_is_dropped(recorder: Recorder) -> None:
    recorder.actor_ref.stop(block=True, timeout=HANG_SECONDS)
    recorder.mailbox.tell("too late")
    with pytest.raises(pykka.ActorDeadError):
        recorder.actor_ref.tell("too late")


@pytest.mark.process
def test_fail_stop_ends_the_process_at_once_with_its_own_status() -> None:
    code = "from actors.runtime.base import exit_process; exit_process('a test')"
    finished = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert finished.returncode == base.EXIT_FAIL_STOP
