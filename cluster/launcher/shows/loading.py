"""The process of a load: requests at a given rate through one client, and a line each second.

It ends when its stdin does, so it never outlives its launcher. What could not be sent in time is
not made up for: the load never goes over its rate.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import suppress
from itertools import cycle
from random import Random
from typing import Any, Final

from cluster.client.api import Client
from cluster.errors import LeaseholdError
from cluster.launcher.report.quantiles import percentile
from cluster.launcher.shows.load import LoadMix, Second
from cluster.processes import is_readable

PREFIX: Final = "load/"
KEYS: Final = 1_000
VALUE: Final = b"x" * 64
UNDER_WAY_MAX: Final = 256
"""While this number of requests waits for answers, nothing is sent."""

CATCH_UP_SECONDS: Final = 0.01
"""A load that wakes up late sends what was due in this time at once."""

TIMEOUT_SECONDS: Final = 10.0
CHOICES: Final = 4_096


def main(load: LoadMix, endpoints: str, key_file: str) -> None:
    """Make the load until stdin ends, and tell each second on stdout."""
    # The launcher may end between two looks at stdin.
    with (
        Client(endpoints, timeout=TIMEOUT_SECONDS, key_file=key_file) as client,
        suppress(BrokenPipeError),
    ):
        LoadMaker(load, client).run()


class LoadMaker:
    """The requests of a load. Answers come in the client's thread, which only counts them."""

    def __init__(self, load: LoadMix, client: Client) -> None:
        self._load = load
        self._client = client
        self._counts: Counter[str] = Counter()
        self._latencies: list[float] = []
        self._lock = threading.Lock()
        self._room = threading.Semaphore(UNDER_WAY_MAX)
        self._under_way = 0
        self._random = Random(0)

    def run(self) -> None:
        """The loop: send what is due, tell each second, end with stdin."""
        for number in range(self._load.watch):
            threading.Thread(target=self._watch, name=f"watch {number}", daemon=True).start()
        operations = self._operations()
        now = due = time.monotonic()
        told = now
        interval = 1 / self._load.per_second
        while not is_readable(sys.stdin.fileno(), max(0.0, min(due, told + 1) - now)):
            now = time.monotonic()
            due = max(due, now - CATCH_UP_SECONDS)
            while due <= now:
                self._send(next(operations))
                due += interval
            if now - told >= 1:
                told = now
                os.write(sys.stdout.fileno(), self._second().line())

    def _operations(self) -> Iterator[str]:
        """`put` and `get` in their proportion, without an end; nothing where there is neither."""
        weights = [self._load.put, self._load.get]
        if not any(weights):
            return cycle([""])
        return cycle(self._random.choices(["put", "get"], weights, k=CHOICES))

    def _send(self, operation: str) -> None:
        if not operation or not self._room.acquire(blocking=False):
            return
        key = f"{PREFIX}{self._random.randrange(KEYS):04d}"
        began = time.monotonic()
        future: Future[Any]
        if operation == "put":
            future = self._client.put_async(key, VALUE)
        else:
            future = self._client.get_async(key)
        with self._lock:
            self._under_way += 1
        future.add_done_callback(lambda done: self._answered(operation, began, done))

    def _answered(self, operation: str, began: float, done: Future[Any]) -> None:
        failed = done.exception() is not None
        with self._lock:
            self._under_way -= 1
            self._counts["failed" if failed else operation] += 1
            if not failed:
                self._latencies.append(1_000 * (time.monotonic() - began))
        self._room.release()

    def _watch(self) -> None:
        """Follow all keys of the load; a watch that fails ends, and is counted."""
        try:
            with self._client.watch(PREFIX, prefix=True) as watch:
                for batch in watch.batches():
                    with self._lock:
                        self._counts["events"] += len(batch.events)
        except LeaseholdError:
            with self._lock:
                self._counts["failed"] += 1

    def _second(self) -> Second:
        """What was done since the last call."""
        with self._lock:
            counts, self._counts = self._counts, Counter()
            latencies, self._latencies = self._latencies, []
            under_way = self._under_way
        return Second(
            puts=counts["put"],
            gets=counts["get"],
            events=counts["events"],
            failed=counts["failed"],
            waiting=under_way,
            p50_ms=percentile(latencies, 50) if latencies else 0.0,
            p99_ms=percentile(latencies, 99) if latencies else 0.0,
        )
