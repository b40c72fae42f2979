"""What all members of a cluster keep together, whatever each of them does by `raft.py`.

They are stated of the members' states and of what has happened: what was ever committed, who led.
The checker looks at them after every step, of the spec's own members and of the shipped ones alike.
Each raises Broken, with what it has found.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import NamedTuple

from tests.spec.state import Config, Entry, Log, Member, Place, Role


class BrokenError(Exception):
    """An invariant does not hold."""


class History(NamedTuple):
    """What has happened: what was ever committed, the (term, member) of every leader, and for each
    open read, by its member and id, how much was committed when it was asked for."""

    chosen: tuple[Entry, ...]
    led: frozenset[tuple[int, int]] = frozenset()
    reads: tuple[tuple[tuple[int, int], int], ...] = ()


def follow(was: History, m: Member, asked: int | None, served: Sequence[int]) -> History:
    """The history after a step of a member, which has begun a read and served others."""
    chosen, led, reads = was
    if m.commit > len(chosen) >= m.log.start.at:
        chosen = (*chosen, *m.log.after(len(chosen))[: m.commit - len(chosen)])
    if m.lead is not None:
        led |= {(m.term, m.id)}
    if asked is not None:
        reads = tuple(sorted((*reads, ((m.id, asked), len(was.chosen)))))
    for read in served:
        due = dict(reads).get((m.id, read))
        if due is not None:
            read_safety(m.applied, due)
        reads = tuple(each for each in reads if each[0] != (m.id, read))
    return History(chosen, led, reads)


def require(condition: bool, text: str) -> None:
    """Raise unless a condition holds."""
    if not condition:
        raise BrokenError(text)


def check_one(m: Member) -> None:
    """What one member keeps by itself."""
    order_of_indexes(m)
    terms_are_entered(m)
    terms_and_times_rise(m.log)
    changes_are_orderly(m)


def check_all(members: Sequence[Member], history: History) -> None:
    """What all members keep together, beside the matching of each two logs."""
    election_safety(members, history)
    leader_completeness(members, history)
    state_machine_safety(members, history)
    durable_commitment(members, history)
    one_change_at_a_time(members, history)
    leases(history.chosen)


def election_safety(members: Sequence[Member], history: History) -> None:
    """A term has one leader (3.2, 3.4)."""
    leaders: dict[int, int] = {}
    for term, leader in (*history.led, *((m.term, m.id) for m in members if m.lead)):
        first = leaders.setdefault(term, leader)
        require(first == leader, f"{first} and {leader} lead term {term}")


def leader_completeness(members: Sequence[Member], history: History) -> None:
    """The leader of the latest term holds all that was ever committed (3.6.3)."""
    leaders = [m for m in members if m.lead is not None]
    latest = max(leaders, key=lambda m: m.term, default=None)
    if latest is not None and latest.term >= max((each[0] for each in history.led), default=0):
        lacking = _first_lacking(latest.log, history.chosen)
        require(not lacking, f"leader {latest.id} of term {latest.term} lacks {lacking}")


def log_matching(members: Sequence[Member]) -> None:
    """Two logs that agree on the term of an entry agree on it and on all before it (3.5)."""
    for number, m in enumerate(members):
        for other in members[number + 1 :]:
            first = max(m.log.start.at, other.log.start.at) + 1
            last = min(m.log.last.at, other.log.last.at)
            while last >= first and m.log.term_at(last) != other.log.term_at(last):
                last -= 1
            if last >= first:
                same = _between(m.log, first, last) == _between(other.log, first, last)
                where = f"the logs of {m.id} and {other.id} agree at {last}, and differ before"
                require(same, where)


def state_machine_safety(members: Sequence[Member], history: History) -> None:
    """What a member knows to be committed is what was committed (3.2)."""
    chosen = history.chosen
    for m in members:
        require(m.commit <= len(chosen), f"{m.id} commits {m.commit}, which nobody committed")
        first = m.log.start.at + 1
        same = _between(m.log, first, m.commit) == chosen[first - 1 : m.commit]
        require(same, f"{m.id} has committed other entries than {chosen[first - 1 : m.commit]}")


def durable_commitment(members: Sequence[Member], history: History) -> None:
    """What is committed is on the disks of a majority (3.6.2): by the members there, or by later
    ones, which hold once they are appended. None follow a joint one before that is committed."""
    if not history.chosen:
        return
    at, term = len(history.chosen), history.chosen[-1].term
    holders = {m.id for m in members if at <= m.disk.log.start.at or m.disk.log.term_at(at) == term}
    configs = [each.what for each in history.chosen if isinstance(each.what, Config)]
    last = history.chosen[-1].what
    later: list[Config] = []
    if not (isinstance(last, Config) and last.outgoing):
        there = [m.log.configs for m in members if m.log.term_at(at) == term]
        later = [config for configs in there for index, config in configs if index > at]
    if configs:
        known = any(_is_majority(each, holders) for each in (configs[-1], *later))
        require(known, f"entry {at} of term {term} is committed, and only {holders} hold it")


def order_of_indexes(m: Member) -> None:
    """start <= applied <= commit <= last (5.1)."""
    indexes = (m.log.start.at, m.applied, m.commit, m.log.last.at)
    require(indexes == tuple(sorted(indexes)), f"{m.id} has start, applied, commit, last {indexes}")


def terms_are_entered(m: Member) -> None:
    """No log ends in a term that its member has not entered, on its disk neither (3.3)."""
    for term, log in ((m.term, m.log), (m.disk.term, m.disk.log)):
        require(log.last.term <= term, f"{m.id} is in term {term}, its log in {log.last.term}")


def terms_and_times_rise(log: Log) -> None:
    """In a log neither terms nor cluster times fall (DESIGN.md#cluster-time).

    Behind a snapshot no entry is left that contradicts it (5.3).
    """
    for entry in log.entries[:1]:
        require(log.start.term <= entry.term, f"term {log.start.term} comes before {entry.term}")
    for before, after in pairwise(log.entries):
        require(before.term <= after.term, f"term {before.term} comes before {after.term}")
        require(before.time <= after.time, f"time {before.time} comes before {after.time}")


def changes_are_orderly(m: Member) -> None:
    """Voters change only jointly (4.3), and who is removed stays so."""
    for (_, before), (at, after) in pairwise(m.log.configs):
        if before.outgoing:
            ok = not after.outgoing and after.voters == before.voters
        else:
            ok = after.outgoing == before.voters or after[:2] == before[:2]
        require(ok, f"{m.id} goes from {before} to {after} at {at}")
        require(not before.removed - after.removed, f"{m.id} forgets removed members at {at}")


def one_change_at_a_time(members: Sequence[Member], history: History) -> None:
    """A change begins when the one before is committed (4.1). A new leader may not know of that."""
    for m in members:
        pending = [at for at, _ in m.log.configs[1:] if at > len(history.chosen)]
        require(len(pending) <= 1, f"{m.id} has {len(pending)} changes under way")


def read_safety(served: int, due: int) -> None:
    """A read sees all that was committed when it was asked for (6.4)."""
    require(served >= due, f"a read of what stands up to {served} misses what stood at {due}")


# --- leases by cluster time (DESIGN.md#leases) ------------------------------------------------


class Grant(NamedTuple):
    """A command: a lease lasts so long from the time of this entry; a second one keeps it alive."""

    lease: int
    ttl: int


class Expire(NamedTuple):
    """A command of a leader whose clock has come to the deadline of a lease."""

    lease: int
    deadline: int


def leases(entries: Iterable[Entry]) -> dict[int, int]:
    """The deadlines of the leases that stand after these entries; no lease ends early.

    A leader may be deposed after it has proposed an end, and a keep-alive may come before it: an
    end that names another deadline is refused.
    """
    deadlines: dict[int, int] = {}
    for entry in entries:
        match entry.what:
            case Grant(lease, ttl):
                deadlines[lease] = entry.time + ttl
            case Expire(lease, deadline) if deadlines.get(lease) == deadline:
                require(entry.time >= deadline, f"lease {lease} ends at {entry.time}")
                del deadlines[lease]
    return deadlines


def _is_majority(config: Config, holders: set[int]) -> bool:
    """Counted here, not as members do."""
    sets = [each for each in (config.voters, config.outgoing) if each]
    return all(len(voters & holders) > len(voters - holders) for voters in sets)


def _between(log: Log, first: int, last: int) -> tuple[Entry, ...]:
    start = log.start.at
    return log.entries[first - 1 - start : last - start]


def _first_lacking(log: Log, chosen: Sequence[Entry]) -> Place | None:
    for at, entry in enumerate(chosen, 1):
        if at >= log.start.at and log.term_at(at) != entry.term:
            return Place(at, entry.term)
    return None


def led_by(members: Iterable[Member]) -> frozenset[tuple[int, int]]:
    """The (term, member) of those that lead."""
    return frozenset((m.term, m.id) for m in members if m.role is Role.LEADER)
