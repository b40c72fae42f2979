"""The order of keys against a plain sorted list: what is cut out, and what is left."""

from __future__ import annotations

from random import Random

import pytest

from actors.store.key_order import KeyOrder

KEYS = [b"%03d" % each for each in range(300)]


@pytest.mark.parametrize("seed", range(200))
def test_any_slice_can_be_cut_from_blocks_of_any_length(seed: int) -> None:
    random = Random(seed)
    order = KeyOrder()
    left: list[bytes] = []
    order._reset(4)  # small blocks
    for _ in range(random.randrange(1, 10)):
        for key in random.sample(sorted({*KEYS} - {*left}), random.randrange(1, 60)):
            order.add(key)
            left.append(key)
        left.sort()
        order.bisect_left(random.choice(KEYS))  # which makes the list's own index
        start = random.randrange(len(left))
        stop = random.choice([len(left), random.randrange(start + 1, len(left) + 1)])
        assert order.cut(start, stop) == left[start:stop]
        del left[start:stop]
        for key in random.sample(left, min(len(left), random.randrange(5))):
            order.remove(key)
            left.remove(key)
        assert list(order) == left
        assert [order.bisect_left(key) for key in left] == list(range(len(left)))
        order._check()
