"""SortedKeys beside a plain sorted list, in random programs with chunks of few keys."""

from __future__ import annotations

from bisect import bisect_left
from random import Random

import pytest

from actors.store.sorted_keys import SortedKeys

NAMES = [b"%03d" % number for number in range(120)]
BOUNDS = [b"", *(name + end for name in NAMES[::7] for end in (b"", b"!")), b"~"]


def _check(keys: SortedKeys, expected: list[bytes], random: Random) -> None:
    assert list(keys) == expected
    low, high = random.choice(BOUNDS), random.choice([*BOUNDS, None])
    end = len(expected) if high is None else bisect_left(expected, high)
    within = expected[bisect_left(expected, low) : end]
    assert list(keys.between(low, high, descending=False)) == within
    assert list(keys.between(low, high, descending=True)) == within[::-1]
    assert keys.count(low, high) == len(within)


@pytest.mark.parametrize("seed", range(60))
def test_they_are_those_of_a_sorted_list(seed: int) -> None:
    random = Random(seed)
    keys, expected = SortedKeys(chunk_keys=random.choice((1, 2, 4, 7))), set[bytes]()
    for _ in range(120):
        # A run of names that follow each other, or of any.
        names = random.sample(NAMES, random.choice((1, 3, 20, 60)))
        if random.random() < 0.5:
            start = random.randrange(len(NAMES))
            names = NAMES[start : start + len(names)]
        there = sorted(expected.intersection(names))
        missing = sorted(set(names) - expected)
        match random.randrange(5):
            case 0:
                keys.add_run(missing)
                expected.update(missing)
            case 1:
                keys.remove_run(there)
                expected.difference_update(there)
            case 2 if missing:
                keys.add(missing[-1])
                expected.add(missing[-1])
            case 3 if there:
                keys.remove(there[0])
                expected.discard(there[0])
            case 4 if not random.randrange(8):
                keys.clear()
                expected.clear()
        _check(keys, sorted(expected), random)


@pytest.mark.parametrize("there", [[], [b"a", b"c"]])
def test_what_is_not_there_cannot_be_removed(there: list[bytes]) -> None:
    keys = SortedKeys()
    keys.add_run(there)
    for remove in (keys.remove, lambda key: keys.remove_run([key])):
        with pytest.raises((AssertionError, IndexError)):
            remove(b"b")


def test_chunks_keep_their_size() -> None:
    keys = SortedKeys(chunk_keys=10)
    names = [b"%05d" % number for number in range(1_000)]
    for name in names:
        keys.add(name)
    for name in names[::3] + names[1::3]:
        keys.remove(name)
    sizes = [len(chunk) for chunk in keys._chunks]
    assert sum(sizes) == 333
    assert all(5 <= size <= 20 for size in sizes)
