"""The interpreter as a node needs it: short waits for its lock, and short garbage collections.

Refuses to know what runs.
"""

from __future__ import annotations

import gc
import sys
from typing import Final

SWITCH_INTERVAL_SECONDS: Final = 0.001

GC_THRESHOLDS: Final = (10_000, 1_000_000, 1_000_000)
"""Only young objects are looked at, 10,000 at a time: that takes 1 to 2 ms. To look at all takes a
fifth of a second with a million keys, and finds nothing: reference counts free what a node's work
leaves, for none of it is in a cycle."""


def tune_interpreter() -> None:
    """Set the interpreter up; call it when the code is loaded, and before the data is read.

    To look at the data, too, would take a start longer, and find as little.
    """
    # A loop that waits for the interpreter's lock, because a copy is being made, waits for this
    # interval: the default of 5 ms would show in every latency.
    sys.setswitchinterval(SWITCH_INTERVAL_SECONDS)
    # The code lives until the node ends: to look at it in each collection is a pause for nothing.
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)
