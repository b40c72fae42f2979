"""The backend keeps what was committed, all of it or nothing, and knows when its file is wrong."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import lmdb
import pytest

from actors.language.auth import NOBODY
from actors.language.commands import Change, Event, KeyValue, LeaseGrant, Put, Range, SortOrder
from actors.language.errors import StorageError
from actors.language.results import RangeDone
from actors.store.disk.backend import LmdbBackend
from actors.store.machine import Machine
from actors.store.questions import begin
from actors.store.records import decode_state, encode_format, encode_state
from actors.store.steps import BYTES_PER_STEP, finish
from actors.store.storage import EMPTY, Backend, Batch, Loaded, Meta
from tests.cluster.test_private import all_taken
from tests.store.driver import FOUNDERS, TERM, Driver, everything

VALUE = b"v" * 300


def _change(path: Path, table: bytes, key: bytes, record: bytes) -> None:
    """Write one record past the backend."""
    with lmdb.open(str(path), subdir=False, max_dbs=8) as environment:
        opened = environment.open_db(table, create=False)
        with environment.begin(write=True) as transaction:
            transaction.put(key, record, db=opened)


def _filled(path: Path, keys: int = 200) -> dict[str, Any]:
    """Make a file with this many keys and return the state in it."""
    driver = Driver(LmdbBackend(path))
    for number in range(keys):
        driver.do(Put(b"key%06d" % number, VALUE))
    driver.commit()
    state = everything(driver.machine)
    driver.backend.close()
    return state


def _reopened(path: Path) -> dict[str, Any]:
    backend = LmdbBackend(path)
    try:
        return everything(Machine(backend, FOUNDERS))
    finally:
        backend.close()


def _meta(index: int, cluster_ms: int, revision: int) -> Meta:
    return Meta(index, TERM, cluster_ms, revision, -1, 0, b"membership")


def _event(revision: int) -> Event:
    return Event(Change.PUT, KeyValue(b"a", revision, revision, 1, b"1", 0), None)


def test_a_new_backend_is_empty(backend: Backend) -> None:
    assert finish(backend.load()) == Loaded(EMPTY, (), (), ())
    assert list(backend.scan()) == []


def test_what_is_not_committed_is_lost_and_what_is_committed_stays(backend: Backend) -> None:
    driver = Driver(backend)
    driver.do(LeaseGrant(7, 1_000))
    driver.do(Put(b"a", b"1", lease=7))
    driver.commit()
    before = everything(driver.machine)
    driver.do(Put(b"a", b"2"))
    driver.do(LeaseGrant(8, 1_000))
    driver.crash()
    assert everything(driver.machine) == before


def test_a_file_closed_and_opened_again_holds_the_same(path: Path) -> None:
    assert _filled(path) == _reopened(path)


def test_a_file_is_opened_though_connections_have_all_descriptors(path: Path) -> None:
    state = _filled(path)
    with all_taken():
        assert _reopened(path) == state


def test_keys_and_values_may_be_empty_of_meaning_and_large(backend: Backend) -> None:
    driver = Driver(backend, restarts=True)
    for key in (b"\0", b"\xff" * 3, b"k" * 100_000):
        value = bytes(range(256)) * 8_000
        driver.do(Put(key, value))
        kv = driver.get(key)
        assert kv and (kv.key, kv.value) == (key, value)


def test_lease_ids_may_be_negative(backend: Backend) -> None:
    driver = Driver(backend, restarts=True)
    driver.do(LeaseGrant(-(2**63), 1_000))
    driver.do(Put(b"a", b"1", lease=-(2**63)))
    kv = driver.get(b"a")
    assert kv and kv.lease == -(2**63)


def test_reading_a_revision_that_is_not_there_is_a_fault(backend: Backend) -> None:
    with pytest.raises(StorageError, match="revision 2 is missing"):
        backend.read(2 << 32)
    with pytest.raises(StorageError, match="revision 2 is missing"):
        backend.key_values([2 << 32], 1)


def test_many_values_are_read_in_the_order_asked_for_up_to_so_many_bytes(backend: Backend) -> None:
    driver = Driver(backend)
    for key in (b"a", b"b", b"c"):
        driver.do(Put(key, key * 1_000))
    driver.commit()
    positions = [4 << 32, 2 << 32, 3 << 32]
    read = [backend.read(position).kv for position in positions]
    assert backend.key_values(positions, 10_000) == read
    assert [len(backend.key_values(positions, most)) for most in (1, 1_100)] == [1, 2]
    assert backend.key_values([], 10_000) == []


@pytest.mark.parametrize("order", [SortOrder.ASCEND, SortOrder.DESCEND])
def test_a_range_of_large_values_is_whole_whether_these_are_committed_or_not(
    backend: Backend, order: SortOrder
) -> None:
    driver = Driver(backend)
    keys = [b"key%02d" % number for number in range(12)]
    for round_of_puts in (keys, keys[::3], keys[1::4]):
        driver.commit()
        for key in round_of_puts:
            driver.do(Put(key, key * (BYTES_PER_STEP // 15)))
    steps = begin(driver.machine, Range(b"\0", b"\0", sort_order=order), 0, NOBODY)
    assert not isinstance(steps, tuple)
    assert next(steps) is None  # more than one step is needed
    done = finish(steps)
    assert isinstance(done, RangeDone)
    expected = keys if order is SortOrder.ASCEND else keys[::-1]
    assert done.kvs == tuple(driver.get(key) for key in expected)


def test_a_map_that_is_too_small_grows_without_losing_anything(path: Path) -> None:
    driver = Driver(LmdbBackend(path, map_size_bytes=1 << 16))
    for number in range(2_000):
        driver.do(Put(b"key%06d" % number, VALUE))
        if number % 500 == 0:
            driver.commit()
            assert driver.get(b"key%06d" % number) is not None
    driver.commit()
    state = everything(driver.machine)
    assert driver.ask(Range(b"\0", b"\0")).kvs[-1].value == VALUE
    driver.backend.close()
    assert path.stat().st_size > 1 << 19
    assert _reopened(path) == state


def test_a_commit_that_fails_leaves_the_one_before(path: Path) -> None:
    backend = LmdbBackend(path)
    backend.commit(Batch(_meta(1, 5, 3), {3 << 32: _event(3)}, {}, (), ()))
    with pytest.raises(StorageError, match=r"store\.lmdb"):
        backend.commit(Batch(_meta(2, 9, 2), {2 << 32: _event(2)}, {}, (), ()))
    assert finish(backend.load()).meta == _meta(1, 5, 3)
    assert [row[0] for row in backend.scan()] == [3 << 32]
    backend.close()


@pytest.mark.parametrize("content", [b"text\n" * 4_000, b"\0" * 8_192, b"abc"])
def test_a_file_of_something_else_is_refused_by_name(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(StorageError, match=r"store\.lmdb"):
        LmdbBackend(path)
    assert path.read_bytes() == content


def test_a_directory_in_place_of_the_file_is_refused_by_name(path: Path) -> None:
    path.mkdir()
    with pytest.raises(StorageError, match=r"store\.lmdb"):
        LmdbBackend(path)


def test_a_missing_directory_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"nowhere.store\.lmdb"):
        LmdbBackend(tmp_path / "nowhere" / "store.lmdb")


def test_an_lmdb_file_of_another_program_is_refused_and_left_alone(path: Path) -> None:
    with lmdb.open(str(path), subdir=False, max_dbs=1) as environment:
        table = environment.open_db(b"theirs")
        with environment.begin(write=True) as transaction:
            transaction.put(b"key", b"value", db=table)
    before = path.read_bytes()
    with pytest.raises(StorageError, match="not a store of leasehold"):
        LmdbBackend(path)
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("record", "number"),
    [((1).to_bytes(4, "big"), 1), (encode_format(b"format", 5), 5)],
)
def test_a_file_of_another_format_is_refused_with_its_number(
    path: Path, record: bytes, number: int
) -> None:
    _filled(path)
    _change(path, b"meta", b"format", record)
    with pytest.raises(
        StorageError, match=rf"store\.lmdb: format {number}; this program reads format 4"
    ):
        LmdbBackend(path)


@pytest.mark.parametrize("kept", [0.9, 0.5, 0.2])
def test_a_file_that_was_cut_short_is_refused_each_time(path: Path, kept: float) -> None:
    _filled(path, keys=2_000)
    size = int(path.stat().st_size * kept)
    os.truncate(path, size)
    for _ in range(2):
        with pytest.raises(StorageError, match=r"store\.lmdb: damaged at byte \d+: .* rejoin"):
            _reopened(path)
        assert path.stat().st_size == size


def _without_its_unused_end(path: Path) -> None:
    """A large value, deleted again, leaves free pages at the end of the file: cut these off."""
    with lmdb.open(str(path), subdir=False, max_dbs=8) as environment:
        members, meta = (environment.open_db(name, create=False) for name in (b"members", b"meta"))
        # The last commits find free pages before those at the end.
        for value in (b"x" * 20_000, b"x" * 200_000, b"", b""):
            with environment.begin(write=True) as transaction:
                if value:
                    transaction.put(b"\0" * 8, value, db=members)
                else:
                    transaction.delete(b"\0" * 8, db=members)
                record: Any = transaction.get(b"state", db=meta)
                state = decode_state(b"state", record)._replace(transaction=transaction.id())
                transaction.put(b"state", encode_state(b"state", state), db=meta)
        needed = (environment.info()["last_pgno"] + 1) * environment.stat()["psize"]
    os.truncate(path, path.stat().st_size - 100_000)
    assert path.stat().st_size < needed


def test_a_file_short_of_pages_that_nothing_uses_is_sound(path: Path) -> None:
    state = _filled(path)
    _without_its_unused_end(path)
    assert _reopened(path) == state
    driver = Driver(LmdbBackend(path))
    for number in range(500):
        driver.do(Put(b"more%06d" % number, VALUE))
    driver.commit()
    state = everything(driver.machine)
    driver.backend.close()
    assert _reopened(path) == state


def _damage(path: Path, key: bytes) -> None:
    """Change one byte of a key's value in the file."""
    content = bytearray(path.read_bytes())
    content[content.index(key) + len(key) + 10] ^= 1
    path.write_bytes(content)


def test_a_value_that_changed_on_disk_is_noticed_at_start(path: Path) -> None:
    _filled(path)
    _damage(path, b"key000100")
    with pytest.raises(
        StorageError, match=r"store\.lmdb: damaged at byte \d+: revision 102 has a wrong checksum"
    ):
        _reopened(path)


def test_a_value_that_changes_on_disk_later_is_noticed_when_read(path: Path) -> None:
    _filled(path)
    driver = Driver(LmdbBackend(path))
    _damage(path, b"key000100")
    with pytest.raises(StorageError, match=r"store\.lmdb.*revision 102 has a wrong checksum"):
        driver.get(b"key000100")
    assert driver.get(b"key000101") is not None
    driver.backend.close()


def test_revisions_that_do_not_fit_the_state_are_noticed_at_start(path: Path) -> None:
    backend = LmdbBackend(path)
    backend.commit(Batch(_meta(1, 5, 7), {3 << 32: _event(3)}, {}, (), ()))
    with pytest.raises(StorageError, match="the last revision is 3, not 7"):
        list(backend.scan())
    backend.close()


def test_a_key_whose_lease_is_missing_is_noticed_at_start(backend: Backend) -> None:
    kv = KeyValue(b"a", 2, 2, 1, b"1", 7)
    backend.commit(Batch(_meta(1, 5, 2), {2 << 32: Event(Change.PUT, kv, None)}, {}, (), ()))
    with pytest.raises(StorageError, match="names the missing lease 7"):
        Machine(backend, FOUNDERS)
