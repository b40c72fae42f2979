"""The spec's own members as a machine: so the checker tells whether the spec keeps its invariants.

An input is one of the actions of `raft.py` that a member takes when it likes. After it the member
does all that it may do at once: it saves, commits, applies, answers, and says what it may.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping
from itertools import zip_longest
from typing import Any, Final, assert_never

from tests.spec import raft, saying
from tests.spec.facts import facts_of
from tests.spec.invariants import Expire, Grant, leases
from tests.spec.machine import Input, Taken
from tests.spec.renaming import renamed
from tests.spec.state import (
    NOBODY,
    Ack,
    Append,
    AskRead,
    Beat,
    BeatAnswer,
    Config,
    Disk,
    Entry,
    Log,
    Member,
    Message,
    Place,
    RequestVote,
    Role,
    Snapshot,
    TellRead,
    TimeoutNow,
    Vote,
    number,
)
from tests.spec.worlds import Change, World, id_of

FIRST_TERM: Final = 1
TTL_MS: Final = 2

IGNORED_WHEN_OLD: Final = (Vote, Ack, BeatAnswer, TellRead, TimeoutNow)


class Spec:
    """The machine of the spec's members."""

    def __init__(self, world: World) -> None:
        self.world = world

    def begin(self) -> list[Hashable]:
        world = self.world
        members = world.ids[: world.voters + world.learners]
        learners = frozenset(members[world.voters :])
        config = Config(frozenset(members) - learners, learners=learners)
        nothing = Log(Place(0, 0), (), ((0, Config(frozenset())),))
        first = Log(Place(0, 0), (), ((0, config),)).append([Entry(FIRST_TERM, 0, config)])
        begun: list[Hashable] = []
        for each, terms in zip_longest(world.ids, world.logs, fillvalue=()):
            assert isinstance(each, int)
            log, term = (first, world.starts_in(each)) if each in members else (nothing, 0)
            known = log.last.at
            log = log.append([Entry(earlier, 0, f"t{earlier}") for earlier in terms])
            m = Member(each, Disk(term, NOBODY, log), term, NOBODY, log)
            begun.append(m._replace(commit=known, applied=known))
        return begun

    # --- what may happen ---

    def inputs(self, state: Member) -> list[Input]:
        m, world = state, self.world
        found = []
        if m.lead is None:
            found.append(Input("timeout", None, ("elections",)))
            found += [Input("silence")] if world.silences and m.hears else []
            found += [Input("broken", m.leader, ("breaks",))] if m.leader else []
        else:
            found += [Input("isolated", None, ("breaks",)), Input("propose", None, ("proposals",))]
            found += [Input("beat", None, ("beats",)), Input("time", None, ("times",))]
            found += [Input("change", None, ("changes",))] if world.changes else []
            others = sorted(m.log.config.voters - {m.id}) if not m.lead.target else []
            found += [Input("transfer", other, ("transfers",)) for other in others]
            found += [Input("give up")] if m.lead.target else []
        found += [Input("read", None, ("reads",))] if m.leader and world.reads_at(m.id) else []
        found += [Input("compact", None, ("compactions",))] if m.applied > m.log.start.at else []
        saving = [each for each in found if each.kind in ("timeout", "propose", "change")]
        losing = [Input("lose", each, (*each.costs, "crashes")) for each in saving]
        return [*found, Input("crash", None, ("crashes",)), *losing]

    def take(self, state: Member, input_: Input) -> Taken | None:
        if input_.kind == "lose":
            return self._settled(state, self._after(state, input_.argument), "crash", loses=True)
        asked = None
        if input_.kind == "read":
            asked = 1 + max(state.asked, default=0)
        after = self._after(state, input_)
        taken = self._settled(state, after, input_.kind)
        return taken if taken is None else taken._replace(asked=asked)

    def _after(self, m: Member, input_: Input) -> Member | None:
        kind, argument = input_.kind, input_.argument
        match kind:
            case "timeout":
                return raft.stand_before(m)
            case "silence":
                return raft.lose_touch(m)
            case "broken":
                return raft.lose_connection(m, argument)
            case "isolated":
                return raft.step_down(m)
            case "time":
                return raft.pass_time(m, m.clock.ms + 1)
            case "propose":
                what = self._command(m, argument)
                return raft.propose(m, (Entry(m.term, m.clock.ms, what),))
            case "change":
                return raft.change(m, changed(m.log.config, self.world.changes[argument]))
            case "transfer":
                return raft.hand_over(m, argument)
            case "give up":
                return raft.hand_over(m, NOBODY)
            case "compact":
                return raft.compact(m, m.applied)
            case "read":
                read = 1 + max(m.asked, default=0)
                m = m._replace(asked=m.asked | {read})
                return raft.hear_read(m, m.id, read) or m
            case "crash":
                return _crashed(m)
        return m

    def _command(self, m: Member, number_: int) -> Hashable:
        """A proposal; where there are leases, the first grants one, and others end it."""
        if not self.world.times:
            return f"p{number_}"
        standing = leases(m.log.entries)
        if not standing:
            return Grant(1, TTL_MS)
        due = [each for each in standing.items() if self.may_expire(m, each[1])]
        return Expire(*due[0]) if due else Grant(1, TTL_MS)

    @staticmethod
    def may_expire(m: Member, deadline: int) -> bool:
        """A leader ends a lease when its own clock has come to the deadline."""
        return m.clock.ms >= deadline

    def hear(self, state: Member, message: Message, loses: bool = False) -> Taken | None:
        return self._settled(state, heard(state, message), "hear", loses)

    # --- what a member does at once ---

    def _settled(
        self, before: Member, after: Member | None, kind: str, loses: bool = False
    ) -> Taken | None:
        if after is None:
            return None
        said: list[Message] = []
        if loses:
            is_lost = Disk(after.term, after.vote, after.log) != before.disk
            early = tuple(each for each in after.owed if saying.is_kept(after, each))
            lost = _crashed(after) if is_lost else None
            return lost and Taken(lost, early, facts=facts_of(before, lost, "crash"))
        served: list[int] = []
        while True:
            m = next(self._at_once(after), None)
            if m is None:
                break
            after = m
            for read, _ in after.told:
                if (done := raft.serve(after, read)) is not None:
                    after = done
                    served.append(read)
        said += [each for each in after.owed if saying.is_kept(after, each)]
        after = after._replace(owed=tuple(each for each in after.owed if each not in said))
        said += [each for each in sayings(after, kind) if saying.may_say(after, each)]
        if after.term > self.world.terms:
            return None
        facts = facts_of(before, after, kind) | {"a read is served" for _ in served}
        return Taken(after, tuple(dict.fromkeys(said)), tuple(served), None, facts)

    def _at_once(self, m: Member) -> Iterator[Member]:
        """What it does without waiting, one thing after the other."""
        disk = Disk(m.term, m.vote, m.log)
        if m.disk != disk:
            yield raft.saved(raft.save(m)) or m
        tried = [raft.stand(m), raft.win(m), raft.finish(m)]
        last = range(m.log.last.at, m.commit, -1)
        tried += [raft.commit(m, at) for at in last]
        tried += [raft.apply(m, m.commit)]
        if m.lead is not None:
            config = m.log.config_at(m.commit)
            is_removed = m.id in config.removed - config.outgoing
            tried += [raft.step_down(m)] if is_removed else []
            tried += [raft.answer_read(m, read) for read in sorted(m.lead.reads, key=str)]
            if any(read.round > m.lead.round for read in m.lead.reads):
                tried.append(raft.begin_round(m))
        yield from (each for each in tried if each is not None)

    # --- what the checker asks ---

    def view(self, state: Member) -> Member:
        return state

    def target(self, message: Message) -> int:
        return message.target

    def is_once_only(self, message: Message) -> bool:
        return isinstance(message, AskRead)

    def is_dead(self, state: Member, message: Message) -> bool:
        is_request = isinstance(message, RequestVote) and not message.pre
        is_ignored = is_request or isinstance(message, IGNORED_WHEN_OLD)
        return is_ignored and message.term < state.disk.term

    def renamed(self, value: Any, names: Mapping[int, int]) -> Any:
        return renamed(value, names)

    def tell(self, message: Message) -> str:
        return str(message)


def _crashed(m: Member) -> Member | None:
    times = [each.time for each in m.disk.log.entries]
    at = m.disk.log.start.at
    return raft.restart(m, m.disk, at, at, max(times, default=0))


def heard(m: Member, said: Message) -> Member | None:
    """What hearing a message makes of a member."""
    match said:
        case RequestVote():
            return raft.hear_request(m, said)
        case Vote():
            return raft.hear_vote(m, said)
        case Append():
            return raft.hear_append(m, said)
        case Ack():
            return raft.hear_ack(m, said)
        case Beat():
            return raft.hear_beat(m, said)
        case BeatAnswer():
            return raft.hear_answer(m, said)
        case Snapshot():
            offered = raft.hear_snapshot(m, said)
            noted = offered and raft.saved(raft.expect(offered))
            return noted and (raft.install(noted, said) or offered)
        case AskRead(source, _, term, read):
            return raft.hear_term(m, term) or raft.hear_read(m, source, read)
        case TellRead():
            return raft.hear_told(m, said)
        case TimeoutNow():
            return raft.hear_timeout_now(m, said)
        case _:
            assert_never(said)


def sayings(m: Member, kind: str) -> Iterator[Message]:
    """What a member says of itself; the guards in `saying.py` decide what of it leaves."""
    for read in sorted(m.asked) if m.leader not in (NOBODY, m.id) else ():
        yield AskRead(m.id, m.leader, m.term, read)
    if m.lead is None:
        config = m.log.config
        others = sorted((config.voters | config.outgoing) - {m.id})
        if kind == "timeout" and m.role is Role.PRE_CANDIDATE:
            yield from (RequestVote(m.id, o, m.term + 1, True, m.log.last, False) for o in others)
        return
    for peer in sorted(m.log.config.members - {m.id}):
        match = number(m.lead.match, peer)
        at = max(match, m.log.start.at)
        if match < m.log.start.at:
            start = m.log.start
            yield Snapshot(m.id, peer, m.term, start, m.log.config_at(start.at), m.clock.ms)
        # At first a leader asks at its own end, as most peers hold nearly all of its log.
        for end in {at, at if match else m.lead.opened - 1} if match < m.log.last.at else ():
            prev = Place(end, m.log.term_at(end) or 0)
            yield Append(m.id, peer, m.term, prev, m.log.after(end), m.commit)
        if kind == "beat" or m.lead.reads:
            for known in {m.commit, min(m.commit, match)}:
                yield Beat(m.id, peer, m.term, known, m.lead.round, m.clock.ms)
        yield TimeoutNow(m.id, peer, m.term)


def changed(now: Config, change: Change) -> Config:
    """The configuration with which a change begins."""
    member, by = frozenset({id_of(change.member)}), frozenset({id_of(change.by)})
    voters, removed = now.voters, now.removed
    match change.kind:
        case "add learner":
            return now._replace(learners=now.learners | member)
        case "add" | "promote":
            learners = now.learners - member
            return Config(voters | member, voters, learners, removed)
        case "remove":
            return Config(voters - member, voters, now.learners, removed | member)
        case "replace":
            return Config(voters - member | by, voters, now.learners, removed | member)
