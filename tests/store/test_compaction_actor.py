"""The StoreActor, unstarted: who waits for a compaction, and when its work is done."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from actors.language.codec import decode_command
from actors.language.commands import Compact, Put, Sequence, SessionOpen
from actors.language.entries import ClusterClock
from actors.language.errors import StorageError
from actors.language.messages import (
    Apply,
    Events,
    HistoryCut,
    HistoryPortion,
    Leadership,
    Propose,
    ReadHistory,
    Replies,
    Skipped,
    TakeSnapshot,
)
from actors.language.results import Done, Failure
from actors.store import sweeper as sweeper_module
from actors.store.actor import StoreActor
from actors.store.compactor import SETTLE_MS, SWEEP_PAUSE_MS
from actors.store.pace import COMMIT_INTERVAL_MS
from actors.store.retention import HistoryRetention, KeepRevisions
from actors.store.storage import SUB_BITS, Backend, Batch
from tests.store.shell import HERE, Node
from tests.twins import ImmediateWaits, MemoryBackend

ELSEWHERE = 2
TICKET = 11
LEADING = Leadership(leader=HERE, term=3, clock=ClusterClock(1_000, 50_000))
FOLLOWING = Leadership(leader=ELSEWHERE, term=4, clock=None)


@pytest.fixture
def node(backend: Backend) -> Node:
    """A node on the disk, and on its twin, with something to compact."""
    node = Node(backend)
    node.apply(*(Put(b"a", b"%d" % number) for number in range(300)))
    node.commit()
    return node


def _compact(
    node: Node, revision: int, physical: bool = True, origin: int = HERE, ticket: int = TICKET
) -> list[tuple[str, Any]]:
    command = Compact(revision, physical)
    return node.hear(Apply((node.entry(command, origin, ticket),)))


def _run(node: Node, for_ms: int) -> list[tuple[str, Any]]:
    """Let time pass, and return what was told meanwhile."""
    told: list[tuple[str, Any]] = []
    until_ms = node.now_ms + for_ms
    while (wake_ms := node.actor.mailbox.next_wake_ms) is not None and wake_ms <= until_ms:
        node.now_ms = max(node.now_ms, wake_ms)
        told += node.tick()
    node.now_ms = until_ms
    return told


def _on_disk(node: Node) -> int:
    backend = node.actor._backend
    return len(backend.rows(0, 1 << 90, 10_000))


def _answers(told: list[tuple[str, Any]]) -> list[tuple[int, Any]]:
    return [reply for _, message in told if isinstance(message, Replies) for reply in message[0]]


def test_a_compaction_is_answered_at_once_and_done_later(node: Node) -> None:
    assert _answers(_compact(node, 300, physical=False)) == [(TICKET, Done(301))]
    assert _on_disk(node) == 300
    assert _answers(_run(node, SETTLE_MS - 1)) == []
    assert _on_disk(node) == 300, "too little to be worth it yet"
    _run(node, 1_000)
    assert _on_disk(node) == 2
    assert node.actor.mailbox.next_wake_ms is None


def test_a_physical_compaction_is_answered_when_nothing_is_left(node: Node) -> None:
    began_ms = node.now_ms
    assert _answers(_compact(node, 300)) == []
    told: list[tuple[str, Any]] = []
    while not _answers(told):
        assert _on_disk(node) > 2, "it is not done yet"
        told = _run(node, 1)
    assert _answers(told) == [(TICKET, Done(301))]
    assert _on_disk(node) == 2
    assert node.now_ms < began_ms + COMMIT_INTERVAL_MS, "no need to wait for the usual commit"


def test_the_last_change_before_it_is_waited_for_if_it_is_not_committed(node: Node) -> None:
    node.apply(Put(b"a", b"new"))
    _compact(node, 302)
    assert _answers(_run(node, 1_000)) == [(TICKET, Done(302))]
    assert _on_disk(node) == 1


def test_nobody_is_told_that_it_is_done_by_a_commit_that_failed() -> None:
    class FullDisk(MemoryBackend):
        is_full = False

        def sync(self, batch: Batch) -> None:
            if self.is_full:
                raise StorageError("store: No space left on device")

    backend = FullDisk()
    node = Node(backend)
    node.apply(*(Put(b"a", b"%d" % number) for number in range(30)))
    node.commit()
    _compact(node, 30)
    backend.is_full = True
    with pytest.raises(StorageError, match="No space left"):
        _run(node, 1_000)
    node.told.clear()
    node.actor.close()
    assert node.told == []


def test_who_watches_hears_of_a_compaction_after_all_that_happened_before(node: Node) -> None:
    told = node.apply(Put(b"a", b"new"), Compact(301))
    events, cut = [message for to, message in told if to == "watch"]
    assert isinstance(events, Events) and events.revision == 302
    assert cut == HistoryCut()


def test_what_was_not_committed_yet_is_waited_for_too(node: Node) -> None:
    node.apply(*(Put(b"a", b"new") for _ in range(50)))
    _compact(node, 351)
    assert _answers(_run(node, 1_000)) == [(TICKET, Done(351))]
    assert _on_disk(node) == 1


def test_nobody_here_waits_for_what_was_asked_elsewhere(node: Node) -> None:
    assert _answers(_compact(node, 300, origin=ELSEWHERE)) == []
    assert _answers(_run(node, 2 * SETTLE_MS)) == []
    assert _on_disk(node) == 2


def test_a_physical_compaction_that_is_refused_is_answered_at_once(node: Node) -> None:
    assert _answers(_compact(node, 302)) == [(TICKET, Failure("FutureRev"))]


def test_a_retry_waits_as_the_first_try_did(node: Node) -> None:
    node.apply(SessionOpen(77))
    sequence = Sequence(77, 1, 1)
    for ticket in (TICKET, TICKET + 1):
        entry = node.entry(Compact(300, True), HERE, ticket, sequence)
        assert _answers(node.hear(Apply((entry,)))) == []
    answers = _answers(_run(node, 1_000))
    assert answers == [(TICKET, Done(301)), (TICKET + 1, Done(301))]


def test_a_later_compaction_also_ends_the_wait_for_an_earlier_one(node: Node) -> None:
    _compact(node, 200)
    _compact(node, 250, ticket=TICKET + 1)
    answers = _answers(_run(node, 1_000))
    assert sorted(answers) == [(TICKET, Done(301)), (TICKET + 1, Done(301))]


def test_the_sweep_works_in_portions_with_pauses_for_others(node: Node) -> None:
    _compact(node, 300)
    wakes = []
    while node.machine.sweeper.is_due:
        wake_ms = node.actor.mailbox.next_wake_ms
        assert wake_ms is not None
        wakes.append(wake_ms - node.now_ms)
        node.now_ms = wake_ms
        node.tick()
    assert len(wakes) > 2
    assert set(wakes) == {SWEEP_PAUSE_MS}


def test_a_portion_is_halved_when_it_took_too_long() -> None:
    node = Node(MemoryBackend())
    node.apply(*(Put(b"a", b"v") for _ in range(2_000)))
    node.commit()
    _compact(node, 2_000)
    rows, backend = [], node.backend
    really = backend.rows

    def slowly(start: int, end: int, rows_max: int) -> Any:
        rows.append(rows_max)
        node.now_ms += 10 if rows_max > 200 else 0
        return really(start, end, rows_max)

    backend.rows = slowly  # type: ignore[method-assign]
    _run(node, 1_000)
    assert rows[:6] == [64, 128, 256, 128, 256, 128]


def test_writes_sweep_as_they_come_so_that_a_busy_store_does_not_fall_behind(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweeper_module, "OUTDATED_MIN", 10)
    most = 0
    for _ in range(100):
        revision = node.machine.revision - 5
        node.apply(*(Put(b"a", b"v") for _ in range(20)), Compact(revision))
        node.actor.commit()  # the timer never comes to its turn
        most = max(most, _on_disk(node))
    assert most <= 300 + 100, "what had gathered before is outdated more and more"
    assert _on_disk(node) < 60


def test_a_sweep_is_made_durable_even_if_nothing_else_happens(node: Node) -> None:
    _compact(node, 300)
    _run(node, 1_000)
    again = Node(node.backend)
    assert again.machine.sweeper.swept_revision == 301
    assert not again.machine.sweeper.is_due


def test_a_restart_goes_on_with_what_is_left_to_do(node: Node) -> None:
    _compact(node, 300, physical=False)
    node.commit()
    again = Node(node.backend)
    again.actor.open()
    assert again.machine.sweeper.is_due
    _run(again, SETTLE_MS + 1_000)
    assert _on_disk(again) == 2


def test_watches_obey_the_compaction_at_once(node: Node) -> None:
    _compact(node, 300)
    spans = ((b"a", b""),)
    assert node.hear(ReadHistory(299, spans, False)) == [
        ("watch", HistoryPortion(299, 0, 301, (), 300))
    ]
    ((_, history),) = node.hear(ReadHistory(300, spans, False))
    assert [event.kv.mod_revision for event in history.events] == [300, 301]


def test_a_snapshot_of_a_half_done_sweep_is_finished_where_it_is_installed(
    tmp_path: Path,
) -> None:
    ahead, behind = Node(MemoryBackend()), Node(MemoryBackend())
    ahead.apply(*(Put(b"a", b"%d" % number) for number in range(3_000)))
    ahead.commit()
    _compact(ahead, 3_000)
    while ahead.machine.sweeper.removed < 1_000:
        ahead.machine.sweeper.work(100)
    path = tmp_path / "copy"
    ahead.hear(TakeSnapshot(path))
    behind.apply(Put(b"a", b"0"))
    told = behind.install(path)
    assert ("watch", Skipped(3_001)) in told
    behind.machine = behind.actor._machine
    assert _on_disk(behind) == 2_000
    _run(behind, 2 * SETTLE_MS)
    assert _on_disk(behind) == 2


def test_whoever_waits_while_a_snapshot_is_installed_is_answered(tmp_path: Path) -> None:
    ahead, behind = Node(MemoryBackend()), Node(MemoryBackend())
    for each in (ahead, behind):
        each.apply(*(Put(b"a", b"%d" % number) for number in range(300)))
        each.commit()
    _compact(behind, 300)
    ahead.apply(Compact(300), Put(b"b", b"1"))
    ahead.hear(TakeSnapshot(tmp_path / "copy"))
    told = behind.install(tmp_path / "copy")
    assert _answers(told + _run(behind, 1_000)) == [(TICKET, Done(301))]
    assert _on_disk(behind) == 3


# --- compacting unasked -----------------------------------------------------------------------


def _with(retention: HistoryRetention) -> Node:
    node = Node(MemoryBackend())
    ring = node.actor.ring
    machine, backend, waits = node.machine, node.backend, ImmediateWaits()
    node.actor = StoreActor(machine, backend, waits, HERE, lambda: node.now_ms, retention)
    node.actor.join(ring)
    node.actor.open()
    node.apply(*(Put(b"a", b"v") for _ in range(2_000)))
    return node


def _proposed(told: list[tuple[str, Any]]) -> list[Any]:
    proposals = [each for _, told in told if isinstance(told, Propose) for each in told.proposals]
    assert all(proposal[:2] == (0, 0) for proposal in proposals), "nobody waits for the answer"
    return [decode_command(proposal.command)[0] for proposal in proposals]


def test_only_the_leader_proposes_to_compact_and_again_until_it_is_done() -> None:
    node = _with(KeepRevisions(500))
    assert _proposed(_run(node, 5_000)) == []
    node.hear(LEADING)
    assert _proposed(_run(node, 3_000)) == [Compact(1_501)] * 3
    node.apply(Compact(1_501))
    assert _proposed(_run(node, 3_000)) == []
    node.apply(*(Put(b"a", b"v") for _ in range(1_500)))
    node.hear(FOLLOWING)
    assert _proposed(_run(node, 3_000)) == []


def test_a_leader_that_knows_no_cluster_time_yet_proposes_nothing() -> None:
    node = _with(KeepRevisions(500))
    node.hear(LEADING._replace(clock=None))
    assert _proposed(_run(node, 3_000)) == []


def test_without_a_retention_history_is_kept_for_ever(node: Node) -> None:
    node.hear(LEADING)
    assert _proposed(_run(node, 10_000_000)) == []
    assert node.machine.store.compact_revision == -1
    assert _on_disk(node) == len(node.backend.rows(0, 999 << SUB_BITS, 999)) == 300
