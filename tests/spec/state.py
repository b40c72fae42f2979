"""The values of the spec: what a member is, and what members say to each other.

They are small and immutable. `raft.py` says how they change, `invariants.py` what must hold of all
members together. Sections are those of Ongaro's dissertation.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from enum import Enum
from typing import NamedTuple

NOBODY = 0
NO_OP = "no-op"
"""The command with which a leader opens its term."""


class Config(NamedTuple):
    """The members at one place in the log; with `outgoing` voters it is joint (4.3).

    Learners are sent the log and do not vote (4.2.1). The `removed` never come back.
    """

    voters: frozenset[int]
    outgoing: frozenset[int] = frozenset()
    learners: frozenset[int] = frozenset()
    removed: frozenset[int] = frozenset()

    @property
    def members(self) -> frozenset[int]:
        """The members that are sent the log."""
        return self.voters | self.outgoing | self.learners

    def quorum(self, agreeing: Iterable[int]) -> bool:
        """A majority of the voters and, if it is joint, of the outgoing voters too (3.4, 4.3)."""
        sets = (self.voters, self.outgoing) if self.outgoing else (self.voters,)
        return all(2 * len(voters.intersection(agreeing)) > len(voters) for voters in sets)


class Place(NamedTuple):
    """The index and the term of an entry. Together they stand for it and all before it (3.5)."""

    at: int
    term: int


class Entry(NamedTuple):
    """`what` is a Config, or a command. `time` is the cluster time at which it was appended."""

    term: int
    time: int
    what: Config | Hashable


class Log(NamedTuple):
    """The entries after `start`, up to which the log is compacted into the state machine (5.1).

    `configs` are the Config at the start and those in the entries, each with its index.
    """

    start: Place
    entries: tuple[Entry, ...]
    configs: tuple[tuple[int, Config], ...]

    @property
    def last(self) -> Place:
        """The place of the last entry."""
        entries = self.entries
        return Place(self.start.at + len(entries), entries[-1].term) if entries else self.start

    def term_at(self, index: int) -> int | None:
        """The term of the entry at an index; None if no entry is here."""
        offset = index - self.start.at
        if offset <= 0:
            return None if offset else self.start.term
        return self.entries[offset - 1].term if offset <= len(self.entries) else None

    def after(self, index: int) -> tuple[Entry, ...]:
        """The entries after an index."""
        return self.entries[index - self.start.at :]

    def config_at(self, index: int) -> Config:
        """The members at an index."""
        return next(
            (each for at, each in reversed(self.configs) if at <= index), self.configs[0][1]
        )

    @property
    def config(self) -> Config:
        """The latest members. They count from the moment their entry is appended (4.1)."""
        return self.configs[-1][1]

    def append(self, entries: Iterable[Entry]) -> Log:
        """The log with these entries at its end."""
        whole = (*self.entries, *entries)
        fresh = range(len(self.entries), len(whole))
        added = [(self.start.at + 1 + n, whole[n].what) for n in fresh]
        configs = [(at, what) for at, what in added if isinstance(what, Config)]
        return Log(self.start, whole, (*self.configs, *configs) if configs else self.configs)

    def cut(self, last: int) -> Log:
        """The log up to index `last`."""
        configs = tuple(
            each for each in self.configs if each[0] <= last or each[0] <= self.start.at
        )
        return Log(self.start, self.entries[: last - self.start.at], configs)

    def compact(self, index: int) -> Log:
        """The log without the entries up to an index, which it holds."""
        later = tuple(each for each in self.configs if each[0] > index)
        start = Place(index, self.term_at(index) or 0)
        return Log(start, self.after(index), ((index, self.config_at(index)), *later))

    def behind(self, last: Place, config: Config) -> Log:
        """The log behind a snapshot: if it has the last entry of that, it keeps the rest (5.1)."""
        if self.term_at(last.at) == last.term:
            return self.compact(last.at)
        return Log(last, (), ((last.at, config),))


Numbers = tuple[tuple[int, int], ...]
"""A number for some members, by their ids; 0 for the others."""


def number(numbers: Numbers, member: int) -> int:
    """The number of a member."""
    return dict(numbers).get(member, 0)


def raised(numbers: Numbers, member: int, to: int) -> Numbers:
    """The numbers, with that of one member raised."""
    known = dict(numbers)
    known[member] = max(to, known.get(member, 0))
    return tuple(sorted(known.items()))


# --- what a member is -------------------------------------------------------------------------


class Role(Enum):
    """A follower asks for pre-votes before it is a candidate (9.6)."""

    FOLLOWER = "follower"
    PRE_CANDIDATE = "pre-candidate"
    CANDIDATE = "candidate"
    LEADER = "leader"


class Disk(NamedTuple):
    """What survives a crash (figure 3.1: persistent state)."""

    term: int
    vote: int
    log: Log


class Read(NamedTuple):
    """A read that a leader was asked for: it needs `index` applied, once `round` is answered (6.4).

    An index of None: the leader has committed nothing in its term yet, and cannot tell.
    """

    source: int
    read: int
    index: int | None  # type: ignore[assignment]  # hides tuple.index, which nobody calls
    round: int


class Lead(NamedTuple):
    """What only a leader knows. Its term began with the entry at `opened`.

    `match` is how far each peer is known to hold this log. `round` is the last round of reads that
    went out, and `answered` the last that each peer answered. It hands over to `target`.
    """

    opened: int
    match: Numbers = ()
    target: int = NOBODY
    round: int = 0
    answered: Numbers = ()
    reads: frozenset[Read] = frozenset()


class Clock(NamedTuple):
    """The cluster time `ms`, as last heard from the leader of a term."""

    term: int
    ms: int

    def heard(self, term: int, ms: int) -> Clock:
        """The clock of a later leader holds, also where it is behind: the later deadlines are by
        it. That of one leader never goes back, and a snapshot of an earlier one has only times of
        entries that the later one has."""
        return Clock(term, ms) if term > self.term else Clock(self.term, max(ms, self.ms))


class Member(NamedTuple):
    """One member. `disk` survives a crash, the rest does not; `saving` is on its way to the disk.

    It `hears` a leader that was heard within an election timeout. Up to `proven` an append of its
    leader in this term has shown that the two logs match. `asked` are its clients' reads, and
    `told` the index that each needs. `owed` are messages that leave when what they promise is on
    the disk. A member that is `barred` has lost its disk: it may not stand.
    """

    id: int
    disk: Disk
    term: int
    vote: int
    log: Log
    role: Role = Role.FOLLOWER
    leader: int = NOBODY
    hears: bool = False
    votes: frozenset[int] = frozenset()
    pre_votes: frozenset[int] = frozenset()
    commit: int = 0
    applied: int = 0
    proven: int = 0
    clock: Clock = Clock(0, 0)
    lead: Lead | None = None
    saving: Disk | None = None
    asked: frozenset[int] = frozenset()
    told: frozenset[tuple[int, int]] = frozenset()
    owed: tuple[Message, ...] = ()
    barred: bool = False

    def holds(self, index: int) -> bool:
        """Its log up to an index is on its disk: by log matching, one term tells (3.5)."""
        held, here = self.disk.log.term_at(index), self.log.term_at(index)
        return index <= self.log.start.at or (held == here is not None)

    def agreed(self, index: int) -> bool:
        """A quorum holds this leader's log up to an index. The leader counts like any other, by
        its disk; the others may be faster (10.2.1)."""
        assert self.lead is not None
        own = [self.id] if self.holds(index) else []
        peers = [peer for peer, match in self.lead.match if match >= index]
        return self.log.config.quorum([*own, *peers])

    def following(self, leader: int) -> Member:
        """The same, as a follower: of `leader`, if one is known."""
        if self.hears and self.leader == leader and self.role is Role.FOLLOWER:
            return self
        nobody: frozenset[int] = frozenset()
        return self._replace(
            role=Role.FOLLOWER,
            leader=leader,
            hears=leader != NOBODY,
            votes=nobody,
            pre_votes=nobody,
            lead=None,
        )

    @property
    def may_stand(self) -> bool:
        """A voter by its latest configuration, or by its latest committed one: until its removal
        is committed it may be the only one that can win (4.2.2)."""
        configs = (self.log.config, self.log.config_at(self.commit))
        voters = frozenset().union(*(each.voters | each.outgoing for each in configs))
        return self.id in voters and not self.barred

    def owe(self, *messages: Message) -> Member:
        """Owe these messages, until what they promise is kept (`saying.py`)."""
        return self._replace(owed=self.owed + messages)


# --- what members say -------------------------------------------------------------------------


class RequestVote(NamedTuple):
    """May I lead `term`? My log ends at `last`. `handed`: the leader wants this election (3.10)."""

    source: int
    target: int
    term: int
    pre: bool
    last: Place
    handed: bool


class Vote(NamedTuple):
    """A grant names the term asked for, a refusal the voter's own."""

    source: int
    target: int
    term: int
    pre: bool
    granted: bool


class Append(NamedTuple):
    """The leader's entries after `prev`, and how far it has committed."""

    source: int
    target: int
    term: int
    prev: Place
    entries: tuple[Entry, ...]
    commit: int


class Ack(NamedTuple):
    """My log matches yours up to `index`; if not `accepted`, it does not match where you asked."""

    source: int
    target: int
    term: int
    index: int  # type: ignore[assignment]  # hides tuple.index, which nobody calls
    accepted: bool


class Beat(NamedTuple):
    """I lead. All that you hold up to `commit` is committed; it is `ms`; answer this `round`."""

    source: int
    target: int
    term: int
    commit: int
    round: int
    ms: int


class BeatAnswer(NamedTuple):
    """I hear you, and your round."""

    source: int
    target: int
    term: int
    round: int


class Snapshot(NamedTuple):
    """The state machine up to `last`, where the members are `config`; it is `ms` (5.1)."""

    source: int
    target: int
    term: int
    last: Place
    config: Config
    ms: int


class AskRead(NamedTuple):
    """From which index on may I serve this read?"""

    source: int
    target: int
    term: int
    read: int


class TellRead(NamedTuple):
    """Serve it once `index` is applied."""

    source: int
    target: int
    term: int
    read: int
    index: int  # type: ignore[assignment]  # hides tuple.index, which nobody calls


class TimeoutNow(NamedTuple):
    """Stand at once: you have all of my log (3.10)."""

    source: int
    target: int
    term: int


Message = (
    RequestVote
    | Vote
    | Append
    | Ack
    | Beat
    | BeatAnswer
    | Snapshot
    | AskRead
    | TellRead
    | TimeoutNow
)
