"""What a million overwrites of a few keys take on disk and in memory, with compaction on.

A cluster of three is filled with overwrites, and after each so many all that its nodes have is
looked at: it must be flat. Looks at files and processes from outside, as an operator would.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from random import Random
from typing import Final, NamedTuple

from cluster.bench import load, workload
from cluster.bench.wires import Wires
from cluster.launcher.local import LocalCluster

NODE_FLAGS: Final = (
    "--auto-compaction-mode=revision",
    "--auto-compaction-retention=10000",
    "--snapshot-catchup-entries=5000",
)

KEYS: Final = 1_000
VALUE_BYTES: Final = 256
CONNECTIONS: Final = 50
OUTSTANDING: Final = 500

WARM_UP_SHARE: Final = 0.3
"""What the first part of a run takes at most is the measure for the rest."""

GROWTH_MAX: Final = 1.25
"""More than so many times that is growth: space that is used again comes and goes a little."""

MEGABYTE: Final = 1_000_000


class Footprint(NamedTuple):
    """What one node takes, in bytes; `memory` is resident, with the pages of the store's file."""

    wal: int
    store: int
    memory: int


class Row(NamedTuple):
    """The nodes after so many writes, and how fast the last ones went."""

    writes: int
    rate: float
    nodes: tuple[Footprint, ...]


def run(writes: int, every: int, say: Callable[[str], None]) -> bool:
    """Overwrite, look and print; whether everything stayed flat."""
    with LocalCluster(node_flags=NODE_FLAGS) as cluster:
        rows = []
        say(header(len(cluster.nodes)))
        for row in _rows(cluster, writes, every):
            rows.append(row)
            say(line(row))
    grown = growth(rows)
    for what, factor in grown.items():
        say(f"{what}: {factor:.2f} times what it was at most in the first {WARM_UP_SHARE:.0%}")
    return all(factor <= GROWTH_MAX for factor in grown.values())


def _rows(cluster: LocalCluster, writes: int, every: int) -> Iterator[Row]:
    addresses = [f"tcp://{endpoint}" for endpoint in cluster.endpoints]
    with Wires(addresses, CONNECTIONS) as wires:
        for written in range(0, writes, every):
            puts = workload.puts(VALUE_BYTES, KEYS, Random(written))
            figures = load.run("put", wires, puts, min(every, writes - written), OUTSTANDING)
            assert not figures.errors, f"requests failed: {figures.errors}"
            nodes = tuple(
                footprint(cluster.data_dir / name, node.pid) for name, node in cluster.nodes.items()
            )
            yield Row(min(written + every, writes), figures.rate, nodes)


def footprint(data_dir: Path, pid: int) -> Footprint:
    """What the node with this directory and process takes now."""
    wal = sum(_taken(path) for path in (data_dir / "wal").iterdir())
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    (resident,) = (row for row in status.splitlines() if row.startswith("VmRSS:"))
    return Footprint(wal, _taken(data_dir / "store"), int(resident.split()[1]) * 1024)


def growth(rows: Sequence[Row]) -> dict[str, float]:
    """For each kind of space, the most any node takes, over the most it took in the beginning."""
    warm_up = max(1, round(len(rows) * WARM_UP_SHARE))

    def most(part: Sequence[Row], kind: str) -> float:
        return max(float(getattr(node, kind)) for row in part for node in row.nodes)

    return {
        kind: most(rows[warm_up:] or rows, kind) / most(rows[:warm_up], kind)
        for kind in Footprint._fields
    }


def header(nodes: int) -> str:
    """The titles over the rows."""
    each = f"   {'WAL MB':>8}{'store MB':>9}{'RSS MB':>8}"
    return f"{'writes':>10}{'per s':>9}" + each * nodes


def line(row: Row) -> str:
    """One row, node beside node."""
    cells = [
        f"   {wal / MEGABYTE:8.1f}{store / MEGABYTE:9.1f}{memory / MEGABYTE:8.1f}"
        for wal, store, memory in row.nodes
    ]
    return f"{row.writes:10,}{row.rate:9,.0f}" + "".join(cells)


def _taken(path: Path) -> int:
    """The bytes that a file takes from the disk; 0 if it has just gone."""
    try:
        return path.stat().st_blocks * 512
    except FileNotFoundError:
        return 0
