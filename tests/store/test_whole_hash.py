"""The hash of all that a node holds: what changes it, and what does not."""

from __future__ import annotations

import pytest

from actors.language.commands import (
    AdvanceClock,
    AlarmActivate,
    AlarmType,
    Command,
    Compact,
    DeleteRange,
    LeaseGrant,
    LeaseKeepAlive,
    LeaseRevoke,
    MemberPublish,
    Put,
    SessionOpen,
)
from actors.language.queries import WholeHash
from tests.store.driver import Driver


def filled() -> Driver:
    """A store with something of each kind; more leases than one step hashes."""
    driver = Driver()
    for number in range(1, 600):
        driver.do(LeaseGrant(number, 5_000))
    driver.do(Put(b"k", b"v"))
    driver.do(Put(b"leased", b"v", lease=7))
    driver.do(DeleteRange(b"k"))
    return driver


@pytest.mark.parametrize(
    "command",
    [
        Put(b"k", b"v"),
        DeleteRange(b"leased"),
        Compact(4),
        LeaseGrant(1_000, 5_000),
        LeaseRevoke(599),
        SessionOpen(9),
        MemberPublish(1, "n1", ("http://a:2379",)),
        AlarmActivate(2, AlarmType.NOSPACE),
    ],
)
def test_whatever_changes_what_is_held_changes_the_hash(command: Command) -> None:
    driver = filled()
    before = driver.ask(WholeHash())
    assert driver.ask(WholeHash()) == before
    assert before.revision == driver.machine.revision
    driver.do(command)
    assert driver.ask(WholeHash()).hash != before.hash


def test_it_is_of_which_leases_and_sessions_there_are_not_only_of_how_many() -> None:
    pairs: list[tuple[Command, Command]] = [
        (SessionOpen(9), SessionOpen(10)),
        (LeaseGrant(1_000, 5_000), LeaseGrant(1_001, 5_000)),
        (LeaseGrant(1_000, 5_000), LeaseGrant(1_000, 6_000)),
    ]
    for one, other in pairs:
        first, second = filled(), filled()
        first.do(one)
        second.do(other)
        assert first.ask(WholeHash()).hash != second.ask(WholeHash()).hash


def test_neither_time_nor_a_restart_changes_the_hash() -> None:
    driver = filled()
    before = driver.ask(WholeHash())
    driver.now_ms += 1_000
    driver.do(AdvanceClock())
    driver.do(LeaseKeepAlive(7))
    assert driver.ask(WholeHash()) == before
    driver.commit()
    driver.crash()
    assert driver.ask(WholeHash()) == before
