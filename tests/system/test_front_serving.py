"""The serving half of a front ends at SIGTERM, whatever it does at that moment of its start."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from typing import Final

from tests.limits import HANG_SECONDS

ROOT: Final = Path(__file__).parents[2]

OVER: Final = 8

STARTS: Final = """
import os, signal, sys
from cluster.etcd import serving
from tests.cluster.etcd.test_front import CONFIG

class Moment:
    # Each step into serving.py, out of it, and into and out of what it calls.
    def __init__(self, number):
        self.number, self.seen = number, 0

    def see(self, frame, event, argument):
        back = frame.f_back
        if serving.__file__ in (frame.f_code.co_filename, back and back.f_code.co_filename):
            self.seen += 1
            if self.seen == self.number:
                sys.setprofile(None)
                os.kill(os.getpid(), signal.SIGTERM)

    def say_that_all_are_over(self, loop):
        if self.seen < self.number:
            os._exit(OVER)

async def reach(front):
    return ""

def start(moment):
    serving.Front.reach = reach
    serving._say_counts = lambda loop: loop.call_soon(moment.say_that_all_are_over, loop)
    life, alive = os.pipe()
    turn, done = os.memfd_create("turn"), os.eventfd(0)
    config = CONFIG._replace(life=life, turn=turn, done=done, listening=(), tls=None)
    sys.setprofile(moment.see)
    os._exit(serving.serve(config))

status = 0
for number in range(1, 1_000):
    child = os.fork()
    if not child:
        start(Moment(number))
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    print(status, flush=True)
    if status == OVER:
        break
"""


def test_sigterm_ends_it_at_every_moment_of_its_start() -> None:
    program = STARTS.replace("OVER", str(OVER))
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        timeout=HANG_SECONDS,
    )
    *ended, last = map(int, done.stdout.split())
    assert last == OVER
    assert set(ended) == {0, -signal.SIGTERM}
