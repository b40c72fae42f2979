"""The alarm of a store that is full: when it is raised and cleared, and who hears of the room."""

from __future__ import annotations

from typing import Any

from actors.language.commands import (
    AlarmActivate,
    AlarmDeactivate,
    AlarmType,
    Compact,
    DeleteRange,
    Put,
)
from actors.language.messages import Room
from actors.store.orders import Say
from actors.store.warden import PROPOSE_AGAIN_MS, Warden
from tests.store.driver import Driver
from tests.store.ordered import proposed

OWN = 1
QUOTA = 100_000
RAISE = AlarmActivate(OWN, AlarmType.NOSPACE)
CLEAR = AlarmDeactivate(OWN, AlarmType.NOSPACE)
NOW_MS = 5_000


def made(quota_bytes: int = QUOTA, *commands: Any) -> tuple[Driver, Warden]:
    """A state that these commands have made, and who watches over its size."""
    driver = Driver()
    for command in commands:
        driver.do(command)
    return driver, Warden(quota_bytes, OWN, driver.machine)


def rooms(orders: list[Any]) -> list[Room]:
    return [order for order in orders if isinstance(order, Room)]


def test_the_room_is_told_when_it_changes() -> None:
    driver, warden = made()
    assert warden.measured(1_000, driver.machine, NOW_MS) == [Room(QUOTA - 1_000)]
    assert warden.measured(1_000, driver.machine, NOW_MS) == []
    assert warden.measured(2_000, driver.machine, NOW_MS) == [Room(QUOTA - 2_000)]


def test_without_a_quota_nobody_hears_anything() -> None:
    driver, warden = made(0)
    assert not warden.is_curious(driver.machine)
    assert not warden.must_measure(driver.machine, 1 << 50)
    assert warden.measured(1 << 50, driver.machine, NOW_MS) == []


def test_what_may_be_over_the_quota_is_to_be_measured_unless_the_alarm_stands() -> None:
    driver, warden = made()
    warden.measured(QUOTA - 500, driver.machine, NOW_MS)
    assert not warden.must_measure(driver.machine, 500)
    assert warden.must_measure(driver.machine, 501)
    driver.do(RAISE)
    assert not warden.must_measure(driver.machine, 501)


def test_a_store_over_its_quota_raises_the_alarm_and_says_so() -> None:
    driver, warden = made()
    orders = warden.measured(QUOTA + 1, driver.machine, NOW_MS)
    assert isinstance(orders[0], Say)
    assert f"{QUOTA + 1} bytes" in orders[0].text
    assert proposed(orders) == [RAISE]
    assert rooms(orders) == [Room(0)]


def test_a_refusal_near_the_limit_raises_it_and_it_is_proposed_again_only_later() -> None:
    driver, warden = made()
    warden.measured(QUOTA - 5_000, driver.machine, NOW_MS)
    assert proposed(warden.refused(driver.machine, NOW_MS)) == [RAISE]
    assert warden.refused(driver.machine, NOW_MS) == []
    assert warden.due_ms == NOW_MS + PROPOSE_AGAIN_MS
    assert warden.tick(driver.machine, NOW_MS + PROPOSE_AGAIN_MS - 1) == []
    assert proposed(warden.tick(driver.machine, NOW_MS + PROPOSE_AGAIN_MS)) == [RAISE]
    driver.do(RAISE)
    warden.tick(driver.machine, NOW_MS + 2 * PROPOSE_AGAIN_MS)
    assert warden.due_ms is None


def test_with_room_again_it_is_cleared_and_raised_at_once_when_that_is_used_up() -> None:
    driver, warden = made()
    warden.measured(QUOTA + 1, driver.machine, NOW_MS)
    driver.do(RAISE)
    assert proposed(warden.measured(1_000, driver.machine, NOW_MS)) == [CLEAR]
    driver.do(CLEAR)
    full = warden.measured(QUOTA + 1, driver.machine, NOW_MS)
    assert proposed(full) == [RAISE], "though something was proposed a moment ago"


def test_an_alarm_that_an_earlier_run_raised_is_cleared() -> None:
    driver, warden = made(QUOTA, RAISE)
    assert proposed(warden.measured(0, driver.machine, NOW_MS)) == [CLEAR]


def test_an_alarm_of_this_member_is_watched_without_a_quota_too() -> None:
    driver, warden = made(0, RAISE)
    assert warden.is_curious(driver.machine)


def test_what_is_outdated_is_removed_soon_when_room_gets_scarce() -> None:
    driver, warden = made(QUOTA, Put(b"a", b"1"), Put(b"a", b"2"), DeleteRange(b"a"), Compact(4))
    driver.commit()
    sweeper = driver.machine.sweeper
    while sweeper.is_due:
        sweeper.work(100)
    assert sweeper.lingers
    warden.measured(QUOTA // 2, driver.machine, NOW_MS)
    assert not sweeper.is_due
    warden.measured(QUOTA - 1, driver.machine, NOW_MS)
    assert sweeper.is_due
