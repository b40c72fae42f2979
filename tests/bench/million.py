"""What a million keys take: to load, in memory, after a restart, and of everybody's time meanwhile.

The same on three nodes of etcd and then on three of ours, one cluster at a time, in the same run
and with the same requests: transactions of a hundred puts to load, single gets meanwhile, ranges
of 10,000 keys. etcd is asked by its own Go client (`etcd_load`, and `etcd_lease -fill N |
-range N`), ours by bare sockets and msgpack.
"""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from statistics import median
from typing import Final, NamedTuple

from cluster.bench import load, workload
from cluster.bench.wires import Wires
from cluster.launcher.local import LocalCluster
from tests.bench import aside
from tests.bench.disk import MEGABYTE
from tests.bench.etcd import EtcdCluster
from tests.bench.filling import txns_of_puts
from tests.bench.measure import Measurement

KEYS: Final = 1_000_000
VALUE_BYTES: Final = 256
PUTS_PER_TXN: Final = 100
CONNECTIONS: Final = 50
OUTSTANDING: Final = CONNECTIONS  # as etcd_lease has
PREFIX: Final = b"/registry/"
PREFIX_END: Final = b"/registry0"

GETS_PER_BATCH: Final = 50
GET_KEYS: Final = 10_000
RANGE_KEYS: Final = 10_000
RANGES: Final = 20
RESTART_SECONDS: Final = 120.0

NODE: Final = 2
"""The node that is started again: the last."""


class Figures(NamedTuple):
    """Of one cluster. `memory_mb` is resident, of the median node, when all keys are there."""

    load_seconds: float
    get_p50_ms: float
    get_p99_ms: float
    get_max_ms: float
    memory_mb: float
    range_ms: float
    restart_seconds: float


TITLES: Final = (
    "seconds to load",
    "get meanwhile, p50 ms",
    "get meanwhile, p99 ms",
    "get meanwhile, max ms",
    "memory of a node, MB",
    f"range of {RANGE_KEYS:,} keys, p50 ms",
    "seconds to restart a node",
)


def run(binaries: Path, keys: int, say: Callable[[str], None]) -> None:
    """Measure etcd, then ours, and print a line for each figure."""
    say(f"{keys:,} keys of {VALUE_BYTES} bytes, three nodes: etcd ...")
    with EtcdCluster(binaries) as cluster:
        etcd = measure_etcd(cluster, keys)
    say("leasehold ...")
    with LocalCluster() as local:
        own = measure_own(local, keys)
    for line in table(etcd, own):
        say(line)


def table(etcd: Figures, own: Figures) -> list[str]:
    """A line for each figure: both sides, and ours as a multiple of etcd's."""
    rows = zip(TITLES, etcd, own, strict=True)
    return [
        f"{'':28}{'etcd':>12}{'leasehold':>12}{'leasehold / etcd':>19}",
        *(f"{title:28}{a:12,.2f}{b:12,.2f}{b / a:18.2f}x" for title, a, b in rows),
    ]


# --- etcd -------------------------------------------------------------------------------------


def measure_etcd(cluster: EtcdCluster, keys: int) -> Figures:
    """Load it through its Go client, and look."""
    filling = cluster.start_program("etcd_lease", f"-fill={keys}", f"-c={CONNECTIONS}")
    gets: list[Measurement] = []
    while not gets or filling.poll() is None:
        gets.append(cluster.measure("get", 1, 1, GETS_PER_BATCH, leader_only=True))
    load_seconds = _printed(filling.communicate()[0], r"in ([\d.]+)s")
    memory_mb = median(resident_mb(pid) for pid in cluster.pids)
    ranging = cluster.start_program("etcd_lease", f"-range={RANGE_KEYS}", "-c=1")
    range_ms = _printed(ranging.communicate()[0], r"p50=([\d.]+)ms")
    restart_seconds = cluster.restart(NODE, _key(keys - 1))
    return Figures(load_seconds, *_merged(gets), memory_mb, range_ms, restart_seconds)


def _printed(text: str, pattern: str) -> float:
    found = re.search(pattern, text)
    assert found is not None, f"the program failed: {text}"
    return float(found[1])


# --- ours -------------------------------------------------------------------------------------


def measure_own(cluster: LocalCluster, keys: int) -> Figures:
    """Load it from a process of its own, and look."""
    addresses = [f"tcp://{endpoint}" for endpoint in cluster.endpoints]
    gets: list[Measurement] = []
    with Wires(addresses, 1, leader_only=True) as wires:
        filling = aside.start("tests.bench.million", str(keys), *addresses)
        aside.wait_until_ready(filling)
        while not gets or filling.poll() is None:
            gets.append(_gets(wires))
    load_seconds = _printed(filling.communicate()[0], r"in ([\d.]+)s")
    memory_mb = median(resident_mb(node.pid) for node in cluster.nodes.values())
    with Wires(addresses, 1) as wires:
        range_ms = median(_range_ms(wires) for _ in range(RANGES))
    restart_seconds = _restart(cluster, _key(keys - 1))
    return Figures(load_seconds, *_merged(gets), memory_mb, range_ms, restart_seconds)


def fill(keys: int, addresses: Sequence[str]) -> None:
    """Put all keys, in a process of its own; says when it begins, and how long it took."""
    value = b"x" * VALUE_BYTES
    puts = ({"key": _key(number), "value": value} for number in range(keys))
    filling = txns_of_puts(puts, PUTS_PER_TXN)
    with Wires(addresses, CONNECTIONS) as wires:
        aside.say_ready()
        figures = load.run("fill", wires, filling, len(filling.bodies), OUTSTANDING)
    assert not figures.errors, f"requests failed: {figures.errors}"
    sys.stdout.write(f"fill {keys} keys in {figures.seconds:.2f}s\n")


def _gets(wires: Wires) -> Measurement:
    gets = workload.gets(False, GET_KEYS, Random(GET_KEYS))
    figures = load.run("get", wires, gets, GETS_PER_BATCH, 1)
    assert not figures.errors, f"requests failed: {figures.errors}"
    return Measurement(figures.rate, *(figures.percentile(percent) for percent in (50, 99, 100)))


def _range_ms(wires: Wires) -> float:
    began = time.perf_counter()
    found = wires.ask(op="range", key=PREFIX, range_end=PREFIX_END, limit=RANGE_KEYS)
    seconds = time.perf_counter() - began
    assert len(found["kvs"]) == min(RANGE_KEYS, found["count"]), "not all keys are there"
    return seconds * 1000


def _restart(cluster: LocalCluster, key: bytes) -> float:
    """Stop a node and start it again; seconds from its start until it has that key to give."""
    name = list(cluster.nodes)[NODE]
    cluster.stop(name)
    began = time.monotonic()
    cluster.launch_node(name)
    address = f"tcp://{cluster.node(name).endpoint}"
    with Wires([address], 1, dial_seconds=RESTART_SECONDS) as wires:
        while time.monotonic() < began + RESTART_SECONDS:
            if wires.ask(op="range", key=key, serializable=True)["kvs"]:
                return time.monotonic() - began
    raise AssertionError(f"{name} was not ready after {RESTART_SECONDS:g} s")


# --- both -------------------------------------------------------------------------------------


def _key(number: int) -> bytes:
    return b"%sk%09d" % (PREFIX, number)


def resident_mb(pid: int) -> float:
    """The memory a process has now, with the pages of files that it maps."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    (resident,) = (row for row in status.splitlines() if row.startswith("VmRSS:"))
    return int(resident.split()[1]) * 1024 / MEGABYTE


def _merged(batches: Sequence[Measurement]) -> tuple[float, float, float]:
    """The median batch's p50 and p99, and the longest of all."""
    return (
        median(batch.p50_ms for batch in batches),
        median(batch.p99_ms for batch in batches),
        max(batch.max_ms for batch in batches),
    )


if __name__ == "__main__":
    fill(int(sys.argv[1]), sys.argv[2:])
