"""Limits of users where the store decides: leases in the log, and how many watches may begin."""

from __future__ import annotations

from typing import Any

import pytest

from actors.language import auth
from actors.language.auth import NOBODY, NODE, Principal
from actors.language.commands import (
    Command,
    Expiry,
    LeaseExpire,
    LeaseGrant,
    LeaseRevoke,
    Put,
    Sequence,
    SessionOpen,
    Txn,
)
from actors.language.limits import NO_LIMITS, UserLimits
from actors.language.messages import WatchBegin
from actors.language.results import Done, Failure, LeaseGranted, LeaseRevoked, TxnDone
from actors.store.integrity import hash_state
from actors.store.machine import Machine
from tests.store.driver import FOUNDERS, commit, everything
from tests.store.shell import watch
from tests.store.test_rights import ANN, ROOT, Secured, do, machine
from tests.twins import MemoryBackend

TOO_MANY = Failure("TooManyLeasesOfUser")


def limited(leases: int, backend: MemoryBackend | None = None) -> Machine:
    """A machine whose user ann may have this many leases; bob has no limit."""
    made = machine(backend)
    for command in (
        auth.RoleSetLimits("r", UserLimits(leases=leases)),
        auth.UserAdd("bob", b"hash"),
    ):
        assert do(made, command, ROOT) == Done(1)
    return made


def grant(made: Machine, lease_id: int, who: Principal = ANN) -> Any:
    return do(made, LeaseGrant(lease_id, 1_000), who)


def bob_of(made: Machine) -> Principal:
    return Principal(made.auth.users["bob"].id, 100)


def test_a_user_is_granted_no_more_leases_than_its_roles_allow() -> None:
    made = limited(leases=2)
    for lease_id in (1, 2):
        assert isinstance(grant(made, lease_id), LeaseGranted)
    assert grant(made, 3) == TOO_MANY
    assert grant(made, 2) == Failure("LeaseExist"), "what is wrong with it is told first"
    for other in (bob_of(made), ROOT):
        assert isinstance(grant(made, 10 + other.user_id, other), LeaseGranted)
    assert grant(made, 3) == TOO_MANY, "the leases of others are not counted"


@pytest.mark.parametrize(
    "end", [LeaseRevoke(1), LeaseExpire((Expiry(1, 2_000),))], ids=lambda each: type(each).__name__
)
def test_a_lease_that_has_ended_makes_room(end: Command) -> None:
    made = limited(leases=1)
    grant(made, 1)
    assert grant(made, 2) == TOO_MANY
    who, now_ms = (ANN, 1_000) if isinstance(end, LeaseRevoke) else (NODE, 2_000)
    ended = made.apply(made.applied_index + 1, 1, now_ms, end, None, who)
    assert isinstance(ended, Done | LeaseRevoked)
    assert isinstance(grant(made, 2), LeaseGranted)


def test_puts_with_a_ttl_count_also_within_a_transaction() -> None:
    made = limited(leases=2)
    one, two = Put(b"a", b"v", 1, ttl_ms=1_000), Put(b"b", b"v", 2, ttl_ms=1_000)
    third = Put(b"a", b"v", 3, ttl_ms=1_000)
    before = everything(made)
    assert do(made, Txn((), (one, two, third), ()), ANN) == TOO_MANY
    assert everything(made)["live"] == before["live"], "all of it or nothing"
    assert isinstance(do(made, Txn((), (one, two), ()), ANN), TxnDone)
    assert do(made, third, ANN) == TOO_MANY
    assert do(made, Put(b"a", b"v"), ANN).revision == 3, "what grants nothing is let in"


def test_leases_keep_their_owners_over_a_restart() -> None:
    backend = MemoryBackend()
    made = limited(leases=2, backend=backend)
    grant(made, 1)
    grant(made, 2, bob_of(made))
    commit(made, backend)
    again = Machine(backend, FOUNDERS)
    assert everything(again) == everything(made)
    assert isinstance(grant(again, 3), LeaseGranted)
    assert grant(again, 4) == TOO_MANY


def test_members_compare_whose_the_leases_are() -> None:
    def hashed(who: Principal) -> int:
        made = limited(leases=1)
        grant(made, 1, who)
        return hash_state(1, made.leases, made.sessions, (), made.alarms, made.auth)

    assert hashed(ANN) == hashed(ANN) != hashed(ROOT)


def test_without_authentication_leases_are_nobodys() -> None:
    made = limited(leases=1)
    do(made, auth.AuthDisable(), ROOT)
    for lease_id in (1, 2, 3):
        assert isinstance(grant(made, lease_id), LeaseGranted)
    assert {lease.owner for lease in made.leases.table.values()} == {0}
    do(made, auth.AuthEnable(b"t" * 32), NOBODY)
    assert isinstance(grant(made, 4), LeaseGranted)
    assert grant(made, 5) == TOO_MANY
    do(made, auth.AuthDisable(), ROOT)
    grant(made, 6)
    assert made.leases.table[6].owner == 0


def test_another_limit_counts_for_the_next_lease_and_ends_none() -> None:
    made = limited(leases=3)
    for lease_id in (1, 2, 3):
        grant(made, lease_id)
    do(made, auth.RoleSetLimits("r", UserLimits(leases=1)), ROOT)
    assert len(made.leases.table) == 3
    do(made, LeaseRevoke(1), ANN)
    assert grant(made, 4) == TOO_MANY
    do(made, auth.RoleSetLimits("r", NO_LIMITS), ROOT)
    assert isinstance(grant(made, 4), LeaseGranted)


def test_a_session_remembers_the_refusal_as_any_other_answer() -> None:
    made = limited(leases=1)
    grant(made, 1)
    do(made, SessionOpen(5), ANN)
    assert do(made, LeaseGrant(2, 1_000), ANN, Sequence(5, 1, 1)) == TOO_MANY
    do(made, LeaseRevoke(1), ANN)
    assert do(made, LeaseGrant(2, 1_000), ANN, Sequence(5, 1, 1)) == TOO_MANY
    assert isinstance(do(made, LeaseGrant(2, 1_000), ANN, Sequence(5, 2, 2)), LeaseGranted)


def test_a_watch_begins_with_the_number_that_its_user_may_have() -> None:
    node = Secured()

    def watches_max(who: Principal) -> int:
        ((_, begin),) = node.hear(watch(b"a")._replace(principal=who))
        assert isinstance(begin, WatchBegin) and not begin.fault
        return begin.watches_max

    assert watches_max(ANN) == 0
    node.hear(node.entries((auth.RoleSetLimits("r", UserLimits(watches=7)), ROOT)))
    node.settle()
    assert [watches_max(ANN), watches_max(ROOT)] == [7, 0]
