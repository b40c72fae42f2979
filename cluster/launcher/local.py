"""LocalCluster: a whole cluster as processes on this machine, for programs and for tests.

    from cluster import LocalCluster

    with LocalCluster(3) as cluster:
        cluster.kill("leader")
        cluster.wait_for_leader()

Its methods are the commands of `run_cluster.py`, and do the same: they take names of nodes in any
case of letters, or `leader`, `follower`, `random` and `all`, and return when it is done. What
happens is in `cluster.journal`. LauncherError, with one line, tells why something cannot be done.

`LocalCluster(secure=True)` lets nobody in without a password or a key:
`Client(cluster.endpoints, **cluster.login())` comes as the user app.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Sequence
from random import Random
from typing import Any, Final, Self, TypeVar

from cluster.launcher.errands import linking, membership, running, scaling
from cluster.launcher.errands.errand import Errand
from cluster.launcher.errands.membership import REMOVED_SECONDS
from cluster.launcher.errands.running import START_SECONDS
from cluster.launcher.links.faults import BOTH
from cluster.launcher.naming import (
    ENDED,
    LEARNERS,
    MEMBERS,
    MOVING,
    PAUSED,
    RUNNING,
    Fit,
    choose,
    find,
)
from cluster.launcher.nodes.layout import LauncherError
from cluster.launcher.nodes.node import NodeProcess
from cluster.launcher.nodes.probe import WriteAnswered, leader_among
from cluster.launcher.nodes.processes import ASK_INTERVAL_MS, STOP_SECONDS, Processes
from cluster.launcher.secure.files import APP
from cluster.launcher.secure.users import check_requests
from cluster.processes import IMPORT_ROOT

__all__ = ["IMPORT_ROOT", "LocalCluster"]

T = TypeVar("T")


class LocalCluster(Processes):
    """A cluster on loopback. A `with` block starts it, waits until it is ready, and ends it."""

    chooser: Final = Random()
    """Picks the node that `random` and `follower` mean."""

    def __enter__(self) -> Self:
        try:
            self.launch()
            self.wait_until_ready()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def login(self, user: str = APP) -> dict[str, str]:
        """The arguments of a `Client` that comes as this user (app or root); none are needed in a
        cluster that is not secure."""
        if self.secure is None:
            return {}
        ca_cert = str(self.secure.certificate.cert_file)
        return {"ca_cert": ca_cert, "user": user, "password": self.secure.password(user)}

    # --- waiting ---

    def wait_until_ready(self, timeout_seconds: float = START_SECONDS) -> str:
        """Wait until all nodes know the leader and a write is acknowledged; the leader's name.

        In a secure cluster, until users can log in at all of them, and nobody else can.
        """
        began = time.monotonic()
        leader = self._wait_for_write(timeout_seconds, all_must_run=True)
        if self.secure is not None:
            self.do(check_requests(self, self.secure))
        self.formed(leader, time.monotonic() - min(n.started_at or began for n in self.members))
        return leader

    def wait_for_leader(self, timeout_seconds: float = START_SECONDS) -> str:
        """Wait until the running nodes acknowledge a write; the leader's name."""
        return self._wait_for_write(timeout_seconds, all_must_run=False)

    def leader(self, timeout_seconds: float = START_SECONDS) -> str:
        """The name of the leader; waits while there is none."""
        deadline = time.monotonic() + timeout_seconds
        while time.monotonic() < deadline:
            name = leader_among(self.status())
            if name is not None:
                return name
            self.poll(ASK_INTERVAL_MS)
        raise LauncherError(f"no leader within {timeout_seconds:g} s")

    # --- the processes ---

    def kill(self, *names: str) -> list[str]:
        """Kill nodes with SIGKILL, all at the same moment; their names."""
        return self._each(names, RUNNING, running.kill)

    def stop(self, *names: str, timeout_seconds: float = STOP_SECONDS) -> list[str]:
        """Stop nodes as SIGTERM does: a leader hands over first. Their names."""
        nodes = self.pick(names, RUNNING)
        self.do(running.stop(nodes, timeout_seconds))
        return [node.name for node in nodes]

    def start(self, *names: str, timeout_seconds: float = START_SECONDS) -> list[str]:
        """Start ended nodes, and wait until they know the leader; their names."""
        nodes = self.pick(names, ENDED)
        self.do(running.start(self, nodes, timeout_seconds))
        return [node.name for node in nodes]

    def restart(self, *names: str, timeout_seconds: float = START_SECONDS) -> list[str]:
        """Stop the nodes that run, start all of them, and wait as `start` does; their names."""
        nodes = self.pick(names, MEMBERS)
        self.do(running.restart(self, nodes, timeout_seconds))
        return [node.name for node in nodes]

    def pause(self, *names: str) -> list[str]:
        """Let nodes hang with SIGSTOP, and their fronts with them; their names."""
        return self._each(names, MOVING, running.pause)

    def resume(self, *names: str) -> list[str]:
        """Let paused nodes go on with SIGCONT; their names."""
        return self._each(names, PAUSED, running.resume)

    def signal(self, name: str, number: int) -> None:
        """Send any signal to a node's process, without waiting for what comes of it."""
        (node,) = self.pick((name,), RUNNING)
        node.end_is_meant = number == signal.SIGTERM
        node.signal(number)

    # --- the links: the nodes that run have confirmed it when these return ---

    def isolate(self, name: str, way: str = BOTH) -> list[str]:
        """Cut nodes off from all others; `in`: only what is sent to them, `out`: what they send."""
        nodes = self.pick((name,), MEMBERS)
        self.do(linking.isolate(self, nodes, way))
        return [node.name for node in nodes]

    def partition(self, *groups: str | Sequence[str]) -> None:
        """Cut all links between nodes of different groups; a node in no group keeps its links.

        One group is cut off from the rest.
        """
        given = [(group,) if isinstance(group, str) else tuple(group) for group in groups]
        self.do(linking.partition(self, [self.pick(group, MEMBERS) for group in given]))

    def slow(self, name: str, delay_ms: int, jitter_ms: int = 0) -> list[str]:
        """Let each message to and from nodes take this much longer; `jitter_ms`: at random."""
        nodes = self.pick((name,), MEMBERS)
        self.do(linking.slow(self, nodes, delay_ms, jitter_ms))
        return [node.name for node in nodes]

    def lossy(self, name: str, loss: float) -> list[str]:
        """Lose each message to and from nodes with this chance, more than 0 and at most 1."""
        nodes = self.pick((name,), MEMBERS)
        self.do(linking.lossy(self, nodes, loss))
        return [node.name for node in nodes]

    def heal(self, *names: str) -> tuple[str, ...]:
        """Make the links of these nodes whole again, or all links; what was wrong, in words."""
        return self.do(linking.heal(self, self.pick(names, MEMBERS)))

    # --- the members and the leader ---

    def transfer(self, name: str | None = None) -> str:
        """Hand the lead over, by default to the voter that has applied most; its name."""
        node = None if name is None else find(self._all, name)
        return self.do(membership.transfer(self, node))

    def add(
        self,
        name: str | None = None,
        learner: bool = False,
        timeout_seconds: float = START_SECONDS,
    ) -> str:
        """Add a member, start it, and wait until it knows the leader; its name."""
        return self.do(membership.add(self, name, learner=learner, seconds=timeout_seconds))

    def promote(self, name: str, timeout_seconds: float = START_SECONDS) -> None:
        """Make a learner a voter, as soon as it has caught up."""
        (node,) = self.pick((name,), LEARNERS)
        self.do(membership.promote(self, node, timeout_seconds))

    def remove(self, name: str, timeout_seconds: float = REMOVED_SECONDS) -> None:
        """Remove a member for good, and wait until its process has ended."""
        (node,) = self.pick((name,), MEMBERS)
        self.do(membership.remove(self, node, timeout_seconds))

    def replace(self, name: str, timeout_seconds: float = START_SECONDS) -> str:
        """Remove a voter and add another in one step, and start the new one; its name."""
        (node,) = self.pick((name,), MEMBERS)
        return self.do(membership.replace(self, node, seconds=timeout_seconds))

    def scale(self, size: int, timeout_seconds: float = START_SECONDS) -> None:
        """Add or remove members until there are `size` voters."""
        self.do(scaling.scale(self, size, timeout_seconds))

    def wipe(self, name: str, timeout_seconds: float = START_SECONDS) -> None:
        """Stop a node, delete its data, and let it join again as a new member of the same name."""
        (node,) = self.pick((name,), MEMBERS)
        self.do(scaling.wipe(self, node, timeout_seconds))

    # --- for all of these ---

    def pick(self, names: tuple[str, ...] | list[str], fit: Fit) -> list[NodeProcess]:
        """The nodes that these names mean; LauncherError if one is not fit."""
        self.reap()
        leader = self.heard_leader
        if leader is None and "leader" in names:
            leader = self.leader()
        return choose(self._all, names, leader, fit, self.chooser)

    def do(self, errand: Errand[T]) -> T:
        """Do an errand to its end, and return its result."""
        ends: list[tuple[Any, LauncherError | None]] = []
        self.errands.begin(errand, lambda result, error: ends.append((result, error)))
        ask_at = 0.0
        while not ends:
            if time.monotonic() >= ask_at:
                self.ask_status()
                ask_at = time.monotonic() + ASK_INTERVAL_MS / 1000
            self.poll(ASK_INTERVAL_MS)
            self.reap()
            self.take_answers()
            self.errands.tick(time.monotonic())
        ((result, error),) = ends
        if error is not None:
            raise error
        done: T = result
        return done

    # --- inside ---

    @property
    def _all(self) -> list[NodeProcess]:
        return list(self.nodes.values())

    def _each(self, names: tuple[str, ...], fit: Fit, errand: Any) -> list[str]:
        nodes = self.pick(names, fit)
        self.do(errand(nodes))
        return [node.name for node in nodes]

    def _wait_for_write(self, timeout_seconds: float, *, all_must_run: bool) -> str:
        name, joining = None, list[str]()
        deadline = time.monotonic() + timeout_seconds
        while time.monotonic() < deadline:
            self.reap()
            ended = [node for node in self.members if not node.running]
            if ended and all_must_run:
                raise LauncherError(f"could not start: {self.failure_of(ended[0])}")
            if not self.has_quorum:
                raise LauncherError(f"{self.count()}: writes wait for {self.quorum}")
            name = leader_among(self.status())
            joining = [node.name for node in self.members if node.is_joining and all_must_run]
            if name is None or joining:
                self.poll(ASK_INTERVAL_MS)
            elif self._write_is_acknowledged():
                return name
        if name is not None and joining:
            raise LauncherError(f"{joining[0]} did not find the leader in {timeout_seconds:g} s")
        raise LauncherError(f"no write was acknowledged within {timeout_seconds:g} s")

    def _write_is_acknowledged(self) -> bool:
        """Ask every node for a write that changes nothing; whether one acknowledges it soon."""
        for node in self.running:
            if node.link is not None:
                node.link.ask_write()
        until = time.monotonic() + ASK_INTERVAL_MS / 1000
        while (left := until - time.monotonic()) > 0:
            self.poll(int(left * 1000))
            for _, answer in self.take_answers():
                if isinstance(answer, WriteAnswered) and answer.acknowledged:
                    return True
        return False
