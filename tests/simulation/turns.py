"""What runs on a simulated host, and when: the actors' turns, by the shipped loop or by chance.

The host takes a turn while it is neither busy nor stalled. Knows nothing of what the actors do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from actors.runtime.loop import Loop
from actors.runtime.mailbox import Mailbox
from tests.simulation.making import Actors

if TYPE_CHECKING:
    from tests.simulation.node import Node

MESSAGES_PER_TURN_MAX = 8


class Turns:
    """The turns of one host, over all its processes. It does nothing before `busy_until_ms`."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._timeline = node.cluster.timeline
        self._actors: Actors | None = None
        self._mailboxes: list[Mailbox] = []
        self.busy_until_ms = 0
        self._scheduled_ms: int | None = None

    def begin(self, actors: Actors) -> None:
        """These actors run from now on."""
        self._actors = actors
        self._mailboxes = [actor.mailbox for actor in actors]
        self.loop = Loop(lambda: 0)
        for actor in reversed(actors):
            self.loop.add(actor)

    def stall(self, milliseconds: int) -> None:
        """Do nothing for a while, as if stopped; messages wait."""
        self.busy_until_ms = max(self.busy_until_ms, self._timeline.now_ms + milliseconds)

    def put(self, mailbox: Mailbox, message: Any) -> None:
        """Hand a message to an actor, and let it run."""
        mailbox.tell(message)
        self.run()

    def run(self) -> None:
        """Let the actors handle what waits for them, unless the node is still busy or stalled."""
        if self._node.actors is None:
            return
        if self._timeline.now_ms < self.busy_until_ms:
            self._wake(self.busy_until_ms)
            return
        self._node.attempt(self._handle)

    def _handle(self) -> None:
        """Take messages until there are none: as the shipped loop does, or in any order."""
        now_ms = self._node.clock()
        for mailbox in self._mailboxes:
            tick = mailbox.pop_tick(now_ms)
            if tick is not None:
                mailbox.tell(tick)
        if self._node.cluster.swarm.by_chance:
            self._take_by_chance()
        else:
            while not all(mailbox.empty() for mailbox in self._mailboxes):
                self.loop.turn()

    def _take_by_chance(self) -> None:
        """Let chance say which actor is next, and when it settles: nothing may depend on either."""
        assert self._actors is not None
        actors, mailboxes, chance = self._actors, self._mailboxes, self._node.chance
        unsettled = [False] * len(actors)
        while True:
            ready = [n for n, box in enumerate(mailboxes) if unsettled[n] or not box.empty()]
            if not ready:
                return
            number = ready[chance(len(ready))] if len(ready) > 1 else ready[0]
            receive, pop = actors[number].receive, mailboxes[number].pop
            unsettled[number] = False
            for _ in range(1 + chance(MESSAGES_PER_TURN_MAX)):
                message = pop()
                if message is None:
                    unsettled[number] = actors[number].settle()
                    break
                receive(message)
            else:
                unsettled[number] = True

    def schedule(self, worked_ms: int) -> None:
        """The work took a while; the next begins after it, or when a timer is due."""
        now_ms = self._timeline.now_ms
        self.busy_until_ms = max(self.busy_until_ms, now_ms + worked_ms)
        due = [w for box in self._mailboxes if (w := box.next_wake_ms) is not None]
        if due:
            self._wake(max(self._node.when(min(due)), self.busy_until_ms, now_ms + 1))

    def _wake(self, time_ms: int) -> None:
        scheduled_ms = self._scheduled_ms
        if scheduled_ms is not None and self._timeline.now_ms < scheduled_ms <= time_ms:
            return
        self._scheduled_ms = time_ms
        self._timeline.at(time_ms, f"wake {self._node.number}", self.run)
