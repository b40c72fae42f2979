"""Alarms that a member wants to be raised: proposed until they stand, and for members only."""

from __future__ import annotations

from actors.language.commands import AlarmActivate, AlarmMember, AlarmType, MemberPeers, SetMembers
from actors.store.raiser import RAISE_AGAIN_MS, AlarmRaiser
from tests.store.driver import Driver
from tests.store.ordered import proposed

OWN = 1
OTHER = AlarmMember(2, AlarmType.DATA_LOSS)
NEWCOMER = AlarmMember(7, AlarmType.UNREADABLE)
NOW_MS = 5_000


def test_an_alarm_is_proposed_until_it_stands() -> None:
    driver, raiser = Driver(), AlarmRaiser(OWN)
    assert raiser.maybe_want(OTHER, driver.machine, NOW_MS)
    assert not raiser.maybe_want(OTHER, driver.machine, NOW_MS), "it is wanted already"
    assert raiser.due_ms == NOW_MS
    assert proposed(raiser.tick(driver.machine, NOW_MS)) == [AlarmActivate(*OTHER)]
    assert raiser.tick(driver.machine, NOW_MS + RAISE_AGAIN_MS - 1) == []
    again = raiser.tick(driver.machine, NOW_MS + RAISE_AGAIN_MS)
    assert proposed(again) == [AlarmActivate(*OTHER)]
    driver.do(AlarmActivate(*OTHER))
    assert raiser.tick(driver.machine, NOW_MS + 2 * RAISE_AGAIN_MS) == []
    assert raiser.due_ms is None
    assert not raiser.maybe_want(OTHER, driver.machine, NOW_MS), "it stands"


def test_all_that_are_wanted_are_proposed_together() -> None:
    driver, raiser = Driver(), AlarmRaiser(OWN)
    own = AlarmMember(OWN, AlarmType.UNREADABLE)
    for alarm in (OTHER, own):
        raiser.maybe_want(alarm, driver.machine, NOW_MS)
    (order,) = raiser.tick(driver.machine, NOW_MS)
    assert proposed([order]) == [AlarmActivate(*own), AlarmActivate(*OTHER)]


def test_nothing_is_raised_for_another_that_was_removed() -> None:
    driver, raiser = Driver(), AlarmRaiser(OWN)
    raiser.maybe_want(OTHER, driver.machine, NOW_MS)
    driver.do(SetMembers((MemberPeers(OWN, ("tcp://a:1",), False),), b""))
    assert raiser.tick(driver.machine, NOW_MS) == []
    assert raiser.due_ms is None


def test_a_newcomer_waits_until_it_has_applied_that_it_is_a_member() -> None:
    driver, raiser = Driver(), AlarmRaiser(NEWCOMER.member_id)
    raiser.maybe_want(NEWCOMER, driver.machine, NOW_MS)
    assert raiser.tick(driver.machine, NOW_MS) == []
    peers = [MemberPeers(each, (f"tcp://h{each}:1",), False) for each in (1, 2, 7)]
    driver.do(SetMembers(tuple(peers), b""))
    later = raiser.tick(driver.machine, NOW_MS + RAISE_AGAIN_MS)
    assert proposed(later) == [AlarmActivate(*NEWCOMER)]
