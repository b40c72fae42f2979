"""One node of a local cluster, as its launcher sees it: a process that runs or has ended.

It owns the process, its pidfd, the channel to it and the link to its client port, and refuses to
know other nodes. What a node is doing (`condition`) comes from the system and from its answers,
whoever killed, paused or started it.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

import zmq

from cluster.curve import KeyPair
from cluster.launcher.links.channel import KEPT_MAX, NodeChannel
from cluster.launcher.nodes.layout import NodeRecord
from cluster.launcher.nodes.probe import NodeStatus, ProbeLink
from cluster.launcher.ports import LOOPBACK
from cluster.launcher.secure.files import MemberKey
from cluster.launcher.story.happenings import Happening
from cluster.link_plan import LinkPlan
from cluster.private import append
from cluster.processes import descendants, is_readable
from cluster.schemes import TCP

EXIT_REMOVED: Final = 3
"""A node's exit status when it learns that it was removed from its cluster."""

STOPS: Final = os.WSTOPPED | os.WCONTINUED | os.WNOHANG

SILENT_SECONDS: Final = 1.0
"""A node that has answered once, and then not for this time, is called silent: it hangs, or its
host is overloaded."""


class NodeProcess:
    """A node's record, and its present or last process. `name_of` is for members' ids.

    A node with a key lets in clients that have keys.
    """

    def __init__(
        self,
        record: NodeRecord,
        log_path: Path,
        direct_port: int | None,
        name_of: Callable[[int], str],
        key: MemberKey | None = None,
    ) -> None:
        self.record = record
        self._key = key
        self.name = record.name
        self.member_id = record.member_id
        self.ports = record.ports
        self.endpoint = record.endpoint
        self.peer_url = record.peer_url
        self.log_path = log_path
        # Where it can be asked without its front; None: it has no front.
        self.direct_port = direct_port
        self.link: ProbeLink | None = None
        self.channel: NodeChannel | None = None
        self.status: NodeStatus | None = None
        self.status_at = 0.0
        self.started_at = 0.0
        self.died_at = 0.0
        self.pidfd = -1
        self._name_of = name_of
        self._last_words: deque[Happening] = deque(maxlen=KEPT_MAX)
        # Stopped by SIGSTOP, as of the last `notice_stops`.
        self.is_paused = False
        # Started, and not yet back among the others; whether it ever was among them.
        self.is_joining = False
        self.is_new = bool(record.joined_with)
        # Whether `Processes.reap` has returned its end, and whether the user wanted it.
        self.end_is_known = False
        self.end_is_meant = False
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def is_learner(self) -> bool:
        """Whether it has no vote: as recorded, until it reports that it was promoted."""
        return self.record.is_learner

    @property
    def is_removed(self) -> bool:
        """Whether it was removed from the cluster, which is final."""
        return self.record.is_removed

    @property
    def direct_address(self) -> str:
        """Where the node itself is asked, not its front: HOST:PORT, or HOST:PORT#KEY."""
        where = f"{LOOPBACK}:{self.direct_port or self.ports.client}"
        return where if self._key is None else f"{where}#{self._key.now() or self.record.key}"

    @property
    def pid(self) -> int:
        """The process id, also after the process has ended; 0 before the first start."""
        return self._process.pid if self._process else 0

    @property
    def running(self) -> bool:
        """Whether the process runs, as of the last `reap`."""
        return self.pidfd >= 0

    @property
    def is_at_work(self) -> bool:
        """Whether the process runs and is not paused."""
        return self.running and not self.is_paused

    @property
    def exit_status(self) -> int | None:
        """How the process ended: its status, or minus the signal that killed it."""
        return self._process.returncode if self._process else None

    @property
    def ending(self) -> str:
        """How the process ended, in words."""
        status = self.exit_status
        if status is None:
            return "was not started"
        if status == 0:
            return "stopped"
        if status > 0:
            return f"exited with status {status}"
        try:
            return f"was killed by {signal.Signals(-status).name}"
        except ValueError:
            return f"was killed by signal {-status}"

    def condition(self, now: float, awake_since: float = 0.0) -> str:
        """What the node does at `now`, in one word.

        removed, stopped, failed, killed: it does not run. paused, starting (it has not answered
        yet), silent, running. The launcher could not hear answers before `awake_since`.
        """
        if self.is_removed:
            return "removed"
        if not self.running:
            status = self.exit_status or 0
            return "killed" if status < 0 else "failed" if status else "stopped"
        if self.is_paused:
            return "paused"
        if self.status is None:
            return "starting"
        silent = now - max(self.status_at, awake_since) > SILENT_SECONDS
        return "silent" if silent else "running"

    def launch(
        self,
        command: Sequence[str],
        environment: Mapping[str, str],
        lock_fd: int,
        context: zmq.Context[zmq.Socket[bytes]],
        plan: LinkPlan,
        is_recording: bool,
        pair: KeyPair | None = None,
    ) -> None:
        """Start the process; it appends to the log and ends when this process does.

        Its links obey the plan from the first frame on. `pair` is the launcher's, for a node that
        wants to know who asks.
        """
        assert not self.running, f"{self.name} runs already"
        channel = NodeChannel(self.name, self._name_of)
        channel.say(links=plan.document(), record=is_recording)
        try:
            self._process = self._spawn(command, environment, lock_fd, channel.node_fd)
        except OSError:
            channel.close()
            raise
        channel.hand_over()
        self.channel = channel
        self.pidfd = os.pidfd_open(self._process.pid)
        self.link = ProbeLink(context, TCP + self.direct_address, pair)
        self.status = None
        self.started_at = time.monotonic()
        self.is_paused = self.end_is_known = self.end_is_meant = False
        self.is_joining = True

    def _spawn(
        self,
        command: Sequence[str],
        environment: Mapping[str, str],
        lock_fd: int,
        channel_fd: int,
    ) -> subprocess.Popen[bytes]:
        with append(self.log_path) as log:
            return subprocess.Popen(
                [*command, f"--launcher-fd={channel_fd}"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=environment,
                pass_fds=(lock_fd, channel_fd),
                # A session of its own: the terminal's Ctrl-C reaches only the launcher, which then
                # stops the nodes in order.
                start_new_session=True,
            )

    def signal(self, number: int) -> None:
        """Send a signal; nothing happens if the process has just ended."""
        assert self._process is not None, f"{self.name} was never started"
        self._process.send_signal(number)

    def pause(self) -> None:
        """Stop the process where it is, and its front with it, as SIGSTOP does."""
        self.signal(signal.SIGSTOP)
        # The node first: it starts its front again when that ends.
        for pid in descendants(self.pid):
            _signal(pid, signal.SIGSTOP)

    def resume(self) -> None:
        """Let a paused process and its front go on."""
        for pid in descendants(self.pid):
            _signal(pid, signal.SIGCONT)
        self.signal(signal.SIGCONT)

    def notice_stops(self) -> bool:
        """See whether the process was paused or goes on, whoever did it; whether that changed."""
        before = self.is_paused
        with suppress(ChildProcessError):  # it has just ended
            while found := self.running and os.waitid(os.P_PID, self.pid, STOPS):
                self.is_paused = found.si_code == os.CLD_STOPPED
        return self.is_paused != before

    def hear(self, status: NodeStatus) -> None:
        """Note the node's latest status."""
        self.status = status
        self.status_at = time.monotonic()
        # Only in this direction: a node that was just promoted may still call itself a learner.
        if not status.is_learner:
            self.record = self.record._replace(is_learner=False)

    def ask_status(self) -> bool:
        """Ask for the status, without waiting; whether the request could be sent."""
        if self.link is None:
            return False
        if self._key is not None:
            # Somebody may have the member change its key.
            self.record = self.record._replace(key=self._key.now() or self.record.key)
            self.link.follow(TCP + self.direct_address)
        return self.link.ask_status()

    def plan_links(self, plan: LinkPlan) -> None:
        """Tell it, if it runs, what befalls its links from now on."""
        if self.channel is not None:
            self.channel.say(links=plan.document())

    def record_messages(self, on: bool) -> None:
        """Let it tell of the messages that it sends, or no longer."""
        if self.channel is not None:
            self.channel.say(record=on)

    @property
    def obeys(self) -> bool:
        """Whether it has confirmed what it was told; a paused one will when it goes on."""
        return self.channel is None or self.channel.is_applied or self.is_paused

    def told(self) -> list[Happening]:
        """What it has told since the last call, also before it ended."""
        told = [*self._last_words, *(self.channel.take() if self.channel else ())]
        self._last_words.clear()
        return told

    @property
    def channel_fd(self) -> int:
        """Readable when the node has told something; -1 when it has no channel."""
        return self.channel.fd if self.channel is not None else -1

    def reap(self) -> bool:
        """See whether the process has ended; true once, when the end is found."""
        if not self.running or not is_readable(self.pidfd, 0.0):
            return False
        assert self._process is not None
        self.died_at = time.monotonic()
        self._process.wait()
        os.close(self.pidfd)
        self.pidfd = -1
        if self.link is not None:
            self.link.close()
        self.link = None
        if self.channel is not None:
            self._last_words += self.channel.take()
            self.channel.close()
        self.channel = None
        self.status = None
        self.is_paused = self.is_joining = False
        return True

    def wait(self, timeout_seconds: float) -> bool:
        """Wait for the end of the process; whether it has ended."""
        if self.running and is_readable(self.pidfd, max(0.0, timeout_seconds)):
            self.reap()
        return not self.running


def _signal(pid: int, number: int) -> None:
    with suppress(ProcessLookupError):  # it has just ended
        os.kill(pid, number)
