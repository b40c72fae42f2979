"""leasectl against etcdctl, each with a real server of its kind; what their comparison is worth.

`python -m tests.differential cli` does the same by hand.
"""

from __future__ import annotations

from collections import Counter

import pytest

from tests.differential import cli
from tests.differential.cli import Compared, fault_of
from tests.differential.cli_masks import ON_PURPOSE, Outcome, masked
from tests.differential.cli_script import lines
from tests.differential.cli_users import ALL_SECTIONS, BY_HAND
from tests.differential.etcd import MISSING, binaries

STEPS = [step for section in ALL_SECTIONS.values() for step in section]
COMMAND_LINES_MIN = 150


@pytest.mark.skipif(binaries() is None, reason=MISSING)
def test_leasectl_does_what_etcdctl_does(capsys: pytest.CaptureFixture[str]) -> None:
    sections = [name for name in ALL_SECTIONS if name not in BY_HAND]
    status = cli.main([f"--section={name}" for name in sections])
    assert status == 0, capsys.readouterr().out


@pytest.mark.campaign
@pytest.mark.skipif(binaries() is None, reason=MISSING)
def test_leasectl_does_the_rest_of_what_etcdctl_does(capsys: pytest.CaptureFixture[str]) -> None:
    status = cli.main([f"--section={name}" for name in sorted(BY_HAND)])
    assert status == 0, capsys.readouterr().out


def test_the_script_is_long_and_has_every_command_and_format() -> None:
    assert len(STEPS) >= COMMAND_LINES_MIN
    words = Counter(word for step in STEPS for word in step.words)
    for command in ("put", "get", "del", "txn", "watch", "lease", "member", "endpoint", "alarm"):
        assert words[command] >= 5, command
    for write_out in ("json", "fields", "table", "bogus"):
        assert words[write_out] >= 5, write_out


def test_each_purpose_is_of_some_step() -> None:
    for purpose in ON_PURPOSE:
        assert any(purpose.pattern.search(str(step)) for step in STEPS), purpose.reason


def outcome(stdout: str = "OK\n", stderr: str = "", code: int = 0) -> Outcome:
    return Outcome(masked(stdout), masked(stderr), code)


@pytest.mark.parametrize(
    "other",
    [
        outcome("OK"),
        outcome("OK\n\n"),
        outcome(code=1),
        outcome(stderr="Error: no\n"),
        outcome(stdout=""),
    ],
)
def test_a_planted_difference_is_a_fault(other: Outcome) -> None:
    (step,) = lines("put a 1")
    assert fault_of(Compared(step, outcome(), outcome())) == ""
    assert fault_of(Compared(step, outcome(), other)) == "they differ"


def test_a_purpose_that_no_longer_differs_is_a_fault() -> None:
    (step,) = lines("watch -i -w table")
    assert fault_of(Compared(step, outcome(), outcome(code=3))) == ""
    assert "no longer" in fault_of(Compared(step, outcome(), outcome()))


@pytest.mark.parametrize(
    ("ours", "other"),
    [
        ("lease 694d77aa9e38260f granted with TTL(100s)", "lease 7 granted with TTL(100s)"),
        ("lease 694d77aa9e38260f granted with TTL(100s)", "lease 694d77aa9e38260f revoked"),
        ('{"revision":8,"raft_term":2}', '{"revision":9,"raft_term":2}'),
        ('{"mod_revision":8}', '{"mod_revision":9}'),
        ('"Revision" : 8', '"Revision" : 9'),
        ('"Lease" : 7587848943239472601', '"Lease" : 0'),
        ('"ClusterID" : 7587848943239472601', '"ClusterID" : 0'),
        ("granted with TTL(100s), remaining(99s)", "granted with TTL(90s), remaining(99s)"),
        ('"ttl":-1,', '"ttl":1,'),
        ("Error: context deadline exceeded", "Error: context canceled"),
        ("cf1550fb, 3, 3, 25 kB", "cf1550fb, 4, 3, 25 kB"),
        ("| a | b |", "| a | c |"),
    ],
)
def test_what_must_be_equal_is_not_masked(ours: str, other: str) -> None:
    assert masked(ours) != masked(other)


@pytest.mark.parametrize(
    ("ours", "other"),
    [
        ('{"cluster_id":77777777,"raft_term":2}', '{"cluster_id":1487483214,"raft_term":14}'),
        ("| 127.0.0.1:42379 | 77 |", "|   127.0.0.1:2379 | 8888 |"),
        ("127.0.0.1:4237, 345617821", "127.0.0.1:42380, 12"),
        ("took = 2.1ms", "took = 987.654µs"),
        ("context deadline exceeded: no endpoint answered (h:1)", "context deadline exceeded"),
    ],
)
def test_what_no_two_runs_share_is_masked(ours: str, other: str) -> None:
    assert masked(ours) == masked(other)


def test_a_usage_error_is_told_once() -> None:
    etcdctl = (
        "Error: unknown flag: --x\nRun 'etcdctl --help' for usage.\nError: unknown flag: --x\n"
    )
    assert masked(etcdctl) == "Error: unknown flag: --x\n"
    assert masked("NAME:\n\tget - Gets\n\nOPTIONS:\n") == ""
    assert masked("Usage:\n   get [options]\n\nError: invalid\n") == "Error: invalid\n"
