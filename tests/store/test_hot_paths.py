"""What the store does by place and not by name, because it does it so often, it does whole.

A field that is added to one of these, or to a range, fails here until the hot path knows it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from actors.language.auth import NOBODY
from actors.language.commands import Put, Range, SortOrder, SortTarget
from actors.language.results import RangeDone
from actors.store.disk.backend import LmdbBackend
from actors.store.questions import begin
from tests.store.driver import Driver

OTHER: dict[type[Any], Any] = {
    bytes: b"z",
    int: 7,
    bool: True,
    SortOrder: SortOrder.DESCEND,
    SortTarget: SortTarget.VALUE,
}
"""By type of field: a value that is not the default."""


def _is_whole(value: Any) -> bool:
    """Whether the constructor would have made this, with all its fields."""
    kind: Any = type(value)
    return len(value) == len(kind._fields) and kind(*value) == value


@pytest.mark.parametrize("prev_kv", [False, True])
@pytest.mark.parametrize("ttl_ms", [0, 5_000])
def test_a_put_is_answered_and_told_of_whole(prev_kv: bool, ttl_ms: int) -> None:
    driver = Driver()
    driver.machine.gather_previous = prev_kv
    driver.do(Put(b"k", b"1"))
    lease = 5 if ttl_ms else 0
    done = driver.do(Put(b"k", b"2", lease=lease, prev_kv=prev_kv, ttl_ms=ttl_ms))
    first, second = driver.machine.take_events()
    assert all(map(_is_whole, (done, first, second, first.kv, second.kv)))
    assert second.prev_kv is None or _is_whole(second.prev_kv)
    assert done.prev_kv is None or _is_whole(done.prev_kv)


def test_what_the_disk_gives_back_is_whole(tmp_path: Path) -> None:
    driver = Driver(LmdbBackend(tmp_path / "store"), commits=True)
    for count in range(4):
        driver.do(Put(b"k%d" % count, b"v"))
    kvs = driver.ask(Range(b"k", b"l")).kvs
    events = [driver.machine.store.read(revision << 32) for revision in range(2, 6)]
    driver.backend.close()
    assert [event.kv for event in events] == list(kvs)
    assert all(map(_is_whole, (*events, *kvs)))


@pytest.mark.parametrize("name", Range._fields[1:])
def test_only_a_range_of_nothing_but_a_key_takes_the_short_way(name: str) -> None:
    driver = Driver()
    driver.do(Put(b"k", b"v"))
    assert type(begin(driver.machine, Range(b"k"), 0, NOBODY)) is RangeDone
    asked: dict[str, Any] = {name: OTHER[type(Range._field_defaults[name])]}
    assert type(begin(driver.machine, Range(b"k", **asked), 0, NOBODY)) is not RangeDone
