"""LocalCluster: a whole cluster as processes on this machine, for the launcher and for tests.

It waits until the cluster is ready or has a leader, and adds, removes and replaces members.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, Self, TypeVar

from cluster.errors import FAULTS, LeaseholdError
from cluster.launcher.layout import LauncherError
from cluster.launcher.node import NodeProcess
from cluster.launcher.probe import WriteAnswered
from cluster.launcher.processes import (
    ASK_INTERVAL_MS,
    Processes,
    leader_among,
)
from cluster.processes import IMPORT_ROOT

if TYPE_CHECKING:
    from cluster.client.api import Client

__all__ = ["IMPORT_ROOT", "REMOVED_SECONDS", "LocalCluster"]

READY_SECONDS: Final = 120.0
"""A cluster that has not acknowledged a write after this time has failed to start."""

REMOVED_SECONDS: Final = 15.0
"""A removed node ends by itself; one that runs longer is stopped."""

ASKED_SECONDS: Final = 30.0
"""How long a change of members may take."""

PASSING: Final = frozenset((FAULTS["Unhealthy"].message, FAULTS["LearnerNotReady"].message))
"""Refusals of a change of members that pass when starting nodes are ready: it is tried again."""

T = TypeVar("T")


class LocalCluster(Processes):
    """A cluster on loopback. A `with` block starts it, waits until it is ready, and stops it."""

    def __enter__(self) -> Self:
        try:
            self.launch()
            self.wait_until_ready()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def wait_until_ready(self, timeout_seconds: float = READY_SECONDS) -> str:
        """Wait until all nodes run and a write is acknowledged; the leader's name."""
        return self._wait_for_write(timeout_seconds, all_must_run=True)

    def wait_for_leader(self, timeout_seconds: float = READY_SECONDS) -> str:
        """Wait until the running nodes acknowledge a write; the leader's name."""
        return self._wait_for_write(timeout_seconds, all_must_run=False)

    def leader(self, timeout_seconds: float = READY_SECONDS) -> str:
        """The name of the leader; waits while there is none."""
        deadline = time.monotonic() + timeout_seconds
        while time.monotonic() < deadline:
            name = leader_among(self.status())
            if name is not None:
                return name
            self.poll(ASK_INTERVAL_MS)
        raise LauncherError(f"no leader within {timeout_seconds:g} s")

    def restart(self, name: str, timeout_seconds: float = READY_SECONDS) -> None:
        """Start an ended node again, and wait until it knows the leader."""
        self.reap()
        self.launch_node(name)
        self._wait_until_led(name, timeout_seconds)

    def _wait_until_led(self, name: str, timeout_seconds: float) -> None:
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

    # --- changes of members and of the leader ---

    def add(
        self,
        name: str | None = None,
        learner: bool = False,
        timeout_seconds: float = READY_SECONDS,
    ) -> str:
        """Add a member, start it, and wait until it knows the leader; its name."""
        # A second voter that does not run yet would be one of two, and nothing could be written.
        # So the second node is added as a learner and promoted when it has caught up.
        must_learn = learner or len(self.voters) == 1
        record = self.plan_node(name, must_learn)
        added = self._change(
            lambda client: client.member_add(record.peer_url, learner=must_learn), ASKED_SECONDS
        )
        self.enlist(record, added.member.id)
        self._wait_until_led(record.name, timeout_seconds)
        if must_learn and not learner:
            self.promote(record.name, timeout_seconds)
        return record.name

    def promote(self, name: str, timeout_seconds: float = READY_SECONDS) -> None:
        """Make a learner a voter, as soon as it has caught up."""
        node = self.node(name)
        self._change(lambda client: client.member_promote(node.member_id), timeout_seconds)
        self.note_promoted(name)

    def remove(self, name: str, timeout_seconds: float = REMOVED_SECONDS) -> None:
        """Remove a member for good, and wait until its process has ended."""
        node = self.node(name)
        self._change(lambda client: client.member_remove(node.member_id), ASKED_SECONDS, name)
        self.note_removed(name)
        self._wait_until_ended(node, timeout_seconds)

    def _wait_until_ended(self, node: NodeProcess, timeout_seconds: float) -> None:
        """Wait for the end of a removed node, and stop it if it does not end by itself."""
        if not node.wait(timeout_seconds):
            self.stop_node(node.name)

    def replace(self, name: str, timeout_seconds: float = READY_SECONDS) -> str:
        """Remove a voter and add another in one step, and start the new one; its name."""
        node = self.node(name)
        record = self.plan_node()
        added = self._change(
            lambda client: client.member_replace(node.member_id, record.peer_url),
            ASKED_SECONDS,
            name,
        )
        self.note_removed(name)
        self.enlist(record, added.member.id)
        self._wait_until_led(record.name, timeout_seconds)
        self._wait_until_ended(node, REMOVED_SECONDS)
        return record.name

    def transfer(self, name: str | None = None) -> str:
        """Hand the lead over, by default to the voter that has applied most; its name."""
        successor = self.node(name or self.successor())
        with self._client() as client:
            client.move_leader(successor.member_id)
        return successor.name

    def successor(self) -> str:
        """The running voter, other than the leader, that has applied most."""
        statuses = self.status()
        leader = leader_among(statuses)
        voters = {node.name for node in self.voters}
        following = {
            status.applied_index: name
            for name, status in statuses.items()
            if name in voters and name != leader
        }
        if not following:
            raise LauncherError("there is no other node that could lead")
        return following[max(following)]

    # --- inside ---

    def _change(self, change: Callable[[Client], T], timeout_seconds: float, but: str = "") -> T:
        """Change the members; try again while the cluster refuses because nodes are starting."""
        deadline = time.monotonic() + timeout_seconds
        while True:
            try:
                with self._client(but) as client:
                    return change(client)
            except LauncherError as error:
                if str(error) not in PASSING or time.monotonic() > deadline:
                    raise
                self.poll(ASK_INTERVAL_MS)

    @contextmanager
    def _client(self, but: str = "") -> Iterator[Client]:
        """A client of the running voters, without `but` unless it is the only one.

        The client's errors become LauncherErrors.
        """
        from cluster.client.api import Client  # noqa: PLC0415 - most launches need none

        running = [node for node in self.voters if node.running]
        chosen = [node.endpoint for node in running if node.name != but] or [
            node.endpoint for node in running
        ]
        if not chosen:
            raise LauncherError("no voter is running")
        try:
            with Client(chosen, timeout=ASKED_SECONDS) as client:
                yield client
        except LeaseholdError as error:
            raise LauncherError(error.message) from None

    def _wait_for_write(self, timeout_seconds: float, *, all_must_run: bool) -> str:
        deadline = time.monotonic() + timeout_seconds
        while time.monotonic() < deadline:
            self.reap()
            ended = [node for node in self.members if not node.running]
            if ended and all_must_run:
                raise LauncherError(f"could not start: {self.failure_of(ended[0])}")
            if not self.has_quorum:
                raise LauncherError(f"{self.count()}: writes wait for {self.quorum}")
            name = leader_among(self.status())
            if name is None:
                self.poll(ASK_INTERVAL_MS)
            elif self._write_is_acknowledged():
                return name
        raise LauncherError(f"no write was acknowledged within {timeout_seconds:g} s")

    def _write_is_acknowledged(self) -> bool:
        """Ask every node for a write that changes nothing; whether one acknowledges it soon."""
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
