"""Scan: the keys of an interval of any size, read page by page at one revision.

A scan holds two pages at most: the one being taken, and the next one, which is fetched meanwhile.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING, Any, Final, Generic, Self

from cluster.client.replies import range_result
from cluster.client.results import Data, Header, KeyValue, RangeResult
from cluster.errors import AnswerTooLargeError

if TYPE_CHECKING:
    from asyncio import Future

    from cluster.client.flows.caller import Caller
    from cluster.client.forms import DataForm

PAGE_KEYS: Final = 1_000
"""The keys of a page, unless the caller says otherwise or their values are large."""

FIRST_PAGE_KEYS: Final = 40
"""The keys of the first page. Their values fit into one answer (64 MiB) whatever they are, given
that a put is 1.5 MiB at most by default."""

PAGE_GROWTH: Final = 4
"""A page may have this factor more keys than the page before it."""

PAGE_BYTES_AIM: Final = 4 * 1024 * 1024
"""A page of large values has fewer keys, so that it is of about this size."""


class Scan(AsyncIterator[KeyValue[Data]], Generic[Data]):
    """Key-values in the order of their keys, all as they were at `revision`.

    `revision` is the one asked for, or that of the moment when the scan began: then a watch from
    `revision + 1` on misses nothing. `count` is the number of keys. Raises CompactedError when the
    revision is compacted before the scan has ended. It belongs to one thread or task.
    """

    def __init__(
        self,
        caller: Caller,
        form: DataForm[Data],
        fields: dict[str, Any],
        page_size: int,
        limit: int,
        first: RangeResult,
    ) -> None:
        self._caller = caller
        self._form = form
        self._fields = fields
        self._page_size = page_size
        self._limit = limit
        self._first = first
        self._page: dict[str, Any] = {}
        self._next_page: Future[RangeResult] | None = None
        self._kvs = self._turn(first)

    @property
    def header(self) -> Header:
        """The header of the first answer."""
        return self._first.header

    @property
    def count(self) -> int:
        """The number of keys in the interval."""
        return self._first.count

    @property
    def revision(self) -> int:
        """The revision of all that the scan reads."""
        return self._fields.get("revision") or self._first.header.revision

    @classmethod
    async def _begin(
        cls, caller: Caller, form: DataForm[Data], fields: dict[str, Any], page_size: int
    ) -> Scan[Data]:
        """Read the first page, with pages of at most `page_size` keys to follow."""
        limit = min(page_size, FIRST_PAGE_KEYS)
        first, limit = await _fitting(caller, fields, limit)
        return cls(caller, form, fields, page_size, limit, first)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> KeyValue[Data]:
        for kv in self._kvs:
            return self._form.key_value(kv)
        if self._next_page is None:
            raise StopAsyncIteration
        try:
            page = await self._caller.connection().outcome(self._next_page)
        except AnswerTooLargeError:
            # The values of this page are much larger than those before.
            limit = max(1, self._limit // PAGE_GROWTH)
            page, self._limit = await _fitting(self._caller, self._page, limit)
        self._kvs = self._turn(page)
        return self._form.key_value(next(self._kvs))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, exception_type: type[BaseException] | None, *error: object) -> None:
        """A scan holds nothing at the cluster, so there is nothing to end."""

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
            self._next_page = self._caller.begin(self._page, range_result)
            # If the scan is left before it needs the page, nobody misses the page's error.
            self._next_page.add_done_callback(lambda page: page.cancelled() or page.exception())
        return iter(page.kvs)


async def _fitting(caller: Caller, fields: dict[str, Any], limit: int) -> tuple[RangeResult, int]:
    """A page with at most `limit` keys, and with fewer while it is too large for one answer; and
    the number of keys that fitted."""
    while True:
        try:
            return await caller.request({**fields, "limit": limit}, range_result), limit
        except AnswerTooLargeError:
            if limit == 1:
                raise
            limit = max(1, limit // PAGE_GROWTH)
