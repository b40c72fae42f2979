"""What a shell offers at leasectl's prompt: commands, flags, and what only the cluster knows."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest

from cluster.cli import COMMANDS, COMPLETION_VARIABLE, HELP
from cluster.cli.app import PROGRAM, LazyGroup, run
from tests.cluster.in_process import leasectl_for
from tests.cluster.probe import ProbeCluster
from tests.limits import HANG_SECONDS

pytestmark = pytest.mark.process

Offered = Callable[..., list[str]]


@pytest.fixture(scope="module")
def probes() -> Iterator[ProbeCluster]:
    with ProbeCluster(1) as cluster:
        for key in ("users/anna", "users/bob", "users/b c", "other"):
            cluster.store.apply({"op": "put", "key": key.encode(), "value": b"v"})
        cluster.store.leases[0x1234] = 10
        yield cluster


@pytest.fixture
def offered(
    probes: ProbeCluster, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Offered:
    """What bash offers for the last word of a line, which must not write anything else."""

    def call(*words: str, **variables: str) -> list[str]:
        monkeypatch.setenv("LEASECTL_ENDPOINTS", probes.endpoints[0])
        monkeypatch.setenv(COMPLETION_VARIABLE, "bash_complete")
        monkeypatch.setenv("COMP_WORDS", " ".join((PROGRAM, *words)))
        monkeypatch.setenv("COMP_CWORD", str(len(words)))
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        try:
            run(LazyGroup(PROGRAM, HELP, COMMANDS), [])
        except SystemExit as ending:
            assert ending.code == 0
        told = capsys.readouterr()
        assert told.err == ""
        return [line.removeprefix("plain,") for line in told.out.splitlines() if line]

    return call


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("lease k", ["keep-alive"]),
        ("get --count", ["--count-only"]),
        ("get users/", ["users/anna", "users/bob"]),  # a shell would part the one with a space
        ("watch users/b", ["users/bob"]),
        ("edit o", ["other"]),
        ("put users/anna users/", []),  # it is a value
        ("lease revoke 00", ["0000000000001234"]),
        ("member remove 6", ["628170c800dbcee"]),
    ],
)
def test_a_word_is_completed(offered: Offered, words: str, expected: list[str]) -> None:
    assert offered(*words.split()) == expected


@pytest.mark.parametrize(
    "variables",
    [
        {"LEASECTL_ENDPOINTS": "127.0.0.1:1"},
        {"LEASECTL_ENDPOINTS": "no endpoint"},
        {"LEASECTL_USER": "asks-for-a-password"},
        {"LEASECTL_CACERT": "/none"},
    ],
)
def test_nothing_is_offered_and_nothing_said_where_nobody_answers(
    offered: Offered, variables: dict[str, str]
) -> None:
    assert offered("get", "users/", **variables) == []


def test_whatever_is_wrong_the_prompt_shows_no_error(probes: ProbeCluster) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", "from cluster.cli import main; main()"],
        env={
            **os.environ,
            COMPLETION_VARIABLE: "bash_complete",
            "COMP_WORDS": "leasectl get users/",
            "COMP_CWORD": "2",
            "LEASECTL_DIAL_TIMEOUT": "wrong",
        },
        capture_output=True,
        timeout=HANG_SECONDS,
        check=False,
    )
    assert (ended.stdout, ended.stderr) == (b"", b"")


def test_the_script_of_a_shell_is_printed(
    capsysbinary: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    leasectl = leasectl_for("127.0.0.1:1", capsysbinary, monkeypatch)
    assert b"_LEASECTL_COMPLETE=bash_complete" in leasectl("completion", "bash").stdout
    assert leasectl("completion", "tcsh").code == 128
