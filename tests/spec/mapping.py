"""How the shipped core is seen in the values of the spec: its log, its messages, its visible state.

The core's classes are known here and in `cores.py` only. Nothing here judges.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import lru_cache, partial
from typing import Any, Final, NamedTuple

from actors.language.entries import Entry as CoreEntry
from actors.raft import rpc
from actors.raft.core import RaftCore
from actors.raft.leader import Leader
from actors.raft.log import RaftLog
from actors.raft.membership import Membership, read
from actors.raft.roles import Candidate, Follower
from tests.spec.state import (
    NO_OP,
    NOBODY,
    Ack,
    Append,
    AskRead,
    Beat,
    BeatAnswer,
    Config,
    Entry,
    Log,
    Member,
    Message,
    Numbers,
    Place,
    RequestVote,
    Role,
    TellRead,
    TimeoutNow,
    Vote,
)


class Seen(NamedTuple):
    """What of a member's state can be seen from outside of the core, at one moment."""

    term: int
    vote: int
    role: Role
    leader: int
    hears: bool
    votes: frozenset[int]
    pre_votes: frozenset[int]
    config: Config
    start: Place
    entries: tuple[Entry, ...]
    commit: int
    applied: int
    clock_term: int
    ms: int
    opened: int
    match: Numbers
    target: int
    round: int
    barred: bool


NONE: frozenset[int] = frozenset()
_seen: Final = partial(tuple.__new__, Seen)
"""A Seen of all its fields, in half the time that a call with each takes."""


def as_seen(m: Member) -> Seen:
    """What would be seen of a member of the spec."""
    lead = m.lead
    fields = (
        m.term,
        m.vote,
        m.role,
        m.leader,
        m.hears or lead is not None,
        m.votes,
        m.pre_votes - {m.id},
        m.log.config,
        *m.log[:2],
        m.commit,
        m.applied,
        *m.clock,
        0 if lead is None else lead.opened,
        () if lead is None else lead.match,
        0 if lead is None else lead.target,
        0 if lead is None else lead.round,
        m.barred,
    )
    return _seen(fields)


class Mapping:
    """Sees one core. An unchanged log is not read again."""

    def __init__(self, core: RaftCore) -> None:
        self._core = core
        self._timeout_ms = core.config.election_timeout_ms
        self._ends = (0, 0, 0)
        self._start = Place(-1, 0)
        self._kept: tuple[Entry, ...] = ()
        self._membership: Membership | None = None
        self._config = Config(NONE)

    def log(self) -> tuple[Place, tuple[Entry, ...]]:
        """Where its log starts, and the entries in it.

        By its ends a log is known to be the same: the place of the last entry stands for it and all
        before it (3.5), which the simulation checks of every entry, and the checker of every log.
        """
        log = self._core.replica.log
        ends = log.first_index, log.last_index, log.last_term
        if ends != self._ends:
            self._ends = ends
            self._start = Place(log.first_index - 1, log.term(log.first_index - 1) or 0)
            self._kept = entries_of(whole(log))
        return self._start, self._kept

    def config(self) -> Config:
        """The members by its latest membership."""
        latest = self._core.roster.latest
        if latest is not self._membership:
            self._membership, self._config = latest, config_of(latest)
        return self._config

    def hears(self, now_ms: int) -> bool:
        """Whether it is a follower that has heard its leader within an election timeout."""
        role = self._core.elector.role
        if not isinstance(role, Follower) or self._core.elector.leader == NOBODY:
            return False
        return now_ms - role.heard_ms < self._timeout_ms

    def look(self, now_ms: int) -> Seen:
        """What is seen of it now."""
        core, own_id = self._core, self._core.config.member_id
        elector, replica = core.elector, core.replica
        role, leader = elector.role, elector.leader
        start, entries = self.log()
        votes = pre_votes = NONE
        opened = target = round_ = 0
        match: Numbers = ()
        hears, ms = False, replica.cluster_ms
        if isinstance(role, Follower):
            kind = Role.FOLLOWER
            hears = self.hears(now_ms)
        elif isinstance(role, Candidate):
            kind = Role.PRE_CANDIDATE if role.pre else Role.CANDIDATE
            votes = _granted(role.votes_of_term(), own_id)
            pre_votes = _granted(role.votes, own_id) if role.pre else NONE
        else:
            kind, hears, ms = Role.LEADER, True, role.cluster_ms(now_ms)
            opened, target, round_ = role.start_index, core.transferee, role.rounds.sent
            match = match_of(role)
        barred = elector.probation is not None
        fields = (
            elector.term,
            elector.vote,
            kind,
            leader,
            hears,
            votes,
            pre_votes,
            self.config(),
            start,
            entries,
            replica.commit,
            replica.handed_out,
            replica.clock_term,
            ms,
            opened,
            match,
            target,
            round_,
            barred,
        )
        return _seen(fields)


def match_of(leader: Leader) -> Numbers:
    """How far a leader knows each peer's log to match."""
    return tuple(sorted([(each, peer.match) for each, peer in leader.peers.items() if peer.match]))


def _granted(votes: dict[int, bool], own_id: int) -> frozenset[int]:
    return frozenset([each for each, granted in votes.items() if granted and each != own_id])


def whole(log: RaftLog) -> tuple[CoreEntry, ...]:
    """All entries of a core's log."""
    return log.slice(log.first_index, log.last_index + 1, bytes_max=1 << 62)


def log_of(log: RaftLog, membership: Membership) -> Log:
    """A core's log; the membership holds where it begins."""
    place = Place(log.first_index - 1, log.term(log.first_index - 1) or 0)
    return Log(place, (), ((place.at, config_of(membership)),)).append(entries_of(whole(log)))


def config_of(membership: Membership) -> Config:
    """The members."""
    voters, outgoing, learners = membership.configuration
    return Config(voters, outgoing, learners, membership.removed)


@lru_cache(maxsize=1 << 14)
def entry_of(entry: CoreEntry) -> Entry:
    """An entry; its command is told from others by its bytes and by who waits for it."""
    membership = read(entry.command)
    if membership is not None:
        return Entry(entry.term, entry.time_ms, config_of(membership))
    what = (entry.command, entry.ticket, entry.origin) if entry.command else NO_OP
    return Entry(entry.term, entry.time_ms, what)


def entries_of(entries: Iterable[CoreEntry]) -> tuple[Entry, ...]:
    """Entries, each the same object whenever it is seen."""
    return tuple(map(entry_of, entries))


def message_of(said: rpc.Message) -> Message | None:
    """A message, if the spec has it: proposals that are passed on, for one, it has not."""
    make = KINDS.get(type(said))
    return None if make is None else make(*said)


def _append(s: int, t: int, term: int, _: int, *said: Any) -> Append:
    index, prev_term, commit, entries = said
    return Append(s, t, term, Place(index, prev_term), entries_of(entries), commit)


KINDS: Final[dict[type, Callable[..., Message]]] = {
    rpc.VoteRequest: lambda s, t, term, pre, index, last_term, handed: RequestVote(
        s, t, term, pre, Place(index, last_term), handed
    ),
    rpc.VoteResponse: Vote,
    rpc.AppendRequest: _append,
    rpc.AppendResponse: lambda s, t, term, _, index, rejected, *hint: Ack(
        s, t, term, index, not rejected
    ),
    rpc.Heartbeat: lambda s, t, term, _, commit, sent_index, read_id, ms, answer: Beat(
        s, t, term, commit, read_id, ms
    ),
    rpc.HeartbeatResponse: lambda s, t, term, _, sent_index, last_index, read_id, *rest: BeatAnswer(
        s, t, term, read_id
    ),
    rpc.ReadRequest: AskRead,
    rpc.ReadResponse: lambda s, t, term, read_id, index, _: TellRead(s, t, term, read_id, index),
    rpc.TimeoutNow: TimeoutNow,
}
"""How each message of the core is made one of the spec."""
