"""The load on our nodes, made by processes of their own, which begin at the same time.

A process is told its part of the load (`Part`) as JSON in its argument. It connects and prepares,
says that it is ready, begins when it is told to, and prints what it has measured (`Report`).
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from random import Random
from typing import Final, NamedTuple

from cluster.bench import load, watchers, workload
from cluster.bench.figures import Figures
from cluster.bench.wires import Wires
from cluster.client.relay import Relay, Target
from cluster.schemes import HTTPS, zeromq_url
from cluster.tls.asking import client_context
from cluster.tls.files import ARGUMENTS, ClientFiles
from tests.bench import aside
from tests.bench.measure import Measurement, cpu_seconds

VALUE_BYTES: Final = 256
LEASE_TTL_SECONDS: Final = 100
KEPT_TTL_SECONDS: Final = 600
FILL_CLIENTS: Final = 256
WATCHES: Final = {"watch": watchers.prefix_watches, "watch-key": watchers.key_watches}
DIAL_SECONDS: Final = 10.0


class Part(NamedTuple):
    """What one process does: `total` requests of a kind, `clients` of them under way at a time.

    `keys` is the number of keys (or of leases, for keep-alive). A kind that watches opens
    `clients` watches, and takes the events of `total` puts. `seed` differs between processes.
    `credentials` are a user's name and password. With `ca_cert`, the file of an authority, the
    addresses are `https://`.
    """

    kind: str
    addresses: tuple[str, ...]
    clients: int
    connections: int
    total: int
    keys: int
    leader_only: bool = False
    seed: int = 0
    credentials: tuple[str, str] | None = None
    ca_cert: str = ""


class Report(NamedTuple):
    """What one process did between two times of the monotonic clock; events count as answered."""

    began: float
    ended: float
    cpu_seconds: float
    answered: int
    latencies_ms: Sequence[float]


# --- the process that wants to know -----------------------------------------------------------


def measured(parts: Sequence[Part], nodes: Sequence[int], timed: Sequence[Part]) -> Measurement:
    """Have a process do each part, all at the same time; one measurement of them.

    The rate and the latencies are those of the `timed` parts. The time is that from the first
    beginning to the last end of these. `nodes` are the processes of the nodes.
    """
    with ExitStack() as stack:
        processes = [
            stack.enter_context(aside.start("tests.bench.generator", json.dumps(part)))
            for part in parts
        ]
        try:
            for process in processes:
                aside.wait_until_ready(process)
            before = cpu_seconds(nodes)
            for process in processes:
                assert process.stdin is not None
                process.stdin.write("\n")
                process.stdin.flush()
            printed = [process.communicate()[0] for process in processes]
            taken = cpu_seconds(nodes) - before
        finally:
            for process in processes:
                process.kill()
    assert all(printed), "a load generator failed"
    reports = [Report(*json.loads(text)) for text in printed]
    return merged(reports, [parts.index(part) for part in timed], taken)


def split(part: Part, processes: int) -> list[Part]:
    """The same load by several processes."""
    shares = [
        [number // processes + (each < number % processes) for each in range(processes)]
        for number in (part.clients, part.connections, part.total)
    ]
    return [
        part._replace(clients=clients, connections=connections, total=total, seed=each)
        for each, (clients, connections, total) in enumerate(zip(*shares, strict=True))
    ]


def merged(reports: Sequence[Report], timed: Sequence[int], node_seconds: float) -> Measurement:
    """One measurement of the reports with these numbers; the processor time is that of all."""
    counted = [reports[number] for number in timed]
    seconds = max(each.ended for each in counted) - min(each.began for each in reports)
    latencies = sorted(latency for each in counted for latency in each.latencies_ms)
    p50, p99, longest = (
        latencies[int((len(latencies) - 1) * percent / 100)] for percent in (50, 99, 100)
    )
    return Measurement(
        sum(each.answered for each in counted) / seconds,
        p50,
        p99,
        longest,
        node_seconds / seconds,
        sum(each.cpu_seconds for each in reports) / seconds,
    )


# --- the process that does it -----------------------------------------------------------------


def main(argument: str) -> None:
    """Do the part that the argument says."""
    kind, addresses, *rest = json.loads(argument)
    part = Part(kind, tuple(addresses), *rest)
    with (
        _plain(part) as addresses,
        Wires(
            addresses,
            part.connections,
            leader_only=part.leader_only,
            dial_seconds=DIAL_SECONDS,
            credentials=part.credentials,
        ) as wires,
    ):
        report = _done(part, wires)
    sys.stdout.write(json.dumps(report))


@contextmanager
def _plain(part: Part) -> Iterator[tuple[str, ...]]:
    """The addresses as ZeroMQ knows them: those inside TLS are reached through the tunnel of the
    Python client, a thread of this process."""
    if not part.ca_cert:
        yield tuple(zeromq_url(address) for address in part.addresses)
        return
    context = client_context(ClientFiles(ca_cert=part.ca_cert), ARGUMENTS)
    tunnel = Relay(context, on_news=lambda: None)
    try:
        places = [address.removeprefix(HTTPS).rpartition(":") for address in part.addresses]
        yield tuple(
            tunnel.open(Target(f"{host}:{port}", host, int(port), host)) for host, _, port in places
        )
    finally:
        tunnel.end()


def _done(part: Part, wires: Wires) -> Report:
    if part.kind == "watched put":
        puts = watchers.StampedPuts(wires, part.keys, part.total, part.clients, VALUE_BYTES)
        began, cpu = _begin()
        watchers.exchange(puts)
        return _report(began, cpu, puts.figures())
    if part.kind in WATCHES:
        watches = WATCHES[part.kind](wires, part.clients, part.total)
        began, cpu = _begin()
        watchers.exchange(watches)
        ended, latencies_ms = time.monotonic(), [1000 * each for each in watches.latencies]
        return Report(began, ended, time.process_time() - cpu, watches.events, latencies_ms)
    requests = _requests(part, wires)
    began, cpu = _begin()
    return _report(began, cpu, load.run(part.kind, wires, requests, part.total, part.clients))


def _requests(part: Part, wires: Wires) -> workload.Workload:
    random = Random(part.seed)
    match part.kind:
        case "put":
            return workload.puts(VALUE_BYTES, part.keys, random)
        case "get" | "sget":
            load.fill(wires, VALUE_BYTES, part.keys, FILL_CLIENTS)
            return workload.gets(part.kind == "sget", part.keys, random)
        case "txn":
            return workload.txns(VALUE_BYTES, part.keys, random)
        case "mixed":
            load.fill(wires, VALUE_BYTES, part.keys, FILL_CLIENTS)
            return workload.mixed(VALUE_BYTES, part.keys, random)
        case "lease":
            return workload.lease_grants(LEASE_TTL_SECONDS)
        case "keep-alive":
            ids = [
                wires.ask(op="lease_grant", TTL=KEPT_TTL_SECONDS)["ID"] for _ in range(part.keys)
            ]
            return workload.lease_keep_alives(ids, random)
    raise AssertionError(f"a load of no known kind: {part.kind}")


def _begin() -> tuple[float, float]:
    """Wait for the word; the time and the processor time when it came."""
    aside.say_ready()
    sys.stdin.readline()
    return time.monotonic(), time.process_time()


def _report(began: float, cpu: float, figures: Figures) -> Report:
    ended, cpu_seconds = time.monotonic(), time.process_time() - cpu
    assert not figures.errors, f"requests failed: {figures.errors}"
    # The latencies are rounded to a microsecond: they go through a pipe as text.
    latencies_ms = [round(each, 3) for each in figures.latencies_ms]
    return Report(began, ended, cpu_seconds, figures.answered, latencies_ms)


if __name__ == "__main__":
    main(sys.argv[1])
