"""Overruns: the messages that took longer than a turn may, by name, for a test, a figure, the log.

While one actor handles a message, the node does nothing else: it sends no heartbeat. Refuses to
know what a message means, and what to do about it.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from pathlib import Path
from typing import Final, NamedTuple

from cluster.logs import tell

BUDGET_MS: Final = 5
"""A message that takes longer than this is counted: all other work of the node waits for it."""

ALARMING_MS: Final = 100
"""One that takes this time or more is told in the log, at most once a minute for each kind: two
heartbeats are late, and the other members are not far from an election. It is also etcd's bound for
an entry that takes long to apply."""

NS_PER_MS: Final = 1_000_000

log = logging.getLogger("leasehold.loop")


class Pressure:
    """How long one thread waits for a processor that others have: what is slow may be these.

    Linux counts it in /proc/thread-self/schedstat, whose second number is in nanoseconds.
    """

    def __init__(self, path: Path = Path("/proc/thread-self/schedstat")) -> None:
        self._path = path
        self._waited_ns, self._at_ns = 0, time.monotonic_ns()

    def text(self) -> str:
        """What was waited since the last call, as the end of a sentence; empty if not known."""
        try:
            waited_ns = int(self._path.read_text().split()[1])
        except (OSError, ValueError, IndexError):
            return ""
        now_ns = time.monotonic_ns()
        waited_ms = (waited_ns - self._waited_ns) // NS_PER_MS
        past_ms = (now_ns - self._at_ns) // NS_PER_MS
        self._waited_ns, self._at_ns = waited_ns, now_ns
        return f"; of the last {past_ms} ms its thread waited {waited_ms} for a processor"


def tell_slow(what: str, text: str, took_ms: int) -> None:
    """Something held the node up for ALARMING_MS or longer: `what` it was, in short."""
    tell("slow", text, level=logging.WARNING, key=f"slow {what}", what=what, took_ms=took_ms)


class Overrun(NamedTuple):
    """How often messages of one kind were over the budget, and the longest of them."""

    times: int
    longest_ms: int


class Overruns:
    """The overruns of one loop; `by_name` has them by actor and message.

    `alarming` counts by message those that took ALARMING_MS and more.
    """

    def __init__(self) -> None:
        self.by_name: dict[str, Overrun] = {}
        self.alarming: Counter[type] = Counter()
        self._pressure = Pressure()

    @property
    def count(self) -> int:
        """The messages that were over the budget."""
        return sum([each.times for each in self.by_name.values()])

    @property
    def longest_ms(self) -> int:
        """The longest that all else has waited for one message; 0 if none was over the budget."""
        return max([each.longest_ms for each in self.by_name.values()], default=0)

    def note(self, actor: type, message: type, took_ns: int) -> None:
        """A message was over the budget: count it, and name it in the log."""
        name, took_ms = f"{actor.__name__}: {message.__name__}", took_ns // NS_PER_MS
        times, longest_ms = self.by_name.get(name, (0, 0))
        self.by_name[name] = Overrun(times + 1, max(longest_ms, took_ms))
        text = f"{name} took {took_ms} ms"
        log.debug("%s", text)
        if took_ms >= ALARMING_MS:
            self.alarming[message] += 1
            text = f"{text}, and the node did nothing else meanwhile{self._pressure.text()}"
            tell_slow(name, text, took_ms)
