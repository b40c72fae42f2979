"""Where an actor waits for its disk: in the loop while that is fast, else in a thread."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable

import pytest

from actors.language.errors import StorageError
from actors.runtime.disk import FAST_MS, OF_WAITS, SLOW_MS, DiskWaits
from actors.runtime.overruns import ALARMING_MS
from tests.limits import HANG_SECONDS


class Rig:
    """Waits on a clock that only `work` moves; what was told, and in which thread work was done."""

    def __init__(self) -> None:
        self.now_ns = 0
        self.told: queue.Queue[str] = queue.Queue()
        self.threads: list[int] = []
        self.waits = DiskWaits("a test", lambda: self.now_ns)

    def wait(self, took_ms: float, error: Exception | None = None) -> bool:
        """One wait, whether in the loop or not; whether it was in the loop."""
        is_done = self.waits.run(self.work(took_ms, error), self.tell)
        if not is_done:
            assert self.waits.is_busy
            self.told.get(timeout=HANG_SECONDS)
            assert self.waits.is_over
            self.waits.end()
        assert not self.waits.is_busy
        return is_done

    def tell(self) -> None:
        self.told.put("over")

    def work(self, took_ms: float, error: Exception | None) -> Callable[[], None]:
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


@pytest.mark.parametrize("error", [OSError(5, "it failed"), StorageError("it failed")])
def test_an_error_is_raised_in_the_loop_wherever_it_happened(error: Exception) -> None:
    rig = Rig()
    with pytest.raises(type(error), match="it failed"):
        rig.wait(0.1, error)
    make_slow(rig)
    with pytest.raises(type(error), match="it failed"):
        rig.wait(0.1, error)
    assert rig.threads[0] != rig.threads[-1]
    assert not rig.waits.is_busy
    rig.waits.close()


def test_what_comes_first_is_done_in_the_same_thread_and_not_measured() -> None:
    rig = Rig()
    for _ in range(OF_WAITS):
        assert rig.waits.run(rig.work(0.1, None), rig.tell, rig.work(SLOW_MS, None))
    make_slow(rig)
    rig.threads.clear()
    while rig.waits.is_slow:
        assert not rig.waits.run(rig.work(0.1, None), rig.tell, rig.work(SLOW_MS, None))
        rig.waits.end()
    assert threading.get_ident() not in rig.threads
    assert len(set(rig.threads)) == 1
    rig.waits.close()


def test_its_end_can_be_waited_for() -> None:
    rig = Rig()
    make_slow(rig)
    may_end = threading.Event()
    assert not rig.waits.run(lambda: _wait(may_end), rig.tell)
    assert not rig.waits.is_over
    may_end.set()
    rig.waits.end()
    assert not rig.waits.is_busy
    rig.waits.close()


def test_to_close_waits_for_what_is_under_way() -> None:
    rig = Rig()
    make_slow(rig)
    may_end = threading.Event()
    assert not rig.waits.run(lambda: _wait(may_end), rig.tell)
    assert rig.told.empty()
    may_end.set()
    rig.waits.close()
    assert rig.told.get_nowait() == "over"


def _wait(event: threading.Event) -> None:
    assert event.wait(HANG_SECONDS)


@pytest.mark.parametrize("took_ms", [ALARMING_MS - 1, ALARMING_MS])
def test_a_wait_that_takes_very_long_is_told(
    took_ms: int, caplog: pytest.LogCaptureFixture
) -> None:
    Rig().wait(took_ms)
    told = [record.__dict__["fields"] for record in caplog.records]
    assert told == [{"what": "a test", "took_ms": ALARMING_MS}] * (took_ms >= ALARMING_MS)
