"""Msgpack as all sockets and files of the project use it: bytes stay bytes, lists become tuples.

It is one place, so that limits and options are the same everywhere. The keys of a map are texts or
bytes: Python seeds their hashes, so a sender cannot choose keys that collide. This module refuses
to know what values mean.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator
from io import BytesIO
from typing import Any, Final

import msgpack

NESTING_FAULT: Final = "nested too deeply"

PEEKED_FIELDS_MAX: Final = 64
"""`peek` gives up on maps with more fields; no request or reply has this number of fields."""

UNCOUNTED_BYTES_MAX: Final = 32 * 1024
"""Data of up to this size is decoded without counting its values: to count those of a transaction
of a hundred puts takes three times as long as to build them. At most 32,768 empty maps are built in
vain, in about 4 ms."""

BATCH_MAX: Final = 64
"""A batch has at most 64 requests, or replies."""

BATCH_BYTES_MAX: Final = 32 * 1024
"""A batch is made of frames that have this size together: longer ones gain nothing by company."""

ITEMS_BYTES: Final = 64 * 1024
"""Of a lazy list, items of about this size are built at a time."""

_ARRAYS: Final = frozenset({*range(0x90, 0xA0), 0xDC, 0xDD})
_MAPS: Final = frozenset({*range(0x80, 0x90), 0xDE, 0xDF})
"""The first bytes of msgpack's arrays and maps."""

_BATCH_HEADS: Final = frozenset(bytes((head,)) for head in _ARRAYS)


class WireError(ValueError):
    """The bytes are not one msgpack value; the message says why."""


def pack(value: Any) -> bytes:
    """Encode a value of None, bool, int (64 bits), float, str, bytes, list, tuple and dict."""
    packed: bytes = msgpack.packb(value)
    return packed


def unpack(data: bytes | memoryview) -> Any:
    """Decode exactly one value; arrays become tuples. Raises WireError for anything else."""
    try:
        return msgpack.unpackb(data, use_list=False, strict_map_key=True)
    except msgpack.ExtraData:
        raise WireError("trailing bytes after the value") from None
    except msgpack.StackError:
        raise WireError(NESTING_FAULT) from None
    except (ValueError, TypeError, RecursionError) as error:
        # ValueError: malformed or truncated data, a text that is not UTF-8, or a map key that is
        # neither a text nor bytes.
        raise WireError(_reason(error)) from None


def unpack_few(data: bytes, values_max: int) -> Any:
    """As `unpack`, for data of a sender that is not trusted.

    Raises WireError when there are more than `values_max` values, before it builds them: a frame of
    a megabyte may hold a million values, and to build these takes a hundred times as long as one
    value of that size. Data of up to UNCOUNTED_BYTES_MAX passes without a count.
    """
    if len(data) > UNCOUNTED_BYTES_MAX:
        _count(data, values_max)
    return unpack(data)


def _count(data: bytes, values_max: int) -> None:
    """Raise WireError if there are more than `values_max` values, nested ones and keys included.

    The length in an array's or a map's header counts, even if its items never follow: the decoder
    would allocate memory for that length.
    """
    unpacker = msgpack.Unpacker(max_buffer_size=len(data))
    unpacker.feed(data)
    left = values_max
    to_come = 1
    try:
        while to_come:
            first = data[unpacker.tell()]
            if first in _ARRAYS:
                to_come += unpacker.read_array_header()
            elif first in _MAPS:
                to_come += 2 * unpacker.read_map_header()
            else:
                unpacker.skip()
            to_come -= 1
            left -= 1
            if to_come > left:
                raise WireError(f"more than {values_max} values")
    except (ValueError, IndexError, msgpack.UnpackException) as error:
        raise error if isinstance(error, WireError) else WireError(_reason(error)) from None


def batches(frames: list[bytes]) -> list[bytes]:
    """Requests or replies of one connection in as few frames as the limits allow, in order.

    A batch is an array of packed maps (cluster/PROTOCOL.md). One frame alone stays what it is.
    """
    count = len(frames)
    if count <= 1:
        return frames
    if count <= BATCH_MAX and sum(map(len, frames)) <= BATCH_BYTES_MAX:
        return [pack(frames)]
    groups: list[list[bytes]] = []
    size = 0
    for frame in frames:
        if not groups or len(groups[-1]) == BATCH_MAX or size + len(frame) > BATCH_BYTES_MAX:
            groups.append([])
            size = 0
        groups[-1].append(frame)
        size += len(frame)
    return [pack(group) if len(group) > 1 else group[0] for group in groups]


def is_batch(frame: bytes) -> bool:
    """Whether a frame is a batch, or looks like one."""
    return frame[:1] in _BATCH_HEADS


def frames_of(batch: bytes) -> tuple[bytes, ...] | None:
    """The packed maps in a batch; None: it is malformed, or has none, or more than BATCH_MAX."""
    try:
        frames = unpack_few(batch, BATCH_MAX + 1)
    except WireError:
        return None
    if type(frames) is not tuple or not 1 <= len(frames) <= BATCH_MAX:
        return None
    return frames if {*map(type, frames)} == {bytes} else None


def frames_in(frame: bytes) -> tuple[bytes, ...]:
    """The frames of a batch; a frame that is none, alone."""
    return (is_batch(frame) and frames_of(frame)) or (frame,)


class Items:
    """A list within packed data, whose items are built when they are iterated over, each time anew.

    Its items need as much memory as those that are used at a time, and `data` stays.
    """

    def __init__(self, data: bytes, position: int, count: int) -> None:
        self._data = data
        self._position = position
        self._count = count

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Any]:
        for part in self.parts(ITEMS_BYTES):
            yield from part

    def parts(self, bytes_min: int) -> Iterator[list[Any]]:
        """The items in parts that take at least this many bytes of the data, all but the last."""
        file = BytesIO(self._data)  # which copies nothing
        file.seek(self._position)
        unpacker = _unpacker(file, len(self._data))
        part: list[Any] = []
        end = bytes_min
        try:
            for _ in range(self._count):
                part.append(unpacker.unpack())
                if unpacker.tell() >= end:
                    yield part
                    part = []
                    end = unpacker.tell() + bytes_min
        except (ValueError, msgpack.UnpackException) as error:
            raise WireError(_reason(error)) from None
        if part:
            yield part


class LazyMap(dict[str, Any]):
    """A long map, some of whose lists are Items."""


def unpack_lazily(data: bytes, names: Container[str]) -> LazyMap:
    """As `unpack`, for a long map: the lists of its fields with these names become Items.

    Of the items it is only checked where they begin and end.
    """
    unpacker = _unpacker(BytesIO(data), len(data))
    fields = LazyMap()
    try:
        for _ in range(unpacker.read_map_header()):
            name = unpacker.unpack()
            if type(name) is not str:
                raise WireError("a field's name must be text")
            position = unpacker.tell()
            if name in names and data[position] in _ARRAYS:
                count = unpacker.read_array_header()
                fields[name] = Items(data, unpacker.tell(), count)
                for _ in range(count):
                    unpacker.skip()
            else:
                fields[name] = unpacker.unpack()
    except (ValueError, TypeError, IndexError, msgpack.UnpackException) as error:
        raise WireError(_reason(error)) from None
    if unpacker.tell() != len(data):
        raise WireError("trailing bytes after the value")
    return fields


def _unpacker(file: BytesIO, bytes_max: int) -> msgpack.Unpacker:
    return msgpack.Unpacker(file, use_list=False, strict_map_key=True, max_buffer_size=bytes_max)


def _reason(error: Exception) -> str:
    return str(error) or type(error).__name__


def packer() -> Callable[[Any], bytes]:
    """A `pack` that uses its buffer again, for small values in one thread; it costs a third."""
    reused: Callable[[Any], bytes] = msgpack.Packer().pack
    return reused


def peek(data: bytes, name: str, bytes_max: int) -> Any:
    """The value of one field of a map, found without building the others.

    For frames that are too large to decode. The value is a number, or a text or bytes of at most
    `bytes_max`. Raises WireError when the field is missing or has another value.
    """
    unpacker = msgpack.Unpacker(
        max_buffer_size=len(data),
        max_str_len=bytes_max,
        max_bin_len=bytes_max,
        max_array_len=0,
        max_map_len=PEEKED_FIELDS_MAX,
        max_ext_len=0,
    )
    try:
        unpacker.feed(data)
        for _ in range(unpacker.read_map_header()):
            if unpacker.unpack() == name:
                return unpacker.unpack()
            unpacker.skip()
    except (ValueError, TypeError, msgpack.UnpackException) as error:
        raise WireError(_reason(error)) from None
    raise WireError(f"no field {name}")
