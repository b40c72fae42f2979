"""What a shell offers at leasectl's prompt: commands, flags, and what only the cluster knows."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cluster.cli import COMMANDS, COMPLETION_VARIABLE, HELP
from cluster.cli.app import PROGRAM, LazyGroup, run
from tests.cluster.in_process import leasectl_for
from tests.cluster.probe import ProbeCluster
from tests.limits import HANG_SECONDS

pytestmark = pytest.mark.process

Offered = Callable[..., list[str]]

OFFERED = ["other", "users/anna", "users/bob", "users/\u00fc"]
NEVER_OFFERED = [
    *("users/b c", "users/*", "users/it's", 'users/"q', "users/$(date)", "users/`date`", "-n"),
    *("users/a\nb", "users/\\", "users/\udcff", "users/a,b", "users/a:b", "users/[a]", "users/~"),
]
"""Keys that a shell would part, or take for something else."""

IN_BASH = """
source <(leasectl completion bash)
complete_keys() {
    COMPREPLY=() COMP_WORDS=(leasectl get "$1") COMP_CWORD=2
    _leasectl_completion leasectl "$1" get
    printf '<%s>' "${COMPREPLY[@]}"
    echo
}
complete_keys users/
complete_keys "'users/a"
complete_keys $'users/\\xff'
LEASECTL_ENDPOINTS=$SILENT complete_keys users/
LEASECTL_ENDPOINTS=127.0.0.1:1 complete_keys users/
PATH=/usr/bin:/bin
complete_keys users/
"""


@pytest.fixture(scope="module")
def probes() -> Iterator[ProbeCluster]:
    with ProbeCluster(1) as cluster:
        for key in (*OFFERED, *NEVER_OFFERED):
            cluster.store.apply({"op": "put", "key": os.fsencode(key), "value": b"v"})
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
        ("get users/", OFFERED[1:]),
        ('get "users/b', ["users/bob"]),
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


def test_bash_completes_keys_and_never_shows_an_error(probes: ProbeCluster, tmp_path: Path) -> None:
    program = tmp_path / "leasectl"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -P -m cluster.cli "$@"\n')
    program.chmod(0o700)
    (tmp_path / "users").mkdir()
    (tmp_path / "users" / "a-file").touch()
    with socket.create_server(("127.0.0.1", 0)) as silent:
        variables = {
            **os.environ,
            "LEASECTL_ENDPOINTS": probes.endpoints[0],
            "SILENT": f"127.0.0.1:{silent.getsockname()[1]}",
            "PATH": f"{tmp_path}:/usr/bin:/bin",
        }
        keys = "".join(f"<{key}>" for key in OFFERED[1:])
        deadline = time.monotonic() + HANG_SECONDS
        while True:
            ended = subprocess.run(
                ["bash", "--norc", "-c", IN_BASH],
                env=variables,
                cwd=tmp_path,
                capture_output=True,
                timeout=HANG_SECONDS,
                check=True,
            )
            assert ended.stderr == b""
            prefix, quoted, *nothing = ended.stdout.decode().splitlines()
            assert nothing == ["<>"] * 4
            assert prefix in {keys, "<>"} and quoted in {"<users/anna>", "<>"}
            if prefix == keys and quoted == "<users/anna>":
                return
            # A node that is slow to answer has nothing completed.
            assert time.monotonic() < deadline, ended.stdout


def test_the_script_of_a_shell_is_printed(
    capsysbinary: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    leasectl = leasectl_for("127.0.0.1:1", capsysbinary, monkeypatch)
    for shell in (b"bash", b"zsh", b"fish"):
        (call,) = [
            line
            for line in leasectl("completion", shell.decode()).stdout.splitlines()
            if b"_LEASECTL_COMPLETE=" in line
        ]
        assert b"_LEASECTL_COMPLETE=%b_complete" % shell in call
        assert b" 2>/dev/null)" in call
    assert leasectl("completion", "tcsh").code == 128
