"""What a slow disk costs those who do not wait for it: serializable gets, and the leader's place.

Three nodes whose syncs all take a time of their own, while 64 writers write as fast as they can and
one client at each node reads serializably. Without that time, the same load is the measure of it.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Final

from cluster.launcher.local import LocalCluster
from tests.bench.generator import Part, measured
from tests.bench.measure import Measurement, median_of
from tests.bench.turns import term
from tests.chaos.control import FaultServer, Layer
from tests.chaos.plans import DiskFault

SYNC_MS: Final = 20
ROUNDS: Final = 5
WRITERS: Final = 64
KEYS: Final = 10_000
PUTS: Final = 6_000
GETS: Final = 6_000
LAYER: Final = "slow disk"
TITLES: Final = f"{'a sync':12}{'puts/s':>10}{'get p50 ms':>12}{'p99 ms':>10}{'longest':>10}"


def run(sync_ms: int, rounds: int, scale: float, say: Callable[[str], None]) -> bool:
    """Measure, and print a line for each disk: medians of the rounds; whether no leader changed."""
    with (
        tempfile.TemporaryDirectory(prefix="leasehold-disk-") as place,
        closing(FaultServer(Path(place) / "faults")) as server,
        LocalCluster(command=server.node_command) as cluster,
    ):
        found: dict[int, list[tuple[Measurement, Measurement]]] = {0: [], sync_ms: []}
        before = term(cluster)
        for _ in range(rounds):
            for each, pairs in found.items():
                _impose(server, cluster, each)
                pairs.append(_measured(cluster, scale))
        after = term(cluster)
    say(TITLES)
    for each, pairs in found.items():
        say(_line(f"+ {each} ms" if each else "as it is", pairs))
    if after != before:
        say(f"the leader changed: term {before} to {after}")
    return after == before


def _line(name: str, pairs: list[tuple[Measurement, Measurement]]) -> str:
    puts, gets = (median_of(side) for side in zip(*pairs, strict=True))
    return f"{name:12}{puts.rate:10,.0f}{gets.p50_ms:12.2f}{gets.p99_ms:10.2f}{gets.max_ms:10.1f}"


def _impose(server: FaultServer, cluster: LocalCluster, sync_ms: int) -> None:
    server.lift(LAYER)
    for name in cluster.nodes:
        if sync_ms:
            server.impose(name, LAYER, Layer(DiskFault(sync_delay_ms=sync_ms)))
        assert server.wait_until_applied(name)


def _measured(cluster: LocalCluster, scale: float) -> tuple[Measurement, Measurement]:
    """The puts beside gets, and then the gets beside puts."""
    addresses = tuple(f"tcp://{endpoint}" for endpoint in cluster.endpoints)
    pids = [node.pid for node in cluster.nodes.values()]
    puts = Part("put", addresses, WRITERS, WRITERS, round(PUTS * scale), KEYS)
    gets = Part("sget", addresses, len(addresses), len(addresses), round(GETS * scale), KEYS)
    return measured([puts, gets], pids, [puts]), measured([puts, gets], pids, [gets])
