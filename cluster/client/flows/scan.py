"""Scan: the keys of an interval of any size, read page by page at one revision.

A scan holds two pages at most: the one being taken, and the next one, which is fetched meanwhile.
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
    from cluster.client.flows.caller import Caller

PAGE_KEYS: Final = 1_000
"""The keys of a page, unless the caller says otherwise or their values are large."""

FIRST_PAGE_KEYS: Final = 40
"""The keys of the first page. Their values fit into one answer (64 MiB) whatever they are, given
that a put is 1.5 MiB at most by default."""

PAGE_GROWTH: Final = 4
"""A page may have this factor more keys than the page before it."""

PAGE_BYTES_AIM: Final = 4 * 1024 * 1024
"""A page of large values has fewer keys, so that it is of about this size."""


class Scan(Iterator[KeyValue]):
    """Key-values in the order of their keys, all as they were at `revision`.

    `revision` is the one asked for, or that of the moment when the scan began: then a watch from
    `revision + 1` on misses nothing. `count` is the number of keys. Raises CompactedError when the
    revision is compacted before the scan has ended. It belongs to one thread.
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
            # The values of this page are much larger than those before.
            self._limit = max(1, self._limit // PAGE_GROWTH)
            page = self._fitting(self._page)
        self._kvs = self._turn(page)
        return next(self._kvs)

    def _fitting(self, fields: dict[str, Any]) -> RangeResult:
        """Fetch a page, with fewer and fewer keys while it is too large for one answer."""
        while True:
            try:
                return self._caller.request({**fields, "limit": self._limit}, range_result)
            except AnswerTooLargeError:
                if self._limit == 1:
                    raise
                self._limit = max(1, self._limit // PAGE_GROWTH)

    def _turn(self, page: RangeResult) -> Iterator[KeyValue]:
        """Ask for the page after this one, if there is one, and return this one's key-values."""
        self._next_page = None
        if page.more:
            size = sum(len(kv.key) + len(kv.value) for kv in page.kvs)
            fitting = len(page) * PAGE_BYTES_AIM // size
            self._limit = max(1, min(self._page_size, self._limit * PAGE_GROWTH, fitting))
            # The first page had the number of keys: to count them again would cost more than the
            # page itself.
            self._page = {
                **self._fields,
                "no_count": True,
                "key": page.kvs[-1].key + b"\0",
                "limit": self._limit,
                "revision": self.revision,
            }
            self._next_page = self._caller.request_async(self._page, range_result)
        return iter(page.kvs)
