"""Msgpack as every socket and file of the project speaks it: bytes stay bytes, lists are tuples.

One place, so that limits and options are the same everywhere. Knows nothing of what values mean.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import msgpack

NESTING_FAULT: Final = "nested too deeply"

PEEKED_FIELDS_MAX: Final = 64
"""`peek` gives up on maps with more fields; no request or reply has as many."""


class WireError(ValueError):
    """The bytes are not one msgpack value; the message says why."""


def pack(value: Any) -> bytes:
    """Encode a value of None, bool, int (64 bits), float, str, bytes, list, tuple and dict."""
    packed: bytes = msgpack.packb(value)
    return packed


def unpack(data: bytes) -> Any:
    """Decode exactly one value; arrays become tuples. Raises WireError for anything else."""
    try:
        return msgpack.unpackb(data, use_list=False, strict_map_key=False)
    except msgpack.ExtraData:
        raise WireError("trailing bytes after the value") from None
    except msgpack.StackError:
        raise WireError(NESTING_FAULT) from None
    except (ValueError, TypeError, RecursionError) as error:
        # ValueError covers FormatError, truncated input and text that is not UTF-8;
        # TypeError a map key that cannot be hashed.
        raise WireError(str(error) or type(error).__name__) from None


def packer() -> Callable[[Any], bytes]:
    """A `pack` that keeps its buffer, for small values in one thread: a third of the cost."""
    reused: Callable[[Any], bytes] = msgpack.Packer().pack
    return reused


def peek(data: bytes, name: str, bytes_max: int) -> Any:
    """The value of one field of a map, found without building the others.

    For frames that are too large to decode. The value is a number, or text or bytes of at most
    `bytes_max`; raises WireError when there is none.
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
        raise WireError(str(error) or type(error).__name__) from None
    raise WireError(f"no field {name}")
