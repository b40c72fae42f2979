"""The load generator against a real node: it counts right, and says what went wrong."""

from __future__ import annotations

import json
from array import array
from collections.abc import Iterator
from random import Random

import pytest

from cluster import Client, UnavailableError, wire
from cluster.bench import load, watchers, workload
from cluster.bench.figures import Figures, figures_of
from cluster.bench.wires import Wires
from cluster.errors import ProtocolError
from cluster.launcher.local import LocalCluster
from tests.bench.commands import leasectl


@pytest.fixture(scope="module")
def cluster() -> Iterator[LocalCluster]:
    with LocalCluster(1) as single:
        yield single


@pytest.fixture
def wires(cluster: LocalCluster) -> Iterator[Wires]:
    with Wires([f"tcp://{cluster.endpoints[0]}"], 3) as connected:
        yield connected


def test_percentiles_are_those_of_the_latencies() -> None:
    figures = figures_of("x", 2.0, array("d", (number / 1000 for number in range(100, 0, -1))), {})
    assert figures.rate == 50
    assert [round(figures.percentile(percent)) for percent in (0, 50, 99, 100)] == [1, 50, 99, 100]
    assert figures.line().startswith("x: 50/s   p50 50.00 ms   p90 90.00 ms   p99 99.00 ms")


def test_figures_of_a_run_in_which_all_failed_are_zero_and_name_the_error() -> None:
    figures = Figures("x", 1.0, array("d"), {"too many": 3})
    assert (figures.rate, figures.percentile(99)) == (0, 0)
    assert figures.line().endswith("3 failed: too many")


@pytest.mark.parametrize("outstanding", [1, 7, 500])
def test_run_sends_exactly_as_many_requests_as_it_was_told(
    cluster: LocalCluster, wires: Wires, outstanding: int
) -> None:
    with Client(cluster.endpoints) as client:
        before = client.put("mark", "x").header.revision
        figures = load.run("put", wires, workload.puts(10, 50, Random(1)), 300, outstanding)
        assert figures.answered == len(figures.latencies_ms) == 300
        assert client.put("mark", "x").header.revision == before + 301


def test_fill_puts_every_key_once_and_not_again(cluster: LocalCluster, wires: Wires) -> None:
    with Client(cluster.endpoints) as client:
        client.delete(workload.KEY_PREFIX, prefix=True)
        load.fill(wires, 20, 123, 16)
        found = client.range(workload.KEY_PREFIX, prefix=True)
        load.fill(wires, 20, 123, 16)
        assert client.range(workload.KEY_PREFIX, prefix=True).kvs == found.kvs
    assert [kv.key for kv in found] == [workload.key_name(number) for number in range(123)]
    assert {(len(kv.value), kv.version) for kv in found} == {(20, 1)}


def test_errors_are_counted_by_their_text_and_end_nothing(wires: Wires) -> None:
    missing = workload.Workload({"op": "put", "lease": 4711}, "key", (b"\xa1k",))
    figures = load.run("bad", wires, missing, 40, 8)
    assert figures.errors == {"etcdserver: requested lease not found": 40}
    assert figures.answered == 0


@pytest.mark.parametrize("kind", ["txns", "mixed"])
def test_requests_with_several_fields_that_vary_are_understood(
    cluster: LocalCluster, wires: Wires, kind: str
) -> None:
    with Client(cluster.endpoints) as client:
        load.fill(wires, 10, 50, 8)
        before = client.put("mark", "x").header.revision
        requests = getattr(workload, kind)(10, 50, Random(1))
        figures = load.run(kind, wires, requests, 200, 7)
        written = client.put("mark", "x").header.revision - before - 1
    assert (figures.answered, figures.errors) == (200, {})
    expected = range(200, 201) if kind == "txns" else range(15, 80)
    assert written in expected, "a transaction always puts, a mixed load one time in five"


def test_mixed_load_asks_for_the_first_keys_most_often() -> None:
    bodies = workload.mixed(1, 1_000, Random(0)).bodies
    counts = [sum(workload.key_name(number) in body for body in bodies) for number in (0, 9, 900)]
    assert counts[0] > 5 * counts[1] > 25 * counts[2] > 0


def test_each_watch_of_a_key_gets_the_events_of_its_key(
    cluster: LocalCluster, wires: Wires
) -> None:
    watches = watchers.key_watches(wires, 50, 200)
    with Wires([f"tcp://{cluster.endpoints[0]}"], 2) as putting:
        puts = watchers.StampedPuts(putting, 50, 200, 8, 20)
        watchers.exchange(puts, watches)
    assert (watches.events, puts.figures().answered) == (200, 200)


def test_bookmark_is_not_taken_for_the_end_of_a_watch(wires: Wires) -> None:
    watches = watchers.prefix_watches(wires, 1, 1)
    watches.take(wire.pack({"header": {}, "watch_id": -1, "events": []}))
    assert watches.events == 0
    with pytest.raises(ProtocolError, match="a watch ended: compacted"):
        watches.take(
            wire.pack({"header": {}, "watch_id": 1, "canceled": True, "cancel_reason": "compacted"})
        )


def test_each_watcher_gets_every_event(cluster: LocalCluster, wires: Wires) -> None:
    with Wires([f"tcp://{cluster.endpoints[0]}"], 2) as putting:
        figures = watchers.run(wires, putting, 10, 200, 16, 100)
    assert figures.events == 2000
    assert len(figures.latency.latencies_ms) == 200
    assert figures.puts.answered == 200


def test_endpoint_where_nobody_listens_is_named() -> None:
    with pytest.raises(UnavailableError, match=r"no answer from tcp://127\.0\.0\.1:1 within"):
        Wires(["tcp://127.0.0.1:1"], 1, dial_seconds=0.05)


@pytest.mark.parametrize(
    "command", ["put", "get", "sget", "txn", "mixed", "lease-grant", "lease-keep-alive"]
)
def test_command_prints_figures(cluster: LocalCluster, command: str) -> None:
    result = leasectl(cluster, "bench", command, "--total=200", "--clients=8", "-w", "json")
    assert result.returncode == 0, result.stderr
    figures = json.loads(result.stdout)
    assert (figures["name"], figures["requests"], figures["errors"]) == (command, 200, {})
    assert 0 < figures["latency_ms"]["p50"] <= figures["latency_ms"]["max"]


@pytest.mark.parametrize("output", ["simple", "json"])
def test_command_whose_requests_fail_prints_figures_and_ends_with_the_error(
    cluster: LocalCluster, output: str
) -> None:
    result = leasectl(
        cluster, "bench", "put", "--total=3", "--clients=2", "--val-size=2000000", "-w", output
    )
    assert result.returncode == 1
    assert "etcdserver: request is too large" in result.stdout
    assert result.stderr == "Error: 3 of 3 requests failed: etcdserver: request is too large\n"


def test_watch_command_prints_puts_and_events(cluster: LocalCluster) -> None:
    result = leasectl(cluster, "bench", "watch", "--total=50", "--clients=4", "--watchers=5")
    assert result.returncode == 0, result.stderr
    puts, events = result.stdout.splitlines()
    assert puts.startswith("watched put: ") and "(50 in " in puts
    assert events.startswith("events: ") and "(250 in " in events


def test_option_out_of_range_is_refused(cluster: LocalCluster) -> None:
    result = leasectl(cluster, "bench", "put", "--clients=0")
    assert result.returncode == 1
    assert result.stderr == ('Error: invalid argument "0" for "--clients" flag: not 1 to 100000\n')
