"""The processes of a local cluster: starts, asks and stops them, and tells of them.

It starts nodes as an operator would, asks them over their client ports, and imports nothing of a
node. What happens to the processes is told in the cluster's journal here, whether the launcher's
main loop or a Python program drives it. It may be used by one thread at a time.
"""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

import zmq

from cluster.launcher.errands.errand import Errands
from cluster.launcher.links.faults import LinkFaults
from cluster.launcher.naming import ENDED
from cluster.launcher.nodes.announcing import tell_end, tell_joined, tell_pause
from cluster.launcher.nodes.layout import LauncherError, NodeRecord, flags_of
from cluster.launcher.nodes.node import EXIT_REMOVED, NodeProcess
from cluster.launcher.nodes.probe import Answer, NodeStatus, OrderAnswered, leader_among
from cluster.launcher.nodes.roster import NodeRoster
from cluster.launcher.story.durations import duration
from cluster.launcher.story.happenings import Happening
from cluster.launcher.story.journal import Journal
from cluster.processes import import_environment

STOP_SECONDS: Final = 30.0
"""A node that still runs this long after SIGTERM does not stop: when the cluster stops, it is
killed."""

KILL_SECONDS: Final = 60.0
"""The system may take this long to end a killed process, or to stop one."""

STATUS_SECONDS: Final = 1.0
JOURNAL: Final = "events.jsonl"
ASK_INTERVAL_MS: Final = 10

NODE_COMMAND: Final = (sys.executable, "-P", "-m", "actors")


class Processes(NodeRoster):
    """The nodes of a local cluster by name. Raises LauncherError.

    Without `data_dir` the data is in a temporary directory, which `close` deletes. Without
    `base_port` the cluster keeps the ports recorded in `data_dir`; a new cluster gets free ports,
    or with `fixed_ports=True` 2379, 22379, 32379...

    With `front=True` each node has a front: etcd's own clients are served, too. Then a node also
    listens itself, at a port that is chosen anew each time: a cluster is ready before its fronts
    have loaded what they need, and a client that connects to one meanwhile waits for it. Our own
    clients learn that port and go there.

    With `secure=True` a new cluster asks everybody who they are: `secure` has the files with which
    users log in, at `endpoints`. A cluster stays what it was made.

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
        secure: bool = False,
        node_flags: Sequence[str] = (),
        command: Sequence[str] = NODE_COMMAND,
    ) -> None:
        super().__init__(size, data_dir, base_port, fixed_ports, front, secure)
        self._node_flags = tuple(node_flags)
        self._command = tuple(command)
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self.journal = Journal(self.data_dir / JOURNAL)
        self.errands = Errands(self.nodes)
        self.links = LinkFaults(self.nodes)
        # Until this moment the launcher itself did not run: no node is to blame for its silence.
        self.awake_since = 0.0
        self._is_formed = False

    # --- all of them ---

    def launch(self) -> None:
        """Start every node's process, if their ports are free."""
        self._claim_ports()
        self._make_secrets()
        self.directory.record_nodes(self._records())
        for node in self.members:
            self.launch_node(node.name)

    def enlist(self, record: NodeRecord, member_id: int) -> None:
        """Record a member that was added, and start its process."""
        self._enlist(record, member_id)
        self.launch_node(record.name)

    def status(self, timeout_seconds: float = STATUS_SECONDS) -> dict[str, NodeStatus]:
        """The status of each node, asked for now; nodes that do not answer in time are left out."""
        answered: dict[str, NodeStatus] = {}
        asked: set[str] = set()
        deadline = time.monotonic() + timeout_seconds
        while time.monotonic() < deadline:
            self.reap()
            for node in self.running:
                if node.name not in asked and node.ask_status():
                    asked.add(node.name)
            for node, answer in self.take_answers():
                if isinstance(answer, NodeStatus):
                    answered[node.name] = answer
            if all(node.name in answered for node in self.running):
                break
            self.poll(ASK_INTERVAL_MS)
        return {name: answered[name] for name in self.nodes if name in answered}

    def ask_status(self) -> None:
        """Ask every running node for its status, without waiting."""
        for node in self.running:
            node.ask_status()

    def take_answers(self) -> list[tuple[NodeProcess, Answer]]:
        """Note what the nodes have told and answered; go on with errands that waited for it."""
        for happening in self.told():
            self.journal.add(happening)
        taken: list[tuple[NodeProcess, Answer]] = []
        for node in self.running:
            for answer in node.link.answers() if node.link is not None else ():
                taken.append((node, answer))
                if isinstance(answer, NodeStatus):
                    node.hear(answer)
                    self._notice_joined(node, answer)
                elif isinstance(answer, OrderAnswered):
                    self.errands.answered(node.name, answer)
        return taken

    @property
    def heard_leader(self) -> str | None:
        """The node that leads, as the nodes' last answers say; none is asked."""
        now = time.monotonic()
        return leader_among(
            {
                node.name: node.status
                for node in self.running
                if node.status is not None and node.condition(now, self.awake_since) != "silent"
            }
        )

    def formed(self, leader: str, took_seconds: float) -> None:
        """All nodes run, and a write was acknowledged: from now on every return is told."""
        self._is_formed = True
        for node in self.nodes.values():
            node.is_joining = node.is_new = False
        status = self.node(leader).status
        term = status.term if status is not None else 0
        took_ms = round(took_seconds * 1000, 1)
        text = f"ready in {duration(took_seconds)}: {leader} leads (term {term}), {self.count()}"
        self.journal.tell("ready", text, took_ms=took_ms, leader=leader, term=term)

    def _notice_joined(self, node: NodeProcess, status: NodeStatus) -> None:
        if not (node.is_joining and status.leader):
            return
        node.is_joining = False
        if self._is_formed:
            tell_joined(self.journal, node, time.monotonic() - node.started_at, self.count())
        node.is_new = False

    def close(self, timeout_seconds: float = STOP_SECONDS) -> list[str]:
        """SIGTERM to all nodes, then SIGKILL to those that take too long; the names of these.

        The data directory is released, and deleted if it is a temporary one.
        """
        self.errands.abandon()
        for node in self.running:
            node.signal(signal.SIGTERM)
            node.resume()  # a node that was paused cannot stop
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
            self.journal.tell("stopped", "the cluster has stopped")
            self.journal.close()
            self._forget_directory()
        return [node.name for node in stubborn]

    # --- one node ---

    def launch_node(self, name: str) -> None:
        """Start a node's process and return at once."""
        node = self.node(name)
        if not ENDED.holds(node):
            raise LauncherError(ENDED.why_not(node))
        command = (*self._command, *self._flags_of(node))
        node.launch(
            command,
            import_environment(),
            self.directory.lock_fd,
            self._context,
            self.links.plan_at_start(node),
            self.links.is_recording,
            None if self.secure is None else self.secure.pair,
        )
        self.links.refresh()  # a new node: the others must know of it
        self.journal.tell("launched", f"{name} starts (pid {node.pid})", victim=name, pid=node.pid)

    def told(self) -> list[Happening]:
        """What the nodes have told since the last call, those that have ended among them."""
        return [happening for node in self.nodes.values() for happening in node.told()]

    def failure_of(self, node: NodeProcess) -> str:
        """One line on a node that ended by itself, with the last line of its log."""
        last_words = self.directory.last_log_line(node.name)
        return f"{node.name} {node.ending}: {last_words or f'nothing in {node.log_path}'}"

    def reap(self) -> list[NodeProcess]:
        """The nodes that have ended since the last call. Their ends are told, and their pauses."""
        leader = self.heard_leader
        for node in self.running:
            if node.notice_stops():
                tell_pause(self.journal, node, leader)
        ended = [
            node
            for node in self.nodes.values()
            if (node.reap() or (node.pid and not node.running)) and not node.end_is_known
        ]
        for node in ended:
            node.end_is_known = True
        for node in ended:
            if self._is_formed and node.exit_status == EXIT_REMOVED and not node.is_removed:
                self.note_removed(node.name)  # another client removed it
            waiting = ""
            if not self.has_quorum and not node.is_learner:
                waiting = f"{self.count()}: writes wait until {self.quorum} do"
            last_words = self.directory.last_log_line(node.name)
            tell_end(self.journal, node, leader, last_words, waiting)
            self.errands.lost(node.name)
        if ended:
            self.links.refresh()  # a removed node has no links any more
        return ended

    def poll(self, timeout_ms: int) -> None:
        """Wait until a node answers or ends, or until the time is over."""
        poller = zmq.Poller()
        self.wake_at_nodes(poller)
        poller.poll(timeout_ms)

    def wake_at_nodes(self, poller: zmq.Poller) -> None:
        """Let a poller wake when a node answers or ends."""
        for node in self.running:
            poller.register(node.pidfd, zmq.POLLIN)
            if node.link is not None:
                poller.register(node.link.socket, zmq.POLLIN)

    def _flags_of(self, node: NodeProcess) -> Iterable[str]:
        data_dir = str(self.directory.node_directory(node.name).resolve())
        certificate = None if self.secure is None else self.secure.certificate
        flags = flags_of(node.record, self._records(), data_dir, node.direct_port, certificate)
        return (
            *(f"--{flag}={value}" for flag, value in flags.items()),
            *self._node_flags,
        )
