"""Scan: the keys of an interval of any size, read page by page at one revision.

Holds two pages at most: the one being taken and the next one, which is on its way meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, Final, Self

from cluster.client.arguments import at_least_one
from cluster.client.replies import range_result
from cluster.client.results import Header, KeyValue, RangeResult
from cluster.errors import AnswerTooLargeError

if TYPE_CHECKING:
    from cluster.client.caller import Caller

PAGE_KEYS: Final = 1_000
FIRST_PAGE_KEYS: Final = 40
"""So many keys fit one answer, whatever their values, while a request is 1.5 MiB at most."""

PAGE_GROWTH: Final = 4
PAGE_BYTES_AIM: Final = 4 * 1024 * 1024
"""Pages of large values hold fewer keys, so that about this many bytes come at once."""


class Scan(Iterator[KeyValue]):
    """Key-values in the order of their keys, all as they were at `revision`.

    The revision is that of the moment the scan began, so a watch from `revision + 1` on misses
    nothing. `count` is how many keys there are. Raises CompactedError when the history at its
    revision ends before the scan does. It belongs to one thread.
    """

    def __init__(self, caller: Caller, fields: dict[str, Any], page_size: int) -> None:
        at_least_one("page_size", page_size)
        self._caller = caller
        self._fields = fields
        self._page_size = page_size
        self._limit = min(page_size, FIRST_PAGE_KEYS)
        first = self._fitting(fields)
        self.header: Header = first.header
        self.count: int = first.count
        self.revision: int = fields.get("revision") or first.header.revision
        self._page: dict[str, Any] = {}
        self._next_page: Future[RangeResult] | None = None
        self._kvs = self._turn(first)

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> KeyValue:
        for kv in self._kvs:
            return kv
        if self._next_page is None:
            raise StopIteration
        try:
            page = self._next_page.result()
        except AnswerTooLargeError:
            # The values have become much larger than those before.
            self._limit = max(1, self._limit // PAGE_GROWTH)
            page = self._fitting(self._page)
        self._kvs = self._turn(page)
        return next(self._kvs)

    def _fitting(self, fields: dict[str, Any]) -> RangeResult:
        """A page, of fewer keys if the values are too large for so many in one answer."""
        while True:
            try:
                return self._caller.request({**fields, "limit": self._limit}, range_result)
            except AnswerTooLargeError:
                if self._limit == 1:
                    raise
                self._limit = max(1, self._limit // PAGE_GROWTH)

    def _turn(self, page: RangeResult) -> Iterator[KeyValue]:
        """Ask for the page after this one, if there is one, and begin to take this one."""
        self._next_page = None
        if page.more:
            size = sum(len(kv.key) + len(kv.value) for kv in page.kvs)
            fitting = len(page) * PAGE_BYTES_AIM // size
            self._limit = max(1, min(self._page_size, self._limit * PAGE_GROWTH, fitting))
            # How many keys there are is known: to count them again would cost more than the page.
            self._page = {
                **self._fields,
                "no_count": True,
                "key": page.kvs[-1].key + b"\0",
                "limit": self._limit,
                "revision": self.revision,
            }
            self._next_page = self._caller.request_async(self._page, range_result)
        return iter(page.kvs)
