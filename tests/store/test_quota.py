"""When a member should raise its alarm, and when clear it."""

from __future__ import annotations

import pytest

from actors.language.commands import (
    Command,
    Compact,
    DeleteRange,
    Increment,
    LeaseGrant,
    LeaseRevoke,
    Put,
    Range,
    Txn,
)
from actors.language.costs import cost_of
from actors.store.quota import NEAR_BYTES, Quota

LIMIT = 1_000_000
LOW = 900_000


@pytest.mark.parametrize(
    ("command", "cost"),
    [
        (Put(b"key", b"value"), 256 + 8),
        (LeaseGrant(1, 1_000), 64),
        (Increment(b"key", 1), 256 + 3 + 20),
        (Txn((), (Put(b"a", b"1"), Put(b"b", b"2")), (Put(b"a", b"x" * 100),)), 2 * (256 + 2)),
        (Txn((), (), (Txn((), (Put(b"a", b"1"),), ()),)), 256 + 2),
        (Txn((), (DeleteRange(b"a"),), (Range(b"a"),)), 0),
        (DeleteRange(b"a"), 0),
        (Compact(5), 0),
        (LeaseRevoke(1), 0),
    ],
)
def test_a_change_costs_what_etcd_counts(command: Command, cost: int) -> None:
    assert cost_of(command) == cost


def test_over_the_limit_the_alarm_is_raised_and_below_the_mark_cleared() -> None:
    quota = Quota(LIMIT, has_alarm=False)
    assert quota.wish(LIMIT, has_alarm=False) is None
    assert quota.wish(LIMIT + 1, has_alarm=False) is True
    assert quota.wish(LIMIT + 1, has_alarm=True) is None
    assert quota.wish(LOW, has_alarm=True) is None
    assert quota.wish(LOW - 1, has_alarm=True) is False


def test_a_refusal_raises_it_only_where_smaller_things_have_no_room_either() -> None:
    quota = Quota(LIMIT, has_alarm=False)
    quota.refused()
    assert quota.wish(LOW - 1, has_alarm=False) is None
    assert quota.wish(LOW, has_alarm=False) is None
    quota.refused()
    assert quota.wish(LOW, has_alarm=False) is True
    assert quota.wish(LOW, has_alarm=True) is None


def test_an_alarm_that_somebody_else_raised_stays() -> None:
    assert Quota(LIMIT, has_alarm=False).wish(0, has_alarm=True) is None
    assert Quota(0, has_alarm=False).wish(0, has_alarm=True) is None


def test_an_alarm_of_an_earlier_run_is_cleared_when_there_is_room_now() -> None:
    assert Quota(LIMIT, has_alarm=True).wish(LOW - 1, has_alarm=True) is False
    assert Quota(0, has_alarm=True).wish(1 << 40, has_alarm=True) is False


def test_without_a_limit_there_is_always_room() -> None:
    quota = Quota(0, has_alarm=False)
    quota.refused()
    assert quota.wish(1 << 40, has_alarm=False) is None
    assert quota.room(1 << 40) is None


def test_room_is_told_when_it_is_scarce() -> None:
    quota = Quota(NEAR_BYTES + 100, has_alarm=False)
    assert quota.room(100) is None
    assert quota.room(101) == NEAR_BYTES - 1
    assert quota.room(NEAR_BYTES + 200) == 0
