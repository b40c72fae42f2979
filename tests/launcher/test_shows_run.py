"""A tour, chaos and a load of real clusters, shortened."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from cluster.launcher.local import IMPORT_ROOT, LocalCluster
from cluster.launcher.report import reading
from cluster.launcher.shows.load import BackgroundLoad
from cluster.processes import is_readable
from tests.limits import HANG_SECONDS

pytestmark = pytest.mark.process


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    """`run_cluster.py` with these arguments, to its end."""
    return subprocess.run(
        [sys.executable, str(IMPORT_ROOT / "run_cluster.py"), *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=HANG_SECONDS,
        check=False,
    )


def test_a_tour_shows_what_it_says_and_exits_well(tmp_path: Path) -> None:
    steps = ("election", "replication", "partition", "lease")
    done = run("tour", "--yes", *steps, "--data-dir", str(tmp_path / "data"))
    assert done.returncode == 0, done.stdout + done.stderr
    told = reading.read(tmp_path / "data" / "events.jsonl")
    narrated = [each.text for each in told if each.kind == "narrated"]
    for number, step in enumerate(steps, start=1):
        assert f"--- {number} of {len(steps)}: {step} ---" in narrated
    refused = [each for each in narrated if "does not acknowledge it" in each]
    assert len(refused) == 1
    verdict = next(each for each in told if each.kind == "verdict")
    assert verdict.fields["passed"] and "4 steps" in verdict.text
    assert verdict.text in done.stdout


def test_chaos_judges_a_cluster_by_its_exit_status(tmp_path: Path) -> None:
    """The assertion is one that no machine can meet: all else has passed before it is looked at."""
    data = str(tmp_path / "data")
    plan = ("--for", "1s", "--plan", "kill-leader")
    done = run("chaos", *plan, "--seed", "7", "--assert", "write_outage_ms<0", "--data-dir", data)
    told = reading.read(tmp_path / "data" / "events.jsonl")
    verdict = next(each for each in told if each.kind == "verdict")
    assert done.returncode == 1, done.stdout + done.stderr
    assert not verdict.fields["passed"] and "write_outage_ms<0: #" in verdict.text
    narrated = [each.text.split() for each in told if each.kind == "narrated"]
    head = next(number for number, words in enumerate(narrated) if words[0] == "fault")
    assert [words[0] for words in narrated[head + 1 :]] == ["kill-leader", "kill-leader:"]


@pytest.fixture
def cluster() -> Iterator[LocalCluster]:
    with LocalCluster(1) as single:
        yield single


def test_a_load_puts_gets_and_watches_until_it_is_off(cluster: LocalCluster) -> None:
    load = BackgroundLoad(cluster.journal)
    try:
        load.order(["put=1,get=1,watch=3", "@200/s"], cluster.endpoints)
        pid = load.pid
        seen = {"puts": 0, "gets": 0, "events": 0}
        while not all(seen.values()):
            (fd,) = load.fds()
            assert is_readable(fd, HANG_SECONDS), "the load tells nothing"
            load.serve({fd}, 0.0)
            if load.latest is not None:
                seen = {name: seen[name] + getattr(load.latest, name) for name in seen}
        assert "load put=1,get=1,watch=3 @200/s: " in load.order([], ())
        load.order(["off"], ())
        assert list(load.fds()) == [] and not Path(f"/proc/{pid}").exists()
    finally:
        load.close()
    told = [each.fields["load"] for each in cluster.journal.since(0) if each.kind == "load"]
    assert told == ["put=1,get=1,watch=3 @200/s", None]
