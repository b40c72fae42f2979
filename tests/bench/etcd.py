"""A real etcd cluster on this machine, and the load program that goes with it.

All come from a directory of binaries: `etcd`, and programs over etcd's own Go client: `etcd_load`
(`-endpoints -op put|get|sget|lease -conns -clients -total [-leader]`), `etcd_watch` (`-w WATCHERS
-p PUTS -c CONNECTIONS -k WRITERS`) and `etcd_lease` (keep-alives: `-l LEASES -n TOTAL -c
CONNECTIONS -k CLIENTS`; `-fill KEYS`; `-range KEYS`).
"""

from __future__ import annotations

import http.client
import json
import re
import resource
import shutil
import signal
import subprocess
import tempfile
import time
from base64 import b64encode
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from cluster.launcher.ports import PortClaims
from tests.bench.measure import NOT_MEASURED, Measurement, cpu_seconds

FILL_CLIENTS: Final = 64
FILL_ROUNDS: Final = 3
"""Puts for each key, at random: all but a few keys are there."""

READY_SECONDS: Final = 20.0
STOP_SECONDS: Final = 10.0
LOAD_SECONDS: Final = 300.0
RETRY_SECONDS: Final = 0.1
RESTART_RETRY_SECONDS: Final = 0.01

# The figures in what a program prints: rate, p50, p99 and the longest, as far as it tells them.
LOADED: Final = re.compile(r": (\d+) op/s p50=([\d.]+)ms p99=([\d.]+)ms .*max=([\d.]+)ms")
WATCHED: Final = re.compile(r"delivered (\d+)/s, lat p50=([\d.]+)ms p99=([\d.]+)ms")
KEPT_ALIVE: Final = re.compile(r"keepalive-once (\d+)/s")


class EtcdCluster:
    """etcd nodes on free ports; as a context manager, ready inside.

    `flags` are those of every node, without dashes; the others have etcd's defaults.
    """

    def __init__(
        self, binaries: Path, size: int = 3, flags: Mapping[str, str] | None = None
    ) -> None:
        self._binaries = binaries
        self._flags = dict(flags or {})
        self._data = Path(tempfile.mkdtemp(prefix="etcd-"))
        self._claims = PortClaims()
        self._ports = self._claims.claim_free(size)
        self._is_filled = False
        self._nodes: list[subprocess.Popen[bytes]] = []

    @property
    def endpoints(self) -> str:
        """Every node's client address, with commas."""
        return ",".join(f"127.0.0.1:{ports.client}" for ports in self._ports)

    def __enter__(self) -> Self:
        try:
            for number in range(len(self._ports)):
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
        """A run of the load program."""
        flags = _load_flags(operation, clients, connections, total, leader_only)
        return self._measured(LOADED, "etcd_load", *flags)

    def measure_keep_alives(
        self, leases: int, clients: int, connections: int, total: int
    ) -> Measurement:
        """Keep-alives of leases; the program tells their rate alone."""
        flags = (f"-l={leases}", f"-k={clients}", f"-c={connections}", f"-n={total}")
        return self._measured(KEPT_ALIVE, "etcd_lease", *flags)

    def measure_watches(
        self, watchers: int, writers: int, connections: int, puts: int
    ) -> Measurement:
        """Events of watches of one prefix, in which so many puts are made."""
        flags = (f"-w={watchers}", f"-k={writers}", f"-c={connections}", f"-p={puts}")
        return self._measured(WATCHED, "etcd_watch", *flags)

    def fill(self, keys: int) -> None:
        """Put the keys that gets will ask for, once in the life of the cluster."""
        if not self._is_filled:
            total = FILL_ROUNDS * keys
            self.measure("put", FILL_CLIENTS, FILL_CLIENTS, total, leader_only=False)
            self._is_filled = True

    def _measured(self, report: re.Pattern[str], name: str, *flags: str) -> Measurement:
        """Run a program, and find its figures in its output.

        The cores are those that were busy from the start to the end of the program.
        """
        before, nodes_before, began = _children_seconds(), cpu_seconds(self.pids), time.monotonic()
        result = self._run(name, *flags)
        seconds = time.monotonic() - began
        found = report.search(result.stdout)
        assert result.returncode == 0 and found is not None, f"the load failed: {result.stderr}"
        figures = NOT_MEASURED._replace(
            node_cores=(cpu_seconds(self.pids) - nodes_before) / seconds,
            load_cores=(_children_seconds() - before) / seconds,
        )
        return Measurement(*map(float, found.groups()), *figures[len(found.groups()) :])

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

    def start(self, number: int) -> None:
        """Wait until a node has ended, and start it again; do not wait until it is ready."""
        self._nodes[number].wait(STOP_SECONDS)
        self._nodes[number] = self._launch(number)

    def leader(self) -> int:
        """The number of the node that leads; waits while there is none."""
        deadline = time.monotonic() + READY_SECONDS
        while time.monotonic() < deadline:
            for number, ports in enumerate(self._ports):
                status = _asked(ports.client, "maintenance/status", {})
                if status and status["header"]["member_id"] == status.get("leader"):
                    return number
        raise AssertionError(f"etcd had no leader for {READY_SECONDS:g} s")

    def kill(self, number: int) -> None:
        """End a node at once; `restart` starts it again."""
        self._nodes[number].kill()

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
        self._claims.release()
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
            **self._flags,
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
            size = len(self._ports)
            flags = _load_flags("put", size, size, size, leader_only=False)
            if self._run("etcd_load", *flags).returncode == 0:
                return
            with suppress(subprocess.TimeoutExpired):
                status = self._nodes[0].wait(RETRY_SECONDS)
                raise AssertionError(f"an etcd node ended with status {status}")
        raise AssertionError(f"etcd was not ready after {READY_SECONDS:g} s")

    def _run(self, name: str, *flags: str) -> subprocess.CompletedProcess[str]:
        command = [str(self._binaries / name), f"-endpoints={self.endpoints}", *flags]
        return subprocess.run(
            command, capture_output=True, text=True, timeout=LOAD_SECONDS, check=False
        )


def _load_flags(
    operation: str, clients: int, connections: int, total: int, leader_only: bool
) -> list[str]:
    return [
        f"-op={operation}",
        f"-conns={connections}",
        f"-clients={clients}",
        f"-total={total}",
        *(["-leader"] if leader_only else []),
    ]


def _children_seconds() -> float:
    """The processor time of the processes that were started here and have ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _has(port: int, key: bytes) -> bool:
    """Whether the node on this port gives the key from its own store."""
    body = {"key": b64encode(key).decode(), "serializable": True}
    return "kvs" in _asked(port, "kv/range", body)


def _asked(port: int, path: str, body: dict[str, Any]) -> dict[str, Any]:
    """What the node on this port answers; nothing if it does not."""
    link = http.client.HTTPConnection("127.0.0.1", port, timeout=READY_SECONDS)
    try:
        link.request("POST", f"/v3/{path}", json.dumps(body))
        answer: dict[str, Any] = json.loads(link.getresponse().read())
    except (OSError, http.client.HTTPException):
        return {}
    finally:
        link.close()
    return answer
