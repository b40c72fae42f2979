"""Msgpack from strangers: what costs more than its size is refused before it is built."""

from __future__ import annotations

import itertools
import struct
import subprocess
import sys

import pytest

from cluster.wire import (
    BATCH_BYTES_MAX,
    BATCH_MAX,
    UNCOUNTED_BYTES_MAX,
    Items,
    WireError,
    batches,
    frames_in,
    frames_of,
    is_batch,
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


# --- batches ----------------------------------------------------------------------------------


def test_frames_of_one_connection_share_batches_in_their_order() -> None:
    frames = [pack({"id": number}) for number in range(2 * BATCH_MAX + 1)]
    made = batches(frames)
    assert [len(frames_in(each)) for each in made] == [BATCH_MAX, BATCH_MAX, 1]
    assert [each for batch in made for each in frames_in(batch)] == frames
    assert batches(frames[:1]) == frames[:1]
    assert batches([]) == []


def test_a_long_frame_has_no_company() -> None:
    long = pack({"value": bytes(BATCH_BYTES_MAX)})
    short = pack({"id": 1})
    assert batches([short, short, long, short]) == [pack([short, short]), long, short]
    half = pack({"value": bytes(BATCH_BYTES_MAX // 2)})
    assert batches([half, half]) == [half, half]


@pytest.mark.parametrize(
    "data",
    [
        pack([]),
        pack([b"x"] * (BATCH_MAX + 1)),
        pack([{"op": "status"}]),
        pack([b"x", "y"]),
        pack([b"x"]) + b"x",
        pack([b"x", b"y"])[:-1],
        array(PROMISED),
        array(40_000) + b"\xc0" * 40_000,
    ],
)
def test_what_is_no_sound_batch_is_a_frame_of_its_own(data: bytes) -> None:
    assert is_batch(data)
    assert frames_of(data) is None
    assert frames_in(data) == (data,)


@pytest.mark.parametrize("data", [b"", b"\xc1", pack({"op": "status"}), pack(b"x")])
def test_what_does_not_begin_as_an_array_is_no_batch(data: bytes) -> None:
    assert not is_batch(data)
    assert frames_in(data) == (data,)
