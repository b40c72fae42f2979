"""Nodes that cannot start: one clear line, a status that is not 0, and nothing damaged by it."""

from __future__ import annotations

import os
import re
import resource
import shutil
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from actors.runtime.premises import CLIENT_DESCRIPTORS, DESCRIPTORS_WANTED, OWN_DESCRIPTORS
from cluster import Client
from cluster.launcher.local import IMPORT_ROOT, LocalCluster
from cluster.launcher.nodes.files import LauncherError
from cluster.private import RESERVED_DESCRIPTORS
from tests.limits import HANG_SECONDS, PATIENT
from tests.ports import free_ports
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


@pytest.mark.parametrize(
    ("taken_flag", "scheme"),
    [("listen-client-urls", "tcp"), ("listen-client-urls", "http"), ("listen-peer-urls", "tcp")],
)
def test_port_that_is_taken_is_named(tmp_path: Path, taken_flag: str, scheme: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        url = f"{scheme}://127.0.0.1:{taken.getsockname()[1]}"
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


# --- what the host does not give --------------------------------------------------------------


Limits = dict[int, tuple[int, int]]
"""Soft and hard, by their numbers."""


def _command(limits: Limits, *flags: str) -> list[str]:
    """What runs a node under these limits."""
    settings = [f"resource.setrlimit({which}, {pair})" for which, pair in limits.items()]
    program = ["import os, resource, sys", *settings, "os.execv(sys.executable, sys.argv[1:])"]
    node = [sys.executable, "-P", "-m", "actors", *flags]
    return [sys.executable, "-c", "; ".join(program), *node]


def _limited(limits: Limits, *flags: str) -> subprocess.CompletedProcess[str]:
    """Run a node that is expected to give up."""
    urls = [f"--{flag}={value}" for flag, value in _free_urls().items()]
    return subprocess.run(
        _command(limits, *urls, *flags),
        env={**os.environ, "PYTHONPATH": str(IMPORT_ROOT)},
        capture_output=True,
        text=True,
        timeout=HANG_SECONDS,
        check=False,
    )


def test_a_file_size_limit_is_named_with_the_file_and_the_size(tmp_path: Path) -> None:
    limited = _limited({resource.RLIMIT_FSIZE: (1 << 23, 1 << 23)}, f"--data-dir={tmp_path}/data")
    segment = tmp_path / "data" / "wal" / f"{0:016x}.new"
    said = rf"leasehold: {segment}: File too large, [0-9]{{8}} bytes are needed: raise the limit of"
    assert re.match(said, _last_line(limited))
    assert not segment.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root mounts file systems")
@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("size=4m", "/data/wal/0000000000000000.new: No space left on device, 67"),
        ("size=4m,ro", "/data: Read-only file system: mount that file system writable, or"),
    ],
)
def test_a_file_system_that_takes_no_node_is_named(tmp_path: Path, options: str, said: str) -> None:
    try:
        subprocess.run(["mount", "-t", "tmpfs", "-o", options, "none", tmp_path], check=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("this container may not mount file systems")
    try:
        line = _last_line(_limited({}, f"--data-dir={tmp_path}/data"))
    finally:
        subprocess.run(["umount", tmp_path], check=True)
    assert line.startswith(f"leasehold: {tmp_path}{said}")


def test_a_data_directory_that_is_none_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    for data_dir, said in (
        ("file", f"{tmp_path}/file: not a directory"),
        ("file/below", f"{tmp_path}/file: not a directory"),
        ("link", f"{tmp_path}/link: a link to {tmp_path}/nowhere, which does not exist"),
    ):
        line = _last_line(_limited({}, f"--data-dir={tmp_path}/{data_dir}"))
        assert line.startswith(f"leasehold: {said}: ")


def test_too_low_a_limit_of_open_files_is_refused_with_the_number_needed(tmp_path: Path) -> None:
    line = _last_line(_limited({resource.RLIMIT_NOFILE: (64, 64)}, f"--data-dir={tmp_path}/data"))
    needed = OWN_DESCRIPTORS + CLIENT_DESCRIPTORS
    assert "a process may have 64 files open here" in line
    assert line.endswith(f"raise the limit (ulimit -n {needed})")
    assert not (tmp_path / "data").exists()


def test_one_port_for_clients_and_members_is_a_wrong_command_line() -> None:
    urls = _free_urls()
    port = urls["listen-client-urls"].rpartition(":")[2]
    same = f"--listen-peer-urls=tcp://*:{port}"
    ended = _limited({}, same, f"--listen-client-urls=tcp://127.0.0.1:{port}")
    assert ended.returncode == 2
    (line,) = ended.stderr.splitlines()
    assert line.endswith("listens already: give each its own port")


# --- what a node does that runs ---------------------------------------------------------------


class Running:
    """A node of its own, which serves; its log goes to a file."""

    def __init__(self, directory: Path, limits: Limits | None = None) -> None:
        self.log = directory / "log"
        urls = _free_urls()
        flags = [f"--{flag}={value}" for flag, value in urls.items()]
        self.endpoint = urls["listen-client-urls"].removeprefix("tcp://")
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                _command(limits or {}, f"--data-dir={directory}/data", *flags),
                env={**os.environ, "PYTHONPATH": str(IMPORT_ROOT)},
                stderr=log,
            )

    def __enter__(self) -> Running:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()

    def put(self) -> None:
        """It serves."""
        with Client(self.endpoint, **PATIENT) as client:
            client.put("it", "serves")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT])
def test_a_signal_that_ends_processes_stops_a_node_gracefully_and_is_named(
    tmp_path: Path, number: signal.Signals
) -> None:
    with Running(tmp_path) as node:
        node.put()
        node.process.send_signal(number)
        assert node.process.wait(HANG_SECONDS) == 0
        assert f"default: stops: {number.name}\n" in node.log.read_text()


def test_the_stacks_of_a_node_are_shown_at_a_signal_and_it_lives(tmp_path: Path) -> None:
    with Running(tmp_path) as node:
        node.put()
        node.process.send_signal(signal.SIGUSR1)
        deadline = time.monotonic() + HANG_SECONDS
        while "SIGUSR1: the stacks" not in node.log.read_text():
            assert time.monotonic() < deadline and node.process.poll() is None
            node.put()
        shown = node.log.read_text()
        assert "most recent call first" in shown and "signals.py" in shown and "run_node" in shown
        node.put()


def test_a_busy_node_lives_however_often_its_stacks_are_shown(tmp_path: Path) -> None:
    with (
        Running(tmp_path) as node,
        ThreadPoolExecutor(4) as pool,
        Client(node.endpoint, **PATIENT) as client,
    ):
        client.put("it", "serves")
        busy = [pool.submit(_put_many, client) for _ in range(4)]
        times, deadline = 0, time.monotonic() + HANG_SECONDS
        while not all(each.done() for each in busy):
            node.process.send_signal(signal.SIGUSR1)
            times += 1
            while node.log.read_text().count("Current thread") < times:
                assert time.monotonic() < deadline and node.process.poll() is None
        for each in busy:
            each.result()


def _put_many(client: Client) -> None:
    for _ in range(500):
        client.put("it", "is busy")


def test_a_low_soft_limit_of_open_files_is_raised_and_some_are_kept_back(tmp_path: Path) -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with Running(tmp_path, {resource.RLIMIT_NOFILE: (64, hard)}) as node:
        node.put()
        soft, hard = resource.prlimit(node.process.pid, resource.RLIMIT_NOFILE)
        assert soft == min(hard - RESERVED_DESCRIPTORS, DESCRIPTORS_WANTED)


def test_what_lies_about_in_the_directories_of_snapshots_does_not_stop_a_start(
    tmp_path: Path,
) -> None:
    names = ("directory", "notes.txt", "outgoing.snapshot", "00000001.snapshot.part")
    places = [tmp_path / "data" / "snapshots", tmp_path / "data" / "spool"]
    for place in places:
        (place / names[0]).mkdir(parents=True)
        for name in names[1:]:
            (place / name).write_text("x")
    with Running(tmp_path) as node:
        node.put()
        log = node.log.read_text()
    for place in places:
        assert {path.name for path in place.iterdir()} == {"directory", "notes.txt"}
        for name in ("directory", "notes.txt"):
            assert f"left alone {place / name}: it is not a file of this node" in log
