"""A real etcd cluster on this machine, and the load program that goes with it.

Both come from a directory of binaries: `etcd`, and `etcd_load`, a program over etcd's own Go
client (`-endpoints -op put|get|sget|lease -conns -clients -total [-leader]`).
"""

from __future__ import annotations

import http.client
import json
import re
import shutil
import signal
import subprocess
import tempfile
import time
from base64 import b64encode
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from cluster.launcher.ports import free_ports
from tests.bench.measure import Measurement

SIZE: Final = 3
READY_SECONDS: Final = 20.0
STOP_SECONDS: Final = 10.0
LOAD_SECONDS: Final = 300.0
RETRY_SECONDS: Final = 0.1
RESTART_RETRY_SECONDS: Final = 0.01

_REPORT: Final = re.compile(r": (\d+) op/s p50=([\d.]+)ms p99=([\d.]+)ms .*max=([\d.]+)ms")


class EtcdCluster:
    """Three etcd nodes on free ports, with etcd's defaults; as a context manager, ready inside."""

    def __init__(self, binaries: Path) -> None:
        self._binaries = binaries
        self._data = Path(tempfile.mkdtemp(prefix="etcd-"))
        self._ports = free_ports(SIZE)
        self._nodes: list[subprocess.Popen[bytes]] = []

    @property
    def endpoints(self) -> str:
        """Every node's client address, with commas."""
        return ",".join(f"127.0.0.1:{ports.client}" for ports in self._ports)

    def __enter__(self) -> Self:
        try:
            for number in range(SIZE):
                self._nodes.append(self._launch(number))
            self._wait_until_ready()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self,
        exception_type: type[BaseException] | None,
        exception: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def measure(
        self, operation: str, clients: int, connections: int, total: int, *, leader_only: bool
    ) -> Measurement:
        """One run of the load program."""
        result = self._load(operation, clients, connections, total, leader_only)
        found = _REPORT.search(result.stdout)
        assert result.returncode == 0 and found is not None, f"the load failed: {result.stderr}"
        rate, p50, p99, longest = map(float, found.groups())
        return Measurement(rate, p50, p99, longest)

    @property
    def pids(self) -> list[int]:
        """Every node's process."""
        return [node.pid for node in self._nodes]

    def start_program(self, name: str, *arguments: str) -> subprocess.Popen[str]:
        """Start one of the programs beside etcd, on all endpoints; what it prints is captured."""
        command = [str(self._binaries / name), f"-endpoints={self.endpoints}", *arguments]
        return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)

    def restart(self, number: int, key: bytes) -> float:
        """Stop a node and start it again; seconds from its start until it has that key to give."""
        node = self._nodes[number]
        node.send_signal(signal.SIGTERM)
        node.wait(STOP_SECONDS)
        began = time.monotonic()
        node = self._nodes[number] = self._launch(number)
        while time.monotonic() < began + READY_SECONDS:
            if _has(self._ports[number].client, key):
                return time.monotonic() - began
            with suppress(subprocess.TimeoutExpired):
                status = node.wait(RESTART_RETRY_SECONDS)
                raise AssertionError(f"an etcd node ended with status {status}")
        raise AssertionError(f"an etcd node was not ready after {READY_SECONDS:g} s")

    def stop(self) -> None:
        """End every node and forget the data."""
        for node in self._nodes:
            node.send_signal(signal.SIGTERM)
        for node in self._nodes:
            try:
                node.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                node.kill()
                node.wait()
        self._nodes.clear()
        shutil.rmtree(self._data, ignore_errors=True)

    def _launch(self, number: int) -> subprocess.Popen[bytes]:
        urls = [(f"http://127.0.0.1:{p.client}", f"http://127.0.0.1:{p.peer}") for p in self._ports]
        client_url, peer_url = urls[number]
        name = f"n{number + 1}"
        flags = {
            "name": name,
            "data-dir": str(self._data / name),
            "log-level": "error",
            "listen-client-urls": client_url,
            "advertise-client-urls": client_url,
            "listen-peer-urls": peer_url,
            "initial-advertise-peer-urls": peer_url,
            "initial-cluster": ",".join(f"n{i + 1}={peer}" for i, (_, peer) in enumerate(urls)),
            "initial-cluster-state": "new",
        }
        with (self._data / f"{name}.log").open("ab") as log:
            return subprocess.Popen(
                [str(self._binaries / "etcd"), *(f"--{flag}={v}" for flag, v in flags.items())],
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + READY_SECONDS
        while time.monotonic() < deadline:
            if self._load("put", SIZE, SIZE, SIZE, leader_only=False).returncode == 0:
                return
            with suppress(subprocess.TimeoutExpired):
                status = self._nodes[0].wait(RETRY_SECONDS)
                raise AssertionError(f"an etcd node ended with status {status}")
        raise AssertionError(f"etcd was not ready after {READY_SECONDS:g} s")

    def _load(
        self, operation: str, clients: int, connections: int, total: int, leader_only: bool
    ) -> subprocess.CompletedProcess[str]:
        command = [
            str(self._binaries / "etcd_load"),
            f"-endpoints={self.endpoints}",
            f"-op={operation}",
            f"-conns={connections}",
            f"-clients={clients}",
            f"-total={total}",
            *(["-leader"] if leader_only else []),
        ]
        return subprocess.run(
            command, capture_output=True, text=True, timeout=LOAD_SECONDS, check=False
        )


def _has(port: int, key: bytes) -> bool:
    """Whether the node on this port gives the key from its own store."""
    link = http.client.HTTPConnection("127.0.0.1", port, timeout=READY_SECONDS)
    body = {"key": b64encode(key).decode(), "serializable": True}
    try:
        link.request("POST", "/v3/kv/range", json.dumps(body))
        return "kvs" in json.loads(link.getresponse().read())
    except (OSError, http.client.HTTPException):
        return False
    finally:
        link.close()
