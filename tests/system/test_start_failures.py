"""Nodes that cannot start: one clear line, a status that is not 0, and nothing damaged by it."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from cluster.launcher.files import LauncherError
from cluster.launcher.local import IMPORT_ROOT, LocalCluster
from cluster.launcher.ports import free_ports
from tests.limits import HANG_SECONDS
from tests.system.conditions import client_of


def _free_urls() -> dict[str, str]:
    (ports,) = free_ports(1)
    client_url = f"tcp://127.0.0.1:{ports.client}"
    return {
        "listen-client-urls": client_url,
        "advertise-client-urls": client_url,
        "listen-peer-urls": f"tcp://127.0.0.1:{ports.peer}",
    }


def _start(*flags: str) -> subprocess.CompletedProcess[str]:
    """Run a node that is expected to give up."""
    return subprocess.run(
        [sys.executable, "-P", "-m", "actors", *flags],
        env={**os.environ, "PYTHONPATH": str(IMPORT_ROOT)},
        capture_output=True,
        text=True,
        timeout=HANG_SECONDS,
        check=False,
    )


def _last_line(result: subprocess.CompletedProcess[str]) -> str:
    assert result.returncode == 1, result
    assert "Traceback" not in result.stderr
    return result.stderr.strip().splitlines()[-1]


def _wal_files(cluster: LocalCluster, name: str) -> list[Path]:
    directory = cluster.directory.node_directory(name) / "wal"
    return sorted(path for path in directory.iterdir() if path.is_file())


def _fill_and_kill(cluster: LocalCluster, name: str) -> None:
    with client_of(cluster) as client:
        for number in range(50):
            client.put(f"fill/{number}", b"some value that is easy to find" * 20)
    cluster.kill(name)


def test_data_directory_in_use_is_refused(cluster: LocalCluster) -> None:
    node = cluster.node("n1")
    result = _start("--name=n1", f"--data-dir={cluster.directory.node_directory('n1')}")
    line = _last_line(result)
    assert str(cluster.directory.node_directory("n1")) in line
    assert f"in use by pid {node.pid}" in line


@pytest.mark.parametrize("taken_flag", ["listen-client-urls", "listen-peer-urls"])
def test_port_that_is_taken_is_named(tmp_path: Path, taken_flag: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        url = f"tcp://127.0.0.1:{taken.getsockname()[1]}"
        flags = [f"--{flag}={value}" for flag, value in {**_free_urls(), taken_flag: url}.items()]
        line = _last_line(_start(f"--data-dir={tmp_path}", *flags))
    assert f"cannot listen on {url}: Address already in use" in line


def test_data_of_another_cluster_is_refused(cluster: LocalCluster) -> None:
    cluster.kill("n2")
    directory = cluster.directory.node_directory("n2")
    flags = [f"--{flag}={value}" for flag, value in _free_urls().items()]
    line = _last_line(_start("--name=n2", f"--data-dir={directory}", *flags))
    assert f"{directory} belongs to member {cluster.node('n2').member_id:x}" in line


def test_damaged_log_is_refused_and_named_and_the_others_go_on(cluster: LocalCluster) -> None:
    _fill_and_kill(cluster, "n3")
    segment = _wal_files(cluster, "n3")[0]
    original = segment.read_bytes()
    at = original.index(b"easy to find")
    damaged = original[:at] + b"EASY" + original[at + 4 :]
    try:
        segment.write_bytes(damaged)
        with pytest.raises(LauncherError, match="n3 exited with status 1") as caught:
            cluster.restart("n3")
        assert f"{segment}: damaged at byte " in str(caught.value)
        assert segment.read_bytes() == damaged, "a log that is refused must not be changed"
        with client_of(cluster) as client:
            client.put("others", "go on")
    finally:
        segment.write_bytes(original)
    cluster.restart("n3")


def test_log_that_is_gone_is_not_taken_for_a_new_node(cluster: LocalCluster) -> None:
    _fill_and_kill(cluster, "n3")
    logs = cluster.directory.node_directory("n3") / "wal"
    aside = logs.rename(logs.with_name("aside"))
    try:
        with pytest.raises(LauncherError, match="n3 exited with status 1") as caught:
            cluster.restart("n3")
        assert "part of the log is gone" in str(caught.value)
    finally:
        shutil.rmtree(logs, ignore_errors=True)
        aside.rename(logs)
    cluster.restart("n3")
