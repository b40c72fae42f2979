"""Members of a later version: they know kinds, names, changes and commands that this one does not.

Some hosts are upgraded when they start; now and then one of them says what only its like understand
- to others, or as the leader into the log. Knows nothing of what becomes of that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from actors.language.entries import Proposal
from actors.raft.leader import Leader
from actors.raft.rpc import ChangeRefusal, ChangeRequest, ForwardRefusal, ForwardRequest
from cluster.wire import pack, unpack
from tests.forgery import CODES
from tests.simulation.network import CLUSTER_ID, KIND_AT

if TYPE_CHECKING:
    from tests.simulation.cluster import Cluster
    from tests.simulation.node import Node

EVERY_MS: Final = 12
LATER_KINDS: Final = (40, 41, 200)
CHANGE: Final = CODES[ChangeRequest]
FORWARD: Final = CODES[ForwardRequest]
REFUSAL: Final = CODES[ForwardRefusal]
REFUSALS: Final = frozenset((REFUSAL, CODES[ChangeRefusal]))
LATER_NAME: Final = "NotYetInvented"
LATER_CHANGE: Final = b'["SwapMembers",1,2]'
LATER_COMMANDS: Final = (
    pack((90, b"key", 1)),
    pack(({"op": 7}, (b"session", 1, 2))),
    b"\xc1\xc1",
    b'{"peers":"of another kind"}',
)
"""An op, a form, an encoding and a membership that this version does not know."""


def in_later_words(frame: bytes) -> bytes:
    """A refusal under a name that is new; any other frame as it is."""
    if frame[KIND_AT] in REFUSALS:
        row = unpack(frame)
        if row[-1]:
            return pack((*row[:-1], LATER_NAME))
    return frame


class Newer:
    """Speaks for whichever members are of a later version just now."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._chance = cluster.timeline.stream("later version")
        self._again()

    def _again(self) -> None:
        if self._cluster.swarm.newer:
            delay_ms = 1 + self._chance(2 * EVERY_MS)
            self._cluster.timeline.after(delay_ms, "later version", self._speak)

    def _speak(self) -> None:
        newer = [node for node in self._cluster.running() if node.is_newer]
        if newer:
            node = self._chance.of(newer)
            # While it is busy it takes no turn, and its clock is behind what it did last.
            may_append = isinstance(node.core.role, Leader) and not node.is_busy
            if may_append and self._chance(3) == 0:
                self._append(node)
            else:
                self._tell(node)
        self._again()

    def _tell(self, node: Node) -> None:
        """Send another member a frame of a kind, with a name, change or command, that is new."""
        chance, core = self._chance, node.core
        own_id = node.member_id
        others = [peer for peer in core.roster.latest.peers if peer.id != own_id]
        if not others:
            return
        peer = chance.of([each for each in others if each.id == core.leader] or others)
        if chance(4) == 0:
            peer = chance.of(others)
        ticket = chance.random.getrandbits(40)
        kind, *said = chance.of(
            (
                (chance.of(LATER_KINDS), ticket, b"new"),
                (CHANGE, ticket, LATER_CHANGE),
                (FORWARD, ((own_id, ticket, chance.of(LATER_COMMANDS)),)),
                (REFUSAL, (ticket,), LATER_NAME),
            )
        )
        self._cluster.counts["frames of a later version"] += 1
        frame = pack((CLUSTER_ID, kind, own_id, peer.id, core.term, *said))
        self._cluster.send(node, peer.peer_urls[0], frame)

    def _append(self, node: Node) -> None:
        """Put a command in the log that nobody of this version can read."""
        core = node.core
        proposal = Proposal(0, 0, self._chance.of(LATER_COMMANDS))

        def append() -> None:
            last_index = core.replica.log.last_index
            core.propose([proposal], node.clock())
            if core.replica.log.last_index > last_index:  # it takes none while it hands over
                self._cluster.effects.unreadable.add((core.replica.log.last_index, core.term))

        self._cluster.counts["entries of a later version"] += 1
        node.attempt(append)
