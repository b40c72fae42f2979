"""Spans: what holds a key, found without looking at all that is watched."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.watch.spans import OPEN_END, Span, SpanIndex, prefix_end

BYTES = st.binary(min_size=1, max_size=3).map(lambda raw: bytes(b"\0ab\xff"[i % 4] for i in raw))


def holds(span: Span, key: bytes) -> bool:
    if not span.range_end:
        return key == span.key
    return span.key <= key and (span.range_end == OPEN_END or key < span.range_end)


SPANS = st.one_of(
    BYTES.map(lambda key: Span(key, b"")),
    BYTES.map(lambda key: Span(key, OPEN_END)),
    BYTES.map(lambda key: Span(key, prefix_end(key))),
    st.builds(Span, BYTES, BYTES),
).filter(lambda span: not span.is_empty)


@given(st.lists(SPANS, unique=True, max_size=12), st.lists(BYTES, max_size=6), st.data())
def test_the_index_finds_exactly_the_spans_that_hold_a_key(
    spans: list[Span], keys: list[bytes], data: st.DataObject
) -> None:
    index: SpanIndex[Span] = SpanIndex()
    for span in spans:
        index.add(span, span)
    gone = data.draw(st.sets(st.sampled_from(spans))) if spans else set()
    for span in gone:
        index.remove(span)
    for key in keys:
        expected = {span for span in spans if holds(span, key)} - gone
        found = index.at(key)
        assert set(found) == expected
        assert len(found) == len(expected)


@pytest.mark.parametrize(
    ("prefix", "end"),
    [(b"a", b"b"), (b"a\xff", b"b"), (b"\xff\xff", OPEN_END), (b"/users/", b"/users0")],
)
def test_a_prefix_ends_where_etcd_says(prefix: bytes, end: bytes) -> None:
    assert prefix_end(prefix) == end


class CountingKey(bytes):
    """A key that counts how often it is compared or cut, as any work on it must do."""

    work = 0

    def __getitem__(self, item: Any) -> Any:
        CountingKey.work += 1
        return super().__getitem__(item)

    def __hash__(self) -> int:
        CountingKey.work += 1
        return super().__hash__()

    def __eq__(self, other: object) -> bool:
        CountingKey.work += 1
        return super().__eq__(other)


def spans_elsewhere() -> Iterator[Span]:
    for number in range(10_000):
        yield Span(b"single/%05d" % number, b"")
        prefix = b"prefix/%05d/" % number
        yield Span(prefix, prefix_end(prefix))


def test_ten_thousand_spans_elsewhere_cost_nothing_to_a_key() -> None:
    index: SpanIndex[int] = SpanIndex()
    for number, span in enumerate(spans_elsewhere()):
        index.add(span, number)
    index.add(Span(b"here", b""), -1)
    CountingKey.work = 0
    assert index.at(CountingKey(b"here")) == [-1]
    assert CountingKey.work < 10
