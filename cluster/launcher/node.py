"""One node of a local cluster, as its launcher sees it: a process that runs or has ended.

It owns the process, its pidfd and the link to its client port, and refuses to know other nodes.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import zmq

from cluster.launcher.layout import NodeRecord
from cluster.launcher.probe import NodeStatus, ProbeLink
from cluster.private import append
from cluster.processes import is_readable

EXIT_REMOVED: Final = 3
"""A node's exit status when it learns that it was removed from its cluster."""


class NodeProcess:
    """A node's record, and its present or last process."""

    def __init__(self, record: NodeRecord, log_path: Path, direct_port: int | None = None) -> None:
        self.record = record
        self.name = record.name
        self.member_id = record.member_id
        self.ports = record.ports
        self.endpoint = record.endpoint
        self.peer_url = record.peer_url
        self.log_path = log_path
        # Where it can be asked without its front; None: it has no front.
        self.direct_port = direct_port
        self.link: ProbeLink | None = None
        self.status: NodeStatus | None = None
        self.status_at = 0.0
        self.started_at = 0.0
        self.died_at = 0.0
        self.pidfd = -1
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
    def pid(self) -> int:
        """The process id, also after the process has ended; 0 before the first start."""
        return self._process.pid if self._process else 0

    @property
    def running(self) -> bool:
        """Whether the process runs, as of the last `reap`."""
        return self.pidfd >= 0

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
        if status >= 0:
            return f"exited with status {status}"
        try:
            return f"was killed by {signal.Signals(-status).name}"
        except ValueError:
            return f"was killed by signal {-status}"

    def launch(
        self,
        command: Sequence[str],
        environment: Mapping[str, str],
        lock_fd: int,
        context: zmq.Context[zmq.Socket[bytes]],
    ) -> None:
        """Start the process; it appends to the log and ends when this process does."""
        assert not self.running, f"{self.name} runs already"
        with append(self.log_path) as log:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,  # never written: it closes when this process ends
                stdout=log,
                stderr=log,
                env=environment,
                pass_fds=(lock_fd,),
                # A session of its own: the terminal's Ctrl-C reaches only the launcher, which then
                # stops the nodes in order.
                start_new_session=True,
            )
        self.pidfd = os.pidfd_open(self._process.pid)
        self.link = ProbeLink(context, self.direct_port or self.ports.client)
        self.status = None
        self.started_at = time.monotonic()

    def signal(self, number: int) -> None:
        """Send a signal; nothing happens if the process has just ended."""
        assert self._process is not None, f"{self.name} was never started"
        self._process.send_signal(number)

    def hear(self, status: NodeStatus) -> None:
        """Note the node's latest status."""
        self.status = status
        self.status_at = time.monotonic()
        # Only in this direction: a node that was just promoted may still call itself a learner.
        if not status.is_learner:
            self.record = self.record._replace(is_learner=False)

    def reap(self) -> bool:
        """See whether the process has ended; true once, when the end is found."""
        if not self.running or not is_readable(self.pidfd, 0.0):
            return False
        assert self._process is not None
        self.died_at = time.monotonic()
        self._process.wait()
        if self._process.stdin is not None:
            self._process.stdin.close()
        os.close(self.pidfd)
        self.pidfd = -1
        if self.link is not None:
            self.link.close()
        self.link = None
        self.status = None
        return True

    def wait(self, timeout_seconds: float) -> bool:
        """Wait for the end of the process; whether it has ended."""
        if self.running and is_readable(self.pidfd, max(0.0, timeout_seconds)):
            self.reap()
        return not self.running
