"""What the end of very many leases at once costs everybody else.

So many keys are put, each with a lease of its own, so that all leases end at about the same time;
one client puts another key all the while, and another watches the keys go. The watcher tells when
the first was gone and when the last, and that all were.
"""

from __future__ import annotations

import threading
import time
from array import array
from collections.abc import Callable
from typing import Final, NamedTuple

from cluster import Client, wire
from cluster.bench import load, workload
from cluster.bench.figures import Figures as LoadFigures
from cluster.bench.wires import Wires
from cluster.launcher.local import LocalCluster

LEASES: Final = 100_000
CHUNK_LEASES: Final = 2_000
"""Puts of one chunk have one TTL: a chunk is put in a fraction of a second."""

CONNECTIONS: Final = 50
OUTSTANDING: Final = 500
LEASES_PER_SECOND: Final = 5_000
"""So many can be granted on a slow machine: all leases end after the last of them is there."""

QUIET_PUTS: Final = 2_000
PUTS_PER_LOOK: Final = 100
PREFIX: Final = b"leased/"
GONE_SECONDS: Final = 120.0


class Figures(NamedTuple):
    """Seconds since the leases' end is due; milliseconds of a put in peace, and meanwhile."""

    leases: int
    put_seconds: float
    first_gone_seconds: float
    all_gone_seconds: float
    quiet_ms: tuple[float, float, float]
    meanwhile_ms: tuple[float, float, float]

    def lines(self) -> list[str]:
        """A line for each."""
        quiet, meanwhile = (
            "p50 {:.2f} ms, p99 {:.2f} ms, max {:.2f} ms".format(*each)
            for each in (self.quiet_ms, self.meanwhile_ms)
        )
        return [
            f"{self.leases:,} leases with a key each, put in {self.put_seconds:.1f} s",
            f"the first gone {self.first_gone_seconds:+.2f} s after its time, "
            f"all {self.all_gone_seconds:.2f} s after",
            f"a put, one at a time, in peace: {quiet}",
            f"while the leases end:           {meanwhile}",
        ]


def run(leases: int, say: Callable[[str], None]) -> None:
    """Measure on three nodes, and print a line for each figure."""
    with LocalCluster() as cluster:
        for line in measure(cluster, leases).lines():
            say(line)


def measure(cluster: LocalCluster, leases: int) -> Figures:
    """Have so many leases end at once, and look."""
    addresses = [f"tcp://{endpoint}" for endpoint in cluster.endpoints]
    with Wires(addresses, 1, leader_only=True) as wires:
        quiet = load.run("put", wires, _puts(), QUIET_PUTS, 1)
        watched = _Watcher(cluster.endpoints, leases)
        began = time.monotonic()
        due = began + 2.0 + leases / LEASES_PER_SECOND
        _fill(addresses, leases, due)
        put_seconds = time.monotonic() - began
        assert time.monotonic() < due, "the leases end before all are granted: too slow a machine"
        watched.wait_until(due)
        latencies = array("d")
        while not watched.is_done():
            figures = load.run("put", wires, _puts(), PUTS_PER_LOOK, 1)
            assert not figures.errors, f"requests failed: {figures.errors}"
            latencies.extend(figures.latencies_ms)
    first, last = watched.result()
    meanwhile = array("d", sorted(latencies))
    return Figures(
        leases,
        put_seconds,
        first - due,
        last - due,
        _quantiles(quiet),
        _quantiles(quiet._replace(latencies_ms=meanwhile)),
    )


def _quantiles(figures: LoadFigures) -> tuple[float, float, float]:
    return figures.percentile(50), figures.percentile(99), figures.percentile(100)


def _puts() -> workload.Workload:
    return workload.Workload({"op": "put", "value": b"x"}, "key", (wire.pack(b"other"),))


def _fill(addresses: list[str], leases: int, due: float) -> None:
    with Wires(addresses, CONNECTIONS) as wires:
        for start in range(0, leases, CHUNK_LEASES):
            count = min(CHUNK_LEASES, leases - start)
            keys = [wire.pack(b"%s%08d" % (PREFIX, start + number)) for number in range(count)]
            fields = {"op": "put", "value": b"x", "TTL": due - time.monotonic()}
            puts = workload.Workload(fields, "key", keys)
            figures = load.run("fill", wires, puts, count, OUTSTANDING)
            assert not figures.errors, f"requests failed: {figures.errors}"


class _Watcher:
    """Sees the keys go, in a thread of its own."""

    def __init__(self, endpoints: list[str], leases: int) -> None:
        self._client = Client(endpoints)
        self._watch = self._client.watch(PREFIX, prefix=True, filters=("NOPUT",))
        self._left = leases
        self._first = self._last = 0.0
        self._thread = threading.Thread(target=self._follow, name="watcher", daemon=True)
        self._thread.start()

    def _follow(self) -> None:
        for event in self._watch:
            assert event.reason == "lease expired", f"a key went otherwise: {event}"
            self._last = time.monotonic()
            self._first = self._first or self._last
            self._left -= 1
            if not self._left:
                return

    def wait_until(self, due: float) -> None:
        """Wait until then, or until all keys are gone before their time."""
        self._thread.join(max(0.0, due - time.monotonic()))

    def is_done(self) -> bool:
        """Whether all keys are gone."""
        return not self._thread.is_alive()

    def result(self) -> tuple[float, float]:
        """When the first key went, and when the last."""
        self._thread.join(GONE_SECONDS)
        self._client.close()
        assert not self._left, f"{self._left:,} keys are still there, or went otherwise"
        return self._first, self._last
