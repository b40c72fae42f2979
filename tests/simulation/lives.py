"""Clients that outlive clusters: made anew, rolled back, or restored more than once of a snapshot.

Each cluster is one shipped gateway and one shipped state machine, with a queue for a log: how nodes
agree is simulated elsewhere. At two places clusters begin and end as operators let them, while the
same clients go on; whatever a cluster acknowledges to any of them is in its store, once.
"""

from __future__ import annotations

import sys
import traceback
from collections import Counter
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from actors.gateway.actor import GatewayActor
from actors.gateway.intake import GatewaySettings
from actors.language.codec import decode_command
from actors.language.commands import Range
from actors.language.entries import Proposal
from actors.language.members import Peer
from actors.language.messages import ClientFrames, Connection, Leadership, Propose, Replies
from actors.language.results import Failure, RangeDone
from actors.offline.restore import REVISION_BUMP, changes_of
from actors.raft.membership import first_membership
from actors.store.machine import Machine
from actors.store.questions import answer
from actors.store.sessions import SessionLimits
from actors.store.steps import finish
from cluster.client.engine.call import Call
from cluster.errors import OutcomeUnknownError
from cluster.identity import InitialMember
from tests.linearizability import FindingError
from tests.probes import ProbeRing
from tests.simulation.clients import Endpoint
from tests.simulation.saved import require
from tests.simulation.swarm import Swarm
from tests.simulation.timeline import Timeline
from tests.still_door import StillDoor
from tests.store.driver import commit
from tests.twins import NO_SYSTEM, AtOnce, MemoryBackend

if TYPE_CHECKING:
    from tests.simulation.cluster import Cluster

PLACES = (1, 2)
TROUBLE_MS = 1_500
TIMEOUT_SECONDS = 3.0
NOTICE_MS = 8
"""Until then a client may send to somebody who is gone."""

ACTS = ("restart", "anew", "save", "restore", "save and restore", "copy", "roll back")
LAST_PUTS = 3
SEEDS = 200
MEMBER = 1
TERM = 2


class Report(NamedTuple):
    """What a run came to. `finding` is empty when nothing was wrong."""

    seed: int
    digest: str
    events: int
    counts: dict[str, int]
    finding: str


# --- a cluster --------------------------------------------------------------------------------


class _Door(StillDoor):
    """The clients' socket of one process."""

    def __init__(self, life: Life) -> None:
        super().__init__()
        self._life = life
        self._incarnation = life.incarnation

    def send(self, route: Connection, payload: bytes) -> bool | None:
        self._life.world.reply(self._life, self._incarnation, int(route[0][1:]), payload)
        return True


class Life:
    """A cluster from its beginning to its end, at one place; its number is its cluster id."""

    def __init__(self, world: World, place: int, backend: MemoryBackend) -> None:
        world.lives.append(self)
        self.number = len(world.lives)
        self.world = world
        self.place = place
        self.backend = backend
        self.has_ended = False
        self.incarnation = 0
        self.machine = Machine(backend, (), world.limits)
        self._busy_until_ms = 0
        self.start()

    def start(self) -> None:
        """Begin a process, in the place of the one before."""
        self.incarnation += 1
        settings = GatewaySettings(
            cluster_id=self.number,
            member_id=MEMBER,
            version="0",
            request_bytes_max=100_000,
            lease_ttl_ms_min=1,
            request_timeout_ms=1 << 40,
            first_ticket=self.incarnation << 32 | 1,
        )
        self._ring = ProbeRing()
        world = self.world
        door = _Door(self)
        self._gateway = GatewayActor(
            settings,
            lambda: door,
            lambda: world.timeline.now_ms,
            NO_SYSTEM,
            world.session_ids,
            AtOnce(),
        )
        self._gateway.join(self._ring.ring)
        self._gateway.open()
        self._gateway.receive(Leadership(leader=MEMBER, term=TERM, clock=None))

    def take(self, connection: Connection, payload: bytes) -> None:
        """A request has arrived."""
        self._gateway.receive(ClientFrames(((connection, payload),)))
        self._propose()

    def _propose(self) -> None:
        """What the gateway wants is applied in order, each a little later."""
        for message in self._ring.raft.take():
            assert isinstance(message, Propose), "these clients only write"
            for proposal in message.proposals:
                self._busy_until_ms = max(self._busy_until_ms, self.world.timeline.now_ms)
                self._busy_until_ms += 1 + self.world.chance(6)
                apply = partial(self._apply, self.incarnation, proposal)
                self.world.timeline.at(self._busy_until_ms, f"apply {self.number}", apply)

    def _apply(self, incarnation: int, proposal: Proposal) -> None:
        is_old = incarnation != self.incarnation
        if self.has_ended or (is_old and self.world.chance(2)):
            return  # lost before it was in the log
        machine = self.machine
        command, sequence, _ = decode_command(proposal.command)
        now_ms = self.world.timeline.now_ms
        result = machine.apply(machine.applied_index + 1, TERM, now_ms, command, sequence)
        if isinstance(result, Failure):
            self.world.counts[f"applied: {result.name}"] += 1
        if self.world.chance(4) == 0:
            self.commit()
        if not is_old:
            self._gateway.receive(Replies(((proposal.ticket, result),)))
            self._propose()

    def commit(self) -> None:
        """Make durable what is new."""
        commit(self.machine, self.backend)

    def found(self, key: bytes, revision: int) -> tuple[bytes, int, int] | None:
        """Value, mod_revision and version of a key at a revision, if it is there."""
        done = answer(self.machine, Range(key, revision=revision), 0)
        if not isinstance(done, RangeDone) or not done.kvs:
            return None
        (kv,) = done.kvs
        return kv.value, kv.mod_revision, kv.version


# --- all of them ------------------------------------------------------------------------------


class World:
    """Two places, what operators do there, and the clients of both."""

    def __init__(self, timeline: Timeline) -> None:
        self.timeline = timeline
        self.chance = timeline.stream("lives")
        self.session_ids = timeline.stream("session ids").random.getrandbits
        pick = self.chance.of
        self.limits = SessionLimits(
            sessions_max=pick((6, 10_000)), ttl_ms=pick((400, 600_000)), spared_ms=pick((0, 20))
        )
        self.counts: Counter[str] = Counter()
        self.lives: list[Life] = []
        # When the last frame arrives on each way.
        self._last_ms: Counter[tuple[str, int, int]] = Counter()
        self.disturbed_ms = 0
        self.is_calm = False
        # As much of a cluster as an endpoint wants to know.
        self.nodes = PLACES
        self.swarm = Swarm(nodes=len(PLACES))
        self.visitors: dict[int, Client] = {}
        self._saved: MemoryBackend | None = None
        self._copy: MemoryBackend | None = None
        self._at = {place: Life(self, place, MemoryBackend()) for place in PLACES}
        self.clients = [Client(self, number) for number in range(1, 4 + self.chance(3))]
        for place in PLACES:
            self._announce(place)
        self._plan()

    # --- frames ---

    def request(self, client: int, place: int, frame: bytes) -> None:
        """A client sends to whoever is at a place."""
        life, visitor = self._at[place], self.visitors[client]
        process = (life.number, life.incarnation)
        if visitor.connected.get(place) != process:
            return

        def arrive() -> None:
            if not life.has_ended and (life.number, life.incarnation) == process:
                life.take((b"\0%d" % client,), frame)

        self._in_order(("ask", client, place), arrive, frame)

    def reply(self, life: Life, incarnation: int, client: int, frame: bytes) -> None:
        """A process sends to a client."""
        visitor = self.visitors[client]

        def arrive() -> None:
            process = (life.number, incarnation)
            # What a process said before it ended may still arrive, or be lost with it.
            is_gone = life.has_ended or life.incarnation != incarnation
            if visitor.connected.get(life.place) == process and not (is_gone and self.chance(2)):
                visitor.reply(life.place, frame)

        self._in_order(("answer", client, life.place), arrive, frame)

    def _in_order(self, way: tuple[str, int, int], do: Any, frame: bytes) -> None:
        at_ms = self.timeline.now_ms + 1 + self.chance(3)
        at_ms = self._last_ms[way] = max(at_ms, self._last_ms[way])
        self.timeline.at(at_ms, " ".join(map(str, way)), do, frame)

    def _announce(self, place: int) -> None:
        """Let all clients notice that another process is at a place."""
        life = self._at[place]
        process = (life.number, life.incarnation)
        for visitor in self.visitors.values():
            delay_ms = 1 + self.chance(NOTICE_MS // 2)
            connect = partial(visitor.switch, place, process)
            self.timeline.after(delay_ms, f"switch {visitor.number} {place}", connect)

    # --- operators ---

    def _plan(self) -> None:
        self.timeline.after(10 + self.chance(120), "act", self._act)

    def _act(self) -> None:
        if self.is_calm:
            return
        act, place = self.chance.of(ACTS), self.chance.of(PLACES)
        life = self._at[place]
        self.counts[f"act: {act}"] += 1
        match act:
            case "restart":
                life.start()
                self._disturb(place)
            case "anew":
                self._replace(place, MemoryBackend())
            case "save":
                self._save(life)
            case "copy":
                life.commit()
                self._copy = life.backend.clone()
            case "roll back" if self._copy is not None:
                self._replace(place, self._copy.clone())
            case "restore" if self._saved is not None:
                self._replace(place, restored(self._saved))
            case "save and restore":
                self._replace(place, restored(self._save(life)))
            case _:
                pass
        self._plan()

    def _save(self, life: Life) -> MemoryBackend:
        life.commit()
        self._saved = life.backend.clone()
        return self._saved

    def _replace(self, place: int, backend: MemoryBackend) -> None:
        self._at[place].has_ended = True
        self._at[place] = Life(self, place, backend)
        self._disturb(place)

    def _disturb(self, place: int) -> None:
        self.disturbed_ms = self.timeline.now_ms
        self._announce(place)


def restored(saved: MemoryBackend) -> MemoryBackend:
    """The first store of a new cluster that is made of a snapshot, as `leasehold` makes it."""
    backend = saved.clone()
    founder = InitialMember(MEMBER, "n1", ("tcp://h1:2380",))
    founders = first_membership((Peer(founder.id, founder.peer_urls),))
    backend.commit(changes_of(finish(backend.load()), (founder,), founders, REVISION_BUMP))
    return backend


# --- clients ----------------------------------------------------------------------------------


class Put(Call):
    """A put of a key of its own."""

    __slots__ = ("began_ms",)

    began_ms: int


class Client(Endpoint):
    """Puts one key after the other, each once, at whatever cluster is there."""

    def __init__(self, world: World, number: int) -> None:
        super().__init__(cast("Cluster", world), number, exactly_once=True)
        self._world = world
        self.connected: dict[int, tuple[int, int]] = {}
        self.puts_left = 0
        self.outstanding = 0
        self._count = 0
        # Some know of one place only, and meet whoever comes after there.
        self._places = PLACES if self.chance(2) else (self.chance.of(PLACES),)
        for _ in range(1 + self.chance(3)):
            self.timeline.after(10 + self.chance(20), f"put {number}", self.put)

    def switch(self, place: int, process: tuple[int, int]) -> None:
        """The process that it was connected to is gone; another one is there."""
        if place not in self._places:
            return
        if place in self.connected:
            del self.connected[place]
            self.node_down(place)
        self.connected[place] = process
        self.node_up(place)

    def put(self) -> None:
        """Put another key."""
        if self._world.is_calm:
            if not self.puts_left:
                return
            self.puts_left -= 1
        self._count += 1
        name = b"c%d-%d" % (self.number, self._count)
        fields = {"op": "put", "key": name, "value": b"of " + name, "prev_kv": True}
        call = Put(fields, TIMEOUT_SECONDS, write=True)
        call.patient = True
        call.began_ms = self.timeline.now_ms
        self.outstanding += 1
        self.core.calls.begin(call, self.now)
        self.pump()

    def completed(self, call: Call) -> None:
        assert isinstance(call, Put)
        world = self._world
        self.outstanding -= 1
        if call.error is None:
            self._check(call)
        else:
            # What nobody disturbs has an answer; what somebody does, an unknown outcome at worst.
            known = isinstance(call.error, OutcomeUnknownError)
            disturbed = call.began_ms <= world.disturbed_ms + NOTICE_MS
            require(known and disturbed, f"{call.fields['key']}: {call.error!r}")
            world.counts["outcomes unknown"] += 1
        self.timeline.after(1 + self.chance(30), f"put {self.number}", self.put)

    def _check(self, call: Put) -> None:
        assert call.reply is not None
        key, header = call.fields["key"], call.reply["header"]
        life = self._world.lives[header["cluster_id"] - 1]
        self._world.counts["acknowledged"] += 1
        self._world.counts["acknowledged late"] += call.attempts > 1
        found = life.found(key, header["revision"])
        wanted = (call.fields["value"], header["revision"], 1)
        require(found == wanted, f"{key} was acknowledged at {header}, where there is {found}")
        require("prev_kv" not in call.reply, f"{key} was answered with {call.reply}")


# --- a run ------------------------------------------------------------------------------------


def run(seed: int) -> Report:
    """Run one seed to its end, or to its first finding."""
    timeline = Timeline(seed)
    counts: Counter[str] = Counter()
    finding = ""
    try:
        world = World(timeline)
        counts = world.counts
        timeline.run_until(TROUBLE_MS)
        _calm(world)
        _judge(world)
    except FindingError as error:
        finding = str(error)
    except Exception:  # noqa: BLE001 - a failure of the code is a finding, too
        finding = traceback.format_exc()
    return Report(seed, timeline.digest, timeline.events, dict(counts), finding)


def _calm(world: World) -> None:
    """In peace every client is served, at once: nobody stays in a session that is not there."""
    timeline = world.timeline
    world.is_calm = True
    timeline.run_until(timeline.now_ms + int(TIMEOUT_SECONDS * 1_000))
    for client in world.clients:
        require(not client.outstanding, f"client {client.number} waits for an answer")
        client.puts_left = LAST_PUTS
        client.put()
    acknowledged = world.counts["acknowledged"]
    timeline.run_until(timeline.now_ms + int(TIMEOUT_SECONDS * 1_000))
    served = world.counts["acknowledged"] - acknowledged
    wanted = LAST_PUTS * len(world.clients)
    require(served == wanted, f"{served} of {wanted} last puts were acknowledged")


def _judge(world: World) -> None:
    """No cluster has done anything twice."""
    for life in world.lives:
        done = answer(life.machine, Range(b"\0", b"\0"), 0)
        assert isinstance(done, RangeDone)
        twice = [kv.key for kv in done.kvs if kv.version != 1]
        require(not twice, f"life {life.number} has put {twice} again")


def table(first: int, seeds: int) -> int:
    """Run seeds, and print what happened; 1 if something was found."""
    counts: Counter[str] = Counter()
    for seed in range(first, first + seeds):
        report = run(seed)
        counts.update(report.counts)
        if report.finding:
            sys.stdout.write(f"FINDING at seed {seed} of lives\n{report.finding}\n")
            return 1
    told = ", ".join(f"{name} {counts[name]}" for name in sorted(counts))
    sys.stdout.write(f"{seeds} seeds of lives: no finding; {told}\n")
    return 0
