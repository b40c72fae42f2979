"""Msgpack from strangers: what costs more than its size is refused before it is built."""

from __future__ import annotations

import itertools
import struct
import subprocess
import sys

import pytest

from cluster.wire import (
    UNCOUNTED_BYTES_MAX,
    Items,
    WireError,
    pack,
    unpack,
    unpack_few,
    unpack_lazily,
)
from tests.limits import HANG_SECONDS

COLLIDING_KEYS = 2_000
KEY_ITEMS = 11
NESTED = 500
PROMISED = 1_000_000
ADDRESS_SPACE_BYTES = 1024 * 1024 * 1024


def array(items: int) -> bytes:
    return b"\xdd" + struct.pack(">I", items)


def colliding_keys() -> bytes:
    """A map whose keys are arrays of -1 and -2, which all have few hashes in Python."""
    choices = itertools.islice(itertools.product(b"\xff\xfe", repeat=KEY_ITEMS), COLLIDING_KEYS)
    pairs = b"".join(b"\x9b" + bytes(choice) + b"\xc0" for choice in choices)
    return b"\xdf" + struct.pack(">I", COLLIDING_KEYS) + pairs


@pytest.mark.parametrize("data", [colliding_keys(), b"\x81\x01\x02", b"\x81\xc0\x02"])
def test_keys_of_maps_are_text_or_bytes(data: bytes) -> None:
    with pytest.raises(WireError, match="not allowed for map key"):
        unpack(data)
    assert unpack(pack({"text": 1, b"bytes": 2})) == {"text": 1, b"bytes": 2}


@pytest.mark.process
def test_arrays_in_arrays_that_promise_much_take_no_memory() -> None:
    """A million items in each of five hundred levels would be 4 GB if they were believed."""
    script = f"""
import resource
resource.setrlimit(resource.RLIMIT_AS, ({ADDRESS_SPACE_BYTES}, {ADDRESS_SPACE_BYTES}))
from cluster.wire import WireError, unpack
try:
    unpack({array(PROMISED)!r} * {NESTED} + bytes({PROMISED}))
except WireError:
    print("refused")
"""
    ended = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        timeout=HANG_SECONDS,
        check=False,
    )
    assert ended.stdout == "refused\n", ended.stderr


@pytest.mark.parametrize(
    "many",
    [
        array(PROMISED) + b"\xc0" * PROMISED,
        array(PROMISED) + b"\x80" * PROMISED,
        b"\xdf" + struct.pack(">I", PROMISED) + b"\xa0\xc0" * PROMISED,
        (array(1_000) + b"\x90" * 999) * 40 + b"\xc0",
    ],
    ids=["nils", "maps", "pairs", "levels"],
)
def test_a_great_many_small_values_are_refused_before_they_are_built(many: bytes) -> None:
    with pytest.raises(WireError, match="more than 5000 values"):
        unpack_few(many, 5_000)


def test_few_values_are_let_through_whatever_their_size() -> None:
    value = {"op": "put", "value": bytes(UNCOUNTED_BYTES_MAX), "list": (1, 2.5, None, "x", {})}
    assert unpack_few(pack(value), 12) == value
    with pytest.raises(WireError, match="more than 11 values"):
        unpack_few(pack(value), 11)


@pytest.mark.parametrize("rest", [b"", b"\xc1", b"\x01\x02"])
def test_what_is_no_value_is_refused_when_its_values_are_counted(rest: bytes) -> None:
    start = b"\x93" + pack(bytes(UNCOUNTED_BYTES_MAX))
    with pytest.raises(WireError):
        unpack_few(start + rest + rest, 100)


LONG = {"id": 7, "items": [{"key": b"%d" % number} for number in range(300)], "more": True}


def test_a_list_is_read_lazily_and_again() -> None:
    found = unpack_lazily(pack(LONG), {"items", "none"})
    items = found["items"]
    assert isinstance(items, Items) and len(items) == 300
    assert [found["id"], found["more"]] == [7, True]
    assert list(items) == list(items) == LONG["items"]
    parts = list(items.parts(100))
    assert list(itertools.chain.from_iterable(parts)) == LONG["items"]
    assert 10 < len(parts) <= 30
    assert unpack_lazily(pack({"items": 3}), {"items"}) == {"items": 3}
    assert list(unpack_lazily(pack({"items": []}), {"items"})["items"]) == []


@pytest.mark.parametrize(
    "data",
    [b"", b"\xc0", pack(LONG)[:-1], pack(LONG)[:50], pack(LONG) + b"\xc0", b"\x81\x90\x01"],
)
def test_a_long_map_that_is_broken_is_refused(data: bytes) -> None:
    with pytest.raises(WireError):
        unpack_lazily(data, {"items"})


def test_a_broken_item_is_refused_when_it_is_read() -> None:
    broken = unpack_lazily(b"\x81\xa5items\x92\x01\xa1\xff", {"items"})["items"]
    with pytest.raises(WireError):
        list(broken)
