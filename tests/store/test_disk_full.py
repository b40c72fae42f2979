"""A disk that is full stops the node in words, and costs nothing: the log has what is missing."""

from __future__ import annotations

import resource
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from actors.language.commands import Put
from actors.language.errors import StorageError
from actors.language.messages import Apply, SnapshotTaken, TakeSnapshot
from actors.runtime import base
from actors.runtime.base import Ring
from actors.runtime.loop import Loop
from actors.store.actor import StoreActor
from actors.store.disk.backend import LmdbBackend
from actors.store.machine import Machine
from tests.limits import HANG_SECONDS
from tests.probes import ManualClock, Probe
from tests.store.driver import FOUNDERS, Driver, everything
from tests.store.shell import HERE, Node
from tests.twins import ImmediateWaits, MemoryBackend

ROOM_BYTES = 64 * 1024
CANNOT_WRITE = r"store: cannot be written: .*make room and start again: nothing is lost"


@contextmanager
def files_no_larger_than(size: int) -> Iterator[None]:
    """As on a disk without room, a write beyond this size fails."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def _puts(count: int) -> list[Put]:
    return [Put(b"key%04d" % number, b"v" * 1_000) for number in range(count)]


@pytest.mark.parametrize("map_size_bytes", [1 << 16, 1 << 30])
def test_a_commit_without_room_fails_whole_and_the_log_brings_it_back(
    tmp_path: Path, map_size_bytes: int
) -> None:
    path = tmp_path / "store"
    driver = Driver(LmdbBackend(path, map_size_bytes))
    puts = _puts(400)
    for put in puts[:10]:
        driver.do(put)
    driver.commit()
    durable = everything(driver.machine)
    for put in puts[10:]:
        driver.do(put)
    applied = everything(driver.machine)
    with (
        files_no_larger_than(path.stat().st_size + ROOM_BYTES),
        pytest.raises(StorageError, match=CANNOT_WRITE),
    ):
        driver.commit()
    driver.backend.close()
    again = Driver(LmdbBackend(path))
    assert everything(again.machine) == durable
    for put in puts[again.machine.applied_index :]:
        again.do(put)
    again.commit()
    assert everything(again.machine) == applied
    again.backend.close()


def test_a_store_that_cannot_be_begun_is_refused_by_name_and_begun_later(tmp_path: Path) -> None:
    with files_no_larger_than(4_096), pytest.raises(StorageError, match="store: "):
        LmdbBackend(tmp_path / "store")
    backend = LmdbBackend(tmp_path / "store")
    assert Machine(backend, FOUNDERS).applied_index == 0
    backend.close()


def test_the_node_stops_and_its_last_words_say_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopped = threading.Event()
    reasons: list[str] = []

    def stop(reason: str) -> None:
        reasons.append(reason)
        stopped.set()

    monkeypatch.setattr(base, "fail_stop", stop)
    backend = LmdbBackend(tmp_path / "store")
    actor = StoreActor(Machine(backend, FOUNDERS), backend, ImmediateWaits(), HERE, ManualClock())
    actor.join(Ring(*(Probe() for _ in Ring._fields)))
    log = Node(MemoryBackend())
    with files_no_larger_than(ROOM_BYTES):
        # Both are there when it begins, so that it commits when it is asked for a copy.
        actor.actor_ref.tell(Apply(tuple(log.entry(put) for put in _puts(400))))
        actor.actor_ref.tell(TakeSnapshot(tmp_path / "copy"))
        loop = Loop()
        actor.begin(loop)
        loop.start()
        assert stopped.wait(HANG_SECONDS)
    assert "StoreActor cannot use its disk" in reasons[0]
    assert "store: cannot be written" in reasons[0]
    assert not (tmp_path / "copy").exists()


@pytest.mark.parametrize("count", [400, 4_000])
def test_a_snapshot_without_room_leaves_no_file_and_a_node_that_goes_on(
    tmp_path: Path, count: int
) -> None:
    node = Node(LmdbBackend(tmp_path / "store"))
    node.apply(*_puts(count))
    node.commit()
    path = tmp_path / "copy"
    with files_no_larger_than(ROOM_BYTES):
        node.hear(TakeSnapshot(path))
        for thread in threading.enumerate():
            if thread.name == "store copy":
                thread.join()
    assert node.told == [("raft", SnapshotTaken(path, 0, 0))]
    assert sorted(each.name for each in tmp_path.iterdir()) == ["store", "store-lock"]
    node.apply(Put(b"more", b"1"))
    node.commit()
    node.actor.close()
