"""A node ends, even if one of its actors does not, and whichever thread a signal comes to."""

from __future__ import annotations

import subprocess
import sys
from typing import Any, cast

import pytest

from actors import node
from actors.runtime.base import NodeActor
from actors.runtime.loop import Loop
from cluster.processes import import_environment
from tests.limits import HANG_SECONDS


class Stuck(NodeActor):
    """Nobody runs it."""

    def receive(self, message: Any) -> None:
        raise AssertionError("nobody runs it")


def test_a_node_waits_for_an_actor_only_so_long_and_says_which(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(node, "STOP_SECONDS", 0.01)
    actor = Stuck()
    actor.begin(Loop())
    node.stop_actors(cast(node.Actors, (actor,)))
    assert caplog.messages == ["Stuck does not stop within 0.01 s"]


SIGNALLED_ELSEWHERE = """
import signal, sys, threading, time
from actors.runtime.signals import stop_at_signals

stopping, waits = stop_at_signals(), threading.Event()

def signal_this_thread():
    waits.wait()
    signal.pthread_kill(threading.get_ident(), signal.SIGTERM)

threading.Thread(target=signal_this_thread).start()
sys.setswitchinterval(1_000)  # the other thread has its turn when this one sleeps
limit, began = float(sys.argv[1]), time.monotonic()
waits.set()
stopping.wait(limit)
print(stopping.reason, "late" if time.monotonic() - began >= limit else "in time")
"""


@pytest.mark.process
def test_a_signal_that_comes_to_another_thread_stops_the_node_at_once() -> None:
    command = [sys.executable, "-c", SIGNALLED_ELSEWHERE, str(HANG_SECONDS)]
    ended = subprocess.run(
        command, env=import_environment(), capture_output=True, text=True, check=True
    )
    assert ended.stdout == "SIGTERM in time\n"
