"""Transactions against a model that copies the whole key space, and reads that take their time.

The first says what etcd's documentation says in the simplest way; the second must see one revision
whatever is written between their steps.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import starmap

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.language.commands import (
    Command,
    Compact,
    Compare,
    CompareResult,
    CompareTarget,
    DeleteRange,
    Increment,
    KeyValue,
    LeaseGrant,
    LeaseRevoke,
    Put,
    Range,
    SortOrder,
    SortTarget,
    Txn,
    TxnOp,
)
from actors.language.messages import Question
from actors.language.queries import HashKV, History, LeaseLeases, LeaseTimeToLive, Query
from actors.language.results import (
    DeleteDone,
    Failure,
    Incremented,
    PutDone,
    RangeDone,
    Result,
    TxnDone,
    TxnResponse,
)
from actors.store import digest, history, long_queries, ranges, steps, txn, writes
from actors.store.long_queries import LongQueries
from actors.store.questions import answer
from cluster.faults import FaultName
from tests.store.driver import Driver
from tests.store.test_mvcc_model import select

LEASES = (1, 2)

_keys = st.sampled_from([b"a", b"b", b"c", b"d"])
_ends = st.sampled_from([b"", b"", b"c", b"\0"])
_values = st.sampled_from([b"1", b"2", b"x"])
_no = st.just(False)

_puts = st.builds(
    Put,
    _keys,
    _values,
    st.sampled_from([0, 0, 1, 2, 9]),
    st.booleans(),
    st.just(False) | st.booleans(),
    st.just(False) | st.booleans(),
    st.just(0),
)
_deletes = st.builds(DeleteRange, _keys, _ends, st.booleans())
_increments = st.builds(Increment, _keys, st.integers(-2, 2))
_revisions = st.just(0) | st.integers(-1, 12)
_orders = (st.sampled_from(SortOrder), st.sampled_from(SortTarget))
_bounds = [st.sampled_from([0, 0, 0, 4])] * 4
_ranges = st.builds(
    Range, _keys, _ends, st.integers(0, 3), _revisions, st.booleans(), _no, *_orders, *_bounds
)

_compares = st.one_of(
    st.builds(
        Compare,
        st.sampled_from([each for each in CompareTarget if each is not CompareTarget.VALUE]),
        st.sampled_from(CompareResult),
        _keys,
        _ends,
        st.integers(0, 3),
    ),
    st.builds(
        Compare,
        st.just(CompareTarget.VALUE),
        st.sampled_from(CompareResult),
        _keys,
        _ends,
        _values,
    ),
)


def _txns(
    operations: st.SearchStrategy[TxnOp], compares: st.SearchStrategy[Compare] = _compares
) -> st.SearchStrategy[Txn]:
    branches = st.lists(operations, max_size=3).map(tuple)
    return st.builds(Txn, st.lists(compares, max_size=2).map(tuple), branches, branches)


_txn = st.recursive(
    _txns(_puts | _deletes | _ranges | _increments),
    lambda inner: _txns(_puts | _ranges | inner),
    max_leaves=5,
)


class Model:
    """Every revision as a whole copy; leases are only numbers that exist."""

    def __init__(self) -> None:
        self.past: list[dict[bytes, KeyValue]] = [{}, {}]
        self.now: dict[bytes, KeyValue] = {}
        self.is_changed = False

    @property
    def revision(self) -> int:
        return len(self.past) - 1 + self.is_changed

    def transact(self, command: Txn) -> TxnDone | Failure:
        branch = self._decided(command)
        fault = self._fault(branch)
        if fault is not None:
            return Failure(fault)
        self.now, self.is_changed = dict(self.past[-1]), False
        responses = self._do(branch)
        if self.is_changed:
            self.past.append(self.now)
            self.is_changed = False
        return TxnDone(self.revision, branch[0], responses)

    def _decided(self, command: Txn) -> tuple[bool, list[object]]:
        succeeded = all(self._holds(each) for each in command.compare)
        branch = command.success if succeeded else command.failure
        return succeeded, [self._decided(op) if isinstance(op, Txn) else op for op in branch]

    def _holds(self, compare: Compare) -> bool:
        target, result, key, range_end, operand = compare
        kvs = select(self.past[-1], key, range_end)
        found: list[int | bytes]
        if target is CompareTarget.COUNT:
            found = [len(kvs)]
        elif not kvs:
            if target is CompareTarget.VALUE:
                return False
            found = [0]
        else:
            name = ("version", "create_revision", "mod_revision", "value", "lease")[target]
            found = [getattr(kv, name) for kv in kvs]
        return all(_stands(each, result, operand) for each in found)

    def _leaves(self, branch: tuple[bool, list[object]]) -> list[object]:
        leaves: list[object] = []
        for each in branch[1]:
            is_inner = isinstance(each, tuple) and not hasattr(each, "_fields")
            leaves += self._leaves(each) if is_inner else [each]  # type: ignore[arg-type]
        return leaves

    def _fault(self, branch: tuple[bool, list[object]]) -> FaultName | None:
        before, changed, leaves = self.past[-1], set[bytes](), self._leaves(branch)
        for each in leaves:
            match each:
                case Put(key, _, lease, _, ignore_value, ignore_lease):
                    if (ignore_value or ignore_lease) and key not in before:
                        return "KeyNotFound"
                    if (ignore_value or ignore_lease) and key in changed:
                        return "DuplicateKey"
                    if lease and lease not in LEASES:
                        return "LeaseNotFound"
                    changed.add(key)
                case Increment(key):
                    if key in changed:
                        return "DuplicateKey"
                    if key in before and before[key].value == b"x":
                        return "NotAnInteger"
                    changed.add(key)
                case DeleteRange(key, range_end):
                    every = dict.fromkeys((b"a", b"b", b"c", b"d"))
                    changed |= {k for k in every if _is_within(k, key, range_end)}
        for each in leaves:
            if isinstance(each, Range) and each.revision > len(self.past) - 1:
                return "FutureRev"
        return None

    def _do(self, branch: tuple[bool, list[object]]) -> tuple[TxnResponse, ...]:
        responses: list[TxnResponse] = []
        for each in branch[1]:
            match each:
                case Put():
                    responses.append(self._put(each))
                case Increment(key, delta):
                    before = self.now.get(key)
                    value = delta + int(before.value if before else 0)
                    lease = before.lease if before else 0
                    self._put(Put(key, str(value).encode(), lease))
                    responses.append(Incremented(self.revision, value))
                case DeleteRange():
                    responses.append(self._delete(each))
                case Range():
                    responses.append(self._range(each))
                case (succeeded, _):
                    inner = self._do(each)  # type: ignore[arg-type]
                    responses.append(TxnDone(0, bool(succeeded), inner))
        return tuple(responses)

    def _put(self, put: Put) -> PutDone:
        before, self.is_changed = self.now.get(put.key), True
        value, lease = put.value, put.lease
        if before and put.ignore_value:
            value = before.value
        if before and put.ignore_lease:
            lease = before.lease
        created = before.create_revision if before else self.revision
        version = before.version + 1 if before else 1
        self.now[put.key] = KeyValue(put.key, created, self.revision, version, value, lease)
        return PutDone(self.revision, before if put.prev_kv else None)

    def _delete(self, delete: DeleteRange) -> DeleteDone:
        gone = select(self.now, delete.key, delete.range_end)
        for kv in gone:
            del self.now[kv.key]
            self.is_changed = True
        return DeleteDone(self.revision, len(gone), tuple(gone) if delete.prev_kv else ())

    def _range(self, query: Range) -> RangeDone:
        before = self.past[query.revision] if 0 < query.revision < self.revision else self.now
        kvs = select(before, query.key, query.range_end)
        count = len(kvs)
        order, target = query.sort_order, query.sort_target
        least_mod, most_mod = query.min_mod_revision, query.max_mod_revision
        least_create, most_create = query.min_create_revision, query.max_create_revision
        has_bounds = least_mod or most_mod or least_create or most_create
        if not order and not has_bounds and query.limit:
            kvs = kvs[: query.limit + 1]
        kvs = [
            kv
            for kv in kvs
            if (not most_mod or kv.mod_revision <= most_mod)
            and kv.mod_revision >= least_mod
            and (not most_create or kv.create_revision <= most_create)
            and kv.create_revision >= least_create
        ]
        name = ("key", "version", "create_revision", "mod_revision", "value")[target]
        kvs.sort(key=lambda kv: getattr(kv, name), reverse=order is SortOrder.DESCEND)
        more = 0 < query.limit < len(kvs)
        kvs = kvs[: query.limit] if more else kvs
        kvs = [kv._replace(value=b"") for kv in kvs] if query.keys_only else kvs
        return RangeDone(self.revision, tuple(kvs), more, count)


def _stands(found: int | bytes, result: CompareResult, operand: int | bytes) -> bool:
    order = (found > operand) - (found < operand)  # type: ignore[operator]
    return (order == 0, order > 0, order < 0, order != 0)[result]


def _is_within(each: bytes, key: bytes, range_end: bytes) -> bool:
    if not range_end:
        return each == key
    return key <= each and (range_end == b"\0" or each < range_end)


def do_all(operations: Iterable[TxnOp]) -> Txn:
    """A transaction without conditions."""
    return Txn((), tuple(operations), ())


@pytest.mark.campaign
@settings(max_examples=300)
@given(st.lists(_txn, max_size=10))
def test_transactions_do_what_the_model_says(txns: list[Txn]) -> None:
    driver, model = Driver(), Model()
    for lease in LEASES:
        driver.do(LeaseGrant(lease, 5_000))
    for each in txns:
        assert driver.do(each) == model.transact(each)
        found = driver.ask(Range(b"\0", b"\0"))
        assert found.kvs == tuple(select(model.past[-1], b"\0", b"\0"))
        holders = {kv.key: kv.lease for kv in found.kvs if kv.lease}
        leases = driver.machine.leases.table.values()
        assert {key: lease.id for lease in leases for key in lease.keys} == holders


# --- reads in steps ---------------------------------------------------------------------------

_sets = st.builds(Put, _keys, _values, st.sampled_from([0, 1]), _no, _no, _no, st.just(0))
_writes: st.SearchStrategy[Command] = st.one_of(
    _sets,
    _sets,
    st.builds(DeleteRange, _keys, st.just(b"")),
    st.builds(LeaseRevoke, st.integers(1, 3)),
    st.builds(LeaseGrant, st.integers(1, 3), st.integers(1, 9)),
)
_upkeep = st.sampled_from(["commit", "compact", "compact and sweep", "compact and sweep"])

_all, _some_revision = (st.just(b"a"), st.just(b"\0")), st.just(0) | st.integers(4, 9)
_wide = st.builds(
    Range, *_all, st.sampled_from([0, 0, 3]), _some_revision, st.booleans(), _no, *_orders, *_bounds
)
_wide_compares = st.builds(
    Compare, st.just(CompareTarget.MOD), st.just(CompareResult.LESS), *_all, st.integers(5, 12)
)
_queries: st.SearchStrategy[Query] = st.one_of(
    _wide,
    _wide,
    _txns(_wide, _wide_compares),
    _txns(_txns(_wide), _wide_compares),
    st.builds(History, _keys, st.just(0), _some_revision),
    st.builds(HashKV, _some_revision),
    st.just(LeaseLeases()),
    st.builds(LeaseTimeToLive, st.integers(1, 2), st.booleans()),
)


@pytest.fixture
def tiny_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever takes steps takes many."""
    for module in (digest, history, ranges, steps, txn, writes):
        monkeypatch.setattr(module, "ITEMS_PER_STEP", 1)
    monkeypatch.setattr(long_queries, "SLICE_STEPS_MAX", 1)


@pytest.mark.usefixtures("tiny_steps")
@settings(max_examples=300)
@given(
    st.lists(_writes, min_size=4, max_size=12),
    st.lists(_queries, min_size=1, max_size=4),
    st.lists(_writes | _upkeep, min_size=3, max_size=20),
)
def test_a_long_query_sees_the_state_of_its_beginning_whatever_comes_between(
    before: list[Command], asked: list[Query], between: list[Command | str]
) -> None:
    driver = Driver()
    driver.do(do_all(Put(key, b"1") for key in (b"a", b"b", b"c", b"d")))
    for command in before:
        driver.do(command)
    machine, long, now_ms = driver.machine, LongQueries(), driver.now_ms
    expected: dict[int, Result] = {
        ticket: answer(machine, query, now_ms) for ticket, query in enumerate(asked)
    }
    answers = long.answer(machine, list(starmap(Question, enumerate(asked))), now_ms)
    for each in between:
        if not isinstance(each, str):
            driver.do(each)
        elif each == "commit":
            driver.commit()
        else:
            driver.do(Compact(machine.revision))
        if each == "compact and sweep" and not long.is_older_than(machine.store.compact_revision):
            driver.sweep(1)
        answers += long.work(machine, lambda: 0)
    while long:
        answers += long.work(machine, lambda: 0)
    assert dict(answers) == expected
    assert len(answers) == len(asked)
