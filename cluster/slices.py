"""A thread's long wait in slices, so that it hears Ctrl-C.

Python handles a signal between two of its instructions. One that comes after the last of them, and
before the system puts the thread to sleep, would be heard when the wait ends: perhaps never.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import repeat
from typing import Final

SLICE_SECONDS: Final = 0.25


def slices(timeout: float | None) -> Iterator[float]:
    """The lengths (seconds) of waits which, one after the other, last `timeout` seconds.

    There is at least one, of 0 seconds if need be; None is a wait without an end.
    """
    if timeout is None:
        yield from repeat(SLICE_SECONDS)
        return
    end = time.monotonic() + timeout
    left = timeout
    while left > SLICE_SECONDS:
        yield SLICE_SECONDS
        left = end - time.monotonic()
    yield max(0.0, left)
