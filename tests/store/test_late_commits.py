"""A commit that takes long: what is read meanwhile, what waits for its end, and who hears of it."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from actors.language.commands import Compact, DeleteRange, KeyValue, Put, Range
from actors.language.errors import StorageError
from actors.language.messages import (
    Apply,
    Durable,
    HistoryPortion,
    LocalRead,
    Question,
    ReadHistory,
    Replies,
    SnapshotTaken,
    Synced,
    TakeSnapshot,
    Tick,
)
from actors.language.results import Done, PutDone, RangeDone
from actors.runtime import base
from actors.runtime.base import NodeActor, Ring
from actors.runtime.disk import OF_WAITS, DiskWaits
from actors.runtime.loop import Loop
from actors.store import pace
from actors.store.actor import StoreActor
from actors.store.commits import FREED_STEPS
from actors.store.disk import open_commit
from actors.store.disk.backend import LmdbBackend
from actors.store.disk.open_commit import LmdbCommit
from actors.store.machine import Machine
from actors.store.questions import answer
from actors.store.steps import ITEMS_PER_STEP, finish
from actors.store.storage import Backend, Batch
from tests.limits import HANG_SECONDS
from tests.store.driver import FOUNDERS, everything
from tests.store.shell import HERE, Node, await_copies
from tests.twins import LateWaits, MemoryBackend


def all_of(machine: Machine) -> tuple[KeyValue, ...]:
    """All keys and values."""
    done = answer(machine, Range(b"\0", b"\0"), 0)
    assert isinstance(done, RangeDone)
    return done.kvs


class Late(Node):
    """A node whose commits are under way until `end`."""

    def __init__(self, backend: Backend) -> None:
        self.waits = LateWaits()
        super().__init__(backend, waits=self.waits)

    def end(self) -> list[tuple[str, Any]]:
        """The commit comes to its end, and the actor hears of that."""
        self.waits.work_now()
        return self.hear_itself()

    def hear_itself(self) -> list[tuple[str, Any]]:
        """The actor hears what its own thread has told it."""
        told: list[tuple[str, Any]] = []
        while (message := self.actor.mailbox.pop()) is not None:
            told += self.hear(message)
        return told

    def value_of(self, key: bytes) -> bytes:
        """What a client reads here."""
        ((_, replies),) = self.hear(LocalRead((Question(5, Range(key)),)))
        ((_, done),) = replies.replies
        return bytes(done.kvs[0].value)


@pytest.fixture
def late(backend: Backend) -> Late:
    """A node with late commits, on the disk and on its twin."""
    return Late(backend)


def test_raft_hears_of_a_commit_when_it_is_durable_and_not_before(late: Late) -> None:
    late.apply(Put(b"a", b"1"))
    assert late.commit() == []
    assert late.waits.is_busy
    assert late.machine.committed_index == 0
    assert late.end() == [("raft", Durable(1))]
    assert late.machine.committed_index == 1
    assert finish(late.backend.load()).meta.applied_index == 1


def test_what_is_being_committed_is_read_before_and_after_its_end(late: Late) -> None:
    late.apply(Put(b"a", b"1"), Put(b"b", b"1"))
    late.commit()
    late.apply(Put(b"b", b"2"))
    read = [late.value_of(b"a"), late.value_of(b"b")]
    assert read == [b"1", b"2"]
    late.waits.work_now()  # it is durable, but the actor has not heard of that
    assert [late.value_of(b"a"), late.value_of(b"b")] == read
    state = everything(late.machine)
    late.hear_itself()
    assert [late.value_of(b"a"), late.value_of(b"b")] == read
    assert everything(late.machine) == state


def test_a_range_finds_the_committed_the_committing_and_the_fresh(late: Late) -> None:
    for value in (b"1", b"2", b"3"):
        late.apply(*(Put(b"k%d" % number, value) for number in range(int(value), 9)))
        if value == b"1":
            late.commit()
            late.end()
        if value == b"2":
            late.commit()
    assert [kv.value for kv in all_of(late.machine)] == [b"1", b"2", *[b"3"] * 6]
    portions: list[Any] = []
    start = 2
    while start <= late.machine.revision:
        ((_, portion),) = late.hear(ReadHistory(start, (), False))
        assert isinstance(portion, HistoryPortion)
        portions += portion.events
        start = portion.reached + 1
    assert [event.kv.mod_revision for event in portions] == list(range(2, 23))


def test_what_comes_during_a_commit_is_in_the_next_one(late: Late) -> None:
    late.apply(Put(b"a", b"1"))
    late.commit()
    late.apply(Put(b"a", b"2"))
    assert late.commit() == []
    assert late.actor.mailbox.next_wake_ms is None, "the end of the first one wakes it"
    assert late.end() == [("raft", Durable(1))]
    assert late.waits.is_busy, "the next one was due, and is under way"
    assert late.end() == [("raft", Durable(2))]


def test_a_commit_that_was_full_before_the_last_one_ended_follows_at_once(
    late: Late, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pace, "COMMIT_CHANGES_MAX", 1)
    late.apply(Put(b"a", b"1"))
    late.apply(Put(b"a", b"2"))
    assert late.end() == [("raft", Durable(1))]
    assert late.end() == [("raft", Durable(2))]
    assert not late.waits.is_busy


def test_a_crash_before_the_end_leaves_the_commit_before(late: Late) -> None:
    late.apply(Put(b"a", b"1"))
    late.commit()
    late.end()
    late.apply(Put(b"a", b"2"))
    late.commit()
    again = Machine(late.backend, FOUNDERS)
    assert (again.applied_index, again.revision) == (1, 2)


def test_closing_waits_for_the_commit_and_makes_another(late: Late, path: Path) -> None:
    late.apply(Put(b"a", b"1"))
    late.commit()
    late.apply(Put(b"a", b"2"))
    late.waits.is_slow = False
    state = everything(late.machine)
    late.actor.close()
    backend = late.backend if isinstance(late.backend, MemoryBackend) else LmdbBackend(path)
    assert everything(Machine(backend, FOUNDERS)) == state
    backend.close()


def test_a_snapshot_has_what_was_being_committed_and_what_came_after_it(
    late: Late, tmp_path: Path
) -> None:
    late.apply(Put(b"a", b"1"))
    late.commit()
    late.apply(Put(b"a", b"2"))
    late.told.clear()
    late.actor.receive(TakeSnapshot(tmp_path / "copy"))
    await_copies()
    assert late.told == [
        ("raft", Durable(1)),
        ("raft", Durable(2)),
        ("raft", SnapshotTaken(tmp_path / "copy", 2, 3)),
    ]
    copy = late.backend.open_copy(tmp_path / "copy")
    assert everything(finish(late.machine.reopened(copy))) == everything(late.machine)
    copy.close()
    # The ends of both commits are told, although nobody waits for them any more.
    late.apply(Put(b"a", b"3"))
    late.commit()
    assert late.hear_itself() == []
    assert late.end() == [("raft", Durable(3))]


def test_a_commit_that_fails_late_ends_the_store_and_is_not_tried_again() -> None:
    class FullDisk(MemoryBackend):
        attempts = 0

        def sync(self, batch: Batch) -> None:
            self.attempts += 1
            raise StorageError("store: No space left on device")

    backend = FullDisk()
    late = Late(backend)
    late.apply(Put(b"a", b"1"))
    late.commit()
    with pytest.raises(StorageError, match="No space left"):
        late.end()
    late.actor.close()
    assert backend.attempts == 1


@pytest.mark.parametrize("limit", ["KEPT_CHANGES_MAX", "KEPT_BYTES_MAX"])
def test_more_than_is_kept_in_memory_waits_for_the_end(
    late: Late, monkeypatch: pytest.MonkeyPatch, limit: str
) -> None:
    monkeypatch.setattr(pace, "COMMIT_CHANGES_MAX", 1)
    monkeypatch.setattr(pace, limit, 3 if limit == "KEPT_CHANGES_MAX" else 60)
    raft_heard = [
        [told for told in late.apply(Put(b"a", b"1")) if told[0] == "raft"] for _ in range(8)
    ]
    assert raft_heard[0] == []
    first = next(number for number, told in enumerate(raft_heard) if told)
    assert raft_heard[first] == [("raft", Durable(1))]
    assert first >= 3
    assert late.waits.is_busy, "the next one is under way"


def test_a_physical_compaction_waits_for_the_commit_of_its_sweep(late: Late) -> None:
    late.apply(*(Put(b"a", b"%d" % number) for number in range(20)))
    late.commit()
    late.end()
    compacted = Apply((late.entry(Compact(20, physical=True), HERE, 7),))
    answers = [each for each in late.hear(compacted) if each[0] == "gateway"]
    for _ in range(50):
        late.now_ms += 5
        answers += [each for each in late.tick() if each[0] == "gateway"]
    assert (answers, late.waits.is_busy) == ([], True)
    told: list[tuple[str, Any]] = []
    while late.waits.is_busy:
        told += late.end()
        late.now_ms += 5
        told += late.tick()
    assert ("gateway", Replies(((7, Done(21)),))) in told
    assert len(late.backend.rows(0, 1 << 62, 100)) == 2


# --- portions ---------------------------------------------------------------------------------


@pytest.fixture
def small_portions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(open_commit, "PORTION_ROWS", 10)
    monkeypatch.setattr(open_commit, "COMMIT_PORTION_ROWS_MAX", 10)
    monkeypatch.setattr("actors.store.disk.tables.PIECE_ROWS", 5)


@pytest.mark.usefixtures("small_portions")
def test_a_large_commit_lets_others_have_their_turn_between_its_portions(path: Path) -> None:
    node = Node(LmdbBackend(path))
    node.apply(*(Put(b"k%02d" % number, b"1") for number in range(50)))
    node.now_ms += pace.COMMIT_INTERVAL_MS
    turns, told = 0, node.tick()
    while not told:
        turns += 1
        assert node.actor.mailbox.next_wake_ms == node.now_ms
        assert len(all_of(node.machine)) == 50 + turns - 1
        node.apply(Put(b"new%02d" % turns, b"1"))
        told = node.tick()
    assert told == [("raft", Durable(50))]
    assert turns == 5
    node.actor.close()
    again = LmdbBackend(path)
    assert Machine(again, FOUNDERS).applied_index == 50 + turns
    again.close()


@pytest.mark.usefixtures("small_portions")
def test_a_crash_between_two_portions_leaves_the_commit_before(path: Path) -> None:
    node = Node(LmdbBackend(path))
    node.apply(Put(b"a", b"1"))
    node.commit()
    state = everything(node.machine)
    node.apply(*(Put(b"k%02d" % number, b"1") for number in range(50)), DeleteRange(b"a"))
    node.now_ms += pace.COMMIT_INTERVAL_MS
    for _ in range(3):
        assert node.tick() == []
    node.backend.close()
    again = LmdbBackend(path)
    assert everything(Machine(again, FOUNDERS)) == state
    again.close()


@pytest.mark.usefixtures("small_portions")
def test_a_map_that_is_too_small_grows_at_the_end_of_a_commit_in_portions(path: Path) -> None:
    node = Node(LmdbBackend(path, map_size_bytes=1 << 16))
    for _ in range(3):
        node.apply(*(Put(b"k%03d" % number, b"v" * 300) for number in range(200)))
        assert node.commit()[-1] == ("raft", Durable(node.last_index))
    state = everything(node.machine)
    node.actor.close()
    again = LmdbBackend(path)
    assert everything(Machine(again, FOUNDERS)) == state
    again.close()


# --- in a thread ------------------------------------------------------------------------------


def _slow_waits() -> DiskWaits:
    """Waits whose clock makes each of them slow."""
    now_ns = iter(range(0, 1 << 60, 1_000_000_000))
    waits = DiskWaits("store commit", lambda: next(now_ns))
    for _ in range(OF_WAITS):
        if not waits.is_slow:
            waits.run(lambda: None, lambda: None)
    assert waits.is_slow
    return waits


def test_a_map_that_is_too_small_for_a_commit_in_a_thread_grows(path: Path) -> None:
    node = Node(LmdbBackend(path, map_size_bytes=1 << 16), waits=_slow_waits())
    heard = threading.Semaphore(0)
    node.actor.mailbox.loop = _Heard(heard)
    for _ in range(3):
        node.apply(*(Put(b"k%03d" % number, b"v" * 300) for number in range(200)))
        assert node.commit() == []
        assert heard.acquire(timeout=HANG_SECONDS)
        assert isinstance(message := node.actor.mailbox.pop(), Synced)
        assert node.hear(message)[0] == ("raft", Durable(node.last_index))
    state = everything(node.machine)
    node.actor.close()
    again = LmdbBackend(path)
    assert everything(Machine(again, FOUNDERS)) == state
    again.close()


class _Heard(Loop):
    """What an actor's mailbox wakes: it counts."""

    def __init__(self, heard: threading.Semaphore) -> None:
        super().__init__()
        self.is_asleep = True
        self._heard = heard

    def wake(self) -> None:
        self._heard.release()


class _HeldBackend(LmdbBackend):
    """A backend whose next sync, once it is to be held, waits until it may end."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.begun, self.may_end = threading.Event(), threading.Event()
        self.may_end.set()

    def begin(self, batch: Batch) -> LmdbCommit:
        commit = super().begin(batch)
        sync = commit.sync

        def held() -> None:
            self.begun.set()
            self.may_end.wait(HANG_SECONDS)
            sync()

        commit.sync = held  # type: ignore[method-assign]
        return commit


class _Told:
    """An address whose messages a test waits for."""

    def __init__(self) -> None:
        self._queue: queue.Queue[Any] = queue.Queue()

    def tell(self, message: Any) -> None:
        self._queue.put(message)

    def next(self) -> Any:
        return self._queue.get(timeout=HANG_SECONDS)

    def is_empty(self) -> bool:
        return self._queue.empty()


class _Pulse(NodeActor):
    """Stands for Raft, which sends heartbeats: it beats at each of its ticks."""

    def __init__(self, beat: Callable[[int], None]) -> None:
        super().__init__()
        self._beat = beat

    def open(self) -> None:
        self.mailbox.wake_at(0)

    def receive(self, message: Tick) -> None:
        self._beat(message.now_ms)
        self.mailbox.wake_at(message.now_ms + 1)

    def close(self) -> None:
        pass


def test_a_slow_commit_holds_up_neither_reads_nor_heartbeats_nor_the_answer_to_a_put(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reasons: list[str] = []
    monkeypatch.setattr(base, "fail_stop", reasons.append)
    monkeypatch.setattr(pace, "COMMIT_CHANGES_MAX", 1)
    log = Node(MemoryBackend())
    backend = _HeldBackend(path)
    gateway, raft, others = _Told(), _Told(), _Told()
    actor = StoreActor(Machine(backend, FOUNDERS), backend, _slow_waits(), HERE, lambda: 0)
    actor.join(Ring(gateway=gateway, raft=raft, store=actor.mailbox, lease=others, watch=others))
    beats: queue.Queue[int] = queue.Queue()
    pulse = _Pulse(beats.put)
    loop = Loop()
    backend.may_end.clear()
    for each in (actor, pulse):
        each.begin(loop)
    loop.start()
    raft.next()  # the members that are known
    actor.mailbox.tell(Apply((log.entry(Put(b"a", b"1"), HERE, 1),)))
    assert gateway.next() == Replies(((1, PutDone(2)),))
    assert backend.begun.wait(HANG_SECONDS)
    # From here on the disk is busy.
    actor.mailbox.tell(Apply((log.entry(Put(b"b", b"1"), HERE, 2),)))
    assert gateway.next() == Replies(((2, PutDone(3)),))
    actor.mailbox.tell(LocalRead((Question(3, Range(b"a")),)))
    ((ticket, done),) = gateway.next().replies
    assert (ticket, done.kvs[0].value) == (3, b"1")
    for _ in range(beats.qsize() + 3):
        beats.get(timeout=HANG_SECONDS)
    assert raft.is_empty(), "nothing is durable yet"
    backend.may_end.set()
    assert [raft.next(), raft.next()] == [Durable(1), Durable(2)]
    for each in (actor, pulse):
        each.actor_ref.stop(block=True, timeout=HANG_SECONDS)
    loop.join(HANG_SECONDS)
    assert reasons == []


MANY = 9_000


def test_what_a_large_commit_has_written_is_freed_in_portions_and_read_from_the_backend(
    late: Late,
) -> None:
    late.apply(*(Put(b"k%04d" % number, b"v") for number in range(MANY)))
    written = late.machine.store.committing
    late.end()
    sizes = [len(written)]
    while written:
        late.tick()
        sizes.append(len(written))
    freed = [before - after for before, after in pairwise(sizes)]
    assert sum(freed) == MANY
    assert max(freed) <= FREED_STEPS * ITEMS_PER_STEP
    assert len(all_of(late.machine)) == MANY
    late.tick()
    assert late.actor.mailbox.next_wake_ms is None, "nothing is left to do"


def test_a_large_commit_is_kept_for_a_copy_that_will_repeat_it(tmp_path: Path) -> None:
    late = Late(LmdbBackend(tmp_path / "store"))
    late.backend.compact(lambda _: None)
    await_copies()
    late.apply(*(Put(b"k%04d" % number, b"v") for number in range(MANY)))
    late.end()
    for _ in range(MANY // ITEMS_PER_STEP):
        late.tick()
    assert late.backend.change_over() is None
    assert len(all_of(late.machine)) == MANY
    late.backend.close()
