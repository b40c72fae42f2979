"""One simulated node: the five shipped actors, unstarted, on a simulated clock, disk and network.

It is made as `actors.node` makes one. What Pykka's threads would do - take the next message of some
actor - is done here, in an order that chance decides. A node can crash between any two effects.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pykka._envelope import Envelope

from actors.base import Ring
from actors.gateway.actor import GatewayActor, GatewaySettings
from actors.lease.actor import LeaseActor
from actors.lease.book import LeaseBook
from actors.mailbox import Mailbox
from actors.messages import ClientFrames, Connection, Drained, PeerFrames, PeersDown
from actors.node import NO_LEADER_ELECTIONS, Actors
from actors.raft.actor import Links, RaftActor
from actors.raft.codec import PeerCodec
from actors.raft.core import RaftCore
from actors.raft.log import RaftLog
from actors.raft.outcome import CoreConfig, Recovered
from actors.raft.quorum import Configuration
from actors.raft.rpc import Entry, HardState, Message
from actors.raft.wal import Contents, Identity, Wal
from actors.store.actor import StoreActor
from actors.store.commands import Command, Member, Result, Sequence
from actors.store.machine import Machine
from actors.store.storage import Changes
from actors.watch.actor import WatchActor
from tests.simulation.disk import SimulatedDisk
from tests.simulation.network import CLUSTER_ID
from tests.twins import MemoryBackend

if TYPE_CHECKING:
    from tests.simulation.cluster import Cluster

REQUEST_TIMEOUT_MS = 2_000
LEASE_TTL_MS_MIN = 100
SEGMENT_BYTES = 16 * 1024
DIRECTORY = Path("/wal")


class CrashError(BaseException):
    """The node's process has died just now. Not an Exception: nothing may handle it."""


class TappedCodec(PeerCodec):
    """Shows each message that leaves, before it leaves."""

    def __init__(self, node: Node) -> None:
        super().__init__(CLUSTER_ID)
        self._node = node

    def encode(self, message: Message) -> bytes:
        self._node.cluster.checker.said(self._node, message)
        return super().encode(message)


class TappedWal:
    """Tells the checker what is durable, when it is."""

    def __init__(self, node: Node, wal: Wal) -> None:
        self._node = node
        self._wal = wal

    def save(self, hard_state: HardState, entries: tuple[Entry, ...]) -> None:
        node, checker = self._node, self._node.cluster.checker
        rate = node.cluster.swarm.crash_in_new_term if entries else 0.0
        if checker.saving_new_term(node, hard_state) and node.cluster.timeline.happens(rate):
            node.crash_in_effects = 2  # between the write and the sync
        checker.saving(node, hard_state, entries)
        self._wal.save(hard_state, entries)
        checker.saved(node)

    def close(self) -> None:
        self._wal.close()


class TappedMachine(Machine):
    """Tells the checker what each entry did."""

    node: Node

    def apply(
        self, index: int, time_ms: int, command: Command, sequence: Sequence | None
    ) -> Result:
        leases_before = set(self.leases.table)
        result = super().apply(index, time_ms, command, sequence)
        ended = leases_before - set(self.leases.table)
        self.node.cluster.checker.applied(
            self.node, index, command, sequence, result, self.revision, sorted(ended)
        )
        return result


class CrashingBackend(MemoryBackend):
    """A backend whose node may crash just before or just after a commit."""

    def __init__(self, before_effect: Callable[[], None]) -> None:
        super().__init__()
        self._before_effect = before_effect

    def commit(self, changes: Changes) -> None:
        self._before_effect()
        super().commit(changes)
        self._before_effect()


class SimulatedDoor:
    """The clients' socket."""

    def __init__(self, node: Node) -> None:
        self._node = node

    def descriptors(self) -> list[int]:
        return []

    def must_drain(self) -> bool:
        return False

    def drain(self, items_max: int) -> list[Any]:
        return []

    def send(self, route: Connection, payload: bytes) -> bool | None:
        self._node.before_effect()
        self._node.cluster.reply(self._node, route, payload)
        return True

    def close(self) -> None:
        pass


class SimulatedLinks:
    """The way to the other members."""

    def __init__(self, node: Node) -> None:
        self._node = node

    def send(self, member_id: int, frame: bytes) -> bool:
        self._node.before_effect()
        self._node.cluster.send(self._node, member_id, frame)
        return True

    def close(self) -> None:
        pass


class Node:
    """A member: its disk, and its actors while it is up."""

    def __init__(self, cluster: Cluster, member_id: int) -> None:
        self.cluster = cluster
        self.member_id = member_id
        self.disk = SimulatedDisk(self._before_disk_effect)
        self.backend = CrashingBackend(self.before_effect)
        self.actors: Actors | None = None
        self.incarnation = 0
        self.crash_in_effects: int | None = None
        self._busy_until_ms = 0
        self._ahead_ms = 0
        self._boot_ms = 0
        self._wake_scheduled_ms: int | None = None

    # --- time ---

    @property
    def true_ms(self) -> int:
        """The simulation's time, as far as the node has got with its present work."""
        return self.cluster.timeline.now_ms + self._ahead_ms

    def clock(self) -> int:
        """The node's monotonic clock."""
        return self.true_ms + self._boot_ms

    def stall(self, milliseconds: int) -> None:
        """Do nothing for a while, as if stopped; messages wait."""
        until_ms = self.cluster.timeline.now_ms + milliseconds
        self._busy_until_ms = max(self._busy_until_ms, until_ms)

    # --- effects ---

    def before_effect(self) -> None:
        """Something is about to leave the process, or to reach its disk."""
        if self.crash_in_effects is not None:
            self.crash_in_effects -= 1
            if self.crash_in_effects <= 0:
                raise CrashError
        if self.cluster.swarm.stall and self.cluster.timeline.happens(0.0005):
            self._ahead_ms += self.cluster.timeline.chance(2 * self.cluster.swarm.election_ms)

    def _before_disk_effect(self) -> None:
        self.before_effect()
        timeline, swarm = self.cluster.timeline, self.cluster.swarm
        if timeline.happens(swarm.crash_in_save):
            raise CrashError
        self._ahead_ms += timeline.chance(swarm.sync_ms)

    # --- life and death ---

    @property
    def is_up(self) -> bool:
        """Whether its process runs."""
        return self.actors is not None

    @property
    def core(self) -> RaftCore:
        """What its Raft actor decides with."""
        assert self.actors is not None
        return self.actors.raft._core

    @property
    def machine(self) -> Machine:
        """What its store actor applies to."""
        assert self.actors is not None
        return self.actors.store._machine

    def start(self) -> None:
        """Start the process on what is on its disk."""
        assert self.actors is None
        timeline = self.cluster.timeline
        self.incarnation += 1
        self._boot_ms = timeline.chance(1_000_000)
        self._busy_until_ms = timeline.now_ms
        self._ahead_ms = 0
        try:
            self.actors = self._make()
            for actor in self.actors:
                actor.open()
        except CrashError:
            self.crash()
            return
        self._finish()
        self.cluster.checker.look(self)

    def crash(self) -> None:
        """Lose the process, and of the disk what was not synced."""
        actors, self.actors = self.actors, None
        self.crash_in_effects = None
        for actor in actors or ():
            actor.mailbox.close()
        self.disk.crash(self.cluster.timeline.chance)
        self.cluster.crashed(self)

    def _make(self) -> Actors:
        cluster = self.cluster
        identity = Identity(self.member_id, CLUSTER_ID)
        if Wal.exists(DIRECTORY, self.disk):
            wal, contents = Wal.open(DIRECTORY, SEGMENT_BYTES, self.disk)
        else:
            wal = Wal.create(DIRECTORY, identity, SEGMENT_BYTES, self.disk)
            contents = Contents(identity, HardState(0, 0, 0), RaftLog())
        cluster.checker.recovered(self, contents)
        founders = [Member(member, "", (), (), False) for member in cluster.members]
        machine = TappedMachine(self.backend, founders)
        machine.node = self
        actors = Actors(
            watch=WatchActor(
                CLUSTER_ID,
                self.member_id,
                NO_LEADER_ELECTIONS * cluster.swarm.election_ms,
                self.clock,
            ),
            lease=LeaseActor(LeaseBook(), self.clock),
            store=StoreActor(machine, self.backend, self.member_id, self.clock),
            raft=self._make_raft(wal, contents, machine),
            gateway=self._make_gateway(),
        )
        ring = Ring(**{name: actor.actor_ref for name, actor in actors._asdict().items()})
        for actor in actors:
            actor.join(ring)
        return actors

    def _make_raft(self, wal: Wal, contents: Contents, machine: Machine) -> RaftActor:
        codec = TappedCodec(self)
        wal.use_encoder(codec.entries)
        config = CoreConfig(
            self.member_id,
            Configuration(frozenset(self.cluster.members)),
            self.cluster.swarm.election_ms // 6,
            self.cluster.swarm.election_ms,
            REQUEST_TIMEOUT_MS,
        )
        log = contents.log
        last = log.slice(log.last_index, log.last_index + 1, 0) if log.last_index else ()
        cluster_ms = max([machine.cluster_ms, *(entry.time_ms for entry in last)])
        recovered = Recovered(contents.hard_state, log, machine.applied_index, cluster_ms)
        core = RaftCore(config, recovered, self.clock(), self.cluster.timeline.chance)

        def open_links(mailbox: Mailbox) -> Links:
            return SimulatedLinks(self)

        return RaftActor(core, TappedWal(self, wal), codec, open_links, self.clock)

    def _make_gateway(self) -> GatewayActor:
        random = self.cluster.timeline.random
        settings = GatewaySettings(
            cluster_id=CLUSTER_ID,
            member_id=self.member_id,
            version="0",
            request_bytes_max=1_500_000,
            lease_ttl_ms_min=LEASE_TTL_MS_MIN,
            request_timeout_ms=REQUEST_TIMEOUT_MS,
            first_ticket=random.getrandbits(31) << 32 | 1,
            name=f"n{self.member_id}",
        )
        wall_ms = random.getrandbits(40)
        return GatewayActor(settings, lambda: SimulatedDoor(self), self.clock, wall_ms)

    # --- what arrives ---

    def take_peer_frame(self, frame: bytes) -> None:
        """A frame of another member has arrived."""
        if self.actors is not None:
            self._put(self.actors.raft.mailbox, PeerFrames((frame,)))

    def take_client_frame(self, connection: Connection, payload: bytes) -> None:
        """A client's request has arrived."""
        if self.actors is not None:
            self._put(self.actors.gateway.mailbox, ClientFrames(((connection, payload),)))

    def notice_down(self, member_id: int) -> None:
        """The connection to another member is gone."""
        if self.actors is not None:
            self._put(self.actors.raft.mailbox, PeersDown((member_id,)))

    def _put(self, mailbox: Mailbox, message: Any) -> None:
        mailbox.put(Envelope(message))
        self.run()

    # --- what runs ---

    def run(self) -> None:
        """Let the actors handle what waits for them, unless the node is still busy or stalled."""
        if self.actors is None:
            return
        if self.cluster.timeline.now_ms < self._busy_until_ms:
            self._wake(self._busy_until_ms)
            return
        try:
            self._handle(self.actors)
        except CrashError:
            self.crash()
            return
        self.cluster.checker.look(self)
        self._finish()

    def _handle(self, actors: Actors) -> None:
        """Take messages until there are none; which actor is next is up to chance."""
        timeline = self.cluster.timeline
        for actor in actors:
            tick = actor.mailbox.pop_tick(self.clock())
            if tick is not None:
                actor.mailbox.put(Envelope(tick))
        pairs = [(actor, actor.mailbox) for actor in actors]
        undrained = [False] * len(pairs)
        while True:
            ready = [n for n, (_, box) in enumerate(pairs) if undrained[n] or not box.empty()]
            if not ready:
                return
            number = ready[timeline.chance(len(ready)) if len(ready) > 1 else 0]
            actor, mailbox = pairs[number]
            undrained[number] = True
            for _ in range(1 + timeline.chance(8)):
                message = mailbox.pop()
                if message is None:
                    undrained[number] = False
                    actor.receive(Drained())
                    break
                actor.receive(message)

    def _finish(self) -> None:
        """The work took a while; the next begins after it, or when a timer is due."""
        assert self.actors is not None
        now_ms = self.cluster.timeline.now_ms
        self._busy_until_ms = now_ms + self._ahead_ms
        self._ahead_ms = 0
        due = [actor.mailbox.next_wake_ms for actor in self.actors]
        wake_ms = min((each - self._boot_ms for each in due if each is not None), default=None)
        if wake_ms is not None:
            self._wake(max(wake_ms, self._busy_until_ms, now_ms + 1))

    def _wake(self, time_ms: int) -> None:
        scheduled_ms = self._wake_scheduled_ms
        if scheduled_ms is not None and self.cluster.timeline.now_ms < scheduled_ms <= time_ms:
            return
        self._wake_scheduled_ms = time_ms
        self.cluster.timeline.at(time_ms, f"wake {self.member_id}", self.run)
