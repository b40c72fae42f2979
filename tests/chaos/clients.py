"""The clients of a campaign: threads that use the cluster all the time and record what they see.

Some through `cluster.Client` - keys, leases, watches - and one with bare sockets, often enough to
measure for how long no write was acknowledged. They know nothing of faults; only which nodes there
are, for members come and go.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Sequence
from math import inf
from typing import Final

from cluster import (
    LeaseNotFoundError,
    OutcomeUnknownError,
    Watch,
)
from tests.chaos.history import History, LeaseStep, Stream
from tests.chaos.probe import Probe
from tests.chaos.registers import RegisterWorker
from tests.chaos.through_fronts import GrpcWatcher, GrpcWorker
from tests.chaos.users import Entry
from tests.chaos.worker import (
    HARMLESS,
    REQUEST_SECONDS,
    WATCH_AGAIN_SECONDS,
    Members,
    Worker,
)
from tests.limits import HANG_SECONDS
from tests.linearizability import FindingError, Outcome

LEASE_TTL_SECONDS: Final = (1.0, 2.5)


class LeaseWorker(Worker):
    """Grants leases, puts keys with them, renews them for a while, and lets them end or revokes."""

    def work(self) -> None:
        lease = self.chance.getrandbits(62) | 1
        ttl = self.chance.uniform(*LEASE_TTL_SECONDS)
        client = self.client()
        if not self._step(lease, "grant", ttl, lambda: client.lease.grant(ttl, lease).ttl):
            self.pause()
            return
        for number in range(self.chance.randrange(1, 4)):
            name, value = self.new_value()
            intent = self.intent("put", f"lease/{lease:x}/{number}", value=name, lease=lease)
            key = intent.key
            self.do(intent, lambda: (client.put(key, value, lease=lease).header, {}))  # noqa: B023
        for _ in range(self.chance.randrange(4)):
            self.stopping.wait(self.chance.uniform(0.2, 0.6) * ttl)
            renewed = self._step(
                lease, "renew", ttl, lambda: client.lease.keep_alive_once(lease).ttl
            )
            if not renewed:
                return
        if self.chance.random() < 0.25:
            self._step(lease, "revoke", ttl, lambda: client.lease.revoke(lease) and 0.0)

    def _step(self, lease: int, step: str, ttl: float, call: Callable[[], float]) -> bool:
        """One step of a lease's life; whether it was surely done."""
        began = time.monotonic()
        outcome, ended = Outcome.UNKNOWN, inf
        try:
            ttl = call()
            outcome, ended = Outcome.OK, time.monotonic()
        except LeaseNotFoundError:
            outcome, ended = Outcome.FAILED, time.monotonic()
        except OutcomeUnknownError:
            pass
        except HARMLESS:
            # A renewal has no session: that it failed in the end says nothing of its first try.
            if step != "renew":
                outcome, ended = Outcome.FAILED, time.monotonic()
        self.history.add_lease_step(LeaseStep(lease, step, ttl, began, ended, outcome))
        return outcome is Outcome.OK


class Watcher(Worker):
    """Follows all keys, over whatever happens, and opens its watch anew now and then."""

    def __init__(
        self, name: str, members: Members, history: History, seed: str, from_start: bool
    ) -> None:
        super().__init__(name, members, history, seed)
        self._stream: Stream | None = Stream(name, 1) if from_start else None
        if self._stream is not None:
            history.streams.append(self._stream)
        self._watch: Watch | None = None
        self._refreshing = threading.Lock()
        self._again_at = inf

    def work(self) -> None:
        start = None if self._stream is None else self._stream.last + 1
        try:
            watch = self.client().watch("\0", from_key=True, start_revision=start)
        except HARMLESS:
            self.pause()
            return
        with self._refreshing:
            self._watch = watch
        if self._stream is None:
            self._stream = Stream(self.name, watch.header.revision + 1)
            self.history.streams.append(self._stream)
        self._again_at = time.monotonic() + WATCH_AGAIN_SECONDS
        if self.stopping.is_set():
            watch.cancel()
        for batch in watch.batches():
            self._stream.take(batch.events, time.monotonic())
            if time.monotonic() > self._again_at:
                watch.cancel()
                break

    def refresh(self) -> None:
        """Members have changed, or it is to stop: look again which, if it waits for events."""
        with self._refreshing:
            if self._watch is not None:
                self._watch.cancel()

    @property
    def last(self) -> int:
        """The last revision seen."""
        return self._stream.last if self._stream is not None else 0


class Clients:
    """All clients of a campaign; some speak gRPC if the nodes have fronts."""

    def __init__(
        self,
        endpoints: Sequence[str],
        history: History,
        seed: str,
        *,
        fronts: bool,
        entry: Entry,
    ) -> None:
        self.members = Members(endpoints, entry)
        self.history = history
        where = (self.members, history, seed)
        RegisterWorker.shared_count = itertools.count()
        self.probe = Probe("probe", *where)
        self.watchers: list[Watcher | GrpcWatcher] = [
            Watcher("w1", *where, from_start=True),
            Watcher("w2", *where, False),
        ]
        self.workers: list[Worker] = [
            self.probe,
            *(RegisterWorker(f"r{number}", *where) for number in range(1, 5)),
            *(LeaseWorker(f"l{number}", *where) for number in range(1, 3)),
        ]
        if fronts:
            self.watchers.append(GrpcWatcher("gw", *where))
            self.workers += [GrpcWorker(f"g{number}", *where) for number in range(1, 3)]

    def start(self) -> None:
        """Begin."""
        for worker in (*self.watchers, *self.workers):
            worker.start()

    def update_members(self, endpoints: Sequence[str]) -> None:
        """These are the nodes from now on."""
        if self.members.update(endpoints):
            for watcher in self.watchers:
                watcher.refresh()

    def check(self) -> None:
        """Raise what went wrong in a thread."""
        for worker in (*self.watchers, *self.workers):
            if worker.error is not None:
                raise FindingError(f"{worker.name}: {worker.error!r}") from worker.error

    def stop_working(self) -> None:
        """End all but the watchers."""
        _stop(self.workers)

    def stop_watching(self) -> None:
        """End the watchers too."""
        for watcher in self.watchers:
            watcher.stopping.set()
            watcher.refresh()
        _stop(self.watchers)

    def abandon(self) -> None:
        """End all, however they are doing, and wait for those that do."""
        for worker in (*self.watchers, *self.workers):
            worker.stopping.set()
        for watcher in self.watchers:
            watcher.refresh()
        for worker in (*self.watchers, *self.workers):
            if worker.ident is not None:
                worker.join(2 * REQUEST_SECONDS)


def _stop(workers: Sequence[Worker]) -> None:
    for worker in workers:
        worker.stopping.set()
    for worker in workers:
        if worker.ident is not None:
            worker.join(HANG_SECONDS)
            if worker.is_alive():
                raise FindingError(f"{worker.name} does not stop: a request hangs")
