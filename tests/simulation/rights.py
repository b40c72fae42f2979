"""Rights that change while requests, watches and retries are under way, on three members.

Each member is the shipped gateway, store and watches, each its own process; the log between them is
a list that every member hears of late and in its own portions: how members agree on it is simulated
elsewhere. Proposals get lost, or come twice. A plain reading of the log (`book`) says who might do
what at each entry: no entry, read, watch or session may be decided otherwise.
"""

from __future__ import annotations

import sys
import traceback
from collections import Counter
from functools import partial
from typing import Any, Final, NamedTuple

from actors.gateway.actor import GatewayActor
from actors.gateway.intake import GatewaySettings
from actors.language.codec import decode_command
from actors.language.commands import Command, SessionOpen
from actors.language.commands import Sequence as Numbered
from actors.language.entries import Entry, Proposal
from actors.language.messages import (
    Apply,
    ClientFrames,
    ConfirmedRead,
    Connection,
    Leadership,
    Propose,
    Read,
)
from actors.language.results import Failure, Result, SessionOpened
from actors.runtime.base import Ring
from actors.store.actor import StoreActor
from actors.store.machine import Machine
from actors.store.sessions import SEQUENCE_TOO_OLD
from actors.watch.actor import WatchActor
from tests.linearizability import FindingError
from tests.probes import Probe
from tests.simulation.book import Version, auth_types
from tests.simulation.saved import require
from tests.simulation.tenants import Admin, Tenant, Visitor
from tests.simulation.timeline import Timeline
from tests.still_door import StillDoor
from tests.store.driver import FOUNDERS, everything
from tests.twins import NO_SYSTEM, AtOnce, ImmediateWaits, MemoryBackend

MEMBERS: Final = (1, 2, 3)
TERM: Final = 2
TROUBLE_MS: Final = 900
PEACE_MS: Final = 400
TIMEOUT_MS: Final = 150
SEEDS: Final = 300
OF_WHO: Final = ("UserEmpty", "InvalidAuthToken")
OF_RIGHTS: Final = (*OF_WHO, "PermissionDenied")
LED: Final = Leadership(leader=1, term=TERM, clock=None)


class Report(NamedTuple):
    """What a run came to. `finding` is empty when nothing was wrong."""

    seed: int
    digest: str
    events: int
    counts: dict[str, int]
    finding: str


class Log:
    """The entries in their order, what each did on the first member, and who might do what then."""

    def __init__(self, counts: Counter[str]) -> None:
        self.entries: list[Entry] = []
        self.versions: list[Version] = [Version()]
        # The revision of the store behind each entry.
        self.revisions: dict[int, int] = {0: 1}
        self._results: dict[int, Result] = {}
        self._owners: dict[int, int] = {}
        self._numbers: dict[tuple[int, int], Result] = {}
        self._counts = counts

    def version(self, index: int) -> Version:
        """Who may do what behind the entry at an index."""
        return next(each for each in reversed(self.versions) if each.at <= index)

    def between(self, first: int, last: int) -> list[Version]:
        """The versions that there were from behind one entry to behind another."""
        later = [each for each in self.versions if first < each.at <= last]
        return [self.version(first), *later]

    def applied(self, member: int, index: int, result: Result, revision: int) -> None:
        """A member has applied an entry: it must be as the book says, and as on other members."""
        known = self._results.get(index)
        if known is not None:
            same = known == result and self.revisions[index] == revision
            require(same, f"entry {index} gave {result} on member {member}, elsewhere {known}")
            return
        self._results[index] = result
        self.revisions[index] = revision
        command, sequence, principal = decode_command(self.entries[index - 1].command)
        version = self.versions[-1]
        if sequence is not None and self._of_session(index, sequence, principal, result):
            return
        fault = result.name if isinstance(result, Failure) and result.name in OF_RIGHTS else ""
        wanted = version.fault(principal, command)
        require(
            fault == wanted,
            f"entry {index}, {command} of {principal}, was {fault or 'allowed'}, and by the rights "
            f"of its place {wanted or 'allowed'}: {version}",
        )
        self._counts[f"entries: {fault or 'allowed'}"] += 1
        if sequence is not None and fault not in OF_WHO:
            self._numbers[sequence.session, sequence.seq] = result
        if not fault and not isinstance(result, Failure):
            self._note(index, command, principal.user_id, result)

    def _of_session(self, index: int, sequence: Numbered, principal: Any, result: Result) -> bool:
        """Whether the session decides: it is somebody else's, or the number was answered."""
        owner = self._owners.get(sequence.session)
        if not self.versions[-1].enabled or owner is None:
            return owner is None
        if not owner and principal.user_id > 0:
            # It was opened before requests were checked, and is its first user's.
            owner = self._owners[sequence.session] = principal.user_id
        if principal.user_id <= 0 or owner != principal.user_id:
            names = (*OF_WHO, "SessionNotFound")
            kept = isinstance(result, Failure) and result.name in names
            require(
                kept, f"entry {index} of {principal} used the session of user {owner}: {result}"
            )
            self._counts["sessions of others"] += 1
            return True
        known = self._numbers.get((sequence.session, sequence.seq))
        if result == SEQUENCE_TOO_OLD:
            return True
        if known is not None:
            require(known == result, f"a retry at {index} had {result}, before it {known}")
            self._counts["retries"] += 1
        return known is not None

    def _note(self, index: int, command: Command, user_id: int, result: Result) -> None:
        if isinstance(command, SessionOpen) and isinstance(result, SessionOpened):
            self._owners[command.id] = user_id
        if type(command) in auth_types():
            version = self.versions[-1].after(index, command)
            if version is not self.versions[-1]:
                self.versions.append(version)
                self._counts["changes of rights"] += 1


class JudgedMachine(Machine):
    """Tells the log what each entry did."""

    place: Place

    def begin_entry(self, index: int, *entry: Any) -> Result | None:
        result = super().begin_entry(index, *entry)
        if result is not None:
            self._judge(index, result)
        return result

    def go_on(self) -> Result | None:
        result = super().go_on()
        if result is not None:
            self._judge(self.applied_index, result)
        return result

    def _judge(self, index: int, result: Result) -> None:
        self.place.world.log.applied(self.place.number, index, result, self.store.revision)


class _Door(StillDoor):
    """A member's clients' socket."""

    def __init__(self, place: Place) -> None:
        super().__init__()
        self._place = place
        # The world knows each visitor's key.
        self.keys: Any = place.world

    def send(self, route: Connection, payload: bytes) -> bool | None:
        self._place.world.reply(self._place, route, payload)
        return True


class Place:
    """One member: its processes, one after the other, on one disk."""

    def __init__(self, world: World, number: int) -> None:
        self.world = world
        self.number = number
        self.backend = MemoryBackend()
        self.chance = world.timeline.stream(f"member {number}")
        self.incarnation = 0
        self.start()

    def start(self) -> None:
        """Begin a process on what is on the disk."""
        self.incarnation += 1
        self.machine = JudgedMachine(self.backend, FOUNDERS)
        self.machine.place = self
        # How far the log was told, and the reads that wait for more of it.
        self.told = self.machine.applied_index
        self._reads: list[tuple[int, Read]] = []
        self._raft, lease = Probe(), Probe()
        settings = GatewaySettings(
            cluster_id=1,
            member_id=self.number,
            version="0",
            request_bytes_max=100_000,
            lease_ttl_ms_min=1,
            request_timeout_ms=TIMEOUT_MS,
            first_ticket=self.incarnation << 32 | self.number << 28 | 1,
            password_cost_log2=1,
        )
        random_bits = self.chance.random.getrandbits
        clock = self.clock
        door = _Door(self)
        self.gateway = GatewayActor(settings, lambda: door, clock, NO_SYSTEM, random_bits, AtOnce())
        self.store = StoreActor(self.machine, self.backend, ImmediateWaits(), self.number, clock)
        self.watch = WatchActor(1, self.number, 1 << 40, clock, request_bytes_max=1_000)
        self.actors = (self.gateway, self.store, self.watch)
        boxes = [actor.mailbox for actor in self.actors]
        ring = Ring(boxes[0], self._raft, boxes[1], lease, boxes[2])
        for actor in self.actors:
            actor.join(ring)
        for actor in reversed(self.actors):
            actor.open()
            actor.mailbox.tell(LED)
        self.pump()
        self._tick(self.incarnation)

    def clock(self) -> int:
        """The time of all members."""
        return self.world.timeline.now_ms

    def restart(self) -> None:
        """End the process, at times with what was committed last, and begin another one."""
        if self.chance(2) and not self.machine.is_busy:
            self.store.commit_now()
        for visitor in self.world.visitors.values():
            visitor.lost(self.number)
        self.start()

    def pump(self) -> None:
        """Let all messages be handled, the actors in whatever order."""
        while ready := [each for each in self.actors if each.mailbox.queue]:
            actor = self.chance.of(ready)
            message: Any = actor.mailbox.pop()
            actor.receive(message)
        for message in self._raft.take():
            match message:
                case Propose(proposals):
                    for proposal in proposals:
                        self.world.propose(self, proposal)
                case Read():
                    self._reads.append((len(self.world.log.entries), message))
                case _:
                    pass
        self._read()

    def _tick(self, incarnation: int) -> None:
        if incarnation != self.incarnation:
            return
        for actor in self.actors:
            tick = actor.mailbox.pop_tick(self.clock())
            if tick is not None:
                actor.receive(tick)
        self.pump()
        again = partial(self._tick, incarnation)
        self.world.timeline.after(1 + self.chance(3), f"tick {self.number}", again)

    def hear(self) -> None:
        """Hear of some more of the log, and answer reads that waited for it."""
        entries = self.world.log.entries
        if self.told < len(entries):
            upto = min(len(entries), self.told + 1 + self.chance(6))
            self.store.mailbox.tell(Apply(tuple(entries[self.told : upto])))
            self.told = upto
        self.pump()

    def _read(self) -> None:
        due = [read for index, read in self._reads if index <= self.told]
        if due:
            self._reads = [each for each in self._reads if each[0] > self.told]
            for read in due:
                self.store.mailbox.tell(ConfirmedRead(read.questions, self.clock()))
            self.pump()

    def take(self, connection: Connection, frame: bytes) -> None:
        """A request has arrived."""
        self.gateway.receive(ClientFrames(((connection, frame),)))
        self.pump()


class World:
    """Three members, the log, and those who ask."""

    def __init__(self, timeline: Timeline) -> None:
        self.timeline = timeline
        self.chance = timeline.stream("world")
        self.counts: Counter[str] = Counter()
        self.log = Log(self.counts)
        self.is_calm = False
        self.visitors: dict[int, Visitor] = {}
        self.places = {number: Place(self, number) for number in MEMBERS}
        self.admin = Admin(self, 1)
        self.tenants = [Tenant(self, 2, "ann", has_key=False), Tenant(self, 3, "bob", has_key=True)]
        for number in MEMBERS:
            self._hear(number)
        self._trouble()

    # --- the log ---

    def propose(self, place: Place, proposal: Proposal) -> None:
        """A proposal comes into the log a little later; at times it is lost, or comes twice."""
        if not self.is_calm and self.chance.happens(0.05):
            return
        twice = not self.is_calm and self.chance.happens(0.05)
        for _ in range(1 + twice):
            delay_ms = 1 + self.chance(5 if not twice else 20)
            self.timeline.after(delay_ms, "log", partial(self._append, proposal))

    def _append(self, proposal: Proposal) -> None:
        index = len(self.log.entries) + 1
        entry = Entry(index, TERM, self.timeline.now_ms, *proposal)
        self.log.entries.append(entry)

    def _hear(self, number: int) -> None:
        place = self.places[number]
        place.hear()
        is_slow = not self.is_calm and place.chance.happens(0.1)
        delay_ms = 1 + place.chance(60 if is_slow else 4)
        self.timeline.after(delay_ms, f"hear {number}", partial(self._hear, number))

    def _trouble(self) -> None:
        if not self.is_calm:
            self.timeline.after(60 + self.chance(300), "trouble", self._trouble)
            if self.timeline.now_ms:
                self.places[self.chance.of(MEMBERS)].restart()
                self.counts["restarts"] += 1

    # --- frames ---

    def get(self, name: bytes, default: bytes) -> bytes:
        """The public key of the visitor whose connection has this name."""
        return self.visitors[name[1]].key or default

    def request(self, visitor: Visitor, number: int, frame: bytes) -> None:
        """Somebody sends to a member."""
        place = self.places[number]
        incarnation = place.incarnation
        connection = (bytes((0, visitor.number, number, incarnation & 0xFF)),)

        def arrive() -> None:
            if place.incarnation == incarnation:
                place.take(connection, frame)

        self.timeline.after(1 + self.chance(3), f"ask {visitor.number}", arrive, frame)

    def reply(self, place: Place, route: Connection, frame: bytes) -> None:
        """A member sends to somebody, in order."""
        visitor, incarnation = self.visitors[route[0][1]], place.incarnation

        def arrive() -> None:
            if place.incarnation == incarnation:
                visitor.reply(place.number, frame)

        self.timeline.after(2, f"answer {visitor.number}", arrive, frame)


def run(seed: int) -> Report:
    """Run one seed to its end, or to its first finding."""
    timeline = Timeline(seed)
    counts: Counter[str] = Counter()
    finding = ""
    try:
        world = World(timeline)
        counts = world.counts
        timeline.run_until(TROUBLE_MS)
        world.is_calm = True
        timeline.run_until(TROUBLE_MS + PEACE_MS)
        _judge(world)
    except FindingError as error:
        finding = str(error)
    except Exception:  # noqa: BLE001 - a failure of the code is a finding, too
        finding = traceback.format_exc()
    return Report(seed, timeline.digest, timeline.events, dict(counts), finding)


def _judge(world: World) -> None:
    """All members are at one state; whoever may not watch any more, watches no more."""
    for place in world.places.values():
        applied = place.machine.applied_index
        require(applied == len(world.log.entries), f"member {place.number} lags at {applied}")
    first, *others = [everything(place.machine) for place in world.places.values()]
    for found in others:
        wrong = [name for name, value in found.items() if first[name] != value]
        require(not wrong, f"members disagree on {', '.join(wrong)}")
    for tenant in world.tenants:
        tenant.judge()


def table(first: int, seeds: int) -> int:
    """Run seeds, and print what happened; 1 if something was found."""
    counts: Counter[str] = Counter()
    for seed in range(first, first + seeds):
        report = run(seed)
        counts.update(report.counts)
        if report.finding:
            sys.stdout.write(f"FINDING at seed {seed} of rights\n{report.finding}\n")
            return 1
    told = ", ".join(f"{name} {counts[name]}" for name in sorted(counts))
    sys.stdout.write(f"{seeds} seeds of rights: no finding; {told}\n")
    return 0
