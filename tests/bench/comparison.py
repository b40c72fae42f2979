"""`python -m tests.bench etcd DIR`: the same loads on etcd and on this project, side by side.

Runs etcd, leasehold, etcd, leasehold... one cluster at a time on an otherwise idle machine, and
prints the medians of all rounds. DIR holds etcd and its load programs (see tests/bench/etcd.py).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Final, NamedTuple

from cluster.launcher.local import LocalCluster
from tests.bench import million, plot
from tests.bench.etcd import EtcdCluster
from tests.bench.measure import Measurement, median_of, table
from tests.bench.rows import ROWS, Row, chosen, measure_etcd, measure_own

KEYS_ROW: Final = "keys"
"""The word for what a store of KEYS keys takes: a table of its own."""

KEYS: Final = 300_000

Runs = dict[str, list[Measurement]]


class Plan(NamedTuple):
    """What is measured: `scale` multiplies the number of requests, and of keys."""

    binaries: Path
    rounds: int
    rows: Sequence[Row]
    with_keys: bool
    scale: float

    @property
    def keys(self) -> int:
        """How many keys are loaded for the table of their own."""
        return max(1, round(KEYS * self.scale))


def plan(binaries: Path, rounds: int, words: Sequence[str], scale: float) -> Plan:
    """The plan of these words (see `chosen`), of which `keys` is one; without words, everything."""
    rows = chosen([word for word in words if word != KEYS_ROW]) if words else list(ROWS)
    scaled = [row.scaled(scale) for row in rows]
    return Plan(binaries, rounds, scaled, not words or KEYS_ROW in words, scale)


def run(todo: Plan, say: Callable[[str], None], plot_file: Path | None = None) -> None:
    """Measure, and print after each round what is known by then."""
    etcd: Runs = defaultdict(list)
    own: Runs = defaultdict(list)
    etcd_keys: list[million.Figures] = []
    own_keys: list[million.Figures] = []
    for number in range(1, todo.rounds + 1):
        for nodes in sorted({row.nodes for row in todo.rows}):
            _measure_rows(todo, nodes, etcd, own)
        if todo.with_keys:
            etcd_keys.append(_keys_of_etcd(todo))
            own_keys.append(_keys_of_own(todo))
        say(f"round {number} of {todo.rounds}")
        if todo.rows:
            rows = [
                (row.name, median_of(etcd[row.name]), median_of(own[row.name])) for row in todo.rows
            ]
            for line in table(rows):
                say(line)
        if todo.with_keys:
            say(f"{todo.keys:,} keys")
            for line in million.table(_medians(etcd_keys), _medians(own_keys)):
                say(line)
    if plot_file is not None:
        points = {
            (row.operation, row.clients): (median_of(etcd[row.name]), median_of(own[row.name]))
            for row in todo.rows
            if row.nodes == ROWS[0].nodes
        }
        plot_file.write_text(plot.svg(points), encoding="utf-8")


def _measure_rows(todo: Plan, nodes: int, etcd: Runs, own: Runs) -> None:
    """One round of the rows on clusters of this size."""
    rows = [row for row in todo.rows if row.nodes == nodes]
    with EtcdCluster(todo.binaries, nodes) as cluster:
        for row in rows:
            etcd[row.name].append(measure_etcd(cluster, row))
    with LocalCluster(nodes) as local:
        for row in rows:
            own[row.name].append(measure_own(local, row))


def _keys_of_etcd(todo: Plan) -> million.Figures:
    with EtcdCluster(todo.binaries) as cluster:
        return million.measure_etcd(cluster, todo.keys)


def _keys_of_own(todo: Plan) -> million.Figures:
    with LocalCluster() as local:
        return million.measure_own(local, todo.keys)


def _medians(rounds: Sequence[million.Figures]) -> million.Figures:
    return million.Figures(*(median(values) for values in zip(*rounds, strict=True)))
