"""LocalCluster: a whole cluster as processes on this machine, for the launcher and for tests.

Starts, kills, stops and starts again, and says who leads. Nodes are started as an operator would
start them and asked over their client ports; nothing of a node is imported. One thread at a time.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import zmq

from cluster.config import member_id_of
from cluster.launcher.files import DataDirectory, LauncherError, name_of
from cluster.launcher.node import NodeProcess
from cluster.launcher.ports import (
    BASE_PORT,
    SIZE_MAX,
    Ports,
    free_ports,
    holder_of,
    is_free,
    ports_from,
)
from cluster.launcher.probe import NodeStatus, WriteAnswered

DEFAULT_SIZE: Final = 3
TOKEN: Final = "etcd-cluster"

READY_SECONDS: Final = 30.0
"""A cluster that has not acknowledged a write after this time is given up."""

STOP_SECONDS: Final = 10.0
"""Nodes that have not stopped this long after SIGTERM are killed."""

KILL_SECONDS: Final = 5.0
STATUS_SECONDS: Final = 1.0
ASK_INTERVAL_MS: Final = 10

NODE_COMMAND: Final = (sys.executable, "-P", "-m", "actors")
IMPORT_ROOT: Final = Path(__file__).resolve().parents[2]


class LocalCluster:
    """A cluster on loopback; as a context manager it is ready inside and gone afterwards.

    Without `data_dir` it lives in a temporary directory that goes with it. Without `base_port` it
    keeps the ports that `data_dir` was made with; a new one gets free ports, or with
    `fixed_ports=True` 2379, 22379, 32379... Raises LauncherError.
    """

    def __init__(
        self,
        size: int | None = None,
        data_dir: str | Path | None = None,
        *,
        base_port: int | None = None,
        fixed_ports: bool = False,
        node_flags: Sequence[str] = (),
        command: Sequence[str] = NODE_COMMAND,
    ) -> None:
        self._temporary = tempfile.mkdtemp(prefix="leasehold-") if data_dir is None else None
        path = Path(data_dir or self._temporary or "")
        self.data_dir = path
        self.directory = DataDirectory(path)
        try:
            ports = self._choose_ports(size, base_port, fixed_ports)
        except BaseException:
            self._forget_directory()
            raise
        self.nodes = {name_of(i): self._node(name_of(i), pair) for i, pair in enumerate(ports)}
        self._node_flags = tuple(node_flags)
        self._command = tuple(command)
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()

    # --- the cluster as a whole ---

    @property
    def endpoints(self) -> list[str]:
        """Every node's client address, HOST:PORT, whether it runs or not."""
        return [node.endpoint for node in self.nodes.values()]

    @property
    def running(self) -> list[NodeProcess]:
        """The nodes whose processes have not been seen to end."""
        return [node for node in self.nodes.values() if node.running]

    @property
    def quorum(self) -> int:
        """How many nodes must run for writes to be acknowledged."""
        return len(self.nodes) // 2 + 1

    def __enter__(self) -> Self:
        try:
            self.launch()
            self.wait_until_ready()
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

    def launch(self) -> None:
        """Start every node's process, if their ports are free."""
        for node in self.nodes.values():
            for port in node.ports:
                if not is_free(port):
                    raise LauncherError(f"port {port} is taken{holder_of(port)}")
        self.directory.record_ports(tuple(node.ports for node in self.nodes.values()))
        for name in self.nodes:
            self.launch_node(name)

    def wait_until_ready(self, timeout_seconds: float = READY_SECONDS) -> str:
        """Wait until all run and a write is acknowledged; the leader's name."""
        return self._wait_for_write(timeout_seconds, all_must_run=True)

    def wait_for_leader(self, timeout_seconds: float = READY_SECONDS) -> str:
        """Wait until a write is acknowledged by those that run; the leader's name."""
        return self._wait_for_write(timeout_seconds, all_must_run=False)

    def leader(self, timeout_seconds: float = READY_SECONDS) -> str:
        """The name of the leader, waited for while there is none."""
        deadline = time.monotonic() + timeout_seconds
        while time.monotonic() < deadline:
            name = leader_among(self.status())
            if name is not None:
                return name
            self.poll(ASK_INTERVAL_MS)
        raise LauncherError(f"no leader within {timeout_seconds:g} s")

    def status(self, timeout_seconds: float = STATUS_SECONDS) -> dict[str, NodeStatus]:
        """What each node says about itself now; those that do not answer in time are left out."""
        answered: dict[str, NodeStatus] = {}
        asked: set[str] = set()
        deadline = time.monotonic() + timeout_seconds
        while time.monotonic() < deadline:
            self.reap()
            for node in self.running:
                if node.name not in asked and node.link is not None and node.link.ask_status():
                    asked.add(node.name)
                for answer in node.link.answers() if node.link else ():
                    if isinstance(answer, NodeStatus):
                        node.hear(answer)
                        answered[node.name] = answer
            if all(node.name in answered for node in self.running):
                break
            self.poll(ASK_INTERVAL_MS)
        return {name: answered[name] for name in self.nodes if name in answered}

    def stop(self, timeout_seconds: float = STOP_SECONDS) -> list[str]:
        """SIGTERM to all, SIGKILL to those that take too long (their names are returned)."""
        for node in self.running:
            node.signal(signal.SIGTERM)
            node.signal(signal.SIGCONT)  # a node that was paused cannot stop
        deadline = time.monotonic() + timeout_seconds
        try:
            for node in self.running:
                node.wait(deadline - time.monotonic())
        finally:
            # Also when a second Ctrl-C ends the waiting: nothing is left behind.
            stubborn = self.running
            for node in stubborn:
                node.signal(signal.SIGKILL)
            for node in stubborn:
                node.wait(KILL_SECONDS)
            self._context.destroy(linger=0)
            self._forget_directory()
        return [node.name for node in stubborn]

    # --- one node ---

    def launch_node(self, name: str) -> None:
        """Start a node's process and return at once."""
        node = self.node(name)
        if node.running:
            raise LauncherError(f"{name} is running already (pid {node.pid})")
        environment = dict(os.environ)
        search = [str(IMPORT_ROOT), environment.get("PYTHONPATH", "")]
        environment["PYTHONPATH"] = os.pathsep.join(part for part in search if part)
        command = (*self._command, *self._flags_of(node))
        node.launch(command, environment, self.directory.lock_fd, self._context)

    def restart(self, name: str, timeout_seconds: float = READY_SECONDS) -> None:
        """Start a node that has ended, and wait until it knows the leader."""
        self.reap()
        self.launch_node(name)
        node = self.node(name)
        deadline = time.monotonic() + timeout_seconds
        while time.monotonic() < deadline:
            status = self.status().get(name)
            if status is not None and status.leader:
                return
            if not node.running:
                raise LauncherError(self.failure_of(node))
            self.poll(ASK_INTERVAL_MS)
        raise LauncherError(f"{name} did not find a leader within {timeout_seconds:g} s")

    def kill(self, name: str, number: int = signal.SIGKILL) -> None:
        """Send a signal to a node; after SIGKILL, wait until the process is gone."""
        node = self.node(name)
        if not node.running:
            raise LauncherError(f"{name} is not running")
        node.signal(number)
        if number == signal.SIGKILL:
            node.wait(KILL_SECONDS)

    def stop_node(self, name: str, timeout_seconds: float = STOP_SECONDS) -> None:
        """Stop one node gracefully, as SIGTERM does."""
        node = self.node(name)
        self.kill(name, signal.SIGTERM)
        if not node.wait(timeout_seconds):
            raise LauncherError(f"{name} did not stop within {timeout_seconds:g} s of SIGTERM")

    def node(self, name: str) -> NodeProcess:
        """The node of this name."""
        if name not in self.nodes:
            raise LauncherError(f"there is no node {name}; there are {', '.join(self.nodes)}")
        return self.nodes[name]

    def failure_of(self, node: NodeProcess) -> str:
        """One line on a node that ended unasked, with its own last words."""
        last_words = self.directory.last_log_line(node.name)
        return f"{node.name} {node.ending}: {last_words or f'nothing in {node.log_path}'}"

    def reap(self) -> list[NodeProcess]:
        """The nodes that are seen to have ended since the last look."""
        return [node for node in self.nodes.values() if node.reap()]

    def poll(self, timeout_ms: int) -> None:
        """Wait until a node answers or ends, or until the time is over."""
        poller = zmq.Poller()
        for node in self.running:
            poller.register(node.pidfd, zmq.POLLIN)
            if node.link is not None:
                poller.register(node.link.socket, zmq.POLLIN)
        poller.poll(timeout_ms)

    # --- inside ---

    def _wait_for_write(self, timeout_seconds: float, *, all_must_run: bool) -> str:
        deadline = time.monotonic() + timeout_seconds
        while time.monotonic() < deadline:
            self.reap()
            ended = [node for node in self.nodes.values() if not node.running]
            if ended and all_must_run:
                raise LauncherError(f"could not start: {self.failure_of(ended[0])}")
            if len(self.running) < self.quorum:
                raise LauncherError(
                    f"{len(self.running)} of {len(self.nodes)} nodes run: writes wait for"
                    f" {self.quorum}"
                )
            name = leader_among(self.status())
            if name is None:
                self.poll(ASK_INTERVAL_MS)
            elif self._write_is_acknowledged():
                return name
        raise LauncherError(f"no write was acknowledged within {timeout_seconds:g} s")

    def _write_is_acknowledged(self) -> bool:
        """Ask every node for a write that changes nothing; whether any answers well soon."""
        for node in self.running:
            if node.link is not None:
                node.link.ask_write()
        until = time.monotonic() + ASK_INTERVAL_MS / 1000
        while (left := until - time.monotonic()) > 0:
            self.poll(int(left * 1000))
            for node in self.running:
                for answer in node.link.answers() if node.link else ():
                    if isinstance(answer, WriteAnswered) and answer.acknowledged:
                        return True
        return False

    def _choose_ports(
        self, size: int | None, base_port: int | None, fixed_ports: bool
    ) -> tuple[Ports, ...]:
        recorded = self.directory.recorded_ports()
        size = size or len(recorded) or DEFAULT_SIZE
        if not 1 <= size <= SIZE_MAX:
            raise LauncherError(f"a local cluster has 1 to {SIZE_MAX} nodes, not {size}")
        if recorded and len(recorded) != size:
            raise LauncherError(
                f"data directory {self.data_dir} holds a cluster of size {len(recorded)},"
                f" not {size}"
            )
        if base_port is None and not fixed_ports:
            ports = recorded or free_ports(size)
        elif base_port is None:
            ports = recorded or ports_from(BASE_PORT, size)
        else:
            ports = ports_from(base_port, size)
            _check_range(base_port, ports)
        if recorded and ports != recorded:
            raise LauncherError(
                f"data directory {self.data_dir} holds a cluster whose first port is"
                f" {recorded[0].client}, not {base_port}"
            )
        return ports

    def _node(self, name: str, ports: Ports) -> NodeProcess:
        url = f"tcp://127.0.0.1:{ports.peer}"
        return NodeProcess(name, member_id_of((url,), TOKEN), ports, self.directory.log_of(name))

    def _flags_of(self, node: NodeProcess) -> Iterable[str]:
        client_url = f"tcp://{node.endpoint}"
        members = ",".join(f"{other.name}={other.peer_url}" for other in self.nodes.values())
        flags = {
            "name": node.name,
            "data-dir": str(self.directory.node_directory(node.name).resolve()),
            "listen-client-urls": client_url,
            "advertise-client-urls": client_url,
            "listen-peer-urls": node.peer_url,
            "initial-advertise-peer-urls": node.peer_url,
            "initial-cluster": members,
            "initial-cluster-token": TOKEN,
        }
        return (
            *(f"--{flag}={value}" for flag, value in flags.items()),
            *self._node_flags,
            "--stop-with-stdin",
        )

    def _forget_directory(self) -> None:
        self.directory.release()
        if self._temporary is not None:
            shutil.rmtree(self._temporary, ignore_errors=True)


def leader_among(statuses: dict[str, NodeStatus]) -> str | None:
    """The node that leads in the highest term, if any says it does."""
    leading = [(status.term, name) for name, status in statuses.items() if status.leads]
    return max(leading)[1] if leading else None


def _check_range(base_port: int, ports: tuple[Ports, ...]) -> None:
    highest = max(pair.peer for pair in ports)
    if base_port < 1 or highest > 65_535:
        raise LauncherError(
            f"--base-port {base_port}: {len(ports)} nodes would use ports up to {highest}"
        )
