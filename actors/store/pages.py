"""The pages of an LMDB file, read and checked without LMDB.

LMDB has no checksums and trusts its file. A damaged page number or length sends it beyond the end
of the file, which kills the process, or past records, which are then lost in silence. So every page
is read here first. A walk through all tables and the free list shows that each record is where a
search will find it, that every count is right, that no page is used twice, and that no page in use
counts as free. `records.py` checks what a record holds, and the caller says how bytes are read.

The format is that of LMDB 0.9 on 64-bit machines, in the machine's own byte order.
"""

from __future__ import annotations

import struct
import sys
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

ReadBytes = Callable[[int, int], bytes]
"""(offset, size) -> that number of bytes of the file from the offset on; fewer at its end."""

MISSING_BYTES_MAX: Final = 1 << 30
"""LMDB may not write unused pages at the end of the file, but no more of them than fit a commit."""

_HEADER: Final = struct.Struct("=QHHHH")  # page number, padding, kind, lower, upper
_OVERFLOW: Final = struct.Struct("=QHHI")  # page number, padding, kind, pages
_NODE: Final = struct.Struct("=IHH")  # value bytes, flags, key bytes
_BRANCH_NODE: Final = struct.Struct("=HHHH")  # three parts of a page number, key bytes
_META_HEAD: Final = struct.Struct("=IIQQ")  # magic, version, address, map size
_TABLE: Final = struct.Struct("=IHHQQQQQ")
_META_TAIL: Final = struct.Struct("=QQ")  # last page, transaction
_NUMBER: Final = struct.Struct("=Q")

_MAGIC: Final = 0xBEEFC0DE
_VERSION: Final = 1
_BRANCH_PAGE, _LEAF_PAGE, _OVERFLOW_PAGE, _META_PAGE = 1, 2, 4, 8
_OUTSIDE, _IS_TABLE = 1, 2  # flags of a record: its value is in overflow pages, or is a table
_FREE_FLAGS: Final = 0x4008  # keys are integers; the file stands without a directory of its own
_NO_PAGE: Final = (1 << 64) - 1
_META_PAGES: Final = 2
_DEPTH_MAX: Final = 32
_PAGE_BYTES_MIN, _PAGE_BYTES_MAX = 512, 65_536
_LITTLE_ENDIAN: Final = sys.byteorder == "little"


class PageError(ValueError):
    """The file is not what LMDB wrote; `offset` is the place of the damage in bytes."""

    def __init__(self, offset: int, reason: str) -> None:
        super().__init__(reason)
        self.offset = offset


class Table(NamedTuple):
    """Where a table's tree begins, and what it holds (MDB_db)."""

    page_bytes: int
    flags: int
    depth: int
    branch_pages: int
    leaf_pages: int
    overflow_pages: int
    entries: int
    root: int


class PageFile:
    """The last commit of a file. A second visit to a page is damage, so walk each table once."""

    def __init__(self, read: ReadBytes, file_bytes: int) -> None:
        self._read = read
        # The offset of the page that the last record came from, for errors about that record.
        self.offset = 0
        metas = self._metas()
        free, self._main, last_page, self.transaction = max(metas, key=lambda meta: meta[3])
        self._free = free
        self._page_bytes = free.page_bytes
        self._next_page = last_page + 1
        if self._next_page * self._page_bytes > file_bytes + MISSING_BYTES_MAX:
            raise PageError(0, f"the file ends after {file_bytes} bytes, before most of its pages")
        # One byte for each page: 1 once it was visited, or is known to be free.
        self._visited = bytearray(file_bytes // self._page_bytes)
        self._visited[:_META_PAGES] = b"\1" * _META_PAGES
        # The branch, leaf and overflow pages of the table that is being walked.
        self._counts = [0, 0, 0]

    def tables(self) -> dict[bytes, Table]:
        """The tables of the file, by name."""
        return {
            name: Table(*_TABLE.unpack(value)) for name, value in self._walk(self._main, _IS_TABLE)
        }

    def records(self, table: Table) -> Iterator[tuple[bytes, bytes]]:
        """Every key and value of a table, in order."""
        if table.page_bytes or table.flags:
            raise PageError(self.offset, "a table of an unknown kind")
        return self._walk(table)

    def check_free(self) -> None:
        """Check the free list, after all tables were walked: it must not have a page in use."""
        beyond: set[int] = set()
        for key, value in self._walk(self._free, integer_keys=True):
            reason = self._fault_of_free(key, value, beyond)
            if reason:
                raise PageError(self.offset, f"the free list {reason}")

    # --- the beginning of the file ---

    def _metas(self) -> list[tuple[Table, Table, int, int]]:
        """Both meta pages: odd and even commits alternate between them."""
        first = self._meta(0, 0)
        page_bytes = first[0].page_bytes
        if not _PAGE_BYTES_MIN <= page_bytes <= _PAGE_BYTES_MAX or page_bytes & (page_bytes - 1):
            raise PageError(0, f"a page size of {page_bytes} bytes")
        second = self._meta(1, page_bytes)
        if second[0].page_bytes != page_bytes:
            raise PageError(page_bytes, f"a page size of {second[0].page_bytes} bytes")
        if abs(second[3] - first[3]) != 1 or first[3] % 2:
            raise PageError(0, f"commits {first[3]} and {second[3]} do not follow one another")
        return [first, second]

    def _meta(self, number: int, offset: int) -> tuple[Table, Table, int, int]:
        size = _HEADER.size + _META_HEAD.size + 2 * _TABLE.size + _META_TAIL.size
        page = self._read(offset, size)
        if len(page) < size:
            raise PageError(offset, "the file ends")
        found, _, kind, _, _ = _HEADER.unpack_from(page)
        magic, version, _, _ = _META_HEAD.unpack_from(page, _HEADER.size)
        if (found, kind, magic, version) != (number, _META_PAGE, _MAGIC, _VERSION):
            raise PageError(offset, "no LMDB file of a known version begins like this")
        tables_at = _HEADER.size + _META_HEAD.size
        free = Table(*_TABLE.unpack_from(page, tables_at))
        main = Table(*_TABLE.unpack_from(page, tables_at + _TABLE.size))
        if free.flags != _FREE_FLAGS or main.flags or main.page_bytes:
            raise PageError(offset, "tables with options that this program never sets")
        last_page, transaction = _META_TAIL.unpack_from(page, tables_at + 2 * _TABLE.size)
        return free, main, last_page, transaction

    # --- trees ---

    def _walk(
        self, table: Table, value_flags: int = 0, integer_keys: bool = False
    ) -> Iterator[tuple[bytes, bytes]]:
        """The records of a tree in order; PageError at the place of damage, or at the end."""
        self._counts = counts = [0, 0, 0]
        entries = 0
        last = b""
        swapped = integer_keys and _LITTLE_ENDIAN
        page_bytes = self._page_bytes
        unpack, node_bytes = _NODE.unpack_from, _NODE.size
        for number, page, floor in self._leaves(table):
            offsets = self._nodes(number, page)
            entries += len(offsets)
            # The branch's key for this page must not be above the page's first key, nor reach back
            # into the page before: a search would go to the wrong page.
            if floor:
                pair = floor, self._key_of(number, page, offsets[0])
                least, first = (pair[0][::-1], pair[1][::-1]) if swapped else pair
                if not last < least <= first:
                    raise PageError(number * page_bytes, "keys that no search would find")
            for offset in offsets:
                value_bytes, flags, key_bytes = unpack(page, offset)
                value_from = offset + node_bytes + key_bytes
                key = page[offset + node_bytes : value_from]
                order = key[::-1] if swapped else key
                if order <= last:
                    raise PageError(number * page_bytes, "keys out of order")
                last = order
                if flags == value_flags:
                    value_end = value_from + value_bytes
                    if value_end > page_bytes:
                        raise PageError(number * page_bytes, "a value beyond the end of its page")
                    value = page[value_from:value_end]
                elif flags == _OUTSIDE:
                    value = self._outside(number, page, value_from, value_bytes)
                else:
                    raise PageError(number * page_bytes, "a value of an unknown kind")
                yield key, value
        if (*counts, entries) != table[3:7]:
            found = (*counts, entries)
            what = "a tree's numbers of branch, leaf and overflow pages and of records"
            raise PageError(self.offset, f"{what} are {found}, not {table[3:7]}")

    def _leaves(self, table: Table) -> Iterator[tuple[int, bytes, bytes]]:
        """The leaf pages in order: number, content, and the branch's key for it (b"" for none)."""
        is_empty = table.root == _NO_PAGE
        if is_empty != (table.depth == 0) or table.depth > _DEPTH_MAX:
            raise PageError(self.offset, f"a tree of the impossible depth {table.depth}")
        if is_empty:
            return
        yield from self._descend(table.root, table.depth, b"")

    def _descend(self, number: int, depth: int, floor: bytes) -> Iterator[tuple[int, bytes, bytes]]:
        page = self._page(number, _LEAF_PAGE if depth == 1 else _BRANCH_PAGE)
        if depth == 1:
            self._counts[1] += 1
            self.offset = number * self._page_bytes
            yield number, page, floor
            return
        self._counts[0] += 1
        for position, offset in enumerate(self._nodes(number, page)):
            low, middle, high, _ = _BRANCH_NODE.unpack_from(page, offset)
            # The low and middle parts lie in the machine's byte order; the high part comes last.
            parts = (low, middle) if _LITTLE_ENDIAN else (middle, low)
            child = parts[0] | parts[1] << 16 | high << 32
            # A search takes the first child for every smaller key, too: so its own key is not used.
            key = self._key_of(number, page, offset)
            yield from self._descend(child, depth - 1, key if position else floor)

    def _page(self, number: int, kind: int) -> bytes:
        """A page's content; PageError if it was visited before, or is of another kind."""
        self._visit(number, 1)
        offset = number * self._page_bytes
        page = self._read(offset, self._page_bytes)
        if len(page) != self._page_bytes:
            raise PageError(offset, "the file ends")
        found, _, found_kind, _, _ = _HEADER.unpack_from(page)
        if (found, found_kind) != (number, kind):
            raise PageError(offset, "not the page that belongs there")
        return page

    def _visit(self, number: int, pages: int) -> None:
        end = number + pages
        if end > self._next_page or end > len(self._visited):
            raise PageError(number * self._page_bytes, "a page beyond the end of the file")
        if any(self._visited[number:end]):
            raise PageError(number * self._page_bytes, "a page that is used twice")
        self._visited[number:end] = b"\1" * pages

    def _nodes(self, number: int, page: bytes) -> tuple[int, ...]:
        """The offsets of a page's records, in the order of their keys."""
        _, _, _, lower, upper = _HEADER.unpack_from(page)
        count = (lower - _HEADER.size) // 2
        if not _HEADER.size < lower <= upper <= len(page) or lower % 2:
            raise PageError(number * len(page), "a page whose records have impossible bounds")
        offsets = struct.unpack_from(f"={count}H", page, _HEADER.size)
        if min(offsets) < upper or max(offsets) > len(page) - _NODE.size:
            raise PageError(number * len(page), "a record beyond the end of its page")
        return offsets

    def _key_of(self, number: int, page: bytes, offset: int) -> bytes:
        _, _, key_bytes = _NODE.unpack_from(page, offset)
        end = offset + _NODE.size + key_bytes
        if end > len(page):
            raise PageError(number * len(page), "a key beyond the end of its page")
        return page[offset + _NODE.size : end]

    def _outside(self, number: int, page: bytes, at: int, value_bytes: int) -> bytes:
        """A value that is too long for its page, from overflow pages of its own."""
        if at + _NUMBER.size > len(page):
            raise PageError(number * len(page), "a value beyond the end of its page")
        (first,) = _NUMBER.unpack_from(page, at)
        offset = first * self._page_bytes
        # Before the header is read: a damaged number may lie beyond the end of the file.
        self._visit(first, 1)
        header = self._read(offset, _OVERFLOW.size)
        found, _, kind, pages = _OVERFLOW.unpack(header)
        if (found, kind) != (first, _OVERFLOW_PAGE):
            raise PageError(offset, "not the page that belongs there")
        if pages * self._page_bytes < _OVERFLOW.size + value_bytes:
            raise PageError(offset, f"{pages} overflow pages for a value of {value_bytes} bytes")
        self._visit(first + 1, pages - 1)
        self._counts[2] += pages
        self.offset = offset
        value = self._read(offset + _OVERFLOW.size, value_bytes)
        if len(value) != value_bytes:
            raise PageError(offset, "the file ends")
        return value

    # --- free pages ---

    def _fault_of_free(self, key: bytes, value: bytes, beyond: set[int]) -> str:
        """What is wrong with an entry of the free list: a commit's number, and the pages it freed.

        `beyond` gathers free pages behind the end of the file.
        """
        if len(key) != _NUMBER.size or _NUMBER.unpack(key)[0] > self.transaction:
            return "names a commit that does not exist"
        count = _NUMBER.unpack_from(value)[0] if len(value) >= _NUMBER.size else 0
        if len(value) < (1 + count) * _NUMBER.size:
            return "is cut short"
        numbers = struct.unpack_from(f"={count}Q", value, _NUMBER.size)
        # LMDB keeps the pages of an entry in descending order.
        last = self._next_page
        for number in numbers:
            if number >= last:
                return "is out of order"
            last = number
            if number < len(self._visited):
                if self._visited[number]:
                    return f"has page {number}, which is in use"
                self._visited[number] = 1
            elif number in beyond:
                return f"has page {number} twice"
            else:
                beyond.add(number)
        return ""
