"""What keys cost: puts and gets on a cluster without keys, and on clusters whose links are sealed.

Three clusters stand beside each other, and have the same loads in turn, round by round: without
keys, with keys of members and clients, and the same with two I/O threads of ZeroMQ in each node.
Sealing is the work of these threads.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Final, NamedTuple

from cluster import Client
from cluster.curve import HeldKeys
from cluster.key_files import MEMBER, MEMBER_FILE, read, write_bootstrap
from cluster.launcher.ports import Ports
from tests.bench.generator import Part, measured
from tests.bench.measure import Measurement, median_of
from tests.limits import HANG_SECONDS
from tests.ports import free_ports

ROUNDS: Final = 4
KEYS: Final = 10_000
NODES: Final = 3
POLL_SECONDS: Final = 0.1

SIZES: Final = ((1, 1, 1_000), (64, 8, 20_000), (1_000, 8, 40_000))
"""Requests under way, connections, and requests of a round."""

PATIENT: Final = ("--heartbeat-interval=100", "--election-timeout=3000")
"""Nine nodes share the processors: no leader must be taken for dead while it waits for one."""

KINDS: Final = ("put", "get")


class Side(NamedTuple):
    """One of the clusters that are compared."""

    name: str
    has_keys: bool
    io_threads: int


SIDES: Final = (Side("no keys", False, 1), Side("keys", True, 1), Side("keys, 2 threads", True, 2))


class Running(NamedTuple):
    """A cluster that runs: its addresses, with the keys of the nodes, and its processes."""

    addresses: tuple[str, ...]
    processes: tuple[int, ...]


def run(rounds: int, scale: float, say: Callable[[str], None]) -> None:
    """Measure, and print a line for each load."""
    with ExitStack() as stack:
        clusters = [stack.enter_context(running(side)) for side in SIDES]
        say(f"{'':12}" + "".join(f"{side.name + ' /s':>20}{'p50 ms':>9}" for side in SIDES))
        for under_way, connections, count in SIZES:
            for kind in KINDS:
                total = max(under_way, int(count * scale))
                found: list[list[Measurement]] = [[] for _ in SIDES]
                for _ in range(rounds):
                    for cluster, figures in zip(clusters, found, strict=True):
                        figures.append(_measure(cluster, kind, under_way, connections, total))
                say(_line(f"{kind}, {under_way:,}", [median_of(figures) for figures in found]))


def _measure(
    cluster: Running, kind: str, under_way: int, connections: int, total: int
) -> Measurement:
    part = Part(kind, cluster.addresses, under_way, connections, total, KEYS)
    return measured([part], cluster.processes, [part])


def _line(name: str, sides: Sequence[Measurement]) -> str:
    first = sides[0].rate
    return f"{name:12}" + "".join(
        f"{f'{side.rate:,.0f} ({side.rate / first:.2f})':>20}{side.p50_ms:>9.2f}" for side in sides
    )


@contextmanager
def running(side: Side) -> Iterator[Running]:
    """Three nodes, until the block ends."""
    with tempfile.TemporaryDirectory(prefix="leasehold-keys-") as name, ExitStack() as stack:
        directory, ports = Path(name), free_ports(NODES)
        write_bootstrap(directory / "secret")
        nodes = [
            stack.enter_context(_node(side, directory, ports, number)) for number in range(NODES)
        ]
        pins = [""] * NODES
        if side.has_keys:
            pins = [_pin(node, directory / f"n{number}") for number, node in enumerate(nodes)]
        addresses = tuple(
            f"tcp://127.0.0.1:{its.client}{pin}" for its, pin in zip(ports, pins, strict=True)
        )
        with Client(addresses, timeout=HANG_SECONDS, dial_timeout=HANG_SECONDS) as client:
            client.put("ready", "yes")
        yield Running(addresses, tuple(node.pid for node in nodes))


@contextmanager
def _node(
    side: Side, directory: Path, ports: Sequence[Ports], number: int
) -> Iterator[subprocess.Popen[bytes]]:
    members = [f"n{each}=tcp://127.0.0.1:{its.peer}" for each, its in enumerate(ports)]
    client_url = f"tcp://127.0.0.1:{ports[number].client}"
    peer_url = f"tcp://127.0.0.1:{ports[number].peer}"
    secret = [f"--initial-cluster-key-file={directory / 'secret'}", "--client-keys"]
    flags = (
        f"--name=n{number}",
        f"--data-dir={directory / f'n{number}'}",
        f"--listen-client-urls={client_url}",
        f"--advertise-client-urls={client_url}",
        f"--listen-peer-urls={peer_url}",
        f"--initial-advertise-peer-urls={peer_url}",
        f"--initial-cluster={','.join(members)}",
        "--log-level=error",
        *PATIENT,
        *(secret if side.has_keys else ()),
    )
    command = (sys.executable, "-m", "tests.bench.threaded", str(side.io_threads), *flags)
    process = subprocess.Popen(command)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(HANG_SECONDS)


def _pin(node: subprocess.Popen[bytes], data_dir: Path) -> str:
    """`#KEY`, once the node has a key of its own."""
    path, deadline = data_dir / MEMBER_FILE, time.monotonic() + HANG_SECONDS
    while time.monotonic() < deadline:
        held = read(path, MEMBER) if path.exists() else None
        if held is not None and held == HeldKeys(held.pair):
            return f"#{held.pair.public}"
        with suppress(subprocess.TimeoutExpired):
            raise AssertionError(f"the node ended with status {node.wait(POLL_SECONDS)}")
    raise AssertionError("a node does not get a key of its own")
