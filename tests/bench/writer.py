"""A client that puts at a steady rate through etcd's gRPC, at every node in turn.

It does not wait for answers before it sends more, so an outage is seen at once and from all sides,
and it treats etcd and this project alike. It notes when each put was acknowledged.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from itertools import count, cycle, pairwise
from typing import Any, Final, Self

import grpc

from cluster.etcd.rpc.schema import RPCS
from tests.limits import HANG_SECONDS

INTERVAL_SECONDS: Final = 0.005
TIMEOUT_SECONDS: Final = 2.0
"""A put that has no answer after this time is given up; others were sent meanwhile."""

PUT: Final = RPCS[b"/etcdserverpb.KV/Put"]
KEYS: Final = 1_000
OPTIONS: Final = [
    ("grpc.initial_reconnect_backoff_ms", 20),
    ("grpc.min_reconnect_backoff_ms", 20),
    ("grpc.max_reconnect_backoff_ms", 100),
    ("grpc.use_local_subchannel_pool", 1),
]
"""A node that is back is found soon: etcd's own client waits no longer."""


class SteadyWriter:
    """Puts from `__enter__` to `__exit__`, in a thread of its own."""

    def __init__(self, addresses: Sequence[str]) -> None:
        self.acknowledged: list[float] = []
        """When each was (time.monotonic)."""
        self.failed = 0
        self._addresses = list(addresses)
        self._heard = dict.fromkeys(addresses, 0.0)
        self._news = threading.Condition()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._write, name="steady writer", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._thread.join(HANG_SECONDS)

    def wait_for_all(self, since: float) -> None:
        """Wait until every node has acknowledged a put since this time."""
        self._wait(lambda: min(self._heard.values()) >= since, "every node")

    def wait_for(self, number: int, since: float) -> None:
        """Wait until this number of puts was acknowledged after `since`."""
        self._wait(lambda: self._count(since) >= number, f"{number} puts")

    def gap_ms(self, since: float) -> float:
        """The longest time between two acknowledgements since then, less the interval of puts."""
        with self._news:
            times = sorted(at for at in self.acknowledged if at >= since)
        longest = max((later - before for before, later in pairwise(times)), default=0.0)
        return max(0.0, 1_000 * (longest - INTERVAL_SECONDS))

    def _count(self, since: float) -> int:
        found = 0
        for at in reversed(self.acknowledged):
            if at < since:
                break
            found += 1
        return found

    def _wait(self, holds: Any, what: str) -> None:
        with self._news:
            assert self._news.wait_for(holds, HANG_SECONDS), f"{what} did not answer"

    def _write(self) -> None:
        channels = [grpc.insecure_channel(each, options=OPTIONS) for each in self._addresses]
        puts = [
            channel.unary_unary(PUT.path.decode(), lambda sent: sent, PUT.response.FromString)
            for channel in channels
        ]
        places = cycle(zip(self._addresses, puts, strict=True))
        due = time.monotonic()
        for number in count():
            due = max(due + INTERVAL_SECONDS, time.monotonic())
            if self._stopping.wait(due - time.monotonic()):
                break
            address, put = next(places)
            request = PUT.request(key=b"steady/%d" % (number % KEYS), value=b"x" * 32)
            future = put.future(request.SerializeToString(), timeout=TIMEOUT_SECONDS)
            future.add_done_callback(lambda done, address=address: self._done(address, done))
        for channel in channels:
            channel.close()

    def _done(self, address: str, done: Any) -> None:
        now = time.monotonic()
        with self._news:
            if done.cancelled() or done.exception() is not None:
                self.failed += 1
            else:
                self.acknowledged.append(now)
                self._heard[address] = now
            self._news.notify_all()
