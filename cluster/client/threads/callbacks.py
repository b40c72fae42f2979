"""CallbackThread: a thread that calls functions of the program, one after the other.

Such functions may take their time, and may use the client; so they do not run in the I/O thread.
The thread is started when there is something to tell for the first time.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from queue import SimpleQueue

log = logging.getLogger("leasehold.client")


class CallbackThread:
    """The functions to call, and the thread that calls them."""

    def __init__(self) -> None:
        self._told: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._has_thread = False

    def tell(self, told: Callable[[], None]) -> None:
        """Call a function soon; in the I/O thread only."""
        if not self._has_thread:
            self._has_thread = True
            threading.Thread(
                target=_call, args=(self._told,), name="leasehold-callbacks", daemon=True
            ).start()
        self._told.put(told)

    def end(self) -> None:
        """End the thread when all is told."""
        if self._has_thread:
            self._told.put(None)


def _call(waiting: SimpleQueue[Callable[[], None] | None]) -> None:
    while (told := waiting.get()) is not None:
        try:
            told()
        except Exception:  # what the program's own function raises must not end the others
            log.exception("a listener failed")
