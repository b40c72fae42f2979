"""Damage to the store's file: a start works and nothing is lost, or it refuses and says what to do.

A file with trees of several levels, values in pages of their own and a free list is damaged in each
page; what LMDB itself would do with it is to read beyond its end, or to forget records in silence.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest

from actors.language.commands import (
    Compact,
    DeleteRange,
    LeaseGrant,
    LeaseRevoke,
    MemberPeers,
    Put,
    Sequence,
    SessionOpen,
    SetMembers,
)
from actors.language.errors import StorageError
from actors.store.disk.backend import LmdbBackend
from actors.store.machine import Machine
from tests.store.driver import FOUNDERS, Driver, everything

PAGE_BYTES = 4_096
META_BYTES = 152
HEADER_BYTES = 16
SAMPLES = 4
SEED = 20_251_120

Damage = Callable[[bytearray], None]


def _work(driver: Driver, chance: random.Random, rounds: int) -> None:
    for count in range(rounds):
        key = b"key%05d" % chance.randrange(200)
        driver.do(Put(key, chance.randbytes(chance.choice((5, 50, 300)))))
        if count % 40 == 0:
            driver.do(Put(b"large", chance.randbytes(9_000)))
        if count % 7 == 0:
            driver.do(LeaseGrant(chance.randrange(1, 200), 5_000))
        if count % 13 == 0:
            driver.do(LeaseRevoke(chance.randrange(1, 200)))
        if count % 11 == 0:
            driver.do(DeleteRange(key))
        if count % 30 == 0:
            driver.commit()
    driver.commit()


class Victim:
    """A store's file, and what it holds."""

    def __init__(self, path: Path) -> None:
        self.path = path
        driver = Driver(LmdbBackend(path))
        session = driver.do(SessionOpen(77)).session
        for seq in range(1, 40):
            driver.do(Put(b"once", b"x"), Sequence(session, seq, 1))
        driver.do(SetMembers((MemberPeers(1, ("tcp://a:1",), False),), b"raft's own"))
        _work(driver, random.Random(1), 300)
        driver.do(Compact(driver.machine.revision // 2))
        driver.sweep()
        _work(driver, random.Random(3), 30)
        self.state = everything(driver.machine)
        driver.backend.close()
        self.content = path.read_bytes()
        self.pages = len(self.content) // PAGE_BYTES

    def survives(self, damage: Damage) -> bool:
        """Whether a start works; then nothing is lost, now or by what is written next."""
        content = bytearray(self.content)
        damage(content)
        self.path.write_bytes(content)
        try:
            machine = self._start()
        except StorageError as error:
            assert str(error).startswith(f"{self.path}: damaged"), error
            assert "rejoin as a new member with an empty data directory" in str(error)
            return False
        assert everything(machine) == self.state
        driver = Driver(self._backend)
        _work(driver, random.Random(2), 40)
        after = everything(driver.machine)
        self._backend.close()
        assert everything(self._start()) == after
        self._backend.close()
        return True

    def _start(self) -> Machine:
        self._backend = LmdbBackend(self.path)
        try:
            return Machine(self._backend, FOUNDERS)
        except StorageError:
            self._backend.close()
            raise


@pytest.fixture(scope="module")
def victim(tmp_path_factory: pytest.TempPathFactory) -> Victim:
    """One file for all damages."""
    return Victim(tmp_path_factory.mktemp("store") / "store")


def _flip(offset: int, mask: int) -> Damage:
    def damage(content: bytearray) -> None:
        content[offset] ^= mask

    return damage


def _zero(offset: int, count: int) -> Damage:
    def damage(content: bytearray) -> None:
        content[offset : offset + count] = bytes(len(content[offset : offset + count]))

    return damage


def _cut(size: int) -> Damage:
    def damage(content: bytearray) -> None:
        del content[size:]

    return damage


def test_the_sound_file_is_no_victim(victim: Victim) -> None:
    assert victim.survives(lambda _: None)


def test_a_file_cut_anywhere_is_refused_unless_only_free_pages_are_gone(victim: Victim) -> None:
    chance = random.Random(SEED)
    refused = []
    for page in range(victim.pages):
        offset = page * PAGE_BYTES
        refused.append(not victim.survives(_cut(offset)))
        refused.append(not victim.survives(_cut(offset + chance.randrange(PAGE_BYTES))))
    assert refused == sorted(refused, reverse=True), "a larger rest is no worse"
    assert sum(refused) > victim.pages, "more than half of the file is needed"


def test_a_page_of_zeros_loses_nothing_or_is_refused(victim: Victim) -> None:
    zeros = [_zero(page * PAGE_BYTES, PAGE_BYTES) for page in range(victim.pages)]
    survived = sum(victim.survives(damage) for damage in zeros)
    assert 0 < survived < victim.pages // 2, "free pages do no harm, all others are missed"


@pytest.mark.campaign
def test_a_changed_bit_in_a_meta_page_loses_nothing_or_is_refused(victim: Victim) -> None:
    chance = random.Random(SEED)
    refused = 0
    for offset in range(META_BYTES):
        for page in range(2):
            damage = _flip(page * PAGE_BYTES + offset, 1 << chance.randrange(8))
            refused += not victim.survives(damage)
    assert refused > META_BYTES


@pytest.mark.campaign
def test_a_changed_byte_in_any_page_loses_nothing_or_is_refused(victim: Victim) -> None:
    chance = random.Random(SEED)
    refused = 0
    for page in range(2, victim.pages):
        start = page * PAGE_BYTES
        offsets = [chance.randrange(HEADER_BYTES) for _ in range(SAMPLES)]
        offsets += [chance.randrange(HEADER_BYTES, PAGE_BYTES) for _ in range(SAMPLES)]
        for offset in offsets:
            damage = _flip(start + offset, chance.choice((1 << chance.randrange(8), 255)))
            refused += not victim.survives(damage)
    assert refused > victim.pages * SAMPLES // 2


def test_a_page_in_the_place_of_another_loses_nothing_or_is_refused(victim: Victim) -> None:
    chance = random.Random(SEED)
    for page in range(victim.pages):
        start, other = page * PAGE_BYTES, chance.randrange(victim.pages) * PAGE_BYTES

        def damage(content: bytearray, start: int = start, other: int = other) -> None:
            content[start : start + PAGE_BYTES] = content[other : other + PAGE_BYTES]

        victim.survives(damage)


def test_zeros_in_the_middle_of_a_page_lose_nothing_or_are_refused(victim: Victim) -> None:
    chance = random.Random(SEED)
    for page in range(2, victim.pages):
        offset = page * PAGE_BYTES + chance.randrange(PAGE_BYTES)
        victim.survives(_zero(offset, chance.randrange(1, 600)))


def test_damage_to_the_lock_file_does_no_harm(victim: Victim) -> None:
    lock = victim.path.with_name(victim.path.name + "-lock")
    sound = lock.read_bytes()
    for content in (b"", bytes(len(sound)), b"\xff" * len(sound), sound[:100], b"\xff" * 20_000):
        lock.write_bytes(content)
        assert victim.survives(lambda _: None)


def test_an_older_commit_does_not_pass_for_the_last(victim: Victim) -> None:
    """Raising the number of the older meta page by two makes it the newer one."""

    def damage(content: bytearray) -> None:
        at = [page * PAGE_BYTES + META_BYTES - 8 for page in range(2)]
        numbers = [int.from_bytes(content[place : place + 8], "little") for place in at]
        older = at[numbers.index(min(numbers))]
        content[older : older + 8] = (min(numbers) + 2).to_bytes(8, "little")

    assert not victim.survives(damage)
