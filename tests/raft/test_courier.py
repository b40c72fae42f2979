"""Snapshots on their way: chunks in order, checked, sent again, given up, and whole at the end."""

from __future__ import annotations

import threading
from pathlib import Path
from random import Random
from typing import NamedTuple

import pytest

from actors.raft.disk.courier import (
    CHUNK_BYTES,
    CHUNKS_UNDER_WAY_MAX,
    GIVE_UP_MS,
    NO_ROOM,
    NOT_IN_IT,
    PROGRESS_STEPS,
    RESEND_MS,
    SNAPSHOT_BYTES_MAX,
    TOO_LARGE,
    Snapshot,
    SnapshotCourier,
    SnapshotReceiver,
)
from actors.raft.disk.files import DISK
from actors.raft.facts import FactBook, SnapshotGivenUp, SnapshotSent
from actors.raft.rpc import SnapshotAck, SnapshotChunk

LEADER, TARGET = 1, 2
SESSIONS = {TARGET: 70, 3: 71}


class Pair(NamedTuple):
    """A leader with a snapshot to deliver, and a member that lacks it."""

    courier: SnapshotCourier
    receiver: SnapshotReceiver
    content: bytes
    facts: FactBook


@pytest.fixture(params=[1, CHUNK_BYTES, 20 * CHUNK_BYTES + 17])
def pair(request: pytest.FixtureRequest, tmp_path: Path) -> Pair:
    size: int = request.param
    content = bytes(number * 31 % 251 for number in range(1009)) * (size // 1009 + 1)
    content = content[:size]
    return make_pair(tmp_path, content)


def make_pair(directory: Path, content: bytes) -> Pair:
    path = directory / "outgoing"
    path.write_bytes(content)
    facts = FactBook()
    courier = SnapshotCourier(LEADER, DISK, facts)
    courier.load(Snapshot(9, path, 100, 4, len(content)))
    receiver = SnapshotReceiver(TARGET, directory, DISK)
    return Pair(courier, receiver, content, facts)


def deliver(pair: Pair, chunks: list[SnapshotChunk], now_ms: int) -> Path | None:
    """Let chunks arrive and their answers return; the file, if it is complete."""
    complete = None
    for chunk in chunks:
        ack, path = pair.receiver.take(chunk)
        pair.courier.acknowledged(ack, now_ms)
        complete = path or complete
    return complete


def test_a_snapshot_arrives_whole(pair: Pair) -> None:
    pair.courier.serve([TARGET], 0)
    complete = None
    while complete is None:
        chunks = pair.courier.chunks(5, SESSIONS, 0)
        assert chunks
        complete = deliver(pair, chunks, 0)
    assert complete.read_bytes() == pair.content
    assert pair.courier.chunks(5, SESSIONS, 10 * RESEND_MS) == []
    assert pair.courier.delivered == 1


def test_its_progress_is_noted_in_a_few_steps(pair: Pair) -> None:
    pair.courier.serve([TARGET], 0)
    while deliver(pair, pair.courier.chunks(5, SESSIONS, 0), 0) is None:
        pass
    total_bytes, facts = len(pair.content), pair.facts.take()
    assert facts[0] == SnapshotSent(TARGET, 0, total_bytes)
    assert facts[-1] == SnapshotSent(TARGET, total_bytes, total_bytes)
    assert 2 <= len(facts) <= PROGRESS_STEPS + 1


def test_no_more_than_a_window_is_under_way(pair: Pair) -> None:
    pair.courier.serve([TARGET], 0)
    chunks = pair.courier.chunks(5, SESSIONS, 0)
    assert 0 < len(chunks) <= CHUNKS_UNDER_WAY_MAX
    assert pair.courier.chunks(5, SESSIONS, 1) == []


def test_lost_chunks_and_lost_answers_are_made_good(pair: Pair) -> None:
    pair.courier.serve([TARGET], 0)
    complete, now_ms, random = None, 0, Random(7)
    while complete is None:
        now_ms += RESEND_MS + 1
        chunks = pair.courier.chunks(5, SESSIONS, now_ms)
        for chunk in chunks:
            if random.random() < 0.3:
                continue
            ack, path = pair.receiver.take(chunk)
            complete = path or complete
            if random.random() < 0.5:
                pair.courier.acknowledged(ack, now_ms)
    assert complete.read_bytes() == pair.content


def test_a_damaged_chunk_is_asked_for_again(pair: Pair) -> None:
    pair.courier.serve([TARGET], 0)
    first, *_ = pair.courier.chunks(5, SESSIONS, 0)
    ack, path = pair.receiver.take(first._replace(data=b"?" * len(first.data)))
    assert (ack.next_offset, path) == (0, None)
    ack, _ = pair.receiver.take(first)
    assert ack.next_offset == len(first.data)


def test_another_snapshot_starts_from_the_beginning(tmp_path: Path) -> None:
    pair = make_pair(tmp_path, b"a" * 3 * CHUNK_BYTES)
    pair.courier.serve([TARGET], 0)
    chunks = pair.courier.chunks(5, SESSIONS, 0)
    pair.receiver.take(chunks[0])
    ack, _ = pair.receiver.take(chunks[1]._replace(snapshot_id=10))
    assert (ack.snapshot_id, ack.next_offset) == (10, 0)


def test_a_silent_member_is_given_up_and_the_log_need_not_be_kept_for_it(tmp_path: Path) -> None:
    pair = make_pair(tmp_path, b"a")
    assert pair.courier.serve([TARGET], 0) == []
    assert pair.courier.serve([TARGET], GIVE_UP_MS + 1) == [TARGET]
    assert pair.facts.take()[-1] == SnapshotGivenUp(TARGET)
    pair.courier.serve([], GIVE_UP_MS + 2)
    assert pair.courier.snapshot is None
    assert not (tmp_path / "outgoing").exists()


def test_an_answer_about_another_snapshot_counts_for_nothing(tmp_path: Path) -> None:
    pair = make_pair(tmp_path, b"a" * 20 * CHUNK_BYTES)
    pair.courier.serve([TARGET], 0)
    pair.courier.chunks(5, SESSIONS, 0)
    pair.courier.acknowledged(SnapshotAck(TARGET, LEADER, 5, 8, 20 * CHUNK_BYTES), 1)
    assert pair.courier.chunks(5, SESSIONS, 1) == []
    pair.courier.acknowledged(SnapshotAck(3, LEADER, 5, 9, CHUNK_BYTES), 1)
    assert pair.courier.chunks(5, SESSIONS, 1) == []


def test_a_receiver_that_closes_leaves_nothing_half_done(tmp_path: Path) -> None:
    pair = make_pair(tmp_path, b"a" * 2 * CHUNK_BYTES)
    pair.courier.serve([TARGET], 0)
    pair.receiver.take(pair.courier.chunks(5, SESSIONS, 0)[0])
    pair.receiver.close()
    assert [path.name for path in tmp_path.iterdir()] == ["outgoing"]


def test_a_snapshot_that_is_larger_than_any_or_than_the_disk_is_not_begun(tmp_path: Path) -> None:
    receiver = SnapshotReceiver(TARGET, tmp_path, DISK)
    chunk = SnapshotChunk(LEADER, TARGET, 5, 70, 9, 100, 4, 1, 0, 0, b"x")
    assert receiver.refusal(chunk) == ""
    assert receiver.refusal(chunk._replace(total_bytes=SNAPSHOT_BYTES_MAX + 1)) == TOO_LARGE
    room = DISK.free_bytes(tmp_path)
    assert receiver.refusal(chunk._replace(total_bytes=2 * room)) == NO_ROOM
    assert list(tmp_path.iterdir()) == []


def test_a_chunk_lies_within_its_snapshot_which_stays_as_large_as_it_was(tmp_path: Path) -> None:
    receiver = SnapshotReceiver(TARGET, tmp_path, DISK)
    chunk = SnapshotChunk(LEADER, TARGET, 5, 70, 9, 100, 4, 10, 0, 0, b"x")
    assert receiver.refusal(chunk._replace(offset=9)) == ""
    assert receiver.refusal(chunk._replace(offset=10)) == NOT_IN_IT
    receiver.take(chunk)
    assert receiver.refusal(chunk._replace(total_bytes=11)) == NOT_IN_IT
    assert receiver.refusal(chunk) == ""


def test_nobody_has_more_of_a_snapshot_than_there_is(tmp_path: Path) -> None:
    courier = make_pair(tmp_path, b"content").courier
    ack = SnapshotAck(TARGET, LEADER, 5, 9, 7)
    assert courier.refusal(ack) == ""
    assert courier.refusal(ack._replace(next_offset=8)) == NOT_IN_IT
    assert courier.refusal(ack._replace(snapshot_id=8, next_offset=8)) == "", "of an earlier one"


def test_a_discarded_file_leaves_its_name_at_once_and_the_disk_soon(tmp_path: Path) -> None:
    path = tmp_path / "outgoing.snapshot"
    path.write_bytes(b"old")
    DISK.discard(path)
    path.write_bytes(b"new")
    for thread in threading.enumerate():
        if thread.name == "discard":
            thread.join()
    assert [each.name for each in tmp_path.iterdir()] == [path.name]
    assert path.read_bytes() == b"new"
