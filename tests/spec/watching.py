"""Every step of the shipped core is an action of the spec, or changes nothing that can be seen.

A `WatchedCore` is the shipped core whose inputs are watched. Its `Watch` holds the state of the
spec in which that member is. After each input some actions must lead from there to what is seen of
the core (`refinement.py`). What a core says must be owed by one of these actions, or be true of its
state; what a message promises must be on the disk when it leaves (`saying.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from enum import Enum
from typing import Any, Final

from actors.language.entries import Proposal
from actors.language.members import MemberChange
from actors.raft import rpc
from actors.raft.core import RaftCore
from actors.raft.leader import Leader
from actors.raft.log import LogStart
from actors.raft.outcome import CoreConfig, Decided, Output, Recovered, Save
from actors.raft.reads import ReadyRead
from cluster.faults import MaybeFault
from tests.linearizability import FindingError
from tests.spec import raft
from tests.spec.mapping import Mapping, Seen, as_seen, config_of, entries_of, log_of, message_of
from tests.spec.refinement import ask_again, hearings, path
from tests.spec.saying import is_kept, is_owed, may_say
from tests.spec.state import NOBODY, Clock, Disk, Entry, Log, Member, Place, Snapshot, TellRead

NO_PROMISES: Final = (rpc.AppendRequest, rpc.Heartbeat, rpc.HeartbeatResponse)
"""What these say needs nothing on the disk but their term."""

QUIET: Final = (rpc.HeartbeatResponse, rpc.ReadRequest, rpc.ReadResponse)
"""Hearing these changes nothing that can be seen, unless their term is a later one."""

SHOWN_ENTRIES: Final = 6
"""The entries at the end of a log that a finding shows."""


class Watch:
    """Follows one core; `m` is the state of the spec in which its member is."""

    def __init__(self, core: RaftCore, m: Member) -> None:
        self.m = m
        self._core = core
        self._mapping = Mapping(core)
        # The states through which the last input has led.
        self._way = [m]
        # What waits to be said: each message is looked at once, when it appears.
        self._waiting: dict[int, rpc.Message] = {}
        # Something is saved before the next input comes.
        self._saves_first = False
        # The latest time of an input. That of a tick may be earlier: it has waited in the mailbox.
        self._now_ms = 0

    def saving_first(self, m: Member) -> None:
        """The member's state, if what it saves is saved before anything else happens."""
        self.m, self._saves_first = m, True

    def has_saved_first(self) -> Member:
        """The next input comes, so what had to be saved before is on the disk."""
        if self._saves_first:
            self.m, self._saves_first = raft.saved(self.m) or self.m, False
        return self.m

    def before(self, now_ms: int) -> Member:
        """The state in which an input finds the member: time has passed since the last one."""
        m, role = self.has_saved_first(), self._core.elector.role
        if now_ms <= self._now_ms:
            return m
        self._now_ms = now_ms
        if isinstance(role, Leader):
            self.m = raft.pass_time(m, role.cluster_ms(now_ms)) or m
        elif m.hears and not self._mapping.hears(now_ms):
            self.m = raft.lose_touch(m) or m
        return self.m

    def after(self, what: object, tried: Iterable[Member | None]) -> None:
        """An input was taken: one of the states `tried` leads to what is seen now."""
        seen, first = self._mapping.look(self._now_ms), None
        for one in tried:
            if one is None:
                continue
            way = path(one, seen)
            if way:
                self.m, self._way = way[-1], way
                return
            first = first or one
        raise FindingError(self._tell(what, as_seen(first or self.m), seen))

    def stays(self, m: Member) -> None:
        """An input was taken that has changed nothing."""
        self.m, self._way = m, [m]

    # --- what it says ---

    def says(self, what: object, *groups: Sequence[rpc.Message]) -> None:
        """These messages wait to be said: those that are new must be owed, or true."""
        m = self.m
        waiting = {id(each): each for messages in groups for each in messages}
        for key, message in waiting.items():
            if key not in self._waiting:
                said = message_of(message)
                if said is None or is_owed(m, said):
                    continue
                if not any(may_say(each, said) for each in reversed(self._way)):
                    text = f"{message} is not owed, and not true of its state"
                    raise FindingError(f"{self._tell(what, as_seen(m), None)}\n{text}")
        self._waiting = waiting
        if m.owed:
            self.m = m._replace(owed=())

    def leaves(self, messages: Sequence[rpc.Message]) -> None:
        """These messages leave now: what they promise must be on the disk."""
        saved_term = self.m.disk.term
        for message in messages:
            if type(message) in NO_PROMISES and message.term <= saved_term:
                continue
            said = message_of(message)
            if said is not None and not is_kept(self.m, said):
                disk = f"{self.m.disk._replace(log=self.m.disk.log.last)}"  # type: ignore[arg-type]
                text = f"{message} leaves, and the disk has {disk}"
                raise FindingError(f"{self._tell('a promise', as_seen(self.m), None)}\n{text}")

    # --- reads ---

    def answers(self, own_open: Iterable[int], said: Sequence[rpc.Message]) -> None:
        """A leader tells what reads need: those of others in messages, its own by itself."""
        lead = self.m.lead
        if lead is None or not lead.reads:
            return
        told = {each[:] for each in map(message_of, said) if isinstance(each, TellRead)}
        open_ids = set(own_open)
        for read in lead.reads:
            is_own = read.source == self.m.id and read.read not in open_ids
            answer = (self.m.id, read.source, self.m.term, read.read, read.index)
            if is_own or answer in told:
                self.m = raft.answer_read(self.m, read) or self.m

    def serves(self, reads: Iterable[ReadyRead]) -> None:
        """These reads are served now."""
        for read in reads:
            served = raft.serve(self.m, read.read_id)
            if served is None:
                text = f"read {read.read_id} is served, and may not be: told {self.m.told}"
                raise FindingError(self._tell(text, as_seen(self.m), None))
            self.m = served

    # --- the disk ---

    def saves(self, save: Save) -> None:
        """A save begins."""
        m = self.has_saved_first()
        self.makes(m, save)
        self.m = raft.save(m)

    def makes(self, m: Member, save: Save) -> None:
        """With what was on the disk, what is saved makes all that the member is."""
        hard, entries, start = save
        whole = entries_of(entries) == m.log.after(start.index) and m.holds(start.index)
        if not whole or hard[:2] != (m.term, m.vote) or hard.commit > m.commit:
            raise FindingError(self._tell(f"{save} is not its state", as_seen(m), None))

    def has_saved(self) -> None:
        """What the core takes for durable is."""
        core, m = self._core, self.m
        stable = core.replica.stable_index
        if not m.holds(stable) or core.elector.saved != m.disk[:2]:
            text = f"it takes {stable} and {core.elector.saved} for durable, not {m.disk[:2]}"
            raise FindingError(self._tell(text, as_seen(m), None))

    def _tell(self, what: object, expected: Seen, seen: Seen | None) -> str:
        return tell(f"member {self.m.id}: {what}", as_seen(self.m), expected, seen)


def tell(what: str, before: Seen, expected: Seen, seen: Seen | None) -> str:
    """The states beside each other, field by field; a star stands where they differ."""
    three = (before, expected, seen)
    rows = [("", "before", "by the spec", "seen")]
    for name in Seen._fields:
        was, due, now = (_show(getattr(each, name)) if each else "" for each in three)
        rows.append((name if not seen or due == now else f"* {name}", was, due, now))
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    lines = [" | ".join([*map(str.ljust, row, widths), row[3]]).rstrip() for row in rows]
    return "\n".join([f"{what}: no action of the spec", *lines])


def _show(value: Any) -> str:
    if isinstance(value, Enum):
        return str(value.value)
    if isinstance(value, tuple) and value and isinstance(value[0], Entry):
        shown = [f"{each.term}@{each.time}" for each in value[-SHOWN_ENTRIES:]]
        return f"{len(value)}: {' '.join(shown)} {value[-1].what}"
    return str(value)


def begin(core: RaftCore, recovered: Recovered, known: Member | None) -> Member:
    """The state of a member that starts, and was `known` in its last life; None: it had none."""
    own_id, log = core.config.member_id, log_of(recovered.log, recovered.membership)
    commit, applied = core.replica.commit, recovered.applied_index
    disk = Disk(*recovered.hard_state[:2], log)
    if known is not None:
        # The log on the disk may begin earlier than the one in memory did, or be cut since.
        same = [each for each in _left(known, log, applied) if _is_same(disk, each.disk)]
        found = [raft.restart(m, m.disk, commit, applied, recovered.cluster_ms) for m in same]
        if not any(found):
            told = f"member {own_id} restarts with {disk} committed {commit} applied {applied}"
            raise FindingError(f"{told}\nit had {known.disk}\nand saved {known.saving}")
    m = Member(own_id, disk, disk.term, disk.vote, log, barred=recovered.probation is not None)
    clock = Clock(log.last.term, recovered.cluster_ms)
    return m._replace(commit=commit, applied=applied, clock=clock)


def _left(known: Member, log: Log, applied: int) -> list[Member]:
    """What the end of a process may have left of a member: a save under way is done, or is not."""
    disks = [each for each in (known.disk, known.saving) if each]
    left = [known._replace(disk=each, saving=None) for each in disks]
    if applied <= known.applied:
        return left
    # A snapshot took the place of the store, and Raft was not told any more.
    place = Place(applied, log.term_at(applied) or 0)
    snapshot = Snapshot(NOBODY, known.id, known.term, place, log.config_at(applied), 0)
    return [each for m in left if (each := raft.install(m, snapshot))]


def _is_same(found: Disk, had: Disk) -> bool:
    start = max(found.log.start.at, had.log.start.at)
    logs = found.log.after(start) == had.log.after(start) and found.log.last == had.log.last
    return found[:2] == had[:2] and logs


class WatchedCore(RaftCore):
    """The shipped core, watched: each input must be an action of the spec."""

    def __init__(
        self,
        config: CoreConfig,
        recovered: Recovered,
        now_ms: int,
        chance: Callable[[int], int],
        known: Member | None = None,
    ) -> None:
        super().__init__(config, recovered, now_ms, chance)
        self.watch = Watch(self, begin(self, recovered, known))

    def _look(self, what: object, *tried: Member | None) -> None:
        self.watch.after(what, tried)
        outbox = self._outbox
        if outbox.messages or outbox.promises:
            self.watch.says(what, outbox.messages, outbox.promises)

    def _outline(self) -> tuple[object, ...]:
        """What an input changes that does not come from another member, if it changes anything."""
        elector, replica, outbox = self.elector, self.replica, self._outbox
        return (
            elector.role,
            elector.leader,
            elector.term,
            elector.vote,
            replica.commit,
            replica.handed_out,
            replica.log.last_index,
            self._transfers.target,
            len(outbox.messages),
            len(outbox.promises),
        )

    def _round(self) -> int:
        """The last round of reads, which is all that to speak may change."""
        leader = self.elector.leads_as
        return 0 if leader is None else leader.rounds.sent

    # --- inputs ---

    def step(self, message: rpc.Message, now_ms: int) -> None:
        m = self.watch.before(now_ms)
        is_quiet = type(message) in QUIET
        was = self._outline() if is_quiet else ()
        super().step(message, now_ms)
        if is_quiet and self._outline() == was:
            heard = next(hearings(m, message)) or m
            # A term that is not entered was not heard: on probation a member ignores most messages.
            self.watch.stays(heard if heard.term == m.term else m)
        else:
            self.watch.after(message, hearings(m, message))
        outbox = self._outbox
        if outbox.messages or outbox.promises:
            self.watch.says(message, outbox.messages, outbox.promises)

    def propose(self, proposals: Sequence[Proposal], now_ms: int) -> None:
        m, was = self.watch.before(now_ms), self._outline()
        super().propose(proposals, now_ms)
        if self._outline() != was:
            self._look("propose", m)

    def read_index(self, now_ms: int) -> int:
        m = self.watch.before(now_ms)
        read_id = super().read_index(now_ms)
        m = m._replace(asked=m.asked | {read_id})
        self._look("read_index", raft.hear_read(m, m.id, read_id) or m)
        return read_id

    def forget_read(self, read_id: int) -> None:
        super().forget_read(read_id)
        self.watch.m = self.watch.m._replace(asked=self.watch.m.asked - {read_id})

    def change_members(self, change: MemberChange, ticket: int, now_ms: int) -> None:
        m = self.watch.before(now_ms)
        super().change_members(change, ticket, now_ms)
        self._look(change, m)

    def transfer(self, target: int, now_ms: int) -> MaybeFault:
        m = self.watch.before(now_ms)
        fault = super().transfer(target, now_ms)
        # The last transfer, perhaps to the same target, may have come to its end.
        self._look(f"transfer to {target}", m, raft.hand_over(m, NOBODY))
        return fault

    def peer_down(self, peer: int, now_ms: int) -> None:
        m = self.watch.before(now_ms)
        super().peer_down(peer, now_ms)
        self._look(f"peer_down {peer}", raft.lose_connection(m, peer), m)

    def welcomed(self, answer: rpc.Welcome, now_ms: int) -> bool:
        m = self.watch.before(now_ms)
        is_asked = super().welcomed(answer, now_ms)
        self._look(answer, m)
        return is_asked

    def admit(self, now_ms: int) -> None:
        m = self.watch.before(now_ms)
        super().admit(now_ms)
        self._look("admit", m)

    def tick(self, now_ms: int) -> None:
        m, was = self.watch.before(now_ms), self._outline()
        super().tick(now_ms)
        if self._outline() != was or m.asked:
            self._look("tick", ask_again(m))

    # --- outputs ---

    def output(self, now_ms: int) -> Output:
        output = super().output(now_ms)
        if output.save is not None:
            self.watch.saves(output.save)
        return output

    def speak(self, now_ms: int) -> tuple[rpc.Message, ...]:
        was = self._round()
        messages = super().speak(now_ms)
        is_new = self._round() != was
        if not messages and not is_new:
            return messages  # nearly always
        # To speak changes no more than the round, so the time may pass now as well as before.
        m = self.watch.before(now_ms)
        if is_new:  # a leader without peers begins one, and says nothing
            self.watch.after("speak", (m,))
        else:
            self.watch.stays(m)
        self.watch.says("speak", messages, self._outbox.promises)
        self.watch.leaves(messages)
        return messages

    def persisted(self, now_ms: int) -> tuple[rpc.Message, ...]:
        m = self.watch.before(now_ms)
        was = self._outline() if m.saving is None else ()
        promises = super().persisted(now_ms)
        if m.saving is not None or self._outline() != was:
            self._look("persisted", raft.saved(m) or m)
            self.watch.has_saved()
        self.watch.leaves(promises)
        return promises

    def decided(self, now_ms: int) -> Decided:
        m, was = self.watch.before(now_ms), self._outline()
        decided = super().decided(now_ms)
        if self._outline() != was:
            self.watch.after("decided", (m,))
        else:
            self.watch.stays(m)
        outbox = self._outbox
        self.watch.answers(self._reads.asked_ms, outbox.messages)
        if outbox.messages or outbox.promises:
            self.watch.says("decided", outbox.messages, outbox.promises)
        self.watch.serves(decided.reads)
        return decided

    # --- snapshots ---

    def compact(self, durable_index: int, entries_kept: int, bytes_kept: int) -> int:
        index = super().compact(durable_index, entries_kept, bytes_kept)
        m = self.watch.m
        if index > m.log.start.at:
            compacted = raft.compact(m, index)
            if compacted is None:
                raise FindingError(f"member {m.id} compacts at {index}, and applied {m.applied}")
            self.watch.m = compacted
        return index

    def expecting(self) -> tuple[rpc.HardState, LogStart]:
        m = self.watch.has_saved_first()
        hard, saved = super().expecting()
        if hard[:2] != (m.term, m.vote) or hard.commit > saved.index or not m.holds(saved.index):
            raise FindingError(f"member {m.id} is in term {m.term}, and notes {hard} at {saved}")
        self.watch.saving_first(raft.expect(m))
        return hard, saved

    def restored(
        self, start: LogStart, cluster_ms: int, chunk: rpc.SnapshotChunk
    ) -> tuple[rpc.HardState, tuple[Any, ...]]:
        m = self.watch.has_saved_first()
        restored = super().restored(start, cluster_ms, chunk)
        place, config = Place(start.index, start.term), config_of(start.membership)
        snapshot = Snapshot(chunk.source, m.id, chunk.term, place, config, cluster_ms)
        installed = raft.install(m, snapshot)
        if installed is None:
            raise FindingError(f"member {m.id} installs {place}, on its disk is {m.disk[:2]}")
        self.watch.makes(installed, Save(*restored, start))
        self.watch.saving_first(installed)
        self.watch.says("restored", self._outbox.messages, self._outbox.promises)
        return restored
