"""The rows of the comparison with etcd: what is done, how often, and how each side is measured.

etcd's load programs cannot do everything: what they cannot do is measured on our side alone.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from cluster.bench.watchers import WATCH_KEYS
from cluster.launcher.local import LocalCluster
from tests.bench.etcd import EtcdCluster
from tests.bench.generator import Part, measured, split
from tests.bench.measure import NOT_MEASURED, Measurement

CONNECTIONS: Final = 100
WATCH_CONNECTIONS: Final = 10
KEY_SPACE: Final = 10_000
MIXED_KEYS: Final = 100_000
KEPT_LEASES: Final = 1_000
NODES: Final = 3

CLIENTS_PER_PROCESS: Final = 256
"""More clients than these are made by several processes; one could be the limit."""

PROCESSES_MAX: Final = max(1, min(3, (os.cpu_count() or 1) // 2))
"""Where there are processors for them: on two, three processes only wake each other up."""

WATCHERS: Final = 100
SINGLE_KEYS: Final = 10_000
"""The keys with a watch of its own each."""

WATCHING_PROCESSES: Final = 2
WATCHED_PUTS: Final = 3_000
WRITERS: Final = 64


class Row(NamedTuple):
    """`clients` requests under way at a time, `total` in all; on a cluster of `nodes`.

    For a watch, `clients` are the watches, and `total` the puts that they see.
    """

    operation: str
    clients: int
    total: int
    nodes: int = NODES
    keys: int = KEY_SPACE

    @property
    def name(self) -> str:
        """As in the table."""
        nodes = "" if self.nodes == NODES else f", {self.nodes} nodes"
        return f"{self.operation} {self.clients:,}{nodes}"

    @property
    def connections(self) -> int:
        """Of both sides' clients."""
        return min(self.clients, CONNECTIONS)

    @property
    def leader_only(self) -> bool:
        """One client talks to the leader: else its figure is a matter of luck."""
        return self.clients == 1

    def scaled(self, scale: float) -> Row:
        """The same with more or fewer requests, but at least one of each client."""
        return self._replace(total=max(self.clients, round(self.total * scale)))


ROWS: Final = (
    *(Row("put", *each) for each in ((1, 1_500), (64, 20_000), (1_000, 40_000))),
    *(Row("get", *each) for each in ((1, 1_500), (64, 20_000), (1_000, 40_000))),
    *(Row("sget", *each) for each in ((1, 3_000), (64, 20_000), (1_000, 40_000))),
    *(Row("lease", *each) for each in ((1, 1_500), (64, 10_000))),
    Row("keep-alive", 1_000, 20_000, keys=KEPT_LEASES),
    *(Row("txn", *each) for each in ((64, 20_000), (256, 30_000))),
    Row("mixed", 1_000, 40_000, keys=MIXED_KEYS),
    Row("watch", WATCHERS, WATCHED_PUTS, keys=WATCH_KEYS),
    Row("watch-key", SINGLE_KEYS, 20_000, keys=SINGLE_KEYS),
    Row("put", 1_000, 40_000, nodes=5),
)

LOADS: Final = frozenset({"put", "get", "sget", "lease"})
"""What etcd's load program can do."""


def chosen(words: Iterable[str], rows: Sequence[Row] = ROWS) -> list[Row]:
    """The rows of these words: an operation, with or without its clients (`put`, `put-64`)."""
    names = {f"{row.operation}-{row.clients}" for row in rows} | {row.operation for row in rows}
    unknown = [word for word in words if word not in names]
    if unknown:
        raise ValueError(f"no rows {', '.join(unknown)}; there are {', '.join(sorted(names))}")
    wanted = set(words)
    return [row for row in rows if wanted & {row.operation, f"{row.operation}-{row.clients}"}]


# --- etcd -------------------------------------------------------------------------------------


def measure_etcd(cluster: EtcdCluster, row: Row) -> Measurement:
    """A row on etcd, or NOT_MEASURED."""
    if row.operation in LOADS:
        if row.operation in ("get", "sget"):
            cluster.fill(KEY_SPACE)
        return cluster.measure(
            row.operation, row.clients, row.connections, row.total, leader_only=row.leader_only
        )
    if row.operation == "keep-alive":
        return cluster.measure_keep_alives(row.keys, row.clients, row.connections, row.total)
    if row.operation == "watch":
        return cluster.measure_watches(row.clients, WRITERS, WATCH_CONNECTIONS, row.total)
    return NOT_MEASURED


# --- ours -------------------------------------------------------------------------------------


def measure_own(cluster: LocalCluster, row: Row) -> Measurement:
    """A row on our nodes; the load comes from processes of its own."""
    addresses = tuple(f"tcp://{endpoint}" for endpoint in cluster.endpoints)
    pids = [node.pid for node in cluster.nodes.values()]
    match row.operation:
        case "watch":
            events, puts = _watching(row, addresses, row.total, WATCHING_PROCESSES)
            return measured([*events, puts], pids, events)
        case "watch-key":
            # What the watches cost is seen in the puts: each of them is an event of one watch.
            events, puts = _watching(row, addresses, row.total, 1)
            return measured([puts, *events], pids, [puts])
    part = Part(
        row.operation,
        addresses,
        row.clients,
        row.connections,
        row.total,
        row.keys,
        row.leader_only,
    )
    parts = split(part, min(PROCESSES_MAX, 1 + row.clients // CLIENTS_PER_PROCESS))
    return measured(parts, pids, parts)


def _watching(
    row: Row, addresses: tuple[str, ...], puts: int, processes: int
) -> tuple[list[Part], Part]:
    """The parts that watch, and the part that puts."""
    connections = WATCH_CONNECTIONS // processes
    watching = Part(row.operation, addresses, row.clients, connections, puts, row.keys)
    watches = split(watching, processes)
    # Each process sees every put.
    events = [part._replace(total=puts, connections=connections) for part in watches]
    return events, Part("watched put", addresses, WRITERS, WATCH_CONNECTIONS, puts, row.keys)
