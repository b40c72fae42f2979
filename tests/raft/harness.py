"""Cores without actors, sockets or disks: a test says what arrives, what is lost, and who crashes.

`Solo` is one core and hand-made messages; `Cluster` is several with a network between them. What
`output` gives is saved only when the harness says so, so a crash before the save can be tested.
The cluster checks election safety and state machine safety all the time.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple, TypeVar

from actors.language.entries import Entry, Proposal
from actors.language.members import MemberChange, Peer
from actors.raft.codec import PeerCodec
from actors.raft.core import RaftCore
from actors.raft.leader import Leader
from actors.raft.log import RaftLog
from actors.raft.membership import UNKNOWN_MEMBERS, Membership, encode, first_membership
from actors.raft.outcome import CoreConfig, Decided, LeaderNews, Output, Recovered, Removed
from actors.raft.probation import Probation
from actors.raft.proposals import FailedProposals
from actors.raft.reads import ReadyRead
from actors.raft.rpc import HardState, Message, Welcome

HEARTBEAT_MS = 50
ELECTION_MS = 300
HOLD_MS = 5_000
START_MS = 10_000

Kind = TypeVar("Kind", bound=Message)


def entry(index: int, term: int, command: bytes = b"x", origin: int = 0, ticket: int = 0) -> Entry:
    """An entry whose cluster time is its index."""
    return Entry(index, term, index, origin, ticket, command)


def entries(first: int, *terms: int) -> tuple[Entry, ...]:
    """Consecutive entries of these terms."""
    return tuple(entry(index, term) for index, term in enumerate(terms, first))


def terms_of(log: RaftLog) -> list[int]:
    """The terms of a log's entries."""
    taken = log.slice(log.first_index, log.last_index + 1, bytes_max=1 << 60)
    return [each.term for each in taken]


def make_core(
    member: int = 1,
    members: int = 3,
    terms: Iterable[int] = (),
    hard_state: HardState | None = None,
    chance: Callable[[int], int] = lambda limit: 0,
    now_ms: int = START_MS,
    probation: Probation | None = None,
) -> RaftCore:
    """A core that recovered a log of these terms, in the term of its last entry unless told."""
    log = RaftLog(0, 0, entries(1, *terms))
    config = CoreConfig(member, HEARTBEAT_MS, ELECTION_MS, HOLD_MS)
    state = hard_state or HardState(log.last_term, 0, 0)
    recovered = Recovered(state, log, voters(members), 0, log.last_index, probation)
    return RaftCore(config, recovered, now_ms, chance)


def peer(member: int) -> Peer:
    """A member and its only URL."""
    return Peer(member, (f"tcp://host{member}:2380",))


def voters(count: int) -> Membership:
    """The membership of voters 1 to `count`."""
    return first_membership(tuple(peer(member) for member in range(1, count + 1)))


def welcome_frame(source: int, member: int, nonce: int, membership: Membership) -> bytes:
    """The frame in which a member of cluster 7 answers another who the members are."""
    return PeerCodec(7).encode_welcome(Welcome(source, member, 7, nonce, encode(membership)))


class Flushed(NamedTuple):
    """What one burst of a core came to: said before the save, saved, said after it, decided."""

    messages: list[Message]
    hard_states: list[HardState]
    entries: list[Entry]
    promises: list[Message]
    decided: list[Decided]

    @property
    def said(self) -> list[Message]:
        """All messages, in order of no consequence."""
        return self.messages + self.promises

    def only(self, kind: type[Kind]) -> Kind:
        """The one message of this kind."""
        (message,) = self.all(kind)
        return message

    def all(self, kind: type[Kind]) -> list[Kind]:
        """The messages of this kind."""
        return [message for message in self.said if isinstance(message, kind)]


class Addressed(bytes):
    """A frame of which it is known where it came from (see cluster.links.PeerFrame)."""

    address = "10.0.0.9"


class Solo:
    """One core, at a time that stands still unless moved."""

    def __init__(self, core: RaftCore, now_ms: int = START_MS) -> None:
        self.core = core
        self.now_ms = now_ms

    def flush(self) -> Flushed:
        """What RaftActor does at the end of a burst."""
        flushed = Flushed([], [], [], [], [])
        while True:
            output = self.core.output(self.now_ms)
            flushed.messages.extend(output.messages)
            if output.save is not None:
                flushed.hard_states.append(output.save.hard_state)
                flushed.entries.extend(output.save.entries)
            flushed.promises.extend(self.core.persisted(self.now_ms))
            flushed.decided.append(self.core.decided(self.now_ms))
            if not has_more(self.core, self.now_ms):
                return flushed

    def step(self, *messages: Message) -> Flushed:
        """Take messages in one burst."""
        for message in messages:
            self.core.step(message, self.now_ms)
        return self.flush()

    def tick(self) -> Flushed:
        """Move to the time of the next tick, and tick."""
        self.now_ms = max(self.now_ms, self.core.next_tick_ms)
        self.core.tick(self.now_ms)
        return self.flush()

    def propose(self, *commands: bytes, first_ticket: int = 1) -> Flushed:
        """Propose commands here, with tickets that count up."""
        own_id = self.core.config.member_id
        proposals = [Proposal(own_id, t, c) for t, c in enumerate(commands, first_ticket)]
        self.core.propose(proposals, self.now_ms)
        return self.flush()


def has_more(core: RaftCore, now_ms: int) -> bool:
    """Whether another output, or another portion of entries, would come with no further input."""
    return core.has_output(now_ms) or core.replica.has_committed()


class Saved:
    """A member's disk."""

    def __init__(self) -> None:
        self.hard_state = HardState(0, 0, 0)
        self.entries: list[Entry] = []

    def save(self, output: Output) -> None:
        """Keep what an output says must be kept."""
        if output.save is None:
            return
        self.hard_state, entries, _ = output.save
        if entries:
            del self.entries[entries[0].index - 1 :]
            self.entries.extend(entries)


class Cluster:
    """Members 1 to `size`; the lower a member's number, the sooner it stands for election."""

    def __init__(self, size: int = 3) -> None:
        self.now_ms = START_MS
        self.members = list(range(1, size + 1))
        self.first = voters(size)
        self.disks = {member: Saved() for member in self.members}
        self.cores: dict[int, RaftCore] = {}
        self.cut_links: set[tuple[int, int]] = set()
        self.crash_before_save: set[int] = set()
        self.drop: Callable[[Message], bool] = lambda message: False
        self.flying: deque[Message] = deque()
        self.log: list[Message] = []
        self.committed: dict[int, list[Entry]] = {}
        self.reads: dict[int, list[ReadyRead]] = {member: [] for member in self.members}
        self.failed: dict[int, list[FailedProposals]] = {member: [] for member in self.members}
        self.leader_news: dict[int, LeaderNews] = {}
        self.removed: set[int] = set()
        self.transferred: dict[int, list[tuple[int, bool]]] = {}
        self.leader_of: dict[int, int] = {}
        self._chosen: dict[int, Entry] = {}
        self._last_ticket = 0
        for member in self.members:
            self.restart(member)

    # --- members ---

    def restart(self, member: int, applied_index: int = 0) -> RaftCore:
        """Start a member from what it has saved."""
        disk = self.disks[member]
        cluster_ms = disk.entries[-1].time_ms if disk.entries else 0
        log = RaftLog(0, 0, disk.entries)
        recovered = Recovered(disk.hard_state, log, self.first, applied_index, cluster_ms)
        size = len(self.members)
        config = CoreConfig(member, HEARTBEAT_MS, ELECTION_MS, HOLD_MS)
        core = RaftCore(
            config, recovered, self.now_ms, lambda limit: (member - 1) * (limit - 1) // size
        )
        self.cores[member] = core
        self.committed[member] = []
        self.flush(member)
        return core

    def join(self, member: int) -> RaftCore:
        """Start a new member with an empty disk, which knows nobody."""
        self.members.append(member)
        self.disks[member] = Saved()
        self.reads[member], self.failed[member] = [], []
        first, self.first = self.first, UNKNOWN_MEMBERS
        core = self.restart(member)
        self.first = first
        return core

    def change(self, member: int, change: MemberChange, ticket: int = 77) -> None:
        """Ask a member for a change of members, and settle."""
        self.cores[member].change_members(change, ticket, self.now_ms)
        self.flush(member)
        self.settle()

    def crash(self, member: int) -> None:
        """Lose a member and everything that it has not saved."""
        del self.cores[member]

    @property
    def leader(self) -> int:
        """The one leader among the members that are up, the latest if an old one is not aware."""
        leaders = [m for m, core in self.cores.items() if isinstance(core.role, Leader)]
        return max(leaders, key=lambda member: self.cores[member].term)

    def role(self, member: int) -> Leader:
        """What a leader knows."""
        role = self.cores[member].role
        assert isinstance(role, Leader)
        return role

    # --- the network ---

    def cut(self, one: int, other: int) -> None:
        """Lose everything between two members."""
        self.cut_links |= {(one, other), (other, one)}

    def isolate(self, member: int) -> None:
        """Lose everything to and from a member."""
        for other in self.members:
            self.cut(member, other)

    def heal(self) -> None:
        """Lose nothing any more."""
        self.cut_links.clear()
        self.drop = lambda message: False

    def _send(self, messages: Iterable[Message]) -> None:
        for message in messages:
            self.log.append(message)
            if (message.source, message.target) not in self.cut_links and not self.drop(message):
                self.flying.append(message)

    # --- what happens ---

    def flush(self, member: int) -> None:
        """Carry out what a core has decided, in the order that RaftActor keeps."""
        core = self.cores[member]
        while True:
            output = core.output(self.now_ms)
            self._send(output.messages)
            if member in self.crash_before_save and output.save is not None:
                self.crash_before_save.remove(member)
                self.crash(member)
                return
            self.disks[member].save(output)
            self._send(core.persisted(self.now_ms))
            self._take(member, core.decided(self.now_ms))
            if not has_more(core, self.now_ms):
                break
        if isinstance(core.role, Leader):
            assert self.leader_of.setdefault(core.term, member) == member, "two leaders in a term"

    def _take(self, member: int, decided: Decided) -> None:
        for each in decided.committed:
            assert each.index == len(self.committed[member]) + 1, "committed entries leave a gap"
            assert self._chosen.setdefault(each.index, each) == each, "two entries at one index"
            self.committed[member].append(each)
        self.reads[member] += decided.reads
        self.failed[member] += decided.failed
        if decided.leader_news is not None:
            self.leader_news[member] = decided.leader_news
        if isinstance(decided.ending, Removed):
            self.removed.add(member)
        for target, succeeded in decided.transferred:
            self.transferred.setdefault(member, []).append((target, succeeded))

    def settle(self) -> None:
        """Deliver messages, each as a burst of its own, until none is under way."""
        while self.flying:
            message = self.flying.popleft()
            core = self.cores.get(message.target)
            if core is not None:
                core.step(message, self.now_ms)
                self.flush(message.target)

    def step(self, message: Message) -> None:
        """Deliver one hand-made message, and what follows from it."""
        self.cores[message.target].step(message, self.now_ms)
        self.flush(message.target)
        self.settle()

    def tick(self, *members: int) -> None:
        """Tick members (all, if none is named) at the present time, and settle."""
        for member in members or tuple(self.cores):
            if member in self.cores:
                self.cores[member].tick(self.now_ms)
                self.flush(member)
        self.settle()

    def run(self, milliseconds: int) -> None:
        """Let time pass for everybody, a few milliseconds at a time."""
        end_ms = self.now_ms + milliseconds
        while self.now_ms < end_ms:
            self.now_ms = min(end_ms, self.now_ms + 5)
            due = [m for m, core in self.cores.items() if core.next_tick_ms <= self.now_ms]
            for member in due:
                self.tick(member)

    def elect(self, member: int) -> RaftCore:
        """Let so much time pass that a member stands, but nobody else; it should win."""
        core = self.cores[member]
        self.run(HEARTBEAT_MS)  # nobody has anything left to say
        self.now_ms = max(self.now_ms + 2 * ELECTION_MS, core.next_tick_ms)
        self.tick(member)
        assert isinstance(core.role, Leader), f"member {member} did not win"
        return core

    def propose(self, member: int, *commands: bytes) -> list[int]:
        """Propose at a member and settle; returns the tickets."""
        tickets = self.submit(member, *commands)
        self.settle()
        return tickets

    def submit(self, member: int, *commands: bytes) -> list[int]:
        """Propose at a member; what it says to the others stays under way."""
        first = self._last_ticket + 1
        self._last_ticket += len(commands)
        proposals = [Proposal(member, t, c) for t, c in enumerate(commands, first)]
        self.cores[member].propose(proposals, self.now_ms)
        self.flush(member)
        return [proposal.ticket for proposal in proposals]

    def read(self, member: int) -> int:
        """Ask for a linearizable read at a member and settle; returns its id."""
        read_id = self.cores[member].read_index(self.now_ms)
        self.flush(member)
        self.settle()
        return read_id

    # --- what is seen ---

    def is_ready(self, member: int, read_id: int) -> bool:
        """Whether a read may be served."""
        return any(ready.read_id == read_id for ready in self.reads[member])

    def commands(self, member: int) -> list[bytes]:
        """What a member has handed out as committed, without the no-ops."""
        return [each.command for each in self.committed[member] if each.command]

    def terms(self, member: int) -> list[int]:
        """The terms of a member's log."""
        return terms_of(self.cores[member].replica.log)

    def saved_terms(self, member: int) -> list[int]:
        """The terms of what a member has saved."""
        return [each.term for each in self.disks[member].entries]


def load(cluster: Cluster, logs: Sequence[Sequence[int]], terms: Sequence[int] = ()) -> None:
    """Give members (from 1 on) these logs, as if they had saved them, and restart all."""
    for member, log in enumerate(logs, 1):
        disk = cluster.disks[member]
        disk.entries = list(entries(1, *log))
        term = terms[member - 1] if terms else max(log, default=0)
        disk.hard_state = HardState(term, 0, 0)
        cluster.restart(member)
