"""The scene of a campaign: the cluster, its clients, and what every fault needs to wait for them.

Faults are generators; they wait by yielding, so that many go on at a time in one thread. Knows what
an operator can know of the nodes, and does them no harm.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Final, TypeVar

from cluster import Client, LeaseholdError
from cluster.launcher.local import LocalCluster
from cluster.launcher.nodes.node import NodeProcess
from cluster.launcher.nodes.probe import NodeStatus, leader_among
from tests.chaos.clients import Clients
from tests.chaos.control import FaultServer, Layer
from tests.limits import HANG_SECONDS
from tests.linearizability import FindingError

T = TypeVar("T")
Steps = Generator[None, None, bool]
"""A fault: each step ends with a yield, and the whole with whether it took effect."""

TURN_MS: Final = 20
STATUS_SECONDS: Final = 0.15
FIRST_EFFECT_SECONDS: Final = 5.0
START_SECONDS: Final = 30.0
"""Nobody judges what takes longer: it only counts as a slow start."""

ADMIN_SECONDS: Final = 6.0
RETRY_SECONDS: Final = 0.2


class Scene:
    """One thread's. `down` are the nodes that may be down because somebody sees to it.

    `pace` makes faults last longer or shorter; with `healing` set they end as soon as they can.
    """

    def __init__(
        self, cluster: LocalCluster, server: FaultServer, clients: Clients, seed: str
    ) -> None:
        self.cluster = cluster
        self.server = server
        self.clients = clients
        self.chance = random.Random(seed)
        self.notes: Counter[str] = Counter()
        self.log: list[str] = []
        self.kills = 0
        self.healing = False
        self.pace = 1.0
        self.down: set[str] = set()
        self._pool = ThreadPoolExecutor(max_workers=4, thread_name_prefix="nemesis")
        self._began = time.monotonic()
        self._turns = 0
        self._statuses_at = -1
        self._statuses: dict[str, NodeStatus] = {}

    def turn(self) -> None:
        """Let a moment pass, and look whether all is as it should be."""
        self._turns += 1
        self.cluster.poll(TURN_MS)
        self.cluster.reap()
        for node in self.cluster.members:
            if not node.running and node.name not in self.down:
                relaunch(self.cluster, node)
        self.clients.check()

    def note(self, text: str) -> None:
        """Remember what was done, for whoever reads the logs."""
        self.log.append(f"{time.monotonic() - self._began:8.3f} {text}")

    def close(self) -> None:
        """End the threads that ask the cluster."""
        self._pool.shutdown()

    # --- the nodes ---

    def statuses(self) -> dict[str, NodeStatus]:
        """What the nodes say about themselves, asked at most once a turn: some may be paused."""
        if self._statuses_at != self._turns:
            self._statuses_at = self._turns
            self._statuses = self.cluster.status(STATUS_SECONDS)
        return self._statuses

    def leader(self) -> str | None:
        """Who leads, if somebody says so."""
        return leader_among(self.statuses())

    def someone(self) -> str:
        """Any node that runs, and is not about to go; often the leader."""
        leader = self.leader()
        if leader is not None and self.chance.random() < 0.5:
            return leader
        running = [node.name for node in self.cluster.running_members]
        return self.chance.choice([name for name in running if name not in self.down] or running)

    def ended(self, name: str) -> bool:
        """Whether a node's process is seen to have ended."""
        return not self.cluster.node(name).running

    def expect_exit(self, name: str, status: int, what: str) -> None:
        """A node has ended, and this should have been its status."""
        node = self.cluster.node(name)
        if node.exit_status != status:
            raise FindingError(f"{what}, but {self.cluster.failure_of(node)}")

    # --- waiting ---

    def hold(self, low: float, high: float) -> Iterator[None]:
        """Let a fault last for a while."""
        until = time.monotonic() + self.pace * self.chance.uniform(low, high)
        while time.monotonic() < until and not self.healing:
            yield

    def wait(self, condition: Callable[[], bool], seconds: float) -> Generator[None, None, bool]:
        """Whether something comes true in time."""
        until = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > until:
                return False
            yield
        return True

    def ask_once(
        self, endpoints: list[str], do: Callable[[Client], T]
    ) -> Generator[None, None, T | LeaseholdError]:
        """Have the cluster do something; what it returned, or why it did not."""
        future: Future[T | LeaseholdError] = self._pool.submit(_ask, endpoints, do)
        while not future.done():
            yield
        return future.result()

    def ask(self, do: Callable[[Client], T], but: str = "") -> Generator[None, None, T]:
        """Have the cluster do something, as an operator who repeats it until it is done."""
        until = time.monotonic() + HANG_SECONDS
        while True:
            running = [n.endpoint for n in self.cluster.voters if n.running and n.name != but]
            answer = yield from self.ask_once(running, do)
            if not isinstance(answer, LeaseholdError):
                return answer
            if time.monotonic() > until:
                raise FindingError(f"an operator's request failed for {HANG_SECONDS} s: {answer}")
            yield from self.wait(lambda: False, RETRY_SECONDS)

    def start(self, name: str) -> Steps:
        """Start a node again, and wait until it follows or leads."""
        self.cluster.launch_node(name)
        self.down.discard(name)
        self._statuses_at = -1  # what it said before its end counts no more
        return (yield from self.wait_until_in(name))

    def wait_until_in(self, name: str) -> Steps:
        """Wait until a node knows a leader, votes, and has applied what was committed at first.

        Until it votes, a cluster of three does not outlive the loss of another member.
        """
        goal: int | None = None
        until = time.monotonic() + START_SECONDS
        while time.monotonic() < until:
            statuses = self.statuses()
            leader = leader_among(statuses)
            if leader is not None and goal is None:
                goal = statuses[leader].applied_index
            status = statuses.get(name)
            if goal is not None and status is not None:
                votes = status.leader != 0 and status.has_caught_up
                if votes and status.applied_index >= goal:
                    return True
            if self.healing:
                return True  # at the end all must be in, and that is waited for there
            if self.ended(name):
                return False  # another fault's doing, or it is found out in the next turn
            yield
        self.notes["slow starts"] += 1
        return False

    def imposed(self, name: str, layer: Layer, effect: str, low: float, high: float) -> Steps:
        """Let a layer of faults befall a node for a while, however often it starts meanwhile."""
        token, since = object(), time.monotonic()
        self.server.impose(name, token, layer)
        try:
            yield from self.hold(low, high)
            yield from self.wait(
                lambda: self.healing or self.server.took_effect(name, effect, since),
                FIRST_EFFECT_SECONDS,
            )
        finally:
            self.server.lift(token)
        return self.server.took_effect(name, effect, since)


def relaunch(cluster: LocalCluster, node: NodeProcess) -> None:
    """A node has ended by itself: a finding, unless somebody else had taken its port meanwhile."""
    if not cluster.directory.last_log_line(node.name).endswith("Address already in use"):
        raise FindingError(f"unasked: {cluster.failure_of(node)}")
    cluster.launch_node(node.name)


def _ask(endpoints: list[str], do: Callable[[Client], T]) -> T | LeaseholdError:
    try:
        with Client(endpoints, timeout=ADMIN_SECONDS) as client:
            return do(client)
    except LeaseholdError as error:
        return error


def is_stopped(pid: int) -> bool:
    """Whether a process stands still: state T in its stat line, behind the name in brackets."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"
    except FileNotFoundError:
        return False
