"""The keeper: the half of a front that has all of it loaded, and forks the half that serves.

If the serving process is killed, the next one serves within milliseconds. If the keeper is killed,
the serving process goes on, and the node starts another keeper. Both end with their node, however
that ends, and whether or not one of them is stopped at that moment. Refuses to know what is served.
"""

from __future__ import annotations

import gc
import logging
import os
import select
import signal
import sys
import time
from collections.abc import Callable
from types import FrameType
from typing import Final

from cluster.processes import continue_when_parent_dies, is_readable

QUICK_SECONDS: Final = 1.0
"""A serving process that lived for less than this is followed by the next one after a pause,
unless it was the first one that lived so shortly."""

PAUSE_SECONDS_MAX: Final = 2.0
PAUSE_SECONDS: Final = 0.05
"""That pause; it doubles each time."""

log = logging.getLogger("leasehold.front")


class FrontKeeper:
    """Runs `serve` in a child again and again, until the node has ended or SIGTERM comes.

    `life` is the reading end of a pipe that nobody writes into: it ends with the node. `serve`
    returns the exit status of the child.
    """

    def __init__(self, life: int, serve: Callable[[], int]) -> None:
        self._life = life
        self._serve = serve
        self._child = 0
        self._is_stopping = False

    def run(self) -> int:
        """Keep a child serving; returns 0 when no more is to be served."""
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal's Ctrl-C is for the node
        signal.signal(signal.SIGTERM, self._stop)
        continue_when_parent_dies()
        # All that is loaded stays in memory that both processes share.
        gc.collect()
        gc.freeze()
        pause_seconds = 0.0
        while not self._is_stopping:
            began = time.monotonic()
            if not self._keep_one():
                break
            if time.monotonic() - began >= QUICK_SECONDS:
                pause_seconds = 0.0
                continue
            if pause_seconds and is_readable(self._life, pause_seconds):
                break
            pause_seconds = min(PAUSE_SECONDS_MAX, 2 * pause_seconds or PAUSE_SECONDS)
        return 0

    def _keep_one(self) -> bool:
        """Fork a child and wait for its end; False if it is to be the last one."""
        # SIGTERM waits meanwhile: it must find the child's number here, or no child.
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
        if self._is_stopping:  # it came just before
            return False
        self._child = os.fork()
        if not self._child:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGTERM])
            _run_child(self._serve)
        child = os.pidfd_open(self._child)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGTERM])
        poller = select.poll()
        poller.register(child, select.POLLIN)
        poller.register(self._life, 0)
        ended = dict(poller.poll())
        if child not in ended:
            os.kill(self._child, signal.SIGKILL)  # the node has ended: also a stopped child must go
        number, self._child = self._child, 0
        _, status = os.waitpid(number, 0)
        os.close(child)
        if self._is_stopping or self._life in ended:
            return False
        log.warning("the front %s: the next one serves", _ending(status))
        return True

    def _stop(self, number: int, frame: FrameType | None) -> None:
        self._is_stopping = True
        if self._child:
            os.kill(self._child, signal.SIGTERM)


def _run_child(serve: Callable[[], int]) -> None:
    """Serve, and end this process without going back into the keeper's code."""
    status = 1
    try:
        continue_when_parent_dies()
        status = serve()
    finally:
        logging.shutdown()
        sys.stderr.flush()
        os._exit(status)


def _ending(status: int) -> str:
    code = os.waitstatus_to_exitcode(status)
    return f"was killed by signal {-code}" if code < 0 else f"exited with status {code}"
