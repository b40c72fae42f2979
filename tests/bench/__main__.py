"""`python -m tests.bench etcd DIR`: the same loads on etcd and on this project, side by side.

Runs etcd, leasehold, etcd, leasehold... one at a time on an otherwise idle machine, and prints the
medians of all rounds. DIR holds the binaries `etcd` and `etcd_load` (see tests/bench/etcd.py).
`python -m tests.bench million DIR`: what a million keys take, on both.
`python -m tests.bench expiry`: what the end of very many leases at once costs everybody else.
`python -m tests.bench disk`: what a million overwrites take on disk; fails if it grows.
`python -m tests.bench calls`: how many calls a put and a get cost, on the leader and a follower;
fails above the bars in its table.
"""

from __future__ import annotations

import argparse
import sys
from collections import defaultdict
from pathlib import Path
from random import Random
from typing import Final

from cluster.bench import load, workload
from cluster.bench.wires import Wires
from cluster.launcher.local import LocalCluster
from tests.bench import calls, disk, expiry, million
from tests.bench.etcd import EtcdCluster
from tests.bench.measure import Measurement, median_of, table
from tests.guard import end_all_with_this_process

CLIENTS: Final = {1: 1_500, 64: 20_000, 1_000: 40_000}
"""Requests under way at a time -> how many in all."""

CONNECTIONS: Final = 100
VALUE_BYTES: Final = 256
KEY_SPACE: Final = 10_000

Runs = dict[tuple[str, int], list[Measurement]]


def main() -> int:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    comparing = commands.add_parser("etcd", help="compare with a real etcd")
    comparing.add_argument("directory", type=Path, help="where the binaries are")
    comparing.add_argument("--rounds", type=int, default=3)
    comparing.add_argument("--operations", default="put,get", help="of put,get,sget,lease")
    filling = commands.add_parser("disk", help="overwrite a few keys, and see that space is flat")
    filling.add_argument("--writes", type=int, default=1_000_000)
    filling.add_argument("--every", type=int, default=100_000, help="writes between two rows")
    many = commands.add_parser("million", help="load a million keys on both, and look")
    many.add_argument("directory", type=Path, help="where the binaries are")
    many.add_argument("--keys", type=int, default=million.KEYS)
    ending = commands.add_parser("expiry", help="have very many leases end at once, and look")
    ending.add_argument("--leases", type=int, default=expiry.LEASES)
    counting = commands.add_parser("calls", help="count the calls of puts and gets")
    counting.add_argument("--top", type=int, default=0, help="functions to show for each row")
    options = parser.parse_args()
    if options.command == "calls":
        return 0 if calls.run(_say, options.top) else 1
    if options.command == "disk":
        return 0 if disk.run(options.writes, options.every, _say) else 1
    if options.command == "million":
        million.run(options.directory, options.keys, _say)
        return 0
    if options.command == "expiry":
        expiry.run(options.leases, _say)
        return 0
    return _compare(options)


def _compare(options: argparse.Namespace) -> int:
    etcd: Runs = defaultdict(list)
    own: Runs = defaultdict(list)
    operations = options.operations.split(",")
    for number in range(1, options.rounds + 1):
        with EtcdCluster(options.directory) as cluster:
            for operation, clients in _plan(operations):
                etcd[operation, clients].append(_measure_etcd(cluster, operation, clients))
        with LocalCluster() as local:
            for operation, clients in _plan(operations):
                own[operation, clients].append(_measure(local, operation, clients))
        _say(f"round {number} of {options.rounds}")
        rows = [(*key, median_of(etcd[key]), median_of(own[key])) for key in _plan(operations)]
        _say(*table(rows))
    return 0


def _plan(operations: list[str]) -> list[tuple[str, int]]:
    return [(operation, clients) for operation in operations for clients in CLIENTS]


def _measure_etcd(cluster: EtcdCluster, operation: str, clients: int) -> Measurement:
    # One client talks to the leader on both sides: else its figure is a matter of luck.
    connections = min(clients, CONNECTIONS)
    return cluster.measure(
        operation, clients, connections, CLIENTS[clients], leader_only=clients == 1
    )


def _measure(cluster: LocalCluster, operation: str, clients: int) -> Measurement:
    random = Random(clients)
    loads = {
        "put": workload.puts(VALUE_BYTES, KEY_SPACE, random),
        "get": workload.gets(False, KEY_SPACE, random),
        "sget": workload.gets(True, KEY_SPACE, random),
        "lease": workload.lease_grants(100),
    }
    addresses = [f"tcp://{endpoint}" for endpoint in cluster.endpoints]
    with Wires(addresses, min(clients, CONNECTIONS), leader_only=clients == 1) as wires:
        figures = load.run(operation, wires, loads[operation], CLIENTS[clients], clients)
    assert not figures.errors, f"requests failed: {figures.errors}"
    return Measurement(
        figures.rate, figures.percentile(50), figures.percentile(99), figures.percentile(100)
    )


def _say(*lines: str) -> None:
    sys.stdout.writelines(f"{line}\n" for line in lines)
    sys.stdout.flush()


if __name__ == "__main__":
    end_all_with_this_process()
    sys.exit(main())
