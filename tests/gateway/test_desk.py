"""The desk of passwords: whose turn it is, how wrong ones are slowed, and how many may wait."""

from __future__ import annotations

import pytest

from actors.gateway.desk import (
    DELAY_MS_FIRST,
    DELAY_MS_MAX,
    FORGIVEN_MS,
    WAITING_MAX,
    WAITING_PER_NAME_MAX,
    NewPassword,
    PasswordCheck,
    PasswordDesk,
    PasswordJob,
)


def check(ticket: int, name: str = "ann") -> PasswordJob:
    return PasswordJob(ticket, PasswordCheck(name, "password", b""))


def test_passwords_take_turns() -> None:
    desk = PasswordDesk()
    assert desk.due_ms() is None
    make = PasswordJob(2, NewPassword("password", b"salt", 1))
    assert desk.maybe_take_in(check(1)) and desk.maybe_take_in(make)
    assert [desk.next(0), desk.next(0), desk.next(0)] == [check(1), make, None]


@pytest.mark.parametrize(("times", "delay_ms"), [(1, 100), (2, 200), (3, 400), (6, 2_000)])
def test_each_wrong_password_makes_the_next_for_that_name_wait_longer(
    times: int, delay_ms: int
) -> None:
    desk = PasswordDesk()
    assert [desk.checked("ann", 50, is_right=False) for _ in range(times)][-1] == times
    assert desk.maybe_take_in(check(1)) and desk.maybe_take_in(check(2, "bob"))
    assert desk.next(50) == check(2, "bob"), "others do not wait"
    assert desk.due_ms() == 50 + delay_ms
    assert desk.next(50 + delay_ms - 1) is None
    assert desk.next(50 + delay_ms) == check(1)


def test_a_thousand_wrong_passwords_make_nobody_wait_for_ever() -> None:
    desk = PasswordDesk()
    for _ in range(1_000):
        desk.checked("ann", 0, is_right=False)
    assert desk.maybe_take_in(check(1))
    assert desk.due_ms() == DELAY_MS_MAX


@pytest.mark.parametrize("forgiven", ["by the right one", "by time"])
def test_wrong_passwords_are_forgiven(forgiven: str) -> None:
    desk = PasswordDesk()
    for _ in range(5):
        desk.checked("ann", 0, is_right=False)
    now_ms = FORGIVEN_MS
    if forgiven == "by the right one":
        now_ms = 1
        assert desk.checked("ann", now_ms, is_right=True) == 0
    assert desk.checked("ann", now_ms, is_right=False) == 1
    assert desk.maybe_take_in(check(1))
    assert desk.due_ms() == now_ms + DELAY_MS_FIRST


def test_the_passwords_that_wait_for_one_name_and_for_all_are_bounded() -> None:
    desk = PasswordDesk()
    taken = [desk.maybe_take_in(check(ticket)) for ticket in range(WAITING_PER_NAME_MAX + 1)]
    assert taken == [True] * WAITING_PER_NAME_MAX + [False]
    others = [desk.maybe_take_in(check(1, f"user {number}")) for number in range(WAITING_MAX)]
    assert others.count(True) == WAITING_MAX - WAITING_PER_NAME_MAX
    assert desk.next(0) == check(0)
    assert desk.maybe_take_in(check(9)), "there is room again"
