"""Header blocks (RFC 7541): those of requests are read, those of answers are made once and for all.

The library `hpack` has the static table, Huffman's code and the encoder; its decoder takes 12 to
17 us for a request of gRPC, more than all else here together, and copies what is left of a block
for each literal. So the table of the peer's fields is kept here, each field beside its kind, and
blocks that change no table are remembered whole. This module refuses to know what a stream is.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from hpack import Encoder, HPACKDecodingError
from hpack.huffman_table import decode_huffman
from hpack.table import HeaderTable

from cluster.etcd.http2.codes import COMPRESSION_ERROR, ENHANCE_YOUR_CALM, Http2Error
from cluster.etcd.http2.fields import (
    Entry,
    Field,
    RequestFields,
    entry_of,
    request_of,
    trailers_fault,
)
from cluster.etcd.http2.limits import (
    BLOCKS_CACHED_MAX,
    HEADER_LISTS_READ_MAX,
    HEADER_TABLE_BYTES_MAX,
    LIST_CACHED_BYTES_MAX,
)

_STATIC: Final = (None, *(entry_of(name, value) for name, value in HeaderTable.STATIC_TABLE))
"""The static table; its first index is 1 (RFC 7541, 2.3.3)."""

_VARYING: Final = b"grpc-timeout"
"""A field that is another one with each call: its block is not worth a place in the cache."""

_ENCODER: Final = Encoder()
"""Shared by all connections: it is told to index nothing, so it has no state."""

NO_TABLE: Final = b"\x20"
"""The dynamic table size update to nothing (RFC 7541, 6.3)."""


def encode_block(headers: Sequence[Field]) -> bytes:
    """A header block that changes no table, so that it may be sent at any time to anyone."""
    return _ENCODER.encode([(name, value, True) for name, value in headers], huffman=False)


class BlockReader:
    """Reads the header blocks of one connection, in their order; none may be left out."""

    def __init__(self, list_bytes_max: int) -> None:
        self._decoder = Decoder(list_bytes_max)
        self._requests: dict[bytes, RequestFields] = {}

    def request(self, block: bytes) -> RequestFields:
        """The request that a block begins. Raises Http2Error for a malformed block."""
        request = self._requests.get(block)
        if request is not None:
            return request
        decoder = self._decoder
        changes = decoder.changes
        entries = decoder.decode(block)
        request = request_of(entries, decoder.list_bytes)
        if decoder.is_oversized:
            request = request._replace(fault="a header list that is too long")
        if decoder.changes != changes:
            self._requests.clear()  # an index may mean another field now
        elif request.size <= LIST_CACHED_BYTES_MAX and all(
            name != _VARYING for name, _ in request.headers
        ):
            if len(self._requests) == BLOCKS_CACHED_MAX:
                self._requests.clear()
            self._requests[block] = request
        return request

    def trailers(self, block: bytes) -> str:
        """Why a block may not end a request, or nothing. Raises Http2Error as `request`."""
        decoder = self._decoder
        changes = decoder.changes
        fault = trailers_fault(decoder.decode(block))
        if decoder.changes != changes:
            self._requests.clear()
        return "a header list that is too long" if decoder.is_oversized else fault


class Decoder:
    """A header table of fields with their kinds, and the last list that was decoded with it."""

    def __init__(self, list_bytes_max: int) -> None:
        self._list_bytes_max = list_bytes_max
        self._dynamic: list[Entry] = []  # the newest is the last
        self._table_bytes = 0
        self._table_bytes_max = HEADER_TABLE_BYTES_MAX
        self.changes = 0
        self.list_bytes = 0

    @property
    def is_oversized(self) -> bool:
        """Whether the last list was longer than it may be: then only its beginning was kept."""
        return self.list_bytes > self._list_bytes_max

    def decode(self, block: bytes) -> list[Entry]:
        """The fields of a block. Raises Http2Error for a block that is malformed.

        A list over its limit is read on for the sake of the table, but not kept, and not for long:
        a block of 16 KiB can name a field of 4 KiB 16,000 times.
        """
        entries: list[Entry] = []
        position, end = 0, len(block)
        size, size_max = 0, self._list_bytes_max
        while position < end:
            byte = block[position]
            if byte >= 0x80:  # indexed (6.1)
                index, position = byte & 0x7F, position + 1
                if index == 0x7F:
                    index, position = _integer(block, position, 0x7F)
                entry = self._entry(index)
            elif byte >= 0x40:  # literal with incremental indexing (6.2.1)
                entry, position = self._literal(block, position, 0x3F)
                self._insert(entry)
            elif byte >= 0x20:
                if entries:
                    raise Http2Error(COMPRESSION_ERROR, "a table size update behind a field")
                position = self._resize(block, position)
                continue
            else:  # literal that changes no table (6.2.2 and 6.2.3)
                entry, position = self._literal(block, position, 0x0F)
            size += entry[2]
            if size <= size_max:
                entries.append(entry)
            elif size > size_max * HEADER_LISTS_READ_MAX:
                raise Http2Error(ENHANCE_YOUR_CALM, "a header list that is much too long")
        self.list_bytes = size
        return entries

    def _entry(self, index: int) -> Entry:
        if index < len(_STATIC):
            entry = _STATIC[index]
            if entry is not None:
                return entry
        elif index - len(_STATIC) < len(self._dynamic):
            return self._dynamic[len(_STATIC) - 1 - index]
        raise Http2Error(COMPRESSION_ERROR, "an index that no table has")

    def _literal(self, block: bytes, position: int, prefix: int) -> tuple[Entry, int]:
        index, position = block[position] & prefix, position + 1
        if index == prefix:
            index, position = _integer(block, position, prefix)
        if index:
            name = self._entry(index)[0][0]
        else:
            name, position = _string(block, position)
        value, position = _string(block, position)
        return entry_of(name, value), position

    def _insert(self, entry: Entry) -> None:
        """Add an entry; one that is larger than the table empties it (RFC 7541, 4.4)."""
        self.changes += 1
        self._table_bytes += entry[2]
        self._dynamic.append(entry)
        if self._table_bytes > self._table_bytes_max:
            self._evict()

    def _evict(self) -> None:
        count = 0
        for _, _, size in self._dynamic:
            if self._table_bytes <= self._table_bytes_max:
                break
            self._table_bytes -= size
            count += 1
        del self._dynamic[:count]

    def _resize(self, block: bytes, position: int) -> int:
        size, position = block[position] & 0x1F, position + 1
        if size == 0x1F:
            size, position = _integer(block, position, 0x1F)
        if size > HEADER_TABLE_BYTES_MAX:
            raise Http2Error(COMPRESSION_ERROR, "a table that is larger than was offered")
        self.changes += 1
        self._table_bytes_max = size
        self._evict()
        return position


_INTEGER_SHIFT_MAX: Final = 28
"""An integer has at most five bytes behind its prefix: more than any length or index here."""


def _integer(block: bytes, position: int, prefix: int) -> tuple[int, int]:
    """An integer whose prefix is full (RFC 7541, 5.1), and the position behind it."""
    value, shift = prefix, 0
    while position < len(block):
        byte = block[position]
        position += 1
        value += (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
        shift += 7
        if shift > _INTEGER_SHIFT_MAX:
            raise Http2Error(COMPRESSION_ERROR, "an integer that is too long")
    raise Http2Error(COMPRESSION_ERROR, "a block that ends inside a field")


def _string(block: bytes, position: int) -> tuple[bytes, int]:
    """A string (RFC 7541, 5.2), and the position behind it."""
    if position >= len(block):
        raise Http2Error(COMPRESSION_ERROR, "a block that ends inside a field")
    byte = block[position]
    length, position = byte & 0x7F, position + 1
    if length == 0x7F:
        length, position = _integer(block, position, 0x7F)
    end = position + length
    if end > len(block):
        raise Http2Error(COMPRESSION_ERROR, "a block that ends inside a field")
    text = block[position:end]
    if byte < 0x80:
        return text, end
    try:
        return decode_huffman(text), end
    except HPACKDecodingError:
        raise Http2Error(COMPRESSION_ERROR, "a string that is no Huffman code") from None
