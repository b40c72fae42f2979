"""The simulation finds nothing in the node as it is, replays what it did, and meets what it tests.

Fresh seeds come from SIMULATION_SEED, or else from the code: other code, other seeds, but a change
that has passed passes again. A finding prints them. `mutants` looks for planted bugs.
"""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import pytest

from tests.simulation import __main__ as command
from tests.simulation import campaign, liveness
from tests.simulation.mutants.consensus import promises_leave_before_the_save
from tests.simulation.runner import play, run
from tests.simulation.script import read
from tests.simulation.shrinking import SCRIPTS

ROOT = Path(__file__).resolve().parents[2]
FRESH_SEEDS = 100
KNOWN_SEEDS = (
    *(1, 2, 4, 17, 33, 50, 88, 175, 1016, 1074, 70_017),
    *(653_357_662_455, 767_738_392_041, 879_185_649_415, 1_795_173_392_028),
)
"""Seeds that have found something once."""


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """Nodes that crash all the time have much to say."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


def seed_of_the_code() -> int:
    """A number that changes with what is simulated, and with how."""
    code = sha256()
    for folder in ("actors", "cluster/client", "tests/simulation"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            code.update(path.read_bytes())
    return int.from_bytes(code.digest()[:5])


def test_fresh_seeds_find_nothing_and_meet_what_is_frequent() -> None:
    first = int(os.environ.get("SIMULATION_SEED") or seed_of_the_code())
    arguments = ["--seed", str(first), "--seeds", str(FRESH_SEEDS), "--as-it-is"]
    # By its command, which sees to the end of the processes it works with.
    done = subprocess.run(
        [sys.executable, "-m", "tests.simulation", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{FRESH_SEEDS} seeds" in done.stdout


@pytest.mark.parametrize("seed", KNOWN_SEEDS)
def test_a_seed_that_once_found_something_finds_nothing(seed: int) -> None:
    report = run(seed)
    assert not report.finding, campaign.tell(report)


@pytest.mark.parametrize("path", sorted(SCRIPTS.glob("*.txt")), ids=lambda path: path.stem)
def test_a_script_that_once_found_something_finds_nothing(path: Path) -> None:
    report = play(read(path.read_text()))
    assert not report.finding


@pytest.mark.parametrize("topology", liveness.TOPOLOGIES, ids=lambda topology: topology.name)
def test_there_is_a_leader_wherever_a_majority_is_connected(topology: liveness.Topology) -> None:
    liveness.try_out(topology, seed=1)


def test_a_seed_replays_bit_for_bit() -> None:
    first = run(7)
    assert run(7) == first
    assert run(8).digest != first.digest


def test_a_seed_replays_bit_for_bit_in_another_process() -> None:
    environment = {**os.environ, "PYTHONHASHSEED": "12345"}
    arguments = [sys.executable, "-m", "tests.simulation", "--seed", "5"]
    done = subprocess.run(
        arguments, cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )
    assert f"digest {run(5).digest}" in done.stdout
    assert "1 seeds" in done.stdout and "no finding" in done.stdout


def test_the_command_prints_a_finding_and_how_to_see_it_again(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with promises_leave_before_the_save():
        assert command.main(["--seeds", "3", "--jobs", "1", "--as-it-is"]) == 1
    printed = capsys.readouterr().out
    assert "FINDING at seed 0" in printed
    assert "python -m tests.simulation --seed 0" in printed


def test_a_campaign_that_met_too_little_fails(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(campaign, "SEEDS_FOR_OFTEN_MIN", 1)
    assert command.main(["--seeds", "1", "--jobs", "1"]) == 1
    assert "NEVER HAPPENED in 1 seeds" in capsys.readouterr().out


def test_what_seldom_happens_must_in_many_seeds_only() -> None:
    counts = Counter(campaign.OFTEN)
    assert not campaign.missing(counts, campaign.SEEDS_FOR_OFTEN_MIN)
    told = campaign.missing(counts, campaign.SEEDS_FOR_ALL_MIN)
    assert all(name in told for name in campaign.SELDOM)
    assert not campaign.missing(counts + Counter(campaign.SELDOM), campaign.SEEDS_FOR_ALL_MIN)
