"""What periodic work costs the slowest puts: p99 at 64 under way, with the work and without.

Rounds alternate: puts alone, then the same puts while one thing is done again and again. Commits of
the store, garbage collection and the growth of indexes are part of all puts; what they cost shows
in the slowest of short windows beside the middle one. The load is a process of its own.
"""

from __future__ import annotations

import sys
import tempfile
import threading
import time
from array import array
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from random import Random
from statistics import median
from typing import Final, NamedTuple

from cluster import Client, wire
from cluster.bench import load, workload
from cluster.bench.figures import Figures
from cluster.bench.wires import Wires
from cluster.launcher.local import LocalCluster
from tests.bench import aside

OUTSTANDING: Final = 64
VALUE_BYTES: Final = 256
KEY_SPACE: Final = 20_000
WINDOW_PUTS: Final = 1_000
PHASE_SECONDS: Final = 5.0
PAUSE_SECONDS: Final = 0.5
LEASES: Final = 2_000
LEASE_SECONDS: Final = 2
ROUNDS: Final = 5

THINGS: Final = ("compaction", "snapshot", "defragment", "expiry")
"""A compaction of all revisions so far; a copy of the store for a client; a defragmentation of a
follower; the end of LEASES leases with a key each. Each again after PAUSE_SECONDS."""


TITLES: Final = (
    f"{'':12}{'puts/s':>9}{'p50 ms':>9}{'p99 ms':>9}{'alone':>9}{'ratio':>8}{'slow windows':>22}"
)


class Phase(NamedTuple):
    """Puts a second, and milliseconds: of all puts, and the p99 of each window."""

    rate: float
    p50_ms: float
    p99_ms: float
    windows_ms: tuple[float, ...]

    @property
    def slow_windows(self) -> float:
        """The share of windows whose p99 is more than twice that of the middle one."""
        bar = 2 * median(self.windows_ms)
        return sum(one > bar for one in self.windows_ms) / len(self.windows_ms)


def run(rounds: int, seconds: float, things: Sequence[str], say: Callable[[str], None]) -> bool:
    """Measure, and print a line for each thing; whether none doubles the p99."""
    held = True
    with LocalCluster(3) as cluster, _Load(cluster.endpoints) as loading:
        say(TITLES)
        for thing in things or THINGS:
            pairs = [_pair(cluster, loading, thing, seconds) for _ in range(rounds)]
            ratio = median(with_it.p99_ms / alone.p99_ms for alone, with_it in pairs)
            held = held and ratio <= 2
            say(_line(thing, pairs, ratio))
    return held


def _line(thing: str, pairs: Sequence[tuple[Phase, Phase]], ratio: float) -> str:
    alone, with_it = zip(*pairs, strict=True)
    slow = [100 * median(each.slow_windows for each in side) for side in (with_it, alone)]
    return (
        f"{thing:12}{median(each.rate for each in with_it):9,.0f}"
        f"{median(each.p50_ms for each in with_it):9.2f}"
        f"{median(each.p99_ms for each in with_it):9.2f}"
        f"{median(each.p99_ms for each in alone):9.2f}{ratio:7.2f}x"
        f"{slow[0]:9.1f} %, alone {slow[1]:.1f} %"
    )


def _pair(cluster: LocalCluster, loading: _Load, thing: str, seconds: float) -> tuple[Phase, Phase]:
    alone = loading.phase(seconds)
    with _again_and_again(cluster, thing):
        return alone, loading.phase(seconds)


# --- what is done meanwhile ---


@contextmanager
def _again_and_again(cluster: LocalCluster, thing: str) -> Iterator[None]:
    """Do this thing with pauses until the block ends."""
    ended = threading.Event()
    leader = cluster.leader()
    follower = next(name for name in cluster.nodes if name != leader)
    failures: list[BaseException] = []

    def work() -> None:
        try:
            with Client(cluster.endpoints) as client, tempfile.TemporaryDirectory() as directory:
                while not ended.wait(PAUSE_SECONDS):
                    _do(client, thing, cluster.node(follower).endpoint, Path(directory))
        except BaseException as error:
            failures.append(error)
            raise

    worker = threading.Thread(target=work, name=thing)
    worker.start()
    try:
        yield
    finally:
        ended.set()
        worker.join()
    assert not failures, failures


def _do(client: Client, thing: str, follower: str, directory: Path) -> None:
    match thing:
        case "compaction":
            client.compact(client.range(b"bench-", limit=1).header.revision, physical=True)
        case "snapshot":
            client.snapshot_save(directory / "copy")
        case "defragment":
            with Client([follower]) as one:
                one.defragment()
        case "expiry":
            # Leases of one time: they end together, in the next round.
            puts = [wire.pack(b"leased/%d" % number) for number in range(LEASES)]
            filling = workload.Workload(
                {"op": "put", "value": b"x", "TTL": LEASE_SECONDS}, "key", puts
            )
            with Wires([f"tcp://{follower}"], 4) as wires:
                load.run("fill", wires, filling, LEASES, 16)
        case _:
            raise ValueError(f"there is no {thing}: {', '.join(THINGS)}")


# --- the load ---


class _Load:
    """A process that puts for a phase each time it is told."""

    def __init__(self, endpoints: Sequence[str]) -> None:
        self._process = aside.start("tests.bench.tails", *endpoints)

    def __enter__(self) -> _Load:
        aside.wait_until_ready(self._process)
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()

    def phase(self, seconds: float) -> Phase:
        """Put, WINDOW_PUTS by WINDOW_PUTS, for this time."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(f"{seconds}\n")
        self._process.stdin.flush()
        rate, p50_ms, p99_ms, *windows_ms = map(float, self._process.stdout.readline().split())
        return Phase(rate, p50_ms, p99_ms, tuple(windows_ms))


def serve(endpoints: Sequence[str]) -> None:
    """Put for the seconds that each line has, and answer with a Phase as a line."""
    addresses = [f"tcp://{endpoint}" for endpoint in endpoints]
    puts = workload.puts(VALUE_BYTES, KEY_SPACE, Random(1))
    with Wires(addresses, OUTSTANDING, leader_only=True) as wires:
        load.fill(wires, VALUE_BYTES, KEY_SPACE, OUTSTANDING)
        aside.say_ready()
        for seconds in map(float, sys.stdin):
            windows: list[Figures] = []
            began = time.perf_counter()
            while not windows or time.perf_counter() < began + seconds:
                windows.append(load.run("put", wires, puts, WINDOW_PUTS, OUTSTANDING))
            took = time.perf_counter() - began
            all_ms = array("d", sorted(ms for window in windows for ms in window.latencies_ms))
            whole = windows[0]._replace(latencies_ms=all_ms, seconds=took)
            figures = [whole.rate, whole.percentile(50), whole.percentile(99)]
            figures += [window.percentile(99) for window in windows]
            aside.say(" ".join(f"{figure:.4f}" for figure in figures) + "\n")


if __name__ == "__main__":
    serve(sys.argv[1:])
