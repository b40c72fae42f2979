"""What the loop counts, and says, of messages that take long."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from actors.language.messages import Tick
from actors.runtime.base import NodeActor
from actors.runtime.loop import Loop
from actors.runtime.overruns import ALARMING_MS, BUDGET_MS, NS_PER_MS, Overrun, Pressure
from tests.log_lines import written


class Worker(NodeActor):
    """Takes as long for each tick as its number says, by the loop's clock."""

    now_ns = 0

    def receive(self, message: Tick) -> None:
        self.now_ns += message.now_ms * NS_PER_MS


@pytest.fixture
def worker() -> Worker:
    return Worker()


@pytest.fixture
def loop(worker: Worker) -> Iterator[Loop]:
    loop = Loop(lambda: worker.now_ns)
    loop.add(worker)
    yield loop


def run(loop: Loop, worker: Worker) -> None:
    """Take turns until nothing is left: a turn that is over its budget ends."""
    while worker.mailbox.queue:
        loop.turn()


def test_messages_over_the_budget_are_counted_by_name(
    loop: Loop, worker: Worker, caplog: pytest.LogCaptureFixture
) -> None:
    for took_ms in (BUDGET_MS, BUDGET_MS + 1, 40, 20, 1):
        worker.mailbox.tell(Tick(took_ms))
    with caplog.at_level(logging.DEBUG, "leasehold.loop"):
        run(loop, worker)
    assert caplog.messages == [f"Worker: Tick took {each} ms" for each in (BUDGET_MS + 1, 40, 20)]
    assert loop.overruns.by_name == {"Worker: Tick": Overrun(3, 40)}
    assert (loop.overruns.count, loop.overruns.longest_ms) == (3, 40)


def test_a_loop_within_its_budget_has_nothing_to_tell(loop: Loop, worker: Worker) -> None:
    worker.mailbox.tell(Tick(BUDGET_MS))
    loop.turn()
    assert (loop.overruns.count, loop.overruns.longest_ms) == (0, 0)


def test_the_log_warns_of_an_alarming_one_once_a_minute(
    loop: Loop, worker: Worker, caplog: pytest.LogCaptureFixture
) -> None:
    for took_ms in (ALARMING_MS - 1, ALARMING_MS, ALARMING_MS + 1):
        worker.mailbox.tell(Tick(took_ms))
    run(loop, worker)
    (warning,) = written(caplog.records)
    assert warning.startswith(f"Worker: Tick took {ALARMING_MS} ms")
    told = [record.__dict__["fields"] for record in caplog.records]
    assert told == [{"what": "Worker: Tick", "took_ms": ALARMING_MS + more} for more in (0, 1)]


def test_pressure_tells_what_was_waited_for_a_processor_since_it_was_last_asked(
    tmp_path: Path,
) -> None:
    schedstat = tmp_path / "schedstat"
    pressure = Pressure(schedstat)
    for waited_ns, waited_ms in (5_000_000_000, 5_000), (5_250_000_000, 250), (5_250_000_000, 0):
        schedstat.write_text(f"1234 {waited_ns} 17\n")
        assert pressure.text().endswith(f" ms its thread waited {waited_ms} for a processor")


@pytest.mark.parametrize("text", ["", "1234", "1234 many 17"])
def test_pressure_says_nothing_where_the_system_does_not_tell(tmp_path: Path, text: str) -> None:
    schedstat = tmp_path / "schedstat"
    if text:
        schedstat.write_text(text)
    assert Pressure(schedstat).text() == ""


@pytest.mark.skipif(
    not Path("/proc/thread-self/schedstat").exists(), reason="this system does not count it"
)
def test_pressure_of_this_thread_is_what_linux_counts() -> None:
    assert Pressure().text().endswith(" for a processor")
