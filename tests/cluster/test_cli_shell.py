"""leasectl shell: lines from a pipe and from a person, over one connection."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from cluster.cli import COMMANDS, HELP
from cluster.cli.app import PROGRAM, LazyGroup
from cluster.cli.settings import CliSettings
from cluster.cli.shell import candidates
from tests.cluster.in_process import Leasectl, leasectl_for
from tests.cluster.probe import ProbeCluster
from tests.limits import HANG_SECONDS

pytestmark = pytest.mark.process


@pytest.fixture
def probes() -> Iterator[ProbeCluster]:
    with ProbeCluster(1) as cluster:
        yield cluster


@pytest.fixture
def leasectl(
    probes: ProbeCluster,
    capsysbinary: pytest.CaptureFixture[bytes],
    monkeypatch: pytest.MonkeyPatch,
) -> Leasectl:
    return leasectl_for(probes.endpoints[0], capsysbinary, monkeypatch)


def test_lines_of_a_pipe_are_carried_out_over_one_connection(
    leasectl: Leasectl, probes: ProbeCluster
) -> None:
    lines = b'put k "a b"\n\nput l v\nget k\nget l --hex\nget k\nexit\nput never v\n'
    ended = leasectl("shell", stdin=lines)
    assert ended == (b"OK\nOK\nk\na b\n\\x6c\n\\x76\nk\na b\n", "", 0)
    # Each client that writes opens a session of its own.
    assert probes.store.applied.count("session_open") == 1


def test_a_line_that_fails_does_not_end_the_shell(leasectl: Leasectl) -> None:
    ended = leasectl("shell", stdin=b'get\nputt k\nput "\\q" v\nshell x\nput k v\n')
    assert (ended.stdout, ended.code) == (b"OK\n", 128)
    assert ended.stderr.count("Error: ") == 4
    assert "\tput\n" in ended.stderr


def test_a_line_may_name_another_timeout_and_has_its_own_client_then(
    leasectl: Leasectl, probes: ProbeCluster
) -> None:
    lines = b"put k v\nput k w --command-timeout=9s\nput k x\n"
    assert leasectl("shell", stdin=lines).stdout == b"OK\nOK\nOK\n"
    assert probes.store.applied.count("session_open") == 2


def test_words_are_completed_with_the_connection_of_the_shell(probes: ProbeCluster) -> None:
    probes.store.apply({"op": "put", "key": b"users/anna", "value": b"v"})
    root = LazyGroup(PROGRAM, HELP, COMMANDS)
    settings = CliSettings(endpoints=[probes.endpoints[0]])
    with settings.connect() as client:
        settings.share(client)
        assert candidates(root, settings, "get ", "us") == ["users/anna "]
        assert candidates(root, settings, "lease ", "k") == ["keep-alive "]
        assert candidates(root, settings, "bogus ", "k") == []


def test_a_person_has_a_prompt_and_a_history(probes: ProbeCluster, tmp_path: Path) -> None:
    ours, terminal = pty.openpty()
    variables = {"LEASECTL_ENDPOINTS": probes.endpoints[0], "XDG_STATE_HOME": str(tmp_path)}
    with (
        os.fdopen(ours, "r+b", buffering=0) as screen,
        subprocess.Popen(
            [sys.executable, "-m", "cluster.cli", "shell"],
            env={**os.environ, **variables, "TERM": "dumb"},
            stdin=terminal,
            stdout=terminal,
            stderr=terminal,
        ) as process,
    ):
        os.close(terminal)
        seen = b""
        for line in (b"put k v\n", b"quit\n"):
            while not seen.endswith(b"leasectl> "):
                seen += screen.read(1)
            screen.write(line)
            seen += screen.read(1)
        assert process.wait(timeout=HANG_SECONDS) == 0
    assert b"OK" in seen
    assert (tmp_path / "leasectl" / "history").read_text() == "put k v\nquit\n"
