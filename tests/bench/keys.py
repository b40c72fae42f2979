"""What keys, users and TLS cost: puts and gets on an open cluster, and on guarded ones.

Clusters stand beside each other, and have the same loads in turn, in another order each round. The
client is one of ZeroMQ: one process that only makes the load. Inside TLS it has the tunnel of
`cluster.Client`, in the same process, and talks to the node's front, which is a process more; so
there is a cluster with fronts and without TLS, too. At the end members with keys change them before
the eyes of a writer.
"""

from __future__ import annotations

import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path
from statistics import median
from typing import Final, NamedTuple, Self

from cluster import Client
from cluster.bench import workload
from cluster.curve import HeldKeys
from cluster.key_files import MEMBER, MEMBER_FILE, read, write_bootstrap
from cluster.launcher.ports import Ports
from cluster.processes import descendants
from cluster.schemes import HTTP, HTTPS, TCP
from tests.bench.generator import Part, measured
from tests.bench.measure import Measurement, median_of, shown
from tests.certificates import Authority
from tests.limits import HANG_SECONDS, PATIENT, UNHURRIED
from tests.ports import free_ports

ROUNDS: Final = 4
KEYS: Final = 10_000
NODES: Final = 3
POLL_SECONDS: Final = 0.1

SIZES: Final = ((1, 1, 1_000), (64, 8, 20_000), (1_000, 8, 40_000))
"""Requests under way, connections, and requests of a round. One alone is the leader's."""

KINDS: Final = ("put", "get")

ROTATION_SECONDS: Final = 1.0
"""From one change of a key to the next."""

USER: Final = ("loader", "its password")


class Side(NamedTuple):
    """One of the clusters that are compared; `scheme` is that of its clients' addresses."""

    name: str
    has_keys: bool = False
    has_users: bool = False
    scheme: str = TCP


SIDES: Final = (
    Side("open"),
    Side("users", has_users=True),
    Side("keys", has_keys=True),
    Side("front", scheme=HTTP),
    Side("TLS", scheme=HTTPS),
)


class Running(NamedTuple):
    """A cluster that runs: its addresses, with the keys of the nodes, and its processes.

    `credentials` and `ca_cert` are what its clients need, beside the addresses.
    """

    addresses: tuple[str, ...]
    processes: tuple[int, ...]
    credentials: tuple[str, str] | None
    ca_cert: str


def side_named(name: str) -> Side:
    """The side with this name; ValueError: there is none."""
    for side in SIDES:
        if side.name == name:
            return side
    raise ValueError(f"no side {name}")


def run(rounds: int, scale: float, sides: Sequence[Side], say: Callable[[str], None]) -> None:
    """Measure, and print a line for each load on each side; the first side is the measure."""
    with ExitStack() as stack:
        clusters = [stack.enter_context(running(side)) for side in sides]
        say(HEADING)
        for under_way, connections, count in SIZES:
            total = max(under_way, int(count * scale))
            for kind in KINDS:
                part = Part(kind, (), under_way, connections, total, KEYS, under_way == 1)
                found = _rounds(clusters, part, rounds)
                for side, line in zip(sides, lines(found), strict=True):
                    say(f"{kind}, {under_way:<7,}{side.name:7}{line}")
        for line in EXPLAINED:
            say(line)
        for side, cluster in zip(sides, clusters, strict=True):
            if side.has_keys:
                _rotate(cluster, rounds, say)


def _rotate(cluster: Running, rounds: int, say: Callable[[str], None]) -> None:
    alone_ms, rotating_ms = _longest_waits_ms(cluster, rounds)
    say(
        f"one put after another, the longest wait: {alone_ms:.0f} ms, and {rotating_ms:.0f} ms"
        f" while members change their keys ({rounds * NODES} times)"
    )


COLUMNS: Final = {"/s": 9, "ratio": 7, "p50 ms": 9, "p99 ms": 9, "nodes": 7, "load": 6, "us": 8}
"""The figures of a line, and how wide each is."""

HEADING: Final = " " * 19 + "".join(f"{name:>{width}}" for name, width in COLUMNS.items())
EXPLAINED: Final = (
    "ratio: to the first side's rate in the same round. nodes, load: the cores that were busy with",
    "nodes and fronts, and with the process that makes the load, which is the limit near 1.",
    "us: of the nodes' and fronts' processors, a request.",
)


def lines(found: Sequence[Sequence[Measurement]]) -> Iterator[str]:
    """The figures of each side, medians of its rounds; the first side is the measure."""
    for rounds in found:
        side = median_of(rounds)
        ratio = median(each.rate / first.rate for each, first in zip(rounds, found[0], strict=True))
        nodes_us = median(each.node_cores / each.rate * 1e6 for each in rounds)
        figures = (
            (side.rate, ",.0f"),
            (ratio, ".2f"),
            (side.p50_ms, ".2f"),
            (side.p99_ms, ".2f"),
            (side.node_cores, ".2f"),
            (side.load_cores, ".2f"),
            (nodes_us, ".1f"),
        )
        columns = zip(figures, COLUMNS.values(), strict=True)
        yield "".join(shown(number, width, form) for (number, form), width in columns)


def _rounds(clusters: Sequence[Running], load: Part, rounds: int) -> list[list[Measurement]]:
    """The measurements of each cluster, in turn; each round begins with another one."""
    found: list[list[Measurement]] = [[] for _ in clusters]
    for first in range(rounds):
        for step in range(len(clusters)):
            at = (first + step) % len(clusters)
            found[at].append(_measure(clusters[at], load))
    return found


def _measure(cluster: Running, load: Part) -> Measurement:
    part = load._replace(
        addresses=cluster.addresses, credentials=cluster.credentials, ca_cert=cluster.ca_cert
    )
    return measured([part], cluster.processes, [part])


def _longest_waits_ms(cluster: Running, rounds: int) -> tuple[float, float]:
    """The longest time without an acknowledged put: left alone, and while members change keys."""
    with Client(cluster.addresses, **PATIENT) as client, Writer(cluster) as writer:
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
        with Client(addresses, **PATIENT) as client:
            client.put("written", "")
            before = time.monotonic()
            while not self.over.is_set():
                client.put("written", "")
                now = time.monotonic()
                self._longest, before = max(self._longest, now - before), now


@contextmanager
def running(side: Side) -> Iterator[Running]:
    """Three nodes, until the block ends."""
    with tempfile.TemporaryDirectory(prefix="leasehold-keys-") as name, ExitStack() as stack:
        directory, ports = Path(name), free_ports(NODES)
        write_bootstrap(directory / "secret")
        authority = Authority(directory)
        authority.issue("server")
        nodes = [
            stack.enter_context(_node(side, directory, ports, number)) for number in range(NODES)
        ]
        pins = [""] * NODES
        if side.has_keys:
            pins = [_pin(node, directory / f"n{number}") for number, node in enumerate(nodes)]
        for node, its in zip(nodes, ports, strict=True):
            _until(node, partial(_listens, its.client), "does not serve clients")
        addresses = tuple(
            f"{side.scheme}127.0.0.1:{its.client}{pin}"
            for its, pin in zip(ports, pins, strict=True)
        )
        ca_cert = str(authority.cert) if side.scheme == HTTPS else ""
        with Client(addresses, **PATIENT, ca_cert=ca_cert) as client:
            client.put("ready", "yes")
            if side.has_users:
                _check_users(client)
        credentials = USER if side.has_users else None
        processes = [node.pid for node in nodes]
        fronts = [pid for node in processes for pid in descendants(node)]
        yield Running(addresses, (*processes, *fronts), credentials, ca_cert)


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
    client_url = f"{side.scheme}127.0.0.1:{ports[number].client}"
    peer_url = f"tcp://127.0.0.1:{ports[number].peer}"
    secret = (f"--initial-cluster-key-file={directory / 'secret'}", "--client-keys")
    pair = (f"--cert-file={directory / 'server.crt'}", f"--key-file={directory / 'server.key'}")
    flags = (
        f"--name=n{number}",
        f"--data-dir={directory / f'n{number}'}",
        f"--listen-client-urls={client_url}",
        f"--advertise-client-urls={client_url}",
        f"--listen-peer-urls={peer_url}",
        f"--initial-advertise-peer-urls={peer_url}",
        f"--initial-cluster={','.join(members)}",
        "--log-level=error",
        *UNHURRIED,
        *(secret if side.has_keys else ()),
        *(pair if side.scheme == HTTPS else ()),
    )
    process = subprocess.Popen((sys.executable, "-m", "actors", *flags))
    try:
        yield process
    finally:
        process.terminate()
        process.wait(HANG_SECONDS)


def _pin(node: subprocess.Popen[bytes], data_dir: Path) -> str:
    """`#KEY`, once the node has a key of its own."""
    path = data_dir / MEMBER_FILE
    _until(node, lambda: _has_own_key(path), "gets no key of its own")
    return f"#{read(path, MEMBER).pair.public}"


def _has_own_key(path: Path) -> bool:
    held = read(path, MEMBER) if path.exists() else None
    return held is not None and held == HeldKeys(held.pair)


def _listens(port: int) -> bool:
    """Whether somebody takes connections: a front does when its node serves."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _until(node: subprocess.Popen[bytes], is_so: Callable[[], bool], complaint: str) -> None:
    deadline = time.monotonic() + HANG_SECONDS
    while not is_so():
        assert time.monotonic() < deadline, f"a node {complaint}"
        with suppress(subprocess.TimeoutExpired):
            raise AssertionError(f"the node ended with status {node.wait(POLL_SECONDS)}")
