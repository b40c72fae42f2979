"""The two sides of a comparison through etcd's own clients: a real etcd, and a cluster of ours.

Owns their processes, and says which of them are fronts. Refuses to know what is compared.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

from cluster.launcher.local import LocalCluster
from cluster.processes import descendants
from tests.bench.etcd import EtcdCluster
from tests.limits import HANG_SECONDS

ALL: Final = ("--from-key", "--command-timeout=60s")


class Side(NamedTuple):
    """Addresses such as `127.0.0.1:2379`, and the processes behind them: all, and the fronts."""

    name: str
    addresses: tuple[str, ...]
    pids: tuple[int, ...]
    fronts: tuple[int, ...]


@contextmanager
def etcd(directory: Path, size: int) -> Iterator[Side]:
    """Nodes of the etcd in this directory, without a key; etcdctl is there, too."""
    with EtcdCluster(directory, size) as cluster:
        # To see that it is ready, keys were put.
        empty = [str(directory / "etcdctl"), f"--endpoints={cluster.endpoints}", "del", "", *ALL]
        subprocess.run(
            empty, env={**os.environ, "ETCDCTL_API": "3"}, check=True, stdout=subprocess.DEVNULL
        )
        yield Side("etcd", tuple(cluster.endpoints.split(",")), tuple(cluster.pids), ())


@contextmanager
def leasehold(size: int) -> Iterator[Side]:
    """Nodes of ours, each with its front."""
    with LocalCluster(size, front=True) as cluster:
        addresses = tuple(endpoint.rpartition("/")[2] for endpoint in cluster.endpoints)
        nodes = tuple(node.pid for node in cluster.nodes.values() if node.pid is not None)
        fronts = tuple(pid for node in nodes for pid in halves_of(node))
        yield Side("leasehold", addresses, nodes + fronts, fronts)


def halves_of(node: int) -> tuple[int, int]:
    """The two processes of a node's front: the keeper, and the one that serves; waits for both."""
    until = time.monotonic() + HANG_SECONDS
    while time.monotonic() < until:
        found = descendants(node)
        if len(found) == 2:
            return found[0], found[1]
    raise AssertionError("the node has no front")
