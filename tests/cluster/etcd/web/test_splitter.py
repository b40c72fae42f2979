"""JSON objects are told apart however their bytes arrive."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster.etcd.web.splitter import SplitError, Splitter

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
    splitter = Splitter(1_000_000)
    found: list[bytes] = []
    for at in range(0, len(data), size):
        found += splitter.feed(data[at : at + size])
    assert [json.loads(each) for each in found] == objects
    assert splitter.rest() == b""


@pytest.mark.parametrize("data", [b"x", b"[1]", b"}", b'{"a":1}x', b'"a"', b"1"])
def test_anything_but_an_object_is_refused(data: bytes) -> None:
    splitter = Splitter(100)
    with pytest.raises(SplitError, match="no object"):
        splitter.feed(data)
        splitter.feed(b"")


def test_an_object_that_does_not_end_is_refused_at_its_limit() -> None:
    splitter = Splitter(100)
    splitter.feed(b'{"a":"')
    with pytest.raises(SplitError, match="100 bytes"):
        for _ in range(20):
            splitter.feed(b"b" * 10)
