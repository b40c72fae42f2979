"""The store against a model that keeps a whole copy of the key space for every revision."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from actors.store.commands import (
    Change,
    DeleteDone,
    DeleteRange,
    Event,
    KeyValue,
    Put,
    PutDone,
    Range,
    RangeDone,
)
from tests.store.driver import Driver

_keys = st.sampled_from([b"a", b"a\0", b"ab", b"b", b"c", b"\xff"])
_ends = st.sampled_from([b"", b"\0", b"a", b"ab", b"b", b"c", b"\xff", b"\xff\xff"])

_no = st.just(False)

_operations = st.one_of(
    st.builds(Put, _keys, st.binary(max_size=2), st.just(0), st.booleans(), _no, _no),
    st.builds(DeleteRange, _keys, _ends, st.booleans()),
    st.sampled_from(["commit", "restart"]),
)

_ranges = st.builds(
    Range, _keys, _ends, st.integers(0, 4), st.integers(0, 30), st.booleans(), st.booleans()
)


class Model:
    """What etcd's documentation says, in the simplest form that can be right."""

    def __init__(self) -> None:
        self.past: list[dict[bytes, KeyValue]] = [{}, {}]  # by revision: 0 is unused, 1 is empty
        self.events: list[Event] = []

    @property
    def revision(self) -> int:
        return len(self.past) - 1

    @property
    def now(self) -> dict[bytes, KeyValue]:
        return self.past[-1]

    def put(self, command: Put) -> PutDone:
        revision, before = self.revision + 1, self.now.get(command.key)
        created, version = (before.create_revision, before.version) if before else (revision, 0)
        after = KeyValue(command.key, created, revision, version + 1, command.value, 0)
        self.past.append({**self.now, command.key: after})
        self.events.append(Event(Change.PUT, after, before))
        return PutDone(revision, before if command.prev_kv else None)

    def delete(self, command: DeleteRange) -> DeleteDone:
        doomed = select(self.now, command.key, command.range_end)
        if doomed:
            gone = {kv.key for kv in doomed}
            self.past.append({key: kv for key, kv in self.now.items() if key not in gone})
            for kv in doomed:
                tombstone = KeyValue(kv.key, 0, self.revision, 0, b"", 0)
                self.events.append(Event(Change.DELETED, tombstone, kv))
        return DeleteDone(self.revision, len(doomed), tuple(doomed) if command.prev_kv else ())

    def range(self, query: Range) -> RangeDone:
        found = select(self.past[query.revision or -1], query.key, query.range_end)
        count = len(found)
        if query.count_only:
            return RangeDone(self.revision, (), False, count)
        more = 0 < query.limit < count
        found = found[: query.limit] if more else found
        if query.keys_only:
            found = [kv._replace(value=b"") for kv in found]
        return RangeDone(self.revision, tuple(found), more, count)


def select(space: dict[bytes, KeyValue], key: bytes, range_end: bytes) -> list[KeyValue]:
    """The keys of an interval, by looking at each."""

    def holds(each: bytes) -> bool:
        if not range_end:
            return each == key
        return key <= each and (range_end == b"\0" or each < range_end)

    return [space[each] for each in sorted(space) if holds(each)]


@settings(max_examples=300, deadline=None)
@given(st.lists(_operations, max_size=30), st.lists(_ranges, max_size=10))
def test_the_store_agrees_with_the_model_at_every_revision(
    operations: list[Put | DeleteRange | str], queries: list[Range]
) -> None:
    driver, model = Driver(), Model()
    for operation in operations:
        match operation:
            case Put():
                assert driver.do(operation) == model.put(operation)
            case DeleteRange():
                assert driver.do(operation) == model.delete(operation)
            case _:
                driver.commit()
                if operation == "restart":
                    driver.crash()
    for query in queries:
        at = query._replace(revision=min(query.revision, model.revision))
        assert driver.ask(at) == model.range(at)
        expected = [
            event
            for event in model.events
            if event.kv.mod_revision >= at.revision
            and select({event.kv.key: event.kv}, at.key, at.range_end)
        ]
        assert driver.machine.history(at.key, at.range_end, at.revision, True) == tuple(expected)
