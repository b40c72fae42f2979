"""leasectl top: a cluster seen from outside, by one of its endpoints."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest

from cluster.cli.top import text_of
from cluster.launcher.local import LocalCluster
from cluster.launcher.screens.table import COLUMNS
from tests.launcher.emulator import Child
from tests.launcher.views import VIEW
from tests.limits import HANG_SECONDS
from tests.ports import free_ports

pytestmark = pytest.mark.process

NAMES = ["n1", "n2", "n3"]


@pytest.fixture(scope="module")
def cluster() -> Iterator[LocalCluster]:
    """Three nodes, with a key."""
    with LocalCluster(3) as made:
        leasectl(made.endpoints[0], "put", "greeting", "hello")
        yield made


def leasectl(endpoint: str, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-P", "-m", "cluster.cli", "--endpoints", endpoint, *words]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=HANG_SECONDS, check=False
    )


def looked(endpoint: str) -> dict[str, Any]:
    """What one look at the cluster has seen."""
    done = leasectl(endpoint, "top", "-w", "json", "--dial-timeout", "30s")
    assert (done.returncode, done.stderr) == (0, "")
    document: dict[str, Any] = json.loads(done.stdout)
    return document


def test_one_endpoint_shows_all_members_and_what_each_holds(cluster: LocalCluster) -> None:
    deadline = time.monotonic() + HANG_SECONDS
    while True:
        seen = looked(cluster.endpoints[1])
        assert [each["name"] for each in seen["nodes"]] == NAMES
        if all(each["hash"] is not None and each["lag"] == 0 for each in seen["nodes"]):
            break
        assert time.monotonic() < deadline, seen  # a busy host: not all have answered in time
    assert seen["leader"] in NAMES and seen["term"] > 0
    states = {each["name"]: each["state"] for each in seen["nodes"]}
    assert states.pop(seen["leader"]) == "leader" and [*states.values()] == ["follower"] * 2
    for node in seen["nodes"]:
        assert node["commit"] >= node["applied"] > 0
        assert (node["keys"], node["revision"], node["agrees"]) == (1, 2, True)
        assert node["others"] == 2 and node["db_size"] > 0
        assert node["vote"] in {*NAMES, None}
        assert node["hash"] == seen["nodes"][0]["hash"] > 0


def test_the_table_for_a_pipe_has_all_columns_but_those_of_a_launcher() -> None:
    head, titles, first, *_ = text_of(VIEW)
    assert head == "3 nodes, n1 leads in term 3, revision 8123"
    columns = [column.title for column in COLUMNS if column.title not in {"pid", "try"}]
    assert titles.split() == columns
    assert first.endswith("127.0.0.1:2379")
    assert text_of(VIEW._replace(leader=None))[0] == "3 nodes, no leader"


def test_in_a_terminal_it_goes_on_until_q(cluster: LocalCluster) -> None:
    words = ("-m", "cluster.cli", "--endpoints", cluster.endpoints[0], "top", "--interval", "50ms")
    with Child(words) as child:
        lines = child.until(lambda terminal: any(row.startswith("n3 ") for row in terminal.lines))
        assert "q quits" in lines[0]
        child.resize(40, 20)
        child.until(lambda terminal: not any("hash" in row for row in terminal.lines))
        victim = next(name for name in NAMES if name != cluster.leader())
        cluster.kill(victim)
        silent = [victim, "silent"]
        child.until(lambda terminal: any(row.split()[:2] == silent for row in terminal.lines))
        child.type("q")
        child.ends()
        assert child.terminal.modes["?25"]


def test_where_nobody_answers_that_is_said() -> None:
    port = free_ports(1)[0].client
    done = leasectl(f"127.0.0.1:{port}", "top", "--plain", "--dial-timeout", "100ms")
    assert done.returncode == 2
    assert done.stderr == f"Error: no endpoint answers: 127.0.0.1:{port}\n"


def test_formats_that_it_does_not_have_are_refused() -> None:
    done = leasectl("127.0.0.1:1", "top", "-w", "fields")
    assert (done.returncode, done.stderr) == (
        4,
        "Error: fields not supported as output format\n",
    )
