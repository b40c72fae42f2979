"""Alarms: raised, cleared, kept, and what the cluster refuses as long as they stand."""

from __future__ import annotations

from typing import get_args

import pytest

from actors.language.auth import (
    AuthDisable,
    AuthEnable,
    Permission,
    PermissionType,
    RoleAdd,
    RoleDelete,
    RoleGrantPermission,
    RoleRevokePermission,
    RoleSetLimits,
    UserAdd,
    UserAddKey,
    UserChangePassword,
    UserDelete,
    UserGrantRole,
    UserRemoveKey,
    UserRevokeRole,
)
from actors.language.commands import (
    AdvanceClock,
    AlarmActivate,
    AlarmDeactivate,
    AlarmMember,
    AlarmType,
    Command,
    Compact,
    DeleteRange,
    Expiry,
    Increment,
    IntegrityCheck,
    IntegrityReport,
    LeaseExpire,
    LeaseGrant,
    LeaseKeepAlive,
    LeaseRevoke,
    MemberPeers,
    MemberPublish,
    Put,
    Range,
    SessionOpen,
    SetMembers,
    Txn,
)
from actors.language.costs import cost_of
from actors.language.limits import UserLimits
from actors.language.queries import AlarmList
from actors.language.results import Alarms, Failure
from tests.store.driver import Driver

NO_SPACE, CORRUPTED = Failure("NoSpace"), Failure("Corrupt")
NOSPACE, CORRUPT, ANY = AlarmType.NOSPACE, AlarmType.CORRUPT, AlarmType.NONE


def _alarms(*alarms: tuple[int, AlarmType], revision: int = 1) -> Alarms:
    return Alarms(revision, tuple(AlarmMember(*alarm) for alarm in alarms))


def test_alarms_are_answered_listed_and_survive_a_restart(driver: Driver) -> None:
    assert driver.ask(AlarmList()) == _alarms()
    assert driver.do(AlarmActivate(2, CORRUPT)) == _alarms((2, CORRUPT))
    assert driver.do(AlarmActivate(1, NOSPACE)) == _alarms((1, NOSPACE))
    assert driver.do(AlarmActivate(1, NOSPACE)) == _alarms((1, NOSPACE))
    driver.commit()
    driver.crash()
    assert driver.ask(AlarmList()) == _alarms((1, NOSPACE), (2, CORRUPT))
    assert driver.do(AlarmDeactivate(1, NOSPACE)) == _alarms((1, NOSPACE))
    driver.commit()
    driver.crash()
    assert driver.ask(AlarmList()) == _alarms((2, CORRUPT))


def test_an_alarm_of_no_kind_cannot_be_raised(driver: Driver) -> None:
    assert driver.do(AlarmActivate(1, ANY)) == _alarms()
    assert driver.ask(AlarmList()) == _alarms()


@pytest.mark.parametrize(
    ("command", "cleared"),
    [
        (AlarmDeactivate(1, NOSPACE), [(1, NOSPACE)]),
        (AlarmDeactivate(1, CORRUPT), []),
        (AlarmDeactivate(3, ANY), []),
        (AlarmDeactivate(2, ANY), [(2, NOSPACE), (2, CORRUPT)]),
        (AlarmDeactivate(0, NOSPACE), [(1, NOSPACE), (2, NOSPACE)]),
        (AlarmDeactivate(0, ANY), [(1, NOSPACE), (2, NOSPACE), (2, CORRUPT)]),
    ],
)
def test_the_alarms_that_are_meant_are_cleared(
    driver: Driver, command: AlarmDeactivate, cleared: list[tuple[int, AlarmType]]
) -> None:
    raised = [(1, NOSPACE), (2, NOSPACE), (2, CORRUPT)]
    for alarm in raised:
        driver.do(AlarmActivate(*alarm))
    assert driver.do(command) == _alarms(*cleared)
    left = [alarm for alarm in raised if alarm not in cleared]
    assert driver.ask(AlarmList()) == _alarms(*left)


@pytest.mark.parametrize(
    ("kind", "listed"),
    [
        (ANY, [(1, CORRUPT), (2, NOSPACE), (2, CORRUPT)]),
        (NOSPACE, [(2, NOSPACE)]),
        (CORRUPT, [(1, CORRUPT), (2, CORRUPT)]),
    ],
)
def test_the_alarms_of_one_kind_or_of_all_are_listed(
    driver: Driver, kind: AlarmType, listed: list[tuple[int, AlarmType]]
) -> None:
    for alarm in ((2, NOSPACE), (1, CORRUPT), (2, CORRUPT)):
        driver.do(AlarmActivate(*alarm))
    assert driver.ask(AlarmList(kind)) == _alarms(*listed)


def test_the_alarms_of_a_member_that_is_removed_go_with_it(driver: Driver) -> None:
    for member_id in (1, 2, 9):
        driver.do(AlarmActivate(member_id, NOSPACE))
    driver.do(SetMembers((MemberPeers(1, ("tcp://a:2380",), False),), b""))
    assert driver.ask(AlarmList()) == _alarms((1, NOSPACE), (9, NOSPACE))


REFUSALS = Failure("NoSpace"), Failure("Corrupt")

AUTH: list[Command] = [
    AuthEnable(b""),
    AuthDisable(),
    UserAdd("ann"),
    UserChangePassword("ann", b"hash"),
    UserAddKey("ann", bytes(32)),
    UserRemoveKey("ann", bytes(32)),
    RoleAdd("r"),
    UserGrantRole("ann", "r"),
    UserRevokeRole("ann", "r"),
    RoleGrantPermission("r", Permission(PermissionType.READ, b"k")),
    RoleRevokePermission("r", b"k"),
    RoleSetLimits("r", UserLimits(leases=1)),
    RoleDelete("r"),
    UserDelete("ann"),
]
GROWS: list[Command] = [
    Put(b"k", b"2"),
    Put(b"new", b""),
    Increment(b"n", 1),
    LeaseGrant(8, 1_000),
    Txn((), (Range(b"k"), Put(b"k", b"2")), ()),
    Txn((), (), (Put(b"k", b"2"),)),
    Txn((), (Txn((), (), (Txn((), (Increment(b"n", 1),), ()),)),), ()),
]
CHANGES: list[Command] = [
    DeleteRange(b"k"),
    Txn((), (DeleteRange(b"k"), Range(b"k")), ()),
    LeaseRevoke(7),
    LeaseExpire((Expiry(7, 2_000),)),
    Compact(2),
]
PASSES: list[Command] = [
    *AUTH,
    LeaseKeepAlive(7),
    AdvanceClock(),
    SessionOpen(7),
    MemberPublish(1, "n1", ()),
    SetMembers((MemberPeers(1, ("tcp://a:2380",), False),), b""),
    AlarmActivate(1, CORRUPT),
    AlarmDeactivate(1, CORRUPT),
    IntegrityCheck(1, 1, 1),
    IntegrityReport(1, 1, 0),
]


def test_each_command_is_known_to_grow_to_change_or_to_pass() -> None:
    listed = {type(command) for command in (*GROWS, *CHANGES, *PASSES)}
    assert listed == set(get_args(Command))


@pytest.mark.parametrize("command", GROWS)
def test_what_grows_costs_something(command: Command) -> None:
    assert cost_of(command) > 0


@pytest.fixture
def filled(driver: Driver) -> Driver:
    """A store with a key, a lease and a session."""
    driver.do(Put(b"k", b"1"))
    driver.do(LeaseGrant(7, 1_000))
    return driver


@pytest.mark.parametrize("command", GROWS)
def test_without_space_what_grows_is_refused_until_there_is(
    filled: Driver, command: Command
) -> None:
    filled.do(AlarmActivate(2, NOSPACE))
    revision = filled.machine.revision
    assert filled.do(command) == Failure("NoSpace")
    assert filled.machine.revision == revision
    filled.do(AlarmDeactivate(0, ANY))
    assert not isinstance(filled.do(command), Failure)


@pytest.mark.parametrize("command", [*CHANGES, *PASSES])
def test_without_space_all_else_goes_on(filled: Driver, command: Command) -> None:
    filled.do(AlarmActivate(2, NOSPACE))
    result = filled.do(command)
    assert not isinstance(result, Failure) or (command in AUTH and result not in REFUSALS)


@pytest.mark.parametrize("command", [*GROWS, *CHANGES])
def test_a_corrupt_cluster_changes_nothing(filled: Driver, command: Command) -> None:
    filled.do(AlarmActivate(2, NOSPACE))
    filled.do(AlarmActivate(1, CORRUPT))
    assert filled.do(command) == Failure("Corrupt")
    assert 7 in filled.machine.leases.table


@pytest.mark.parametrize("kind", [AlarmType.UNREADABLE, AlarmType.DATA_LOSS])
def test_a_warning_stands_until_it_is_cleared_and_refuses_nothing(
    filled: Driver, kind: AlarmType
) -> None:
    assert filled.do(AlarmActivate(2, kind)) == _alarms((2, kind), revision=2)
    for command in GROWS + CHANGES:
        assert filled.do(command) != NO_SPACE
        assert filled.do(command) != CORRUPTED
    assert not filled.machine.alarms.is_refusing
    filled.commit()
    filled.crash()
    assert not filled.machine.alarms.is_refusing
    assert filled.ask(AlarmList(kind)) == filled.do(AlarmDeactivate(2, kind))
    assert filled.ask(AlarmList()) == _alarms(revision=filled.machine.revision)


def test_a_warning_beside_a_refusal_lets_nothing_pass(filled: Driver) -> None:
    filled.do(AlarmActivate(2, NOSPACE))
    filled.do(AlarmActivate(2, AlarmType.DATA_LOSS))
    assert filled.do(Put(b"k", b"2")) == NO_SPACE
    filled.do(AlarmDeactivate(2, NOSPACE))
    assert filled.do(Put(b"k", b"2")) != NO_SPACE


@pytest.mark.parametrize("command", PASSES)
def test_a_corrupt_cluster_can_still_be_administered_and_read(
    filled: Driver, command: Command
) -> None:
    filled.do(AlarmActivate(2, CORRUPT))
    result = filled.do(command)
    assert not isinstance(result, Failure) or (command in AUTH and result not in REFUSALS)
    assert filled.get(b"k") is not None
