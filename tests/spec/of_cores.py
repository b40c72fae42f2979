"""The shipped cores as a machine: each with a disk, a store that applies at once, and no clock.

An input goes to a core as its actor would hand it on. Then the member settles as RaftActor does:
it tells what is decided, sends, saves, and only then promises.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from itertools import zip_longest
from typing import Any, Final, NamedTuple

from actors.language.entries import Entry, Proposal
from actors.language.members import (
    AddMember,
    MemberChange,
    PromoteMember,
    RemoveMember,
    ReplaceMember,
)
from actors.raft import rpc
from actors.raft.core import RaftCore
from actors.raft.leader import Leader
from actors.raft.log import FIRST_TERM, LogStart, RaftLog
from actors.raft.membership import UNKNOWN_MEMBERS, encode, first_membership, read
from actors.raft.outcome import CoreConfig, Recovered
from tests.spec.cores import (
    BEAT_MS,
    GIVE_UP_MS,
    NOW,
    TIMEOUT_MS,
    Body,
    Frozen,
    peer,
    renamed,
    rest,
)
from tests.spec.facts import facts_of
from tests.spec.machine import Input, Taken
from tests.spec.mapping import Mapping as View
from tests.spec.mapping import log_of, match_of
from tests.spec.state import Disk, Lead, Member, Role
from tests.spec.worlds import Change, World, id_of

TURNS_MAX: Final = 50
"""A member that has something to say after this number of turns says it for ever."""

READS_OF_A_LIFE: Final = 100
"""Read ids begin at another place in each life of a member, as they do by chance."""

ONCE_ONLY: Final = (
    rpc.ForwardRequest,
    rpc.ForwardRefusal,
    rpc.ReadRequest,
    rpc.ChangeRequest,
    rpc.ChangeRefusal,
)

IGNORED_WHEN_OLD: Final = (
    rpc.VoteResponse,
    rpc.AppendResponse,
    rpc.HeartbeatResponse,
    rpc.ReadResponse,
    rpc.TimeoutNow,
)


class Saved(NamedTuple):
    """A disk: what was saved, and where the log in it begins."""

    hard: rpc.HardState
    start: LogStart
    entries: tuple[Entry, ...]


class State(NamedTuple):
    """One member: its core, its disk, the save under way, and which life of it this is."""

    id: int
    core: Frozen
    disk: Saved
    saving: Saved | None = None
    life: int = 0


class Said:
    """What comes of one input, as it is gathered."""

    def __init__(self) -> None:
        self.messages: list[rpc.Message] = []
        self.served: list[int] = []


class Cores:
    """The machine of the shipped cores."""

    def __init__(self, world: World) -> None:
        self.world = world
        self._bodies: dict[int, Body] = {}
        self._views: dict[State, Member] = {}

    # --- the beginning ---

    def begin(self) -> list[Hashable]:
        world = self.world
        members = world.ids[: world.voters + world.learners]
        known = first_membership(tuple(peer(each) for each in members))
        learners = frozenset(members[world.voters :])
        known = known._replace(voters=known.voters - learners, learners=learners)
        first = Entry(1, FIRST_TERM, 0, 0, 0, encode(known))
        start = LogStart(0, 0, known)
        none = LogStart(0, 0, UNKNOWN_MEMBERS)
        begun: list[Hashable] = []
        for member, terms in zip_longest(world.ids, world.logs, fillvalue=()):
            assert isinstance(member, int)
            entries = [Entry(n, term, 0, 0, 0, b"t%d" % term) for n, term in enumerate(terms, 2)]
            hard = rpc.HardState(world.starts_in(member), 0, 1)
            disk = Saved(hard, start, (first, *entries))
            if member not in members:
                disk = Saved(rpc.HardState(0, 0, 0), none, ())
            begun.append(self._start(member, disk, 0))
        return begun

    def _start(self, member: int, disk: Saved, life: int) -> State:
        """A process that starts on a disk."""
        log = RaftLog(disk.start.index, disk.start.term, disk.entries)
        at_ms = disk.entries[-1].time_ms if disk.entries else 0
        applied = disk.start.index
        recovered = Recovered(disk.hard, log, disk.start.membership, applied, at_ms)
        config = CoreConfig(member, BEAT_MS, TIMEOUT_MS, 1 << 40)
        first_read = READS_OF_A_LIFE * life
        core = RaftCore(config, recovered, NOW, lambda n: first_read if n > 1 << 40 else 0)
        self._bodies[member] = Body(core)
        return self._settled(core, State(member, (), disk, None, life), Said(), False)

    def thaw(self, state: State) -> RaftCore:
        """The member's core, in that state."""
        return self._bodies[state.id].thaw(state.core)

    # --- what may happen ---

    def inputs(self, state: State) -> list[Input]:
        world, m = self.world, self.view(state)
        found = []
        if m.lead is None:
            found.append(Input("timeout", None, ("elections",)))
            if world.silences and m.hears:
                found.append(Input("silence"))
            if m.leader:
                found.append(Input("broken", m.leader, ("breaks",)))
        else:
            found.append(Input("isolated", None, ("breaks",)))
            peers = sorted(m.log.config.members - {m.id})
            found += [Input("broken", other, ("breaks",)) for other in peers]
            found.append(Input("propose", None, ("proposals",)))
            found += [Input("change", None, ("changes",))] if world.changes else []
            found.append(Input("beat", None, ("beats",)))
            others = sorted(m.log.config.voters - {m.id}) if not m.lead.target else []
            found += [Input("transfer", other, ("transfers",)) for other in others]
            found += [Input("give up")] if m.lead.target else []
        if m.leader and world.reads_at(m.id):
            found.append(Input("read", None, ("reads",)))
        if m.applied > m.log.start.at:
            found.append(Input("compact", None, ("compactions",)))
        if state.saving is not None:
            found.append(Input("saved"))
        found.append(Input("crash", None, ("crashes",)))
        return [*found, *(_losing(each) for each in found if each.kind in MAY_SAVE)]

    def take(self, state: State, input_: Input) -> Taken | None:
        said, kind, argument = Said(), input_.kind, input_.argument
        if kind == "lose":
            return self._do(state, argument, said, loses=True)
        if kind == "crash":
            return self._crash(state, said)
        if kind == "saved":
            if state.saving is None:
                return None  # a script is played again on other code
            core = self.thaw(state)
            said.messages += core.persisted(NOW)
            kept = state._replace(disk=state.saving, saving=None)
            return self._taken(state, self._settled(core, kept, said, False), said, kind)
        return self._do(state, input_, said, loses=False)

    def _do(self, state: State, input_: Input, said: Said, loses: bool) -> Taken | None:
        core, kind, argument = self.thaw(state), input_.kind, input_.argument
        asked, disk = None, state.disk
        now_ms = NOW + PASSING_MS.get(kind, 0)
        match kind:
            case "timeout" | "isolated" | "beat" | "give up":
                core.tick(now_ms)
            case "silence":
                rest(core, is_silent=True)
            case "broken":
                core.peer_down(argument, NOW)
            case "propose":
                core.propose([Proposal(state.id, 0, b"p%d" % argument)], NOW)
            case "read":
                asked = core.read_index(NOW)
            case "change":
                core.change_members(_change(self.world.changes[argument]), 1, NOW)
            case "transfer":
                core.transfer(argument, NOW)
            case "compact":
                core.compact(core.replica.handed_out, 0, 0)
                disk = _cut(state.disk, core.replica.log.first_index - 1)
        after = self._settled(core, state._replace(disk=disk), said, loses, now_ms)
        taken = self._taken(state, after, said, kind, loses)
        return taken if taken is None else taken._replace(asked=asked)

    def hear(self, state: State, message: rpc.Message, loses: bool = False) -> Taken | None:
        core, said = self.thaw(state), Said()
        core.step(message, NOW)
        if isinstance(message, rpc.SnapshotChunk) and core.leader == message.source:
            if state.saving is not None:
                return None
            after = self._install(core, state, message, said, loses)
        else:
            after = self._settled(core, state, said, loses)
        return self._taken(state, after, said, "hear", loses)

    def _install(
        self, core: RaftCore, state: State, chunk: rpc.SnapshotChunk, said: Said, loses: bool
    ) -> State:
        """A whole snapshot is one chunk here; its data are the members at its end.

        A crash comes when the store is replaced, and the log is not: see `reconcile`.
        """
        membership = read(chunk.data)
        if membership is None or chunk.last_index <= core.replica.commit:
            return self._settled(core, state, said, loses)
        start = LogStart(chunk.last_index, chunk.last_term, membership)
        hard, _ = core.expecting()
        if loses:
            there = _log_of(state.disk)
            hard = hard._replace(commit=start.index)
            keeps = there.term_at(start.index) == start.term
            disk = _cut(state.disk, start.index) if keeps else Saved(hard, start, ())
            return self._start(state.id, disk._replace(hard=hard), state.life + 1)
        hard, kept = core.restored(start, chunk.total_bytes, chunk)
        return self._settled(core, state._replace(disk=Saved(hard, start, kept)), said, loses)

    def _crash(self, state: State, said: Said) -> Taken | None:
        after = self._start(state.id, state.disk, state.life + 1)
        return self._taken(state, after, said, "crash")

    # --- how a member settles: see RaftActor.settle ---

    def _settled(
        self, core: RaftCore, state: State, said: Said, loses: bool, now_ms: int = NOW
    ) -> State:
        for _ in range(TURNS_MAX):
            self._decide(core, said, now_ms)
            if state.saving is not None:
                said.messages += core.speak(now_ms)
                break
            if not core.has_output(now_ms):
                break
            output = core.output(now_ms)
            said.messages += output.messages
            if output.save is not None:
                if loses:
                    return self._start(state.id, state.disk, state.life + 1)
                saved = _with(state.disk, *output.save)
                if self.world.is_late(state.id) and state.core:
                    state = state._replace(saving=saved)
                    continue
                state = state._replace(disk=saved)
            said.messages += core.persisted(now_ms)
        else:
            raise AssertionError(f"{state.id} never settles")
        rest(core, now_ms)
        after = state._replace(core=self._bodies[state.id].freeze())
        if after not in self._views:
            self._views[after] = _view(core, after)
        return after

    def _decide(self, core: RaftCore, said: Said, now_ms: int) -> None:
        if not core.decisions.may_be_some():
            return
        decided = core.decided(now_ms)
        said.served += [read_id for read_id, _ in decided.reads]
        leader = core.elector.leads_as
        if decided.behind and leader is not None:
            said.messages += [_snapshot(core, leader, each) for each in decided.behind]

    def _taken(
        self, before: State, after: State, said: Said, kind: str, loses: bool = False
    ) -> Taken | None:
        was, now = self.view(before) if before.core else None, self.view(after)
        if now.term > self.world.terms:
            return None
        is_lost = after.life != before.life
        if loses and not is_lost:
            return None  # there was nothing to save
        kind = "crash" if is_lost else kind
        messages = tuple(dict.fromkeys(said.messages))
        facts = facts_of(was, now, kind) | {"a read is served" for _ in said.served}
        return Taken(after, messages, tuple(said.served), None, facts)

    # --- what the checker asks ---

    def view(self, state: State) -> Member:
        return self._views[state]

    def target(self, message: rpc.Message) -> int:
        return message.target

    def is_once_only(self, message: rpc.Message) -> bool:
        return isinstance(message, ONCE_ONLY)

    def is_dead(self, state: State, message: rpc.Message) -> bool:
        if isinstance(message, rpc.VoteRequest) and not message.pre:
            return message.term < state.disk.hard.term
        return isinstance(message, IGNORED_WHEN_OLD) and message.term < state.disk.hard.term

    def renamed(self, value: Any, names: Mapping[int, int]) -> Any:
        other = renamed(value, names)
        if isinstance(value, State) and other not in self._views:
            self._views[other] = renamed(self._views[value], names)
        return other

    def tell(self, message: rpc.Message) -> str:
        fields = zip(message._fields[2:], message[2:], strict=True)
        return " ".join([type(message).__name__, *(f"{k}={v!r}" for k, v in fields if v)])


PASSING_MS: Final = {
    "timeout": TIMEOUT_MS,
    "isolated": TIMEOUT_MS,
    "beat": BEAT_MS,
    "give up": GIVE_UP_MS,
}
"""How much time passes with an input."""

MAY_SAVE: Final = ("timeout", "propose", "change")
"""The inputs after which a member saves something."""


def _losing(input_: Input) -> Input:
    return Input("lose", input_, (*input_.costs, "crashes"))


def _change(change: Change) -> MemberChange:
    member, by = id_of(change.member), id_of(change.by)
    match change.kind:
        case "add":
            return AddMember(peer(member), learner=False)
        case "add learner":
            return AddMember(peer(member), learner=True)
        case "promote":
            return PromoteMember(member)
        case "remove":
            return RemoveMember(member)
        case "replace":
            return ReplaceMember(member, peer(by))


def _with(disk: Saved, hard: rpc.HardState, entries: tuple[Entry, ...], start: LogStart) -> Saved:
    """A disk after a save: the first of the entries may replace some that are there."""
    kept = disk.entries[: start.index - disk.start.index] if entries else disk.entries
    return Saved(hard, disk.start, (*kept, *entries))


def _cut(disk: Saved, index: int) -> Saved:
    """A disk without the entries up to an index, which the store holds."""
    gone = index - disk.start.index
    if gone <= 0:
        return disk
    known = [read(each.command) for each in disk.entries[:gone]]
    latest = [each for each in known if each is not None] or [disk.start.membership]
    start = LogStart(index, disk.entries[gone - 1].term, latest[-1])
    return Saved(disk.hard, start, disk.entries[gone:])


def _snapshot(core: RaftCore, leader: Leader, target: int) -> rpc.SnapshotChunk:
    index = core.replica.handed_out
    term, members = core.replica.log.term(index) or 0, encode(core.roster.at(index))
    stream, ms = leader.peers[target].stream, leader.cluster_ms(NOW)
    own_id = core.config.member_id
    return rpc.SnapshotChunk(own_id, target, core.term, stream, 0, index, term, ms, 0, 0, members)


def _log_of(disk: Saved) -> Any:
    log = RaftLog(disk.start.index, disk.start.term, disk.entries)
    return log_of(log, disk.start.membership)


def _view(core: RaftCore, state: State) -> Member:
    """A member as the invariants look at it."""
    seen, leader = View(core).look(NOW), core.elector.leads_as
    lead = None if leader is None else Lead(seen.opened, match_of(leader), seen.target)
    hard = state.disk.hard
    return Member(
        state.id,
        Disk(hard.term, hard.vote, _log_of(state.disk)),
        seen.term,
        seen.vote,
        log_of(core.replica.log, state.disk.start.membership),
        seen.role,
        seen.leader,
        seen.hears,
        seen.votes,
        seen.pre_votes,
        seen.commit,
        seen.applied,
        lead=lead if seen.role is Role.LEADER else None,
    )
