"""What keys and users cost: puts and gets on a cluster that lets in everybody, and on guarded ones.

Four clusters stand beside each other, and have the same loads in turn, round by round: one that
lets in everybody; one that checks users, of which the load is one that may read and write a prefix;
one with keys of members and clients; and the same with two I/O threads of ZeroMQ in each node.
Sealing is the work of these threads. At the end members change their keys before the eyes of a
writer.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Final, NamedTuple, Self

from cluster import Client
from cluster.bench import workload
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

ROTATION_SECONDS: Final = 1.0
"""From one change of a key to the next."""


USER: Final = ("loader", "its password")


class Side(NamedTuple):
    """One of the clusters that are compared."""

    name: str
    has_keys: bool = False
    io_threads: int = 1
    has_users: bool = False


SIDES: Final = (
    Side("open"),
    Side("users", has_users=True),
    Side("keys", has_keys=True),
    Side("keys, 2 threads", has_keys=True, io_threads=2),
)


class Running(NamedTuple):
    """A cluster that runs: its addresses, with the keys of the nodes, and its processes."""

    addresses: tuple[str, ...]
    processes: tuple[int, ...]
    credentials: tuple[str, str] | None


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
        has_keys = [side.has_keys for side in SIDES]
        alone_ms, rotating_ms = _longest_waits_ms(clusters[has_keys.index(True)], rounds)
        say(
            f"one put after another, the longest wait: {alone_ms:.0f} ms, and {rotating_ms:.0f} ms"
            f" while members change their keys ({rounds * NODES} times)"
        )


def _measure(
    cluster: Running, kind: str, under_way: int, connections: int, total: int
) -> Measurement:
    part = Part(
        kind,
        cluster.addresses,
        under_way,
        connections,
        total,
        KEYS,
        credentials=cluster.credentials,
    )
    return measured([part], cluster.processes, [part])


def _longest_waits_ms(cluster: Running, rounds: int) -> tuple[float, float]:
    """The longest time without an acknowledged put: left alone, and while members change keys."""
    with Client(cluster.addresses, timeout=HANG_SECONDS) as client, Writer(cluster) as writer:
        writer.over.wait(rounds * NODES * ROTATION_SECONDS)
        alone_ms = writer.take_longest_ms()
        for _ in range(rounds):
            for member in client.member_list().members:
                client.member_rotate_key(member.id)
                writer.over.wait(ROTATION_SECONDS)
        return alone_ms, writer.take_longest_ms()


class Writer:
    """One put after another, by a thread of its own, until the block ends."""

    def __init__(self, cluster: Running) -> None:
        self.over = threading.Event()
        self._longest = 0.0
        self._thread = threading.Thread(target=self._write, args=(cluster.addresses,))

    def take_longest_ms(self) -> float:
        """The longest time between two acknowledged puts since the last call."""
        longest, self._longest = self._longest, 0.0
        return longest * 1_000

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        self._thread.join()

    def _write(self, addresses: Sequence[str]) -> None:
        with Client(addresses, timeout=HANG_SECONDS) as client:
            client.put("written", "")
            before = time.monotonic()
            while not self.over.is_set():
                client.put("written", "")
                now = time.monotonic()
                self._longest, before = max(self._longest, now - before), now


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
            if side.has_users:
                _check_users(client)
        credentials = USER if side.has_users else None
        yield Running(addresses, tuple(node.pid for node in nodes), credentials)


def _check_users(client: Client) -> None:
    """Have the cluster check users: root, and one who may read and write the keys of the load."""
    client.user_add("root", "unused")
    client.user_grant_role("root", "root")
    client.role_add("loading")
    client.role_grant_permission("loading", "READWRITE", workload.KEY_PREFIX, prefix=True)
    client.user_add(*USER)
    client.user_grant_role(USER[0], "loading")
    client.auth_enable()


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
