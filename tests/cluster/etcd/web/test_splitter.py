"""JSON objects are told apart however their bytes arrive."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster.etcd.web.splitter import ObjectSplitter

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@given(
    st.lists(st.dictionaries(st.text(), VALUES), max_size=4),
    st.sampled_from(["", " ", "\n\t "]),
    st.integers(1, 9),
    st.booleans(),
)
def test_objects_come_out_whole(
    objects: list[dict[str, Any]], between: str, size: int, is_ascii: bool
) -> None:
    data = between.join(json.dumps(each, ensure_ascii=is_ascii) for each in objects).encode()
    splitter = ObjectSplitter(1_000_000)
    found: list[bytes] = []
    for at in range(0, len(data), size):
        found += splitter.feed(data[at : at + size])
    assert [json.loads(each) for each in found] == objects
    assert splitter.rest() == b""


@pytest.mark.parametrize("data", [b"x", b"[1]", b"}", b'"a"', b"1"])
def test_what_is_no_object_breaks_the_row(data: bytes) -> None:
    splitter = ObjectSplitter(100)
    assert splitter.feed(b'{"a":1} {}' + data + b"{}") == [b'{"a":1}', b"{}"]
    assert splitter.is_broken
    assert splitter.feed(b"{}") == []
    assert splitter.rest() == data + b"{}{}"


def test_an_object_that_does_not_end_breaks_the_row_at_its_limit() -> None:
    splitter = ObjectSplitter(100)
    splitter.feed(b'{"a":"')
    assert not splitter.is_broken
    for _ in range(20):
        assert splitter.feed(b"b" * 10) == []
    assert splitter.is_broken
