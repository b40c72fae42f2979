"""The simulation finds nothing in the node as it is, and every bug that is planted in it."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.raft import test_commit, test_elections, test_replication, test_wal
from tests.simulation import __main__ as command
from tests.simulation import mutants
from tests.simulation.mutants import FOUND_BY_SCRIPT, FOUND_BY_SIMULATION, Mutant
from tests.simulation.runner import Report, run

SEEDS = range(30)
SEEDS_UNTIL_FOUND_MAX = 150

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """Nodes that crash all the time have much to say."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


@pytest.fixture(scope="module")
def reports() -> list[Report]:
    """What a modest number of seeds comes to."""
    logging.disable(logging.CRITICAL)
    return [run(seed) for seed in SEEDS]


def test_no_seed_finds_anything(reports: list[Report]) -> None:
    findings = [f"{report.command}: {report.finding}" for report in reports if report.finding]
    assert not findings, "\n".join(findings)


@pytest.mark.parametrize(
    "what",
    [
        "leaders",
        "commits of earlier terms",
        "crashes",
        "truncations",
        "saves lost in a crash",
        "sectors lost",
        "partitions",
        "stalls",
        "messages lost",
        "messages repeated",
        "retries answered",
        "outcomes unknown",
        "leases expired",
        "watches moved",
        "put",
        "delete_range",
        "range",
        "lease_keep_alive",
        "lease_revoke",
    ],
)
def test_what_the_checks_are_about_does_happen(reports: list[Report], what: str) -> None:
    counts = Counter[str]()
    for report in reports:
        counts.update(report.counts)
    assert counts[what] > 0


def test_a_seed_replays_bit_for_bit(reports: list[Report]) -> None:
    assert run(7) == reports[7]
    assert len({report.digest for report in reports}) == len(reports)


def test_a_seed_replays_bit_for_bit_in_another_process(reports: list[Report]) -> None:
    environment = {**os.environ, "PYTHONHASHSEED": "12345"}
    arguments = [sys.executable, "-m", "tests.simulation", "--seed", "5"]
    done = subprocess.run(
        arguments, cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )
    assert f"digest {reports[5].digest}" in done.stdout
    assert "1 seeds" in done.stdout and "no finding" in done.stdout


@pytest.mark.parametrize("mutant", FOUND_BY_SIMULATION)
def test_a_planted_bug_is_found(mutant: Mutant) -> None:
    with mutant():
        found = any(run(seed).finding for seed in range(SEEDS_UNTIL_FOUND_MAX))
    assert found, f"{SEEDS_UNTIL_FOUND_MAX} seeds missed it"


SCRIPTS: dict[Mutant, Callable[[], None]] = {
    mutants.old_terms_are_counted: (
        test_commit.test_entries_of_earlier_terms_are_never_committed_by_counting
    ),
    mutants.compares_logs_by_length: lambda: (
        test_elections.test_a_vote_goes_only_to_a_log_that_is_as_up_to_date(
            (2,), 5, 1, False, False
        )
    ),
    mutants.commits_beyond_what_is_proven: lambda: (
        test_replication.test_a_follower_commits_only_what_the_message_proves(2, 0, 3, 2)
    ),
    mutants.does_not_compare_the_previous_term: lambda: (
        test_replication.test_a_follower_rejects_an_append_that_does_not_follow_on_its_log(
            2, 1, (1, 1)
        )
    ),
    mutants.counts_votes_of_any_term: (
        test_elections.test_a_vote_for_an_earlier_campaign_does_not_count
    ),
    mutants.half_a_flush_counts: (
        test_wal.test_a_torn_flush_leaves_neither_its_term_nor_its_commit_index_behind
    ),
    mutants.the_greatest_clock_heard_counts: (
        test_commit.test_the_clock_of_a_deposed_leader_counts_no_more_once_another_is_followed
    ),
}


@pytest.mark.parametrize("mutant", FOUND_BY_SCRIPT)
def test_a_planted_bug_that_shows_rarely_is_found_by_its_script(mutant: Mutant) -> None:
    script = SCRIPTS[mutant]
    script()
    with mutant(), pytest.raises(AssertionError):
        script()


def test_the_command_prints_a_finding_and_how_to_see_it_again(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["simulation", "--seeds", "3"])
    with mutants.promises_leave_before_the_save():
        assert command.main() == 1
    printed = capsys.readouterr().out
    assert "FINDING at seed 0" in printed
    assert "python -m tests.simulation --seed 0" in printed
