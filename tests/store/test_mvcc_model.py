"""The store against a model that keeps a whole copy of the key space for every revision."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given, settings
from hypothesis import strategies as st

from actors.language.commands import (
    Change,
    Compact,
    DeleteRange,
    Event,
    KeyValue,
    Put,
    Range,
    SortOrder,
    SortTarget,
)
from actors.language.queries import HashKV, History
from actors.language.results import DeleteDone, Done, Failure, HistoryDone, PutDone, RangeDone
from actors.store.disk.backend import LmdbBackend
from actors.store.storage import SUB_BITS, Backend
from tests.store.driver import Driver
from tests.twins import MemoryBackend

_keys = st.sampled_from([b"a", b"a\0", b"ab", b"b", b"c", b"\xff"])
_ends = st.sampled_from([b"", b"\0", b"a", b"ab", b"b", b"c", b"\xff", b"\xff\xff"])

_no = st.just(False)

_operations = st.one_of(
    st.builds(Put, _keys, st.binary(max_size=2), st.just(0), st.booleans(), _no, _no, st.just(0)),
    st.builds(DeleteRange, _keys, _ends, st.booleans()),
    st.builds(Compact, st.integers(-1, 25)),
    st.sampled_from(["commit", "restart", "crash", "sweep 1", "sweep 2", "sweep 9", "sweep all"]),
    st.sampled_from(["compact 0", "compact 1", "compact 3"]),
)

# Mostly without bounds, so that something is left to look at.
_bound = st.sampled_from([0, 0, 0, 2, 5, 9, -1])

_ranges = st.builds(
    Range,
    _keys,
    _ends,
    st.integers(-1, 4),
    st.integers(-2, 30),
    st.booleans(),
    st.sampled_from([False, False, False, True]),
    st.sampled_from(SortOrder),
    st.sampled_from(SortTarget),
    *[_bound] * 4,
)


class Model:
    """What etcd's documentation says, in the simplest form that can be right."""

    def __init__(self) -> None:
        self.past: list[dict[bytes, KeyValue]] = [{}, {}]  # by revision: 0 is unused, 1 is empty
        self.events: list[Event] = []
        self.compacted = -1

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

    def compact(self, command: Compact) -> Done | Failure:
        if command.revision <= self.compacted:
            return Failure("Compacted")
        if command.revision > self.revision:
            return Failure("FutureRev")
        self.compacted = command.revision
        return Done(self.revision)

    def range(self, query: Range) -> RangeDone | Failure:
        if 0 < query.revision < self.compacted:
            return Failure("Compacted")
        at = query.revision if query.revision > 0 else -1
        found = select(self.past[at], query.key, query.range_end)
        count = len(found)
        if query.count_only:
            return RangeDone(self.revision, (), False, count)
        kvs, more = _arranged(query, found)
        if query.keys_only:
            kvs = [kv._replace(value=b"") for kv in kvs]
        return RangeDone(self.revision, tuple(kvs), more, count)

    def changes_of(self, query: History) -> HistoryDone | Failure:
        if 0 < query.revision < self.compacted:
            return Failure("Compacted")
        kept = set(self.kept())
        events = [
            event._replace(prev_kv=None)
            for event in reversed(self.events)
            if event.kv.key == query.key
            and (event.kv.mod_revision, query.key) in kept
            and not 0 < query.revision < event.kv.mod_revision
        ]
        more = 0 < query.limit < len(events)
        events = events[: query.limit] if more else events
        is_cut = not more and self.compacted > 2
        ever = [event for event in self.events if event.kv.key == query.key]
        upto = [event for event in ever if not 0 < query.revision < event.kv.mod_revision]
        assert more or is_cut or len(events) == len(upto), "not all, and nothing says so"
        return HistoryDone(self.revision, tuple(events), more, is_cut)

    def history(self, key: bytes, range_end: bytes, from_revision: int) -> tuple[Event, ...]:
        return tuple(
            event if event.kv.mod_revision > self.compacted else event._replace(prev_kv=None)
            for event in self.events
            if event.kv.mod_revision >= from_revision
            and select({event.kv.key: event.kv}, key, range_end)
        )

    def kept(self) -> list[tuple[int, bytes]]:
        """Revision and key of each change that somebody may still ask for."""
        old = {kv.key: kv.mod_revision for kv in self.past[max(0, self.compacted)].values()}
        return sorted(
            (event.kv.mod_revision, event.kv.key)
            for event in self.events
            if event.kv.mod_revision >= self.compacted
            or old.get(event.kv.key) == event.kv.mod_revision
        )


def _arranged(query: Range, kvs: list[KeyValue]) -> tuple[list[KeyValue], bool]:
    """As etcd's server does it: fetch, throw out, sort, cut."""
    least_mod, most_mod = query.min_mod_revision, query.max_mod_revision
    least_create, most_create = query.min_create_revision, query.max_create_revision
    has_bounds = least_mod or most_mod or least_create or most_create
    if query.sort_order is SortOrder.NONE and not has_bounds and query.limit > 0:
        kvs = kvs[: query.limit + 1]
    kvs = [
        kv
        for kv in kvs
        if not (most_mod and kv.mod_revision > most_mod)
        and not (least_mod and kv.mod_revision < least_mod)
        and not (most_create and kv.create_revision > most_create)
        and not (least_create and kv.create_revision < least_create)
    ]
    field = ("key", "version", "create_revision", "mod_revision", "value")[query.sort_target]
    is_descending = query.sort_order is SortOrder.DESCEND
    kvs.sort(key=lambda kv: getattr(kv, field), reverse=is_descending)
    more = 0 < query.limit < len(kvs)
    return kvs[: query.limit] if more else kvs, more


def select(space: dict[bytes, KeyValue], key: bytes, range_end: bytes) -> list[KeyValue]:
    """The keys of an interval, by looking at each."""

    def holds(each: bytes) -> bool:
        if not range_end:
            return each == key
        return key <= each and (range_end == b"\0" or each < range_end)

    return [space[each] for each in sorted(space) if holds(each)]


class Pair:
    """The store and its model, the log that feeds both, and crashes that the log makes good."""

    def __init__(self, backend: Backend) -> None:
        self.driver = Driver(backend)
        self.model = Model()
        self._log: list[Put | DeleteRange | Compact] = []
        self._hashes: dict[tuple[int, int], int] = {}

    def do(self, operation: Put | DeleteRange | Compact | str) -> None:
        driver, model = self.driver, self.model
        if isinstance(operation, str) and operation.startswith("compact"):
            operation = Compact(model.revision - int(operation.split()[1]))
        match operation:
            case Put():
                assert driver.do(operation) == model.put(operation)
            case DeleteRange():
                assert driver.do(operation) == model.delete(operation)
            case Compact():
                assert driver.do(operation) == model.compact(operation)
            case "commit":
                driver.commit()
            case "restart" | "crash":
                if operation == "restart":
                    driver.commit()
                driver.crash()
                for command in self._log[driver.machine.applied_index :]:
                    driver.do(command)
            case _:
                if operation == "sweep all":
                    driver.machine.sweeper.hurry()
                elif driver.machine.sweeper.is_due:
                    driver.machine.sweeper.work(int(operation.split()[1]))
        if not isinstance(operation, str):
            self._log.append(operation)

    def compare(self, queries: list[Range]) -> None:
        driver, model = self.driver, self.model
        assert driver.machine.store.compact_revision == model.compacted
        for query in queries:
            at = query._replace(revision=min(query.revision, model.revision))
            assert driver.ask(at) == model.range(at)
            history = History(at.key, at.limit, at.revision)
            assert driver.ask(history) == model.changes_of(history)
            self.compare_hash(at.revision)
            start = max(0, at.revision, model.compacted)
            expected = model.history(at.key, at.range_end, start)
            assert driver.history(at.key, at.range_end, start, True) == expected

    def compare_hash(self, revision: int) -> None:
        """It never changes, unless by a compaction."""
        done = self.driver.ask(HashKV(revision))
        if 0 < revision <= self.model.compacted:
            assert done == Failure("Compacted")
            return
        at = (done.hash_revision, done.compact_revision)
        assert at == (revision if revision > 0 else self.model.revision, self.model.compacted)
        assert self._hashes.setdefault(at, done.hash) == done.hash

    def compare_disk(self) -> None:
        """After a whole sweep nothing is left, there or in memory, that nobody can ask for."""
        self.driver.sweep(2)
        index = self.driver.machine.store.index
        past, gone = dict(index._past), list(index._gone)
        self.driver.crash()
        rows = [(row[0] >> SUB_BITS, row[2]) for row in self.driver.backend.scan()]
        assert rows == self.model.kept()
        index = self.driver.machine.store.index
        assert (dict(index._past), list(index._gone)) == (past, gone)


def _check(
    backend: Backend, operations: list[Put | DeleteRange | Compact | str], queries: list[Range]
) -> None:
    pair = Pair(backend)
    for operation in operations:
        pair.do(operation)
        pair.compare(queries[:2])
    pair.compare(queries)
    pair.compare_disk()
    pair.compare(queries)


@settings(max_examples=300)
@given(st.lists(_operations, max_size=40), st.lists(_ranges, max_size=10))
def test_the_store_agrees_with_the_model_at_every_revision(
    operations: list[Put | DeleteRange | Compact | str], queries: list[Range]
) -> None:
    _check(MemoryBackend(), operations, queries)


@settings(max_examples=60)
@given(st.lists(_operations, max_size=40), st.lists(_ranges, max_size=10))
def test_the_store_on_disk_agrees_with_the_model(
    operations: list[Put | DeleteRange | Compact | str], queries: list[Range]
) -> None:
    with TemporaryDirectory() as directory:
        backend = LmdbBackend(Path(directory) / "store", map_size_bytes=1 << 16)
        _check(backend, operations, queries)
        backend.close()
