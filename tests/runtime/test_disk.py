"""Where an actor waits for its disk: in the loop while that is fast, else in a thread."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable

import pytest

from actors.runtime.disk import FAST_MS, OF_WAITS, SLOW_MS, DiskWaits
from tests.limits import HANG_SECONDS


class Rig:
    """Waits on a clock that only `work` moves; what was told, and in which thread work was done."""

    def __init__(self) -> None:
        self.now_ns = 0
        self.told: queue.Queue[OSError | None] = queue.Queue()
        self.threads: list[int] = []
        self.waits = DiskWaits("a test", lambda: self.now_ns)

    def wait(self, took_ms: float, error: OSError | None = None) -> bool:
        """One wait, whether in the loop or not; whether it was in the loop."""
        is_done = self.waits.run(self.work(took_ms, error), self.told.put)
        if not is_done:
            assert self.waits.is_busy
            assert self.told.get(timeout=HANG_SECONDS) is error
            self.waits.ended()
        assert not self.waits.is_busy
        return is_done

    def work(self, took_ms: float, error: OSError | None) -> Callable[[], None]:
        def do() -> None:
            self.now_ns += int(took_ms * 1_000_000)
            self.threads.append(threading.get_ident())
            if error is not None:
                raise error

        return do


def make_slow(rig: Rig) -> None:
    """Wait until the next wait will be in a thread."""
    for _ in range(OF_WAITS):
        if not rig.wait(SLOW_MS):
            return
    raise AssertionError("a slow disk is waited for in the loop")


def test_some_slow_waits_may_be_chance_and_half_of_them_are_not() -> None:
    rig = Rig()
    for _ in range(10):
        assert rig.wait(SLOW_MS)
        assert all(rig.wait(0.1) for _ in range(2))
    make_slow(rig)
    assert not rig.wait(SLOW_MS)
    rig.waits.close()
    assert len(set(rig.threads)) == 2


def test_only_many_fast_waits_bring_it_back_to_the_loop() -> None:
    rig = Rig()
    make_slow(rig)
    for _ in range(10):
        assert not any(rig.wait(0.1) for _ in range(4))
        assert not rig.wait(FAST_MS), "not so slow, but not fast either"
    while not rig.wait(0.1):
        pass
    assert rig.wait(SLOW_MS) and rig.wait(0.1)
    rig.waits.close()


def test_an_error_is_raised_in_the_loop_and_told_from_a_thread() -> None:
    rig = Rig()
    error = OSError(5, "the disk is gone")
    with pytest.raises(OSError, match="the disk is gone"):
        rig.wait(0.1, error)
    make_slow(rig)
    assert not rig.wait(0.1, error)
    rig.waits.close()


def test_to_close_waits_for_what_is_under_way() -> None:
    rig = Rig()
    make_slow(rig)
    begun, may_end = threading.Event(), threading.Event()

    def work() -> None:
        begun.set()
        assert may_end.wait(HANG_SECONDS)

    assert not rig.waits.run(work, rig.told.put)
    assert begun.wait(HANG_SECONDS)
    assert rig.told.empty()
    may_end.set()
    rig.waits.close()
    assert rig.told.get_nowait() is None
