"""Errors planted in the spec: a guard is left out. Each breaks an invariant in the world beside it.

An invariant that no error breaks would say nothing, and neither would a guard that nobody needs.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, Final, NamedTuple
from unittest.mock import patch

from tests.spec import raft, saying
from tests.spec.of_spec import Spec
from tests.spec.state import (
    NOBODY,
    Append,
    Beat,
    Config,
    Disk,
    Member,
    Message,
    Place,
    Read,
    RequestVote,
    Snapshot,
)
from tests.spec.worlds import Change, World


class Planted(NamedTuple):
    """An error, and the world in which it shows."""

    plant: Callable[[], AbstractContextManager[Any]]
    world: World


ERRORS: Final[dict[str, Planted]] = {}

Plant = Callable[[], AbstractContextManager[Any]]


def shows_in(world: World) -> Callable[[Plant], Plant]:
    """Keep a function that plants an error."""

    def keep(plant: Plant) -> Plant:
        ERRORS[plant.__name__] = Planted(plant, world._replace(name=plant.__name__))
        return plant

    return keep


LEARNERS: Final = (Change("add learner", 3), Change("add learner", 4))
SNAPSHOT: Final = World("", 1, learners=1, elections=1, terms=2, compactions=1, crashes=1)
RIVALS: Final = World("", 3, elections=2, terms=2)


@shows_in(RIVALS)
def votes_are_given_twice() -> AbstractContextManager[Any]:
    """A vote does not bind for its term (3.4)."""
    hear = raft.hear_request

    def careless(m: Member, said: RequestVote, willing: bool = True) -> Member | None:
        return hear(m if said.pre else m._replace(vote=NOBODY, leader=NOBODY), said, willing)

    return patch.object(raft, "hear_request", careless)


@shows_in(World("", 3, leader=1, elections=1, terms=3, silences=True, proposals=1))
def votes_are_given_to_any_log() -> AbstractContextManager[Any]:
    """The candidate's log may lack what is committed (3.6.1)."""
    hear = raft.hear_request

    def careless(m: Member, said: RequestVote, willing: bool = True) -> Member | None:
        return hear(m, said._replace(last=Place(99, 99)), willing)

    return patch.object(raft, "hear_request", careless)


@shows_in(RIVALS._replace(crashes=1))
def promises_leave_before_they_are_kept() -> AbstractContextManager[Any]:
    """A vote leaves, is lost in a crash, and is given again (figure 3.1)."""
    return patch.object(saying, "is_kept", lambda m, said: True)


@shows_in(RIVALS._replace(crashes=1))
def a_restart_forgets_the_vote() -> AbstractContextManager[Any]:
    """Only the term is saved (figure 3.1)."""
    restart = raft.restart

    def careless(m: Member, disk: Disk, *rest: int) -> Member | None:
        new = restart(m, disk, *rest)
        return new and new._replace(vote=NOBODY)

    return patch.object(raft, "restart", careless)


@shows_in(World("", 2, elections=1, terms=2, proposals=1))
def every_append_cuts_the_log() -> AbstractContextManager[Any]:
    """A late append takes back entries that were acknowledged (3.5)."""
    hear = raft.hear_append

    def careless(m: Member, said: Append) -> Member | None:
        kept = m._replace(log=m.log.cut(max(said.prev.at, m.log.start.at)))
        return hear(kept if said.prev.at >= m.commit else m, said)

    return patch.object(raft, "hear_append", careless)


@shows_in(World("", 3, elections=1, terms=5, logs=((2,), (3,), ())))
def the_term_before_is_not_compared() -> AbstractContextManager[Any]:
    """Entries are appended behind others than the leader has before them (3.5)."""
    hear = raft.hear_append

    def careless(m: Member, said: Append) -> Member | None:
        term = m.log.term_at(said.prev.at)
        return hear(m, said if term is None else said._replace(prev=Place(said.prev.at, term)))

    return patch.object(raft, "hear_append", careless)


@shows_in(World("", 3, elections=1, terms=5, beats=1, logs=((2,), (3, 3, 3), ())))
def heartbeats_commit_what_is_not_known_to_match() -> AbstractContextManager[Any]:
    """The commit index of a heartbeat is not held back to what the peer has acknowledged (3.5)."""
    may_say = saying.may_say

    def careless(m: Member, said: Message) -> bool:
        if isinstance(said, Beat):
            return m.lead is not None
        return may_say(m, said)

    return patch.object(saying, "may_say", careless)


@shows_in(World("", 3, leader=1, elections=1, terms=3, silences=True, reads=1))
def reads_before_the_first_commit() -> AbstractContextManager[Any]:
    """A new leader believes the commit index that it knows (6.4)."""
    hear = raft.hear_read

    def careless(m: Member, source: int, read: int) -> Member | None:
        lead = m.lead
        return hear(m._replace(lead=lead and lead._replace(opened=0)), source, read)

    return patch.object(raft, "hear_read", careless)


@shows_in(World("", 3, leader=1, elections=1, terms=3, silences=True, reads=1))
def reads_without_a_quorum() -> AbstractContextManager[Any]:
    """A leader believes that it still leads (6.4)."""
    answer = raft.answer_read

    def careless(m: Member, asked: Read) -> Member | None:
        everybody = tuple((each, 99) for each in sorted(m.log.config.members))
        return answer(m._replace(lead=m.lead and m.lead._replace(answered=everybody)), asked)

    return patch.object(raft, "answer_read", careless)


@shows_in(World("", 3, elections=1, terms=2))
def a_minority_commits() -> AbstractContextManager[Any]:
    """One copy is enough (3.5)."""
    return patch.object(Member, "agreed", lambda m, index: m.holds(index))


@shows_in(World("", 3, strangers=1, elections=1, terms=2, changes=(Change("replace", 1, 4),)))
def voters_change_in_one_step() -> AbstractContextManager[Any]:
    """Two majorities that share nobody may decide at once (4.3)."""
    change = raft.change

    def careless(m: Member, config: Config) -> Member | None:
        begun = change(m, config)
        if begun is None:
            return None
        last = begun.log.entries[-1]._replace(what=config._replace(outgoing=frozenset()))
        return begun._replace(log=m.log.cut(begun.log.last.at - 1).append([last]))

    return patch.object(raft, "change", careless)


@shows_in(World("", 2, strangers=2, leader=1, elections=0, changes=LEARNERS))
def two_changes_at_a_time() -> AbstractContextManager[Any]:
    """A change begins while the last one is not committed (4.1)."""
    change = raft.change

    def careless(m: Member, config: Config) -> Member | None:
        begun = change(m._replace(commit=m.log.last.at), config)
        return begun and begun._replace(commit=m.commit)

    return patch.object(raft, "change", careless)


@shows_in(World("", 3, strangers=1, leader=1, elections=0, changes=(Change("replace", 3, 4),)))
def only_the_new_voters_count() -> AbstractContextManager[Any]:
    """A joint configuration is left to the new voters alone (4.3)."""

    def careless(config: Config, agreeing: Any) -> bool:
        return 2 * len(config.voters.intersection(agreeing)) > len(config.voters)

    return patch.object(Config, "quorum", careless)


@shows_in(SNAPSHOT)
def a_snapshot_overtakes_its_term() -> AbstractContextManager[Any]:
    """The state machine is replaced before the term in which it came is saved (3.3)."""
    install = raft.install

    def careless(m: Member, said: Snapshot) -> Member | None:
        done = install(m, said)
        return done and done._replace(disk=done.disk._replace(term=said.last.term - 1))

    return patch.object(raft, "install", careless)


@shows_in(World("", 1, elections=1, terms=2, proposals=2, times=1))
def leases_end_early() -> AbstractContextManager[Any]:
    """A leader ends a lease before its clock has come to the deadline."""
    return patch.object(Spec, "may_expire", staticmethod(lambda m, deadline: True))
