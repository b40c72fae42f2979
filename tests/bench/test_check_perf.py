"""`leasectl check`: what it says of figures, and short checks of a real node."""

from __future__ import annotations

import re
from array import array
from collections.abc import Iterator
from random import Random

import pytest

from cluster import Client
from cluster.bench import paced, workload
from cluster.bench.figures import Figures
from cluster.bench.wires import Wires
from cluster.cli.check import LOADS, verdict
from cluster.cli.datascale import SCALES
from cluster.cli.progress_line import ProgressLine
from cluster.launcher.local import LocalCluster
from tests.bench.commands import leasectl
from tests.limits import HANG_SECONDS


def figures(*latencies_ms: float, seconds: float = 1.0, **errors: int) -> Figures:
    """Of a run with these latencies."""
    return Figures("x", seconds, array("d", sorted(latencies_ms)), errors)


@pytest.mark.quick
def test_cluster_that_keeps_up_passes() -> None:
    assert verdict(figures(*[10] * 75, *[30] * 75), 150) == (
        [
            "PASS: Throughput is 151 writes/s",
            "PASS: Slowest request took 0.030000s",
            "PASS: Stddev is 0.010000s",
            "PASS",
        ],
        True,
    )


@pytest.mark.quick
def test_nine_tenths_of_the_writes_are_too_few_and_a_little_more_is_enough() -> None:
    lines, is_enough = verdict(figures(*[1] * 135), 150)
    assert (lines[0], lines[-1], is_enough) == (
        "FAIL: Throughput too low: 136 writes/s",
        "FAIL",
        False,
    )
    assert verdict(figures(*[1] * 136), 150)[1]


@pytest.mark.quick
def test_slow_and_uneven_requests_fail() -> None:
    slow, _ = verdict(figures(*[1] * 150, 500.5), 150)
    assert "Slowest request took too long: 0.500500s" in slow
    assert slow[-1] == "FAIL"
    uneven, is_enough = verdict(figures(*[1] * 75, *[300] * 75), 150)
    assert "Stddev too high: 0.149500s" in uneven
    assert not is_enough


@pytest.mark.quick
def test_errors_fail_and_are_named() -> None:
    lines, is_enough = verdict(figures(*[1] * 150, full=3), 150)
    assert lines[:2] == ["FAIL: too many errors", "FAIL: ERROR(full) -> 3"]
    assert not is_enough


@pytest.mark.quick
def test_run_without_any_answer_fails() -> None:
    lines, is_enough = verdict(figures(), 150)
    assert (lines[0], is_enough) == ("FAIL: Throughput too low: 1 writes/s", False)


@pytest.mark.quick
def test_loads_have_short_and_long_names() -> None:
    assert list(LOADS) == ["s", "small", "m", "medium", "l", "large", "xl", "xLarge"]
    assert LOADS["xl"] == LOADS["xLarge"] == (15_000, 1_000)
    assert SCALES.keys() == LOADS.keys()
    assert SCALES["m"] == SCALES["medium"] == (100_000, 200)


@pytest.mark.quick
def test_a_person_sees_a_bar_and_a_pipe_sees_none(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ProgressLine("keys", 4).end(4)
    assert capsys.readouterr().err == ""
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    progress = ProgressLine("keys", 2_000)
    progress.show(500)
    progress.end(2_000)
    ProgressLine("keys").end(7)
    assert capsys.readouterr().err == (
        "\r[#####               ] 500 of 2,000 keys"
        "\r[####################] 2,000 of 2,000 keys\n"
        "\r7 keys\n"
    )


# --- a real node ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def cluster() -> Iterator[LocalCluster]:
    with LocalCluster(1) as single:
        yield single


def test_pace_is_never_above_the_rate(cluster: LocalCluster) -> None:
    heard: list[int] = []
    with Wires([f"tcp://{cluster.endpoints[0]}"], 3) as wires:
        puts = workload.puts(10, 50, Random(1))
        result = paced.run("paced", wires, puts, 100, 5, 1.2, heard.append)
    assert result.errors == {}
    assert 0 < result.answered <= 121
    assert result.seconds >= 1.2
    assert heard == sorted(set(heard))


def test_errors_of_a_paced_load_are_counted_and_free_their_slots(cluster: LocalCluster) -> None:
    missing = workload.Workload({"op": "put", "lease": 4711}, "key", (b"\xa1k",))
    with Wires([f"tcp://{cluster.endpoints[0]}"], 1) as wires:
        result = paced.run("bad", wires, missing, 200, 1, 0.2)
    assert result.answered == 0
    assert result.errors["etcdserver: requested lease not found"] > 1


def test_check_says_its_verdict_and_leaves_no_key(cluster: LocalCluster) -> None:
    result = leasectl(cluster, "check", "perf", "--duration=0.5", "--auto-compact", "--auto-defrag")
    compacting, compacted, defragmenting, defragmented, *lines = result.stdout.splitlines()
    assert compacting.removeprefix("Compacting") == compacted.removeprefix("Compacted")
    endpoint = cluster.endpoints[0]
    assert (defragmenting, defragmented) == (
        f'Defragmenting "{endpoint}"',
        f'Defragmented "{endpoint}"',
    )
    # How fast the machine is, is not judged here; but the verdict and the status must agree.
    assert (lines[-1], result.returncode) in (("PASS", 0), ("FAIL", 1)), result.stderr
    assert lines[-2].startswith(("PASS: Stddev is ", "Stddev too high: "))
    with Client(cluster.endpoints) as client:
        assert client.range("/etcdctl-check-perf/", prefix=True).count == 0


def test_many_keys_are_put_and_deleted_and_their_memory_is_told(cluster: LocalCluster) -> None:
    result = leasectl(cluster, "check", "datascale", "--keys=1200", "--auto-compact")
    began, compacting, compacted, told = result.stdout.splitlines()
    assert began == (
        "Start data scale check for work load [1200 key-value pairs, 1024 bytes per key-value,"
        " 50 concurrent clients]."
    )
    assert compacting.removeprefix("Compacting") == compacted.removeprefix("Compacted")
    assert re.fullmatch(r"PASS: Approximate system memory used : -?\d+\.\d\d MB\.", told)
    assert (result.returncode, result.stderr) == (0, "")
    revision = int(compacted.rpartition(" ")[2])
    with Client(cluster.endpoints) as client:
        assert client.range("/etcdctl-check-datascale/", prefix=True).count == 0
        deleted = client.watch(b"/", from_key=True, start_revision=revision).get(HANG_SECONDS)
    assert deleted.type == "DELETE"
    assert len(deleted.kv.key) == len("/etcdctl-check-datascale/") + 512


@pytest.mark.parametrize("check", ["perf", "datascale"])
def test_prefix_with_keys_is_refused_and_left_alone(cluster: LocalCluster, check: str) -> None:
    with Client(cluster.endpoints) as client:
        client.put("/mine/a", "1")
        result = leasectl(cluster, "check", check, "--prefix=/mine/")
        assert client.get("/mine/a") is not None
    assert (result.returncode, result.stdout) == (3, "")
    assert result.stderr == (
        "Error: prefix \"/mine/\" has keys. Delete with 'leasectl del --prefix /mine/' first\n"
    )
