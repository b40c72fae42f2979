"""Portions of the past: complete, in order, never in the middle of a revision, and bounded."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.language.commands import Command, Compact, DeleteRange, Event, Put
from actors.language.messages import HistoryPortion, ReadHistory
from actors.store import backlog as backlog_module
from actors.store.backlog import Spans, portion
from actors.store.long_queries import QUERY_PAUSE_MS
from actors.store.mvcc import RevisionStore
from actors.store.steps import finish, step
from actors.store.storage import Backend
from tests.store.shell import Node
from tests.twins import MemoryBackend

ALL: Spans = ()
KEYS = st.sampled_from([b"a", b"ab", b"b", b"c"])
INTERVALS = st.sampled_from(
    [(b"a", b""), (b"b", b""), (b"a", b"b"), (b"a", b"c"), (b"b", b"\0"), (b"c", b"a")]
)
COMMANDS = st.one_of(
    st.tuples(KEYS, st.binary(max_size=3)).map(lambda fields: Put(*fields)),
    st.tuples(KEYS, st.sampled_from([b"", b"b", b"\0"])).map(lambda fields: DeleteRange(*fields)),
)


def holds(spans: Spans, key: bytes) -> bool:
    return not spans or any(
        key == low if not end else low <= key and (end == b"\0" or key < end) for low, end in spans
    )


def portions(
    store: RevisionStore, start: int, spans: Spans, with_previous: bool = False
) -> list[tuple[Event, ...]]:
    """All portions up to the present."""
    found = []
    while start <= store.revision:
        reached, events = finish(portion(store, start, spans, with_previous))
        assert start <= reached <= store.revision
        assert all(start <= event.kv.mod_revision <= reached for event in events)
        found.append(events)
        start = reached + 1
    return found


@pytest.mark.parametrize("looked_up", [True, False])
@settings(max_examples=60)
@given(
    commands=st.lists(COMMANDS, min_size=1, max_size=25),
    committed=st.integers(0, 25),
    spans=st.lists(INTERVALS, max_size=3).map(tuple),
    part=st.floats(0, 1),
)
def test_portions_are_what_was_told_when_it_happened(
    commands: list[Command], committed: int, spans: Spans, part: float, looked_up: bool
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(backlog_module, "PORTION_EVENTS_MAX", 2)
        patch.setattr(backlog_module, "ROWS_AT_ONCE", 3)
        patch.setattr(backlog_module, "KEYS_MAX", 10 if looked_up else 0)
        node = Node(MemoryBackend())
        node.machine.gather_previous = True
        live = []
        for number, command in enumerate(commands):
            live += [e for _, told in node.apply(command) for e in getattr(told, "events", ())]
            if number == committed:
                node.actor.commit()
        start = 2 + int(part * (node.machine.revision - 1))
        expected = [e for e in live if e.kv.mod_revision >= start and holds(spans, e.kv.key)]
        found = portions(node.machine.store, start, spans, with_previous=True)
        assert [event for events in found for event in events] == expected


def busy(backend: Backend) -> Node:
    """A node whose first keys were written first and last, with much between."""
    node = Node(backend)
    node.apply(Put(b"k", b"first"))
    for _ in range(4):
        node.apply(*(Put(b"other/%d" % number, b"") for number in range(1_000)))
    node.commit()
    node.apply(Put(b"k", b"last"))
    return node


def test_a_key_is_looked_up_in_one_portion_however_much_was_written(backend: Backend) -> None:
    store = busy(backend).machine.store
    assert [len(events) for events in portions(store, 2, ((b"k", b""),))] == [2]
    assert [len(events) for events in portions(store, 2, ((b"k", b"l"), (b"x", b"")))] == [2]


def test_many_keys_are_gone_through_in_bounded_portions(backend: Backend) -> None:
    store = busy(backend).machine.store
    everything = portions(store, 2, ALL)
    assert sum(map(len, everything)) == 4_002
    assert {len(events) for events in everything[:-1]} == {backlog_module.PORTION_EVENTS_MAX}
    sparse = portions(store, 2, ((b"a", b"other/1"), (b"other/0", b"p")))
    assert sum(map(len, sparse)) == 4_002


def test_a_portion_that_finds_nothing_ends_too(
    backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backlog_module, "KEYS_MAX", 0)
    store = busy(backend).machine.store
    assert [len(events) for events in portions(store, 3, ((b"k", b"l"),))] == [0, 1]


def test_large_values_make_a_portion_shorter(backend: Backend) -> None:
    node = Node(backend)
    node.apply(*(Put(b"k", bytes(backlog_module.PORTION_BYTES_MAX // 2)) for _ in range(5)))
    assert [len(events) for events in portions(node.machine.store, 2, ALL)] == [2, 2, 1]
    with_previous = portions(node.machine.store, 2, ((b"k", b""),), with_previous=True)
    assert [len(events) for events in with_previous] == [2, 1, 1, 1]


def test_one_revision_is_one_portion_however_large(backend: Backend) -> None:
    node = Node(backend)
    node.apply(*(Put(b"%d" % number, b"") for number in range(3_000)))
    node.apply(DeleteRange(b"\0", b"\0"), Put(b"k", b""))
    node.settle()
    reached, events = finish(portion(node.machine.store, 3_002, ALL, False))
    assert (reached, len(events)) == (3_002, 3_000)


@settings(max_examples=60)
@given(
    commands=st.lists(COMMANDS, min_size=1, max_size=12),
    meanwhile=st.lists(COMMANDS | st.none(), max_size=12),
    with_previous=st.booleans(),
)
def test_what_happens_while_a_portion_is_read_is_no_part_of_it(
    commands: list[Command], meanwhile: list[Command | None], with_previous: bool
) -> None:
    """A command between two steps, or a commit."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(backlog_module, "ITEMS_PER_STEP", 1)
        patch.setattr(backlog_module, "ROWS_AT_ONCE", 2)
        node = Node(MemoryBackend())
        node.apply(Put(b"a", b""), *commands)
        expected = finish(portion(node.machine.store, 2, ALL, with_previous))
        steps = portion(node.machine.store, 2, ALL, with_previous)
        for command in meanwhile:
            found = step(steps)
            if found is not None:
                assert found == expected
                return
            if command is None:
                node.actor.commit()
            else:
                node.apply(command)
        assert finish(steps) == expected


def deleted(monkeypatch: pytest.MonkeyPatch) -> Node:
    """A node whose revision 302 has deleted 300 keys, and which does one step a turn."""
    monkeypatch.setattr(backlog_module, "ITEMS_PER_STEP", 50)
    monkeypatch.setattr(backlog_module, "BACKLOG_STEPS_MAX", 1)
    node = Node(MemoryBackend())
    node.apply(*(Put(b"%d" % number, b"") for number in range(300)))
    node.apply(DeleteRange(b"\0", b"\0"))
    node.settle()
    return node


def answer(node: Node) -> tuple[HistoryPortion, int]:
    """The answer to Watch, and the number of turns until it came."""
    turns = 1
    while True:
        node.now_ms += QUERY_PAUSE_MS
        for name, message in node.tick():
            if isinstance(message, HistoryPortion):
                assert name == "watch"
                return message, turns
        turns += 1


def test_a_large_revision_is_read_between_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    node = deleted(monkeypatch)
    assert node.hear(ReadHistory(302, ALL, False)) == []
    node.apply(Put(b"k", b""))
    portion, turns = answer(node)
    assert turns > 3
    assert (portion.from_revision, portion.reached, portion.revision) == (302, 302, 303)
    assert (len(portion.events), portion.compact_revision) == (300, 0)


def test_history_that_is_compacted_while_it_is_read_is_lost(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    node = deleted(monkeypatch)
    node.hear(ReadHistory(302, ALL, False))
    node.apply(Put(b"k", b""), Compact(303))
    portion, _ = answer(node)
    assert portion == HistoryPortion(302, 0, 303, (), 303)


def test_the_previous_value_is_missing_where_it_is_compacted_away(backend: Backend) -> None:
    node = Node(backend)
    node.apply(*(Put(b"k", b"%d" % number) for number in range(4)), Compact(3))
    _, events = finish(portion(node.machine.store, 3, ((b"k", b""),), True))
    previous = [None if event.prev_kv is None else event.prev_kv.value for event in events]
    assert previous == [None, b"1", b"2"]
