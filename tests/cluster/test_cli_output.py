"""leasectl where its output cannot go, against a real node: one line and a status, no traceback."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any, TextIO

import pytest

from cluster import Client
from cluster.cli import COMMANDS, HELP
from cluster.cli.app import PROGRAM, LazyGroup, run
from cluster.cli.output import emit
from cluster.launcher.local import LocalCluster
from tests.limits import HANG_SECONDS

pytestmark = pytest.mark.process

FULL = "Error: write /dev/stdout: no space left on device\n"

LINES = [
    "put k v",
    "put k v -w json",
    "get k",
    "get k --history -w fields",
    "get k -w jsonl",
    "get k -w protobuf",
    "get k --tree",
    "export k",
    "get k -w json",
    "del k",
    "incr n",
    "txn",
    "watch k --rev=2",
    "compaction 2",
    "lease grant 60",
    "lease list",
    "lease timetolive {lease}",
    "lease keep-alive --once {lease}",
    "lease keep-alive {lease}",
    "lease revoke {lease}",
    "member list",
    "member list -w table",
    "endpoint status",
    "endpoint health",
    "endpoint hashkv",
    "defrag",
    "snapshot save {folder}/copy",
    "lock job",
    "lock job -- true",
    "elect office me",
    "elect -l {office}",
    "bench put --total 10",
    "completion bash",
    "version",
    "get --help",
    "lease",
    "--help",
]

SILENT = {"lock job -- true"}

MUCH = [
    *("get k --prefix", "get k --prefix -w json", "get k --prefix -w jsonl", "get k -w fields"),
    *("get k --history", "export k --prefix", "watch k --prefix --rev=2", "member list -w table"),
    *("txn", "--help", "get --help", "lease"),
]
"""What people pipe into other programs."""


@pytest.mark.parametrize("words", LINES)
def test_a_full_disk_is_one_line_and_a_status(
    words: str,
    node: LocalCluster,
    client: Client,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    client.put("k", "v")
    lease = client.lease.grant(60)
    with client.election("chair") as election:
        election.campaign("somebody")
        line = words.format(lease=f"{lease.id:x}", folder=tmp_path, office="chair").split()
        monkeypatch.setenv("LEASECTL_ENDPOINTS", node.endpoints[0])
        with Path("/dev/full").open("w") as full:
            code = status_of(line, full, monkeypatch)
    assert (code, capsys.readouterr().err) == ((0, "") if words in SILENT else (1, FULL))


@pytest.mark.parametrize("words", MUCH)
def test_a_reader_that_is_gone_is_no_error_to_tell(
    words: str,
    node: LocalCluster,
    client: Client,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    client.put("k", "v")
    monkeypatch.setenv("LEASECTL_ENDPOINTS", node.endpoints[0])
    reading, writing = os.pipe()
    os.close(reading)
    with open(writing, "w") as closed:  # noqa: PTH123 - a descriptor
        code = status_of(words.split(), closed, monkeypatch)
    assert (code, capsys.readouterr().err) == (141, "")


def status_of(words: list[str], stdout: TextIO, monkeypatch: pytest.MonkeyPatch) -> int:
    """The exit status of a command with this output."""
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"\n\nget k\n\n")))
    monkeypatch.setattr(sys, "stdout", stdout)
    try:
        return run(LazyGroup(PROGRAM, HELP, COMMANDS), words)
    except SystemExit as ending:
        assert isinstance(ending.code, int)
        return ending.code


class ShortWrites(io.RawIOBase):
    """A file that takes a few bytes at a time, as the system may without Python's buffer."""

    def __init__(self) -> None:
        self.taken = b""

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self.taken += bytes(data[:3])
        return min(3, len(data))


def test_what_the_system_takes_in_parts_is_written_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    file = ShortWrites()
    monkeypatch.setattr(sys, "stdout", SimpleNamespace(buffer=file))
    emit(b"0123456789", b"", b"abc")
    assert file.taken == b"0123456789\n\nabc\n"


def test_standard_streams_that_are_closed_lead_nowhere(node: LocalCluster) -> None:
    program = f"exec {sys.executable} -P -m cluster.cli version"
    for closed, told in (("<&-", True), (">&-", False), ("2>&-", True), ("<&- >&- 2>&-", False)):
        ended = subprocess.run(
            ["sh", "-c", f"{program} {closed}"],
            capture_output=True,
            timeout=HANG_SECONDS,
            check=True,
        )
        assert ended.stdout.startswith(b"leasectl version: ") is told
        assert ended.stderr == b""


def test_the_process_ends_without_a_traceback(node: LocalCluster) -> None:
    # What is buffered is written once more when Python ends.
    buffered = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    for arguments, errors in ((["version"], FULL), (["put", "k", "v"], FULL), (["no"], None)):
        with Path("/dev/full").open("w") as full:
            ended = subprocess.run(
                [sys.executable, "-m", "cluster.cli", *arguments],
                env={**buffered, "LEASECTL_ENDPOINTS": node.endpoints[0]},
                stdout=full,
                stderr=full if errors is None else subprocess.PIPE,
                text=True,
                timeout=HANG_SECONDS,
                check=False,
            )
        assert (ended.returncode, ended.stderr) == (1, errors)
