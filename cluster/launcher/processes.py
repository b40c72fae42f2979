"""The processes of a local cluster: starts, asks, kills and stops them, and records them.

It starts nodes as an operator would, asks them over their client ports, and imports nothing of a
node. It waits only for answers to `status` and for the ends of processes. It may be used by one
thread at a time.
"""

from __future__ import annotations

import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

import zmq

from cluster.launcher.files import DataDirectory
from cluster.launcher.layout import (
    LauncherError,
    NodeRecord,
    choose_nodes,
    flags_of,
    next_node,
)
from cluster.launcher.node import NodeProcess
from cluster.launcher.ports import PortClaims, PortTakenError
from cluster.launcher.probe import NodeStatus
from cluster.launcher.story.happenings import Happening
from cluster.link_plan import LinkPlan
from cluster.processes import import_environment

STOP_SECONDS: Final = 30.0
"""A node that still runs this long after SIGTERM is killed."""

KILL_SECONDS: Final = 60.0
STATUS_SECONDS: Final = 1.0
ASK_INTERVAL_MS: Final = 10

NODE_COMMAND: Final = (sys.executable, "-P", "-m", "actors")


class Processes:
    """The nodes of a local cluster by name. Raises LauncherError.

    Without `data_dir` the data is in a temporary directory, which `stop` deletes. Without
    `base_port` the cluster keeps the ports recorded in `data_dir`; a new cluster gets free ports,
    or with `fixed_ports=True` 2379, 22379, 32379...

    With `front=True` each node has a front: etcd's own clients are served, too. Then a node also
    listens itself, at a port that is chosen anew each time: a cluster is ready before its fronts
    have loaded what they need, and a client that connects to one meanwhile waits for it. Our own
    clients learn that port and go there.

    `command` is the program of each node, by default `python -m actors`. It is called with the
    node's flags, `node_flags` among them, and serves until SIGTERM.
    """

    def __init__(
        self,
        size: int | None = None,
        data_dir: str | Path | None = None,
        *,
        base_port: int | None = None,
        fixed_ports: bool = False,
        front: bool = False,
        node_flags: Sequence[str] = (),
        command: Sequence[str] = NODE_COMMAND,
    ) -> None:
        self._temporary = tempfile.mkdtemp(prefix="leasehold-") if data_dir is None else None
        path = Path(data_dir or self._temporary or "")
        self.data_dir = path
        self.directory = DataDirectory(path)
        self._claims = PortClaims()
        try:
            recorded = self.directory.recorded_nodes()
            records = choose_nodes(recorded, size, base_port, fixed_ports, str(path), self._claims)
        except BaseException:
            self._forget_directory()
            raise
        self._has_fronts = front
        # Nodes removed in an earlier run are kept as records only: their names and ports must not
        # be used again.
        self._former = tuple(record for record in records if record.is_removed)
        self.nodes = {
            record.name: self._node(record) for record in records if not record.is_removed
        }
        self._node_flags = tuple(node_flags)
        self._command = tuple(command)
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()

    # --- all of them ---

    @property
    def members(self) -> list[NodeProcess]:
        """The nodes that belong to the cluster, whether they run or not."""
        return [node for node in self.nodes.values() if not node.is_removed]

    @property
    def voters(self) -> list[NodeProcess]:
        """The members with a vote: all but learners."""
        return [node for node in self.members if not node.is_learner]

    @property
    def endpoints(self) -> list[str]:
        """Every voter's client address, HOST:PORT, whether it runs or not."""
        return [node.endpoint for node in self.voters]

    @property
    def running(self) -> list[NodeProcess]:
        """The nodes whose processes run, as of the last `reap`."""
        return [node for node in self.nodes.values() if node.running]

    @property
    def running_members(self) -> list[NodeProcess]:
        """The running nodes that belong to the cluster."""
        return [node for node in self.members if node.running]

    @property
    def quorum(self) -> int:
        """The number of voters that must run for writes to be acknowledged."""
        return len(self.voters) // 2 + 1

    @property
    def has_quorum(self) -> bool:
        """Whether a quorum of voters runs."""
        return sum(1 for node in self.voters if node.running) >= self.quorum

    def launch(self) -> None:
        """Start every node's process, if their ports are free."""
        try:
            for node in self.members:
                self._claims.claim(node.ports)
        except PortTakenError as error:
            raise LauncherError(str(error)) from None
        self.directory.record_nodes(self._records())
        for node in self.members:
            self.launch_node(node.name)

    def count(self) -> str:
        """The number of members that run, in words."""
        return f"{len(self.running_members)} of {len(self.members)} nodes run"

    def status(self, timeout_seconds: float = STATUS_SECONDS) -> dict[str, NodeStatus]:
        """The status of each node, asked for now; nodes that do not answer in time are left out."""
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
        """SIGTERM to all nodes, then SIGKILL to those that take too long; the names of these."""
        for node in self.running:
            node.signal(signal.SIGTERM)
            node.signal(signal.SIGCONT)  # a node that was paused cannot stop
        deadline = time.monotonic() + timeout_seconds
        try:
            for node in self.running:
                node.wait(deadline - time.monotonic())
        finally:
            # Also when a second Ctrl-C ends the waiting: no process is left behind.
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
        if node.is_removed:
            raise LauncherError(f"{name} was removed from the cluster for good: add another node")
        command = (*self._command, *self._flags_of(node))
        node.launch(
            command,
            import_environment(),
            self.directory.lock_fd,
            self._context,
            LinkPlan(),
            is_recording=False,
        )

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

    def name_of(self, member_id: int) -> str:
        """The name of the node with this member id, or the id as etcd writes it."""
        names = (node.name for node in self.nodes.values() if node.member_id == member_id)
        return next(names, f"{member_id:x}")

    def told(self) -> list[Happening]:
        """What the nodes have told since the last call, those that have ended among them."""
        return [happening for node in self.nodes.values() for happening in node.told()]

    def failure_of(self, node: NodeProcess) -> str:
        """One line on a node that ended by itself, with the last line of its log."""
        last_words = self.directory.last_log_line(node.name)
        return f"{node.name} {node.ending}: {last_words or f'nothing in {node.log_path}'}"

    def reap(self) -> list[NodeProcess]:
        """The nodes that have ended since the last call."""
        return [node for node in self.nodes.values() if node.reap()]

    def poll(self, timeout_ms: int) -> None:
        """Wait until a node answers or ends, or until the time is over."""
        poller = zmq.Poller()
        for node in self.running:
            poller.register(node.pidfd, zmq.POLLIN)
            if node.link is not None:
                poller.register(node.link.socket, zmq.POLLIN)
        poller.poll(timeout_ms)

    # --- the record of the nodes ---

    def plan_node(self, name: str | None = None, learner: bool = False) -> NodeRecord:
        """A record for a new node: add it to the cluster, then `enlist` it."""
        return next_node(list(self._records()), name, learner, self._claims)

    def enlist(self, record: NodeRecord, member_id: int) -> None:
        """Record a member that was added, and start its process."""
        self.nodes[record.name] = self._node(record._replace(member_id=member_id))
        self.directory.record_nodes(self._records())
        self.launch_node(record.name)

    def note_promoted(self, name: str) -> None:
        """Record that a learner is a voter now."""
        self._note(self.node(name), is_learner=False)

    def note_removed(self, name: str) -> None:
        """Record that a member was removed: it is not started again."""
        self._note(self.node(name), is_removed=True)

    def _note(self, node: NodeProcess, **what: bool) -> None:
        node.record = NodeRecord(**{**node.record._asdict(), **what})
        self.directory.record_nodes(self._records())

    def _records(self) -> Iterable[NodeRecord]:
        return (*self._former, *(node.record for node in self.nodes.values()))

    def _node(self, record: NodeRecord) -> NodeProcess:
        direct_port = self._claims.claim_free(1)[0].client if self._has_fronts else None
        log_path = self.directory.log_of(record.name)
        return NodeProcess(record, log_path, direct_port, self.name_of)

    def _flags_of(self, node: NodeProcess) -> Iterable[str]:
        data_dir = str(self.directory.node_directory(node.name).resolve())
        flags = flags_of(node.record, self._records(), data_dir, node.direct_port)
        return (
            *(f"--{flag}={value}" for flag, value in flags.items()),
            *self._node_flags,
        )

    def _forget_directory(self) -> None:
        self._claims.release()
        self.directory.release()
        if self._temporary is not None:
            shutil.rmtree(self._temporary, ignore_errors=True)


def leader_among(statuses: dict[str, NodeStatus]) -> str | None:
    """The node that says it leads, in the highest term; None if none says so."""
    leading = [(status.term, name) for name, status in statuses.items() if status.leads]
    return max(leading)[1] if leading else None
