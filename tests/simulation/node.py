"""One simulated host: the five shipped actors, unstarted, on a simulated clock, disk and network.

Here are its process, which can crash before any effect, and what arrives at it. How actors are made
is in `making`, which of them runs next in `turns`.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from actors.language.entries import Entry
from actors.language.errors import StorageError
from actors.language.messages import ClientFrames, Connection, HandOver, PeerFrames, PeersDown
from actors.offline import recovery
from actors.raft.codec import decode_welcome, encode_join
from actors.raft.core import RaftCore
from actors.raft.disk.mark import Mark
from actors.raft.disk.wal import Contents, Wal
from actors.raft.disk.wal_reader import Identity
from actors.raft.membership import UNKNOWN_MEMBERS, Membership
from actors.raft.outcome import Contradicted, Ending, Removed, WasHere
from actors.raft.rpc import JoinRequest
from actors.raft.welcome import Welcomes
from actors.runtime.loop import Loop
from actors.store.machine import Machine
from cluster.visitors import Gone
from tests.simulation.disk import SimulatedDisk
from tests.simulation.making import Actors, make_actors
from tests.simulation.network import CLUSTER_ID
from tests.simulation.saved import require
from tests.simulation.seams import (
    CrashError,
    SimulatedBackend,
    SimulatedLinks,
    failing,
)
from tests.simulation.turns import Turns

if TYPE_CHECKING:
    from tests.simulation.cluster import Cluster

ASK_EVERY_MS = 40
STALL_IN_STEP = 0.0005
DIRECTORY = Path("/wal")
MILLION = 1_000_000


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
        # Whether this process is of a later version.
        self.is_newer = False
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
        # Those that broke since its door was last looked at.
        self.broken_connections: list[Gone] = []
        self.chance = cluster.timeline.stream(f"node {number}")
        self._founders: Membership | None = None
        self._ahead_ms = 0
        self._boot_ms = 0
        self._ppm = 0
        self._turns = Turns(self)
        self.mark = Mark(DIRECTORY, self.disk)
        # Whether its disk was emptied, and it is to find out that it has been here before.
        self.has_forgotten = False

    def __str__(self) -> str:
        return f"node {self.number}"

    # --- time ---

    @property
    def true_ms(self) -> int:
        """The simulation's time, as far as the node has got with its present work."""
        return self.cluster.timeline.now_ms + self._ahead_ms

    def clock(self) -> int:
        """The node's monotonic clock."""
        return self._shown_at(self.cluster.timeline.now_ms + self._ahead_ms)

    def clock_at_rest(self) -> int:
        """What its clock shows when it is done with its last work, which may be later than now."""
        return self._shown_at(max(self.true_ms, self._turns.busy_until_ms))

    def _shown_at(self, true_ms: int) -> int:
        return self._boot_ms + true_ms + true_ms * self._ppm // MILLION

    def when(self, clock_ms: int) -> int:
        """The true time at which its clock shows this."""
        return -((self._boot_ms - clock_ms) * MILLION // (MILLION + self._ppm))

    def jump(self, milliseconds: int) -> None:
        """Its clock leaps ahead."""
        self._boot_ms += milliseconds
        if self.actors is not None:
            self._schedule()

    def stall(self, milliseconds: int) -> None:
        """Do nothing for a while, as if stopped; messages wait."""
        self._turns.stall(milliseconds)

    def run(self) -> None:
        """Let the actors handle what they were told."""
        self._turns.run()

    @property
    def is_busy(self) -> bool:
        """Whether its present work, or a stall, goes on for a while."""
        return self.cluster.timeline.now_ms < self._turns.busy_until_ms

    @property
    def loop(self) -> Loop:
        """The shipped loop that gives its actors their turns, where chance does not."""
        return self._turns.loop

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
        return self.actors.raft.core

    @property
    def machine(self) -> Machine:
        """What its store actor applies to."""
        assert self.actors is not None
        return self.actors.store.machine

    @property
    def others(self) -> tuple[str, ...]:
        """The URLs of all other hosts: its flags name more than enough."""
        return tuple(node.url for node in self.cluster.nodes.values() if node is not self)

    @property
    def is_unproven(self) -> bool:
        """Whether it may have lost promises, as its disk tells."""
        return bool(self.member_id) and (self.mark.stands() or not Wal.exists(DIRECTORY, self.disk))

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
        self.is_newer = self.chance.happens(swarm.newer)
        self._boot_ms = self.chance(MILLION)
        self._ppm = self.chance(2 * swarm.drift_ppm + 1) - swarm.drift_ppm
        self._turns.busy_until_ms = self.cluster.timeline.now_ms
        self._ahead_ms = 0
        self.attempt(self._boot)

    def _schedule(self) -> None:
        worked_ms, self._ahead_ms = self._ahead_ms, 0
        self._turns.schedule(worked_ms)

    def attempt(self, do: Callable[[], None]) -> None:
        """Do something as this process, which may die of it."""
        try:
            do()
            if self.actors is not None:
                self.cluster.checker.look(self)
                self._notice_proven()
                self._schedule()
        except CrashError:
            trap = self.trap
            self.crash(power=trap is None or trap.power)
        except (StorageError, OSError) as error:
            self._give_up(error)

    def _notice_proven(self) -> None:
        if self.has_forgotten and self.core.probation is None:
            self.has_forgotten = False
            self.cluster.checker.proven(self)
            self.cluster.counts["came back after their disk was emptied"] += 1

    def later(self, what: str, do: Callable[[], None], delay_ms: int | None = None) -> None:
        """Do something a little later, if this process still runs then; its actors run after it."""
        incarnation = self.incarnation

        def now() -> None:
            if self.is_up and self.incarnation == incarnation:
                self.attempt(do)
                self._turns.run()

        if delay_ms is None:
            delay_ms = 1 + self.chance(self.cluster.swarm.election_ms)
        self.cluster.timeline.after(delay_ms, f"{what} {self.number}", now)

    def _give_up(self, error: Exception) -> None:
        """The disk does not do its part: the process ends (it must not go on)."""
        reason = f"{type(error).__name__}: {error}"
        if self.actors is None and not isinstance(error, OSError):
            self.refusal = reason
            require(self.is_damaged, f"{self} refused to start on a sound disk: {reason}")
            self.cluster.counts["refused to start"] += 1
        elif isinstance(error, StorageError):
            require(self.disk.is_full, f"{self} cannot use its sound disk: {reason}")
        self.cluster.counts["ended by its disk"] += 1
        self.crash(power=False)

    def crash(self, power: bool = True) -> None:
        """Lose the process and, with the power, what of the disk was not synced."""
        self.actors = None
        self.is_up = False
        self.trap = None
        self.links = None
        self.broken_connections.clear()
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
        self._turns.put(self.actors.raft.mailbox, HandOver(done))

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
        self.is_removed = self.is_damaged = self.has_forgotten = False
        self.refusal = ""

    def forget(self) -> None:
        """Lose the disk, but be started again with the flags of the beginning."""
        assert not self.is_up
        self.disk.wipe()
        self.backend = SimulatedBackend(self)
        self.cluster.checker.forgotten(self)
        self.has_forgotten = True

    # --- how a node is made: see actors.node ---

    def _boot(self) -> None:
        if Wal.exists(DIRECTORY, self.disk):
            self.cluster.moment("at_start", self)
            self._run(*Wal.open(DIRECTORY, self.cluster.swarm.segment_bytes, self.disk))
            return
        self.mark.make()
        if self._founders is not None:
            entries = recovery.first_entries(self._founders)
            self._create(Identity(self.member_id, CLUSTER_ID), self._founders, entries)
        else:
            self.member_id = 0
            request = JoinRequest(self.chance(MILLION), 0, (self.url,))
            self._welcomes = Welcomes(request.nonce)
            self._ask(encode_join(request))

    def _ask(self, frame: bytes) -> None:
        """Ask the others who this new member is, until one of them says so."""
        incarnation = self.incarnation
        for other in self.cluster.nodes.values():
            if other is not self:
                self.cluster.send(self, other.url, frame)

        def again() -> None:
            if self.is_up and self.incarnation == incarnation and self.actors is None:
                self._ask(frame)

        self.cluster.timeline.after(ASK_EVERY_MS, f"ask {self.number}", again)

    def _create(
        self, identity: Identity, membership: Membership, entries: tuple[Entry, ...] = ()
    ) -> None:
        segment_bytes = self.cluster.swarm.segment_bytes
        self.cluster.checker.creating(self, entries)
        self._run(*Wal.create(DIRECTORY, identity, membership, segment_bytes, self.disk, entries))

    def _run(self, wal: Wal, contents: Contents) -> None:
        self.actors = make_actors(self, wal, contents)
        self.is_damaged = False  # whatever was damaged did not matter
        self._turns.begin(self.actors)
        for actor in self.actors:
            actor.open()
        self.cluster.serving(self)

    def ended(self, ending: Ending) -> None:
        """It is sure that it must not go on: it says why, and ends."""
        match ending:
            case Removed():
                self.is_removed = True
                self.cluster.counts["removed members that ended"] += 1
                self.later("removed", self._close)
            case WasHere():
                self.later("was here", self._refuse_to_run)
            case Contradicted():
                self.cluster.contradicted(self, ending)
                self.later("contradicted", self._close)

    def _refuse_to_run(self) -> None:
        require(self.has_forgotten, f"{self} takes its own life for an earlier one")
        self.refusal = "it was here before"
        self.cluster.counts["refused: it was here before"] += 1
        self.crash(power=False)

    # --- what arrives ---

    def take_peer_frame(self, frame: bytes) -> None:
        """A frame of another member has arrived."""
        if self.actors is not None:
            self._turns.put(self.actors.raft.mailbox, PeerFrames((frame,)))
        elif self.is_up and not self.member_id:
            welcome = decode_welcome(frame)
            if welcome is not None and self._welcomes.take(welcome):
                self.member_id = welcome.member_id
                identity = Identity(welcome.member_id, welcome.cluster_id)
                if welcome.was_here:
                    self._refuse_to_run()
                else:
                    self.attempt(lambda: self._create(identity, UNKNOWN_MEMBERS))

    def take_client_frame(self, connection: Connection, payload: bytes) -> None:
        """A client's request has arrived."""
        if self.actors is not None:
            self._turns.put(self.actors.gateway.mailbox, ClientFrames(((connection, payload),)))

    def notice_down(self, url: str) -> None:
        """The connection to whoever is there is gone."""
        if self.actors is not None and self.links is not None:
            gone = tuple(member for member, at in self.links.urls.items() if at == url)
            if gone:
                self._turns.put(self.actors.raft.mailbox, PeersDown(gone))
