"""One simulated host: the five shipped actors, unstarted, on a simulated clock, disk and network.

It is made as `actors.node` makes one. What Pykka's threads would do - take the next message of some
actor - is done here, in an order that chance decides. A node can crash before any effect.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from pykka._envelope import Envelope

from actors import node as shipped
from actors import recovery
from actors.base import Ring
from actors.errors import StorageError
from actors.gateway.actor import GatewayActor, GatewaySettings
from actors.lease.actor import LeaseActor
from actors.lease.book import LeaseBook
from actors.mailbox import Mailbox
from actors.messages import ClientFrames, Connection, Drained, HandOver, PeerFrames, PeersDown
from actors.raft.actor import Links, RaftActor, Retention
from actors.raft.codec import decode_welcome, encode_join
from actors.raft.core import RaftCore
from actors.raft.membership import UNKNOWN, Membership
from actors.raft.outcome import CoreConfig, Recovered
from actors.raft.rpc import Entry
from actors.raft.shipping import Shipping
from actors.raft.wal import Contents, Identity, Wal
from actors.raft.welcome import Welcomes
from actors.store.actor import StoreActor
from actors.store.machine import Machine
from actors.store.upkeep import Settings
from actors.watch.actor import WatchActor
from cluster.config import NodeConfig
from tests.simulation.disk import SimulatedDisk
from tests.simulation.network import CLUSTER_ID
from tests.simulation.saved import require
from tests.simulation.seams import (
    CrashError,
    SimulatedBackend,
    SimulatedDoor,
    SimulatedLinks,
    TappedCodec,
    TappedMachine,
    TappedWal,
    failing,
)

if TYPE_CHECKING:
    from tests.simulation.cluster import Cluster

REQUEST_TIMEOUT_MS = 2_000
CHECK_MS = 1_000
"""So often the leader has its members compared."""

PROGRESS_INTERVAL_MS = 150
FRAGMENT_BYTES = 300
LEASE_TTL_MS_MIN = 100
LOG_TAIL_BYTES = 1 << 20
ASK_EVERY_MS = 40
STALL_IN_STEP = 0.0005
DIRECTORY = Path("/wal")
SNAPSHOTS = Path("/snapshots")
MILLION = 1_000_000
DRAINED = Drained()


class Trap(NamedTuple):
    """Crash right before an effect of a kind ("any": of all kinds), `left` of them from now."""

    kind: str
    left: int
    power: bool


class Node:
    """A host: its disk, and its actors while its process runs."""

    def __init__(self, cluster: Cluster, number: int) -> None:
        self.cluster = cluster
        self.number = number
        self.url = f"tcp://h{number}:2380"
        # The member whose log is on the disk; 0: none is.
        self.member_id = 0
        self.disk = SimulatedDisk(self._before_disk_effect)
        self.backend = SimulatedBackend(self)
        self.actors: Actors | None = None
        self.incarnation = 0
        self.is_up = False
        self.is_removed = False
        # Whether it is to run: a host that nobody uses is not.
        self.is_wanted = False
        # What its storage said when it refused to start.
        self.refusal = ""
        self.is_damaged = False
        self.trap: Trap | None = None
        self.fails: str = ""
        self.slow_ms = 0
        self.slow_until_ms = 0
        self.links: SimulatedLinks | None = None
        self.chance = cluster.timeline.stream(f"node {number}")
        self._founders: Membership | None = None
        self._mailboxes: list[Mailbox] = []
        self._busy_until_ms = 0
        self._ahead_ms = 0
        self._boot_ms = 0
        self._ppm = 0
        self._wake_scheduled_ms: int | None = None

    def __str__(self) -> str:
        return f"node {self.number}"

    # --- time ---

    @property
    def true_ms(self) -> int:
        """The simulation's time, as far as the node has got with its present work."""
        return self.cluster.timeline.now_ms + self._ahead_ms

    def clock(self) -> int:
        """The node's monotonic clock."""
        true_ms = self.cluster.timeline.now_ms + self._ahead_ms
        return self._boot_ms + true_ms + true_ms * self._ppm // MILLION

    def _when(self, clock_ms: int) -> int:
        """The true time at which its clock shows this."""
        return -((self._boot_ms - clock_ms) * MILLION // (MILLION + self._ppm))

    def jump(self, milliseconds: int) -> None:
        """Its clock leaps ahead."""
        self._boot_ms += milliseconds
        if self.actors is not None:
            self._schedule()

    def stall(self, milliseconds: int) -> None:
        """Do nothing for a while, as if stopped; messages wait."""
        until_ms = self.cluster.timeline.now_ms + milliseconds
        self._busy_until_ms = max(self._busy_until_ms, until_ms)

    # --- effects ---

    def effect(self, kind: str) -> None:
        """Something is about to leave the process, or to reach its disk."""
        trap = self.trap
        if trap is not None and trap.kind in (kind, "any"):
            self.trap = trap = trap._replace(left=trap.left - 1)
            if trap.left <= 0:
                raise CrashError
        if self.cluster.swarm.stall and self.chance.happens(STALL_IN_STEP):
            self._ahead_ms += self.chance(2 * self.cluster.swarm.election_ms)

    def _before_disk_effect(self) -> None:
        kind = self.disk.doing
        self.effect(kind)
        if self.fails == kind:
            self.fails = ""
            self.cluster.counts[f"failed: {kind}"] += 1
            raise failing(kind)
        if kind == "sync":
            self._ahead_ms += self.chance(self.cluster.swarm.sync_ms)
            if self.true_ms < self.slow_until_ms:
                self._ahead_ms += self.slow_ms

    # --- life and death ---

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

    @property
    def runs(self) -> bool:
        """Whether its actors run: it is up, and knows who it is."""
        return self.actors is not None

    def found(self, member_id: int, members: Membership) -> None:
        """Be one of the first members, and start."""
        self.member_id, self._founders = member_id, members
        self.is_wanted = True
        self.start()

    def start(self) -> None:
        """Start the process on what is on its disk."""
        assert not self.is_up
        swarm = self.cluster.swarm
        self.incarnation += 1
        self.is_up = True
        self._boot_ms = self.chance(MILLION)
        self._ppm = self.chance(2 * swarm.drift_ppm + 1) - swarm.drift_ppm
        self._busy_until_ms = self.cluster.timeline.now_ms
        self._ahead_ms = 0
        self.attempt(self._boot)

    def attempt(self, do: Callable[[], None]) -> None:
        """Do something as this process, which may die of it."""
        try:
            do()
            if self.actors is not None:
                self.cluster.checker.look(self)
                self._schedule()
        except CrashError:
            trap = self.trap
            self.crash(power=trap is None or trap.power)
        except (StorageError, OSError) as error:
            self._give_up(error)

    def later(self, what: str, do: Callable[[], None]) -> None:
        """Do something a little later, if this process still runs then."""
        incarnation = self.incarnation

        def now() -> None:
            if self.is_up and self.incarnation == incarnation:
                self.attempt(do)

        delay_ms = 1 + self.chance(self.cluster.swarm.election_ms)
        self.cluster.timeline.after(delay_ms, f"{what} {self.number}", now)

    def _give_up(self, error: Exception) -> None:
        """The disk does not do its part: the process ends (it must not go on)."""
        reason = f"{type(error).__name__}: {error}"
        if self.actors is None and not isinstance(error, OSError):
            self.refusal = reason
            require(self.is_damaged, f"{self} refused to start on a sound disk: {reason}")
            self.cluster.counts["refused to start"] += 1
        self.cluster.counts["ended by its disk"] += 1
        self.crash(power=False)

    def crash(self, power: bool = True) -> None:
        """Lose the process and, with the power, what of the disk was not synced."""
        actors, self.actors = self.actors, None
        self.is_up = False
        self.trap = None
        self.links = None
        for actor in actors or ():
            actor.mailbox.close()
        self.cluster.checker.lineage.changes.clear()  # nobody can say any more why it made them
        if power:
            self.disk.crash(self.chance)
        else:
            self.disk.stop()
        self.cluster.crashed(self)

    def stop(self) -> None:
        """End the process as SIGTERM does: hand over, then close everything in reverse."""
        assert self.actors is not None
        election_ms = self.cluster.swarm.election_ms
        incarnation = self.incarnation

        def close() -> None:
            if self.actors is not None and self.incarnation == incarnation:
                self.attempt(self._close)

        def done() -> None:
            self.cluster.timeline.after(1, f"handed over {self.number}", close)

        self.cluster.timeline.after(election_ms, f"stop {self.number}", close)
        self._put(self.actors.raft.mailbox, HandOver(done))

    def _close(self) -> None:
        assert self.actors is not None
        for actor in reversed(self.actors):
            actor.close()
        self.cluster.counts["stopped"] += 1
        self.crash(power=False)

    def format(self) -> None:
        """Begin anew, with an empty disk and no identity."""
        assert not self.is_up
        self.disk.wipe()
        self.disk.is_full = False
        self.fails = ""
        self.backend = SimulatedBackend(self)
        self.member_id, self._founders = 0, None
        self.is_removed = self.is_damaged = False
        self.refusal = ""

    # --- how a node is made: see actors.node ---

    def _boot(self) -> None:
        if Wal.exists(DIRECTORY, self.disk):
            self._run(*Wal.open(DIRECTORY, self.cluster.swarm.segment_bytes, self.disk))
        elif self._founders is not None:
            entries = recovery.first_entries(self._founders)
            self._create(Identity(self.member_id, CLUSTER_ID), self._founders, entries)
        else:
            self.member_id = 0
            self._welcomes = Welcomes()
            self._ask()

    def _ask(self) -> None:
        """Ask the others who this new member is, until one of them says so."""
        incarnation = self.incarnation
        for other in self.cluster.nodes.values():
            if other is not self:
                self.cluster.send(self, other.url, encode_join((self.url,)))

        def again() -> None:
            if self.is_up and self.incarnation == incarnation and self.actors is None:
                self._ask()

        self.cluster.timeline.after(ASK_EVERY_MS, f"ask {self.number}", again)

    def _create(
        self, identity: Identity, membership: Membership, entries: tuple[Entry, ...] = ()
    ) -> None:
        segment_bytes = self.cluster.swarm.segment_bytes
        self.cluster.checker.creating(self, entries)
        self._run(*Wal.create(DIRECTORY, identity, membership, segment_bytes, self.disk, entries))

    def _run(self, wal: Wal, contents: Contents) -> None:
        cluster = self.cluster
        machine = TappedMachine(self.backend, ())
        machine.node = self
        cluster.checker.recovered(self, contents, machine.applied_index)
        tapped = TappedWal(self, wal)
        config = cast(NodeConfig, _Config(Path("/data")))
        contents = recovery.reconcile(config, cast(Wal, tapped), contents, machine)
        self.is_damaged = False  # whatever was damaged did not matter
        actors = Actors(
            watch=WatchActor(
                CLUSTER_ID,
                self.member_id,
                shipped.NO_LEADER_ELECTIONS * cluster.swarm.election_ms,
                self.clock,
                progress_interval_ms=PROGRESS_INTERVAL_MS,
                request_bytes_max=FRAGMENT_BYTES,
            ),
            lease=LeaseActor(LeaseBook(), self.clock),
            store=StoreActor(
                machine,
                self.backend,
                self.member_id,
                self.clock,
                upkeep=Settings(cluster.swarm.quota_bytes, check_ms=CHECK_MS),
            ),
            raft=self._make_raft(wal, tapped, contents, machine),
            gateway=self._make_gateway(),
        )
        ring = Ring(**{name: actor.actor_ref for name, actor in actors._asdict().items()})
        for actor in actors:
            actor.join(ring)
        self.actors = actors
        self._mailboxes = [actor.mailbox for actor in actors]
        for actor in actors:
            actor.open()
        cluster.serving(self)

    def _make_raft(
        self, wal: Wal, tapped: TappedWal, contents: Contents, machine: Machine
    ) -> RaftActor:
        swarm = self.cluster.swarm
        codec = TappedCodec(self)
        wal.use_encoder(codec.entries)
        config = CoreConfig(
            self.member_id, swarm.election_ms // 6, swarm.election_ms, REQUEST_TIMEOUT_MS
        )
        recovered = Recovered(
            contents.hard_state,
            contents.log,
            contents.membership,
            machine.applied_index,
            recovery.last_time(contents, machine),
        )
        core = RaftCore(config, recovered, self.clock(), self.chance)

        def open_links(mailbox: Mailbox) -> Links:
            self.links = SimulatedLinks(self)
            return self.links

        return RaftActor(
            core,
            tapped,
            codec,
            Shipping(core, tapped, SNAPSHOTS, self.disk),
            Retention(swarm.entries_kept, LOG_TAIL_BYTES),
            open_links,
            self.clock,
            self._removed,
        )

    def _make_gateway(self) -> GatewayActor:
        random = self.chance.random
        settings = GatewaySettings(
            cluster_id=CLUSTER_ID,
            member_id=self.member_id,
            version="0",
            request_bytes_max=1_500_000,
            lease_ttl_ms_min=LEASE_TTL_MS_MIN,
            request_timeout_ms=REQUEST_TIMEOUT_MS,
            first_ticket=random.getrandbits(31) << 32 | 1,
            name=f"n{self.number}",
            advertised_urls=(f"tcp://h{self.number}:2379",),
        )
        wall_ms = random.getrandbits(40)
        return GatewayActor(settings, lambda: SimulatedDoor(self), self.clock, wall_ms)

    def _removed(self) -> None:
        """It is sure that it is no member any more: it says so, and ends."""
        self.is_removed = True
        self.cluster.counts["removed members that ended"] += 1
        self.later("removed", self._close)

    # --- what arrives ---

    def take_peer_frame(self, frame: bytes) -> None:
        """A frame of another member has arrived."""
        if self.actors is not None:
            self._put(self.actors.raft.mailbox, PeerFrames((frame,)))
        elif self.is_up and not self.member_id:
            welcome = decode_welcome(frame)
            if welcome is not None and self._welcomes.take(welcome):
                self.member_id = welcome.member_id
                identity = Identity(welcome.member_id, welcome.cluster_id)
                self.attempt(lambda: self._create(identity, UNKNOWN))

    def take_client_frame(self, connection: Connection, payload: bytes) -> None:
        """A client's request has arrived."""
        if self.actors is not None:
            self._put(self.actors.gateway.mailbox, ClientFrames(((connection, payload),)))

    def notice_down(self, url: str) -> None:
        """The connection to whoever is there is gone."""
        if self.actors is not None and self.links is not None:
            gone = tuple(member for member, at in self.links.urls.items() if at == url)
            if gone:
                self._put(self.actors.raft.mailbox, PeersDown(gone))

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
        self.attempt(self._handle)

    def _handle(self) -> None:
        """Take messages until there are none; which actor is next is up to chance."""
        assert self.actors is not None
        actors, mailboxes, chance = self.actors, self._mailboxes, self.chance
        now_ms = self.clock()
        for mailbox in mailboxes:
            wake_ms = mailbox.next_wake_ms
            if wake_ms is not None and wake_ms <= now_ms:
                mailbox.put(Envelope(mailbox.pop_tick(now_ms)))
        undrained = [False] * len(actors)
        while True:
            ready = [n for n, box in enumerate(mailboxes) if undrained[n] or not box.empty()]
            if not ready:
                return
            number = ready[chance(len(ready))] if len(ready) > 1 else ready[0]
            receive, pop = actors[number].receive, mailboxes[number].pop
            undrained[number] = False
            for _ in range(1 + chance(8)):
                message = pop()
                if message is None:
                    receive(DRAINED)
                    break
                receive(message)
            else:
                undrained[number] = True

    def _schedule(self) -> None:
        """The work took a while; the next begins after it, or when a timer is due."""
        assert self.actors is not None
        now_ms = self.cluster.timeline.now_ms
        self._busy_until_ms = max(self._busy_until_ms, now_ms + self._ahead_ms)
        self._ahead_ms = 0
        due = [w for box in self._mailboxes if (w := box.next_wake_ms) is not None]
        if due:
            self._wake(max(self._when(min(due)), self._busy_until_ms, now_ms + 1))

    def _wake(self, time_ms: int) -> None:
        scheduled_ms = self._wake_scheduled_ms
        if scheduled_ms is not None and self.cluster.timeline.now_ms < scheduled_ms <= time_ms:
            return
        self._wake_scheduled_ms = time_ms
        self.cluster.timeline.at(time_ms, f"wake {self.number}", self.run)


class _Config(NamedTuple):
    """As much of a NodeConfig as making a node from its disk needs."""

    data_dir: Path


Actors = shipped.Actors
