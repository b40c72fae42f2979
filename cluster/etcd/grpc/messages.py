"""A call's bytes and its messages: each message has a prefix of a flag and its length.

(gRPC over HTTP/2, "Length-Prefixed-Message".) A message may be compressed by gzip, as in etcd;
answers are not. The texts of the errors are grpc-go's. Refuses to know HTTP/2 and protobuf.
"""

from __future__ import annotations

import zlib
from typing import Final

from cluster.etcd.rpc.status import RpcError, too_large
from cluster.faults import INTERNAL

PREFIX_BYTES: Final = 5

GZIP: Final = b"gzip"
IDENTITY: Final = frozenset((b"", b"identity"))
ENCODINGS: Final = IDENTITY | {GZIP}
"""The values of `grpc-encoding` that are known; those of IDENTITY mean "not compressed"."""

_GZIP_WINDOW: Final = 16 + zlib.MAX_WBITS
"""zlib's way to say that the data are gzip's."""


def prefix(size: int) -> bytes:
    """What comes before a message of this size."""
    return b"\0" + size.to_bytes(4, "big")


def framed(message: bytes) -> bytes:
    """A message with its prefix."""
    return prefix(len(message)) + message


def whole(data: bytes) -> bytes | None:
    """The message if the data are exactly one that is not compressed; else None."""
    size = len(data) - PREFIX_BYTES
    if size < 0 or data[0] or int.from_bytes(data[1:PREFIX_BYTES], "big") != size:
        return None
    return data[PREFIX_BYTES:]


class MessageSplitter:
    """Joins the data of one call, and cuts them into messages of at most `bytes_max`."""

    __slots__ = ("_bytes_max", "_data", "_encoding", "taken")

    def __init__(self, bytes_max: int, encoding: bytes) -> None:
        self._bytes_max = bytes_max
        self._encoding = encoding
        self._data = bytearray()
        # The bytes that the last message had, with its prefix.
        self.taken = 0

    def feed(self, data: bytes) -> None:
        """Add the next data."""
        self._data += data

    def next(self) -> bytes | None:
        """The next whole message; None if it has not arrived. Raises RpcError, as grpc-go does."""
        data = self._data
        if len(data) < PREFIX_BYTES:
            return None
        size = int.from_bytes(data[1:PREFIX_BYTES], "big")
        self._check(data[0], size)
        end = PREFIX_BYTES + size
        if len(data) < end:
            return None
        message = bytes(data[PREFIX_BYTES:end])
        is_compressed = data[0]
        del data[:end]
        self.taken = end
        return self._inflated(message) if is_compressed else message

    @property
    def is_cut(self) -> bool:
        """Whether the rest of a message is still to come."""
        return bool(self._data)

    def _check(self, flag: int, size: int) -> None:
        if size > self._bytes_max:
            raise too_large(size, self._bytes_max)
        if flag == 1 and self._encoding in IDENTITY:
            raise RpcError(INTERNAL, "grpc: compressed flag set with identity or empty encoding")
        if flag > 1:
            raise RpcError(INTERNAL, f"grpc: received unexpected payload format {flag}")

    def _inflated(self, data: bytes) -> bytes:
        """What gzip has compressed; no more of it is made than a message may have."""
        inflater = zlib.decompressobj(_GZIP_WINDOW)
        try:
            message = inflater.decompress(data, self._bytes_max + 1)
        except zlib.error as error:
            text = f"grpc: failed to decompress the received message {error}"
            raise RpcError(INTERNAL, text) from None
        if len(message) > self._bytes_max:
            raise too_large(len(message), self._bytes_max)
        if not inflater.eof:
            text = "grpc: failed to decompress the received message unexpected EOF"
            raise RpcError(INTERNAL, text)
        return message
