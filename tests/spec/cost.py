"""What it costs the simulator to hold each input of each core against the spec.

Each seed is run with watched cores and with the shipped ones, in turns, by one process. The two
runs must have the same course: to watch a core changes nothing.
"""

from __future__ import annotations

import logging
import sys
import time
from typing import Any, Final
from unittest.mock import patch

from actors.raft.core import RaftCore
from tests.simulation import making
from tests.simulation.runner import run

BAR: Final = 1.5
"""A run with watched cores may take this much of the CPU time of one without."""

LINE_EVERY: Final = 10


class NotWatched(RaftCore):
    """The shipped core, made in the way of a `WatchedCore`."""

    watch: Final = None

    def __init__(self, *arguments: Any) -> None:
        *others, _known = arguments
        super().__init__(*others)


def cost(seeds: int) -> int:
    """Run this number of seeds in both ways; 1 if the cost is over the bar, or a course differs."""
    logging.disable(logging.CRITICAL)
    watched = plain = 0.0
    for seed in range(seeds):
        digests = set()
        for is_watched in (True, False) if seed % 2 else (False, True):
            started = time.process_time()
            digests.add(digest_of(seed, is_watched))
            spent = time.process_time() - started
            watched, plain = watched + spent * is_watched, plain + spent * (not is_watched)
        if len(digests) > 1:
            sys.stdout.write(f"seed {seed} has another course when its cores are watched\n")
            return 1
        if (seed + 1) % LINE_EVERY == 0 or seed + 1 == seeds:
            sys.stdout.write(
                f"{seed + 1} seeds: {watched:.1f} s of CPU with watched cores, {plain:.1f} s "
                f"without: {watched / plain:.2f}x (bar {BAR}x)\n"
            )
    return 1 if watched > BAR * plain else 0


def digest_of(seed: int, is_watched: bool) -> str:
    """What stands for the whole course of a seed."""
    if is_watched:
        return run(seed).digest
    with patch.object(making, "WatchedCore", NotWatched):
        return run(seed).digest
