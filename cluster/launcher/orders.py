"""Orders: a user's commands to add, promote and remove members, and to hand over the lead.

An order is sent to one node without waiting, so the supervisor goes on watching. Its answer comes
later, or the order is given up. This module refuses to know screens: it calls `say` with its texts.
"""

from __future__ import annotations

import signal
from collections.abc import Callable
from typing import Any, Final, NamedTuple

from cluster.launcher.layout import LauncherError, NodeRecord
from cluster.launcher.local import REMOVED_SECONDS, LocalCluster
from cluster.launcher.node import NodeProcess
from cluster.launcher.outage import FOREVER
from cluster.launcher.probe import OrderAnswered
from cluster.launcher.screens.view import endpoints_line

ANSWER_SECONDS: Final = 15.0
"""An order without an answer after this time is given up: a node answers sooner, or never."""

LEARNER: Final = "learner"


class _Order(NamedTuple):
    """An order under way. `then` is called with the member id in the answer, unless it failed."""

    what: str
    given_up_at: float
    then: Callable[[int], None]


class Orders:
    """The orders under way, and the removed nodes that should end by themselves."""

    def __init__(self, cluster: LocalCluster, say: Callable[[str], None]) -> None:
        self._cluster = cluster
        self._say = say
        self._given: dict[tuple[str, int], _Order] = {}
        self._stop_at: dict[str, float] = {}

    @property
    def due(self) -> float:
        """When `tick` must be called next (time.monotonic seconds)."""
        given_up_at = (order.given_up_at for order in self._given.values())
        return min((*given_up_at, *self._stop_at.values()), default=FOREVER)

    # --- the orders ---

    def add(self, leader: str | None, words: list[str], now: float) -> None:
        """Add a voter, or a learner if `words` has "learner"; with the name in `words`, if any."""
        names = [word for word in words if word != LEARNER]
        if len(names) > 1:
            raise LauncherError(f"one node at a time: add {names[0]}")
        learner = LEARNER in words
        if len(self._cluster.voters) == 1 and not learner:
            # A second voter that does not run yet would be one of two: nothing could be written.
            raise LauncherError("to a single node, add a learner first: add learner, then promote")
        record = self._cluster.plan_node(names[0] if names else None, learner)
        request: dict[str, Any] = {"op": "member_add", "peerURLs": [record.peer_url]}
        if learner:
            request["isLearner"] = True
        what = f"add {record.name}"
        self._give(self._server(leader), request, what, now, self._adding(record))

    def promote(self, leader: str | None, name: str, now: float) -> None:
        """Make a learner a voter."""
        node = self._cluster.node(name)

        def then(_: int) -> None:
            self._cluster.note_promoted(name)
            self._say(f"{name} is a voter now\n{endpoints_line(self._cluster)}")

        request = {"op": "member_promote", "ID": node.member_id}
        self._give(self._server(leader), request, f"promote {name}", now, then)

    def remove(self, leader: str | None, name: str, now: float) -> None:
        """Remove a member for good; its process ends by itself."""
        node = self._cluster.node(name)
        if node.is_removed:
            raise LauncherError(f"{name} was removed already")

        def then(_: int) -> None:
            self._cluster.note_removed(name)
            self._say(f"{name} was removed from the cluster\n{endpoints_line(self._cluster)}")
            if node.running:
                self._stop_at[name] = now + REMOVED_SECONDS

        # Not through the node itself, if possible: it may end before it has answered.
        server = self._server(leader if leader != name else None, but=name)
        self._give(
            server, {"op": "member_remove", "ID": node.member_id}, f"remove {name}", now, then
        )

    def transfer(self, leader: str, name: str, now: float) -> None:
        """Have the leader hand over to this node."""
        if name == leader:
            raise LauncherError(f"{name} leads already")
        request = {"op": "move_leader", "targetID": self._cluster.node(name).member_id}
        what = f"transfer {name}"
        self._give(self._cluster.node(leader), request, what, now, lambda _: None)

    # --- answers, ends and time ---

    def answered(self, node: NodeProcess, answer: OrderAnswered) -> None:
        """A node has answered an order."""
        order = self._given.pop((node.name, answer.number), None)
        if order is None:
            return
        if answer.error:
            self._say(f"{order.what}: {answer.error}")
        else:
            order.then(answer.member_id)

    def ended(self, name: str) -> None:
        """A node's process has ended: it will not answer orders, and need not be stopped."""
        self._stop_at.pop(name, None)
        for key in [key for key in self._given if key[0] == name]:
            order = self._given.pop(key)
            self._say(f"{order.what}: {name} ended before it answered; look at the member list")

    def tick(self, now: float) -> None:
        """Give up orders that take too long; stop removed nodes that do not end by themselves."""
        for key, order in list(self._given.items()):
            if now >= order.given_up_at:
                del self._given[key]
                self._say(f"{order.what}: no answer; it may still be done")
        for name in [name for name, at in self._stop_at.items() if now >= at]:
            del self._stop_at[name]
            node = self._cluster.node(name)
            if node.running:
                node.signal(signal.SIGTERM)

    def _adding(self, record: NodeRecord) -> Callable[[int], None]:
        def then(member_id: int) -> None:
            self._cluster.enlist(record, member_id)
            role = "learner" if record.is_learner else "member"
            pid = self._cluster.node(record.name).pid
            said = [f"{record.name} was added as a {role} and is starting (pid {pid})"]
            if not record.is_learner:
                said.append(endpoints_line(self._cluster))
            self._say("\n".join(said))

        return then

    def _give(
        self,
        server: NodeProcess,
        request: dict[str, Any],
        what: str,
        now: float,
        then: Callable[[int], None],
    ) -> None:
        number = server.link.give_order(request) if server.link is not None else 0
        if not number:
            raise LauncherError(f"{what}: {server.name} cannot be reached just now")
        self._given[server.name, number] = _Order(what, now + ANSWER_SECONDS, then)

    def _server(self, leader: str | None, but: str = "") -> NodeProcess:
        """The node to ask: the leader, else a running voter; `but` only if there is no other."""
        running = [node for node in self._cluster.voters if node.running]
        running.sort(key=lambda node: (node.name == but, node.name != leader))
        if not running:
            raise LauncherError("no voter is running")
        return running[0]
