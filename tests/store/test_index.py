"""The index of keys: what a deletion leaves."""

from __future__ import annotations

import pytest

from actors.store.index import KeyIndex

KEYS = [b"key %04d" % number for number in range(160)]
ONE_IN_TWO = KEYS[::2]


@pytest.mark.parametrize(
    "deleted",
    [
        pytest.param(KEYS, id="all"),
        pytest.param(KEYS[:20], id="a slice at the start"),
        pytest.param(KEYS[-20:], id="a slice at the end"),
        pytest.param(KEYS[30:33], id="a small slice"),
        pytest.param(KEYS[30:31], id="one"),
        pytest.param(ONE_IN_TWO, id="many, with others between"),
        pytest.param([*KEYS[:40], KEYS[-1]], id="a slice, and one far away"),
    ],
)
def test_deleted_keys_leave_the_order_and_keep_their_past(deleted: list[bytes]) -> None:
    index = KeyIndex()
    for position, key in enumerate(KEYS, start=1):
        index.put(key, None, (position, position, 1, 0))
    index.remove(deleted, 1_000)
    left = [key for key in KEYS if key not in set(deleted)]
    assert list(index.between(b"", None, descending=False)) == left == sorted(index.live)
    assert list(index.ever_between(b"", None, descending=False)) == KEYS
    for position, key in enumerate(deleted, start=1_000):
        index.put(key, None, (position + 1_000, position, 1, 0))
    assert list(index.between(b"", None, descending=True)) == KEYS[::-1]
