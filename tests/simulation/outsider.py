"""Somebody who is no member and speaks as members do: an old binary, a copied machine, a scanner.

It sends every kind of frame with fields at random, what members really said with somebody else's
name under it, broken frames, and true copies, late. What it makes up never comes from anybody who
belongs to the cluster as the receiver knows it: before there are keys, who does is believed.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final, get_type_hints

from actors.language.codec import encode_command
from actors.language.commands import DeleteRange
from actors.language.members import RemoveMember
from actors.raft.codec import MESSAGE_KINDS, SHAPES, PeerCodec, encode_change
from actors.raft.membership import encode, first_membership
from actors.raft.rpc import AppendRequest, Introduction, JoinRequest, Welcome
from cluster.wire import WireError, pack, unpack
from tests.forgery import forged
from tests.simulation.network import CLUSTER_ID, KIND_AT, ONCE_ONLY

if TYPE_CHECKING:
    from tests.simulation.cluster import Cluster
    from tests.simulation.node import Node

LARGEST: Final = (1 << 64) - 1
STRANGERS: Final = (0, 77, (1 << 63) + 7, LARGEST)
EXTREMES: Final = (0, 1, -1, 1 << 32, 1 << 53, (1 << 63) - 1, 1 << 63, LARGEST, -(1 << 63))
NAMES: Final = ("", "Unhealthy", "LeaderChanged", "NotYetInvented", "\0")
URLS: Final = ("tcp://h1:2380", "tcp://nobody:1", "tcp://_:1", "", "http://h1", "tcp://h1:\n1")
EVERYTHING_GONE: Final = encode_command(DeleteRange(b"\0", b"\0"), None)
CAPTURED_MAX: Final = 100
LATEST_MAX: Final = 10
SOURCE_AT: Final = 2
TARGET_AT: Final = 3
TERM_AT: Final = 4
"""Where they stand in a frame of Raft's: behind the cluster and the kind."""

_ROW_TYPES: Final = {
    kind: {
        name: SHAPES.form(hint).row_types[0]
        for name, hint in get_type_hints(kind, include_extras=True).items()
    }
    for kind in MESSAGE_KINDS
}
"""What stands in a frame for each field of a message."""


class Outsider:
    """Sends to whoever runs, at any step of the cluster; it hears what goes over the network."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._chance = cluster.timeline.stream("outsider")
        self._captured: list[tuple[int, bytes]] = []
        self._latest: deque[tuple[int, bytes]] = deque(maxlen=LATEST_MAX)
        self._heard = 0
        cluster.network.overheard = self._overhear
        self._again()

    def _again(self) -> None:
        every_ms = self._cluster.swarm.outsider_every_ms
        if every_ms:
            self._cluster.timeline.after(1 + self._chance(2 * every_ms), "outsider", self._send)

    def _overhear(self, target: int, frame: bytes) -> None:
        """Keep the latest frames, and some of all that were ever sent."""
        self._heard += 1
        self._latest.append((target, frame))
        if len(self._captured) < CAPTURED_MAX:
            self._captured.append((target, frame))
        elif (place := self._chance(self._heard)) < CAPTURED_MAX:
            self._captured[place] = (target, frame)

    def _send(self) -> None:
        cluster, chance = self._cluster, self._chance
        nodes = [node for node in cluster.nodes.values() if node.is_up]
        if nodes:
            node = chance.of(nodes)
            kinds: Sequence[Callable[[Node], None]] = (
                self._forge,
                self._forge,
                self._forge,
                self._put_a_name_under,
                self._exaggerate,
                self._break,
                self._replay,
                self._introduce,
            )
            chance.of(kinds)(node)
        self._again()

    def _give(self, node: Node, frame: bytes, what: str) -> None:
        self._cluster.counts[f"outsider: {what}"] += 1
        node.take_peer_frame(frame)

    # --- what it sends ---

    def _forge(self, node: Node) -> None:
        """A frame of some kind with fields that might matter."""
        if not node.runs:
            return
        code = self._chance(len(MESSAGE_KINDS))
        kind = MESSAGE_KINDS[code]
        row: dict[str, Any] = {}
        for name, of in _ROW_TYPES[kind].items():
            row[name] = self._value(node, name, of)
        if kind is AppendRequest:
            row["entries"] = self._entries(row["prev_index"] + 1, row["term"])
        self._give(node, pack((CLUSTER_ID, code, *row.values())), "forged")

    def _put_a_name_under(self, node: Node) -> None:
        """What a member said, as if somebody else had."""
        row = self._some_message()
        if node.runs and row is not None:
            row[SOURCE_AT], row[TARGET_AT] = self._source(node), node.member_id
            self._give(node, pack(row), "under another name")

    def _exaggerate(self, _: Node) -> None:
        """What a member said, to whom it was said, with one number beyond all bounds."""
        if not self._captured:
            return
        target, frame = self._some_frame()
        node, row = self._cluster.nodes[target], list(unpack(frame))
        if node.runs and row[0] == CLUSTER_ID and row[TARGET_AT] == node.member_id:
            numbers = [place for place, value in enumerate(row) if type(value) is int]
            row[self._chance.of(numbers[TERM_AT:])] = LARGEST
            self._give(node, pack(row), "beyond bounds")

    def _break(self, node: Node) -> None:
        """A frame that was one."""
        chance, row = self._chance, self._some_message()
        if row is None:
            return
        place = chance(len(row))
        match chance(6):
            case 0:
                frame = pack(row)[: -1 - chance(4)]
            case 1:
                frame = pack(row) + b"\0"
            case 2:
                frame = pack(row[:place])
            case 3:
                row[place] = chance.of((None, "text", 0.5, (), {b"": b""}))
                frame = pack(row)
            case 4:
                row[:2] = chance.of(((CLUSTER_ID + 1, row[1]), (CLUSTER_ID, 10_000), ("", "")))
                frame = pack(row)
            case _:
                frame = chance.random.randbytes(chance(40))
        if not _is_message(frame):
            self._give(node, frame, "broken")

    def _replay(self, node: Node) -> None:
        """What a member said, again; never what links deliver only once."""
        if self._captured:
            target, frame = self._some_frame()
            receiver = self._cluster.nodes[target]
            if receiver.is_up and frame[KIND_AT] not in ONCE_ONLY:
                self._give(receiver, frame, "replayed")

    def _introduce(self, node: Node) -> None:
        """Who am I, you are reached there, and you are that one: nobody asked."""
        chance = self._chance
        said: JoinRequest | Introduction | Welcome
        known = self._cluster.members
        match chance(3):
            case 0:
                member = chance.of((*STRANGERS, *(peer.id for peer in known.peers)))
                asked = tuple(chance.of(URLS) for _ in range(chance(3)))
                said = JoinRequest(chance(1 << 20), member, asked, chance(2) == 0)
            case 1 if node.runs:
                said = Introduction(self._source(node), chance.of(URLS))
            case _:
                nonce = chance.random.getrandbits(60)
                was_here, numbers = chance(2) == 0, (chance.of(EXTREMES), chance(9), chance(9))
                said = Welcome(
                    chance(7), 1 + chance(7), CLUSTER_ID, nonce, encode(known), was_here, *numbers
                )
        self._give(node, forged(CLUSTER_ID, said), "not asked for")

    # --- fields ---

    def _source(self, node: Node) -> int:
        """Somebody who does not belong to the cluster, as this node knows it, and never will."""
        roster = node.core.roster
        known = (roster.latest, roster.committed)
        inside = {peer.id for membership in known for peer in membership.peers}
        removed = sorted(roster.committed.removed - inside)
        return self._chance.of((*removed, *STRANGERS))

    def _value(self, node: Node, name: str, of: type) -> Any:
        chance, core = self._chance, node.core
        if name == "source":
            return self._source(node)
        if name == "target":
            return node.member_id if chance(10) else chance(9)
        if name == "proposals":
            origins = (*STRANGERS, node.member_id, core.leader)
            return tuple(
                (chance.of(origins), chance.of((0, 1, 1 << 40)), self._command(node))
                for _ in range(chance(3))
            )
        if of is int:
            return self._number(node, name)
        if of is bool:
            return chance(2) == 1
        if of is bytes:
            return self._command(node)
        return chance.of(NAMES) if of is str else tuple(chance.of(EXTREMES) for _ in range(2))

    def _number(self, node: Node, name: str) -> int:
        """Mostly one that makes sense there: who sends it is wrong enough."""
        chance, core = self._chance, node.core
        if chance(4) == 0:
            return chance.of(EXTREMES)
        if name == "term":
            return min(core.term + chance.of((0, 0, 1, 1_000)), LARGEST)
        log = core.replica.log
        if name.endswith("_term"):
            return chance.of((log.last_term, core.term))
        return chance.of((core.replica.commit, log.last_index, log.last_index + 1, 0))

    def _entries(self, first: int, term: int) -> bytes:
        chance = self._chance
        count = 0 if first > 1 << 63 else chance(3)
        times = [chance.of(EXTREMES) for _ in range(count)]
        return pack([(first + n, term, at, 0, 0, EVERYTHING_GONE) for n, at in enumerate(times)])

    def _command(self, node: Node) -> bytes:
        peers = self._cluster.members.peers
        commands = (
            b"",
            b"not json",
            b"{",
            b"\xc1",
            pack(("a command", "of another version")),
            EVERYTHING_GONE,
            encode_change(RemoveMember(node.member_id)),
            encode(first_membership(peers[:1])),
        )
        return self._chance.of(commands)

    def _some_frame(self) -> tuple[int, bytes]:
        frames = self._latest if self._chance(2) else self._captured
        return self._chance.of(frames)

    def _some_message(self) -> list[Any] | None:
        """The fields of a frame that was overheard, unless it was none of Raft's."""
        if not self._captured:
            return None
        row = list(unpack(self._some_frame()[1]))
        return row if row[0] == CLUSTER_ID else None


def _is_message(frame: bytes) -> bool:
    """Whether it is a true frame after all, from who knows whom."""
    try:
        PeerCodec(CLUSTER_ID).decode(frame)
    except WireError:
        return False
    return True
