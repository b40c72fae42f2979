"""leasectl where its output cannot go, against a real node: one line and a status, no traceback."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

from cluster import Client
from cluster.cli import COMMANDS, HELP
from cluster.cli.app import PROGRAM, LazyGroup, run
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
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"\n\nget k\n\n")))
        with Path("/dev/full").open("w") as full:
            monkeypatch.setattr(sys, "stdout", full)
            try:
                code = run(LazyGroup(PROGRAM, HELP, COMMANDS), line)
            except SystemExit as ending:
                assert isinstance(ending.code, int)
                code = ending.code
    assert (code, capsys.readouterr().err) == ((0, "") if words in SILENT else (1, FULL))


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
