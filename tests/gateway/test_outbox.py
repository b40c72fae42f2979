"""The outbox: order, bounds, and what becomes of slow and dead clients."""

from __future__ import annotations

from actors.gateway.outbox import FRAME_OVERHEAD_BYTES, ClientOutbox
from cluster.wire import pack
from tests.gateway.fake_door import FakeDoor

ONE = (b"\0one",)
TWO = (b"\0two",)
FRAME = 100 - FRAME_OVERHEAD_BYTES


def test_frames_for_a_slow_client_wait_in_order_and_others_do_not() -> None:
    door = FakeDoor()
    outbox = ClientOutbox(door)
    door.full.add(ONE)
    assert [outbox.send(ONE, frame) for frame in (b"1", b"2")] == [True, True]
    assert outbox.send(TWO, b"3") is True
    assert outbox.backlogs
    door.full.clear()
    outbox.send(ONE, b"4")
    assert outbox.retry() == []
    assert door.frames(ONE) == [b"1", b"2", b"4"]
    assert door.frames(TWO) == [b"3"]
    assert not outbox.backlogs


def test_a_client_that_stays_slow_loses_its_backlog_at_the_bound() -> None:
    door = FakeDoor()
    outbox = ClientOutbox(door, connection_bytes_max=300)
    door.full.add(ONE)
    assert [outbox.send(ONE, bytes(FRAME)) for _ in range(4)] == [True, True, True, False]
    assert not outbox.backlogs
    door.full.clear()
    assert outbox.send(ONE, b"after") is True
    assert door.frames(ONE) == [b"after"]


def test_a_frame_above_the_bound_may_wait_alone() -> None:
    door = FakeDoor()
    outbox = ClientOutbox(door, connection_bytes_max=300)
    door.full.add(ONE)
    assert outbox.send(ONE, bytes(1_000)) is True
    assert outbox.send(ONE, b"") is False


def test_all_backlogs_together_are_bounded() -> None:
    door = FakeDoor()
    outbox = ClientOutbox(door, node_bytes_max=250)
    door.full |= {ONE, TWO}
    assert outbox.send(ONE, bytes(FRAME)) is True
    assert outbox.send(TWO, bytes(FRAME)) is True
    assert outbox.send(TWO, bytes(FRAME)) is False
    assert outbox.send(ONE, bytes(FRAME)) is True


def test_a_client_that_is_gone_is_said_to_be() -> None:
    door = FakeDoor()
    outbox = ClientOutbox(door)
    door.full.add(ONE)
    outbox.send(ONE, b"1")
    door.gone |= {ONE, TWO}
    assert outbox.send(TWO, b"2") is None
    assert outbox.retry() == [ONE]
    assert not outbox.backlogs


def test_a_backlog_that_shrinks_makes_room_again() -> None:
    door = FakeDoor()
    outbox = ClientOutbox(door, connection_bytes_max=300, node_bytes_max=300)
    for _ in range(5):
        door.full.add(ONE)
        assert [outbox.send(ONE, bytes(FRAME)) for _ in range(3)] == [True, True, True]
        door.full.clear()
        assert outbox.retry() == []
    assert len(door.frames(ONE)) == 15


def test_a_connection_is_congested_from_the_mark_on_until_nothing_waits() -> None:
    door = FakeDoor()
    outbox = ClientOutbox(door, congested_bytes=250)
    door.full |= {ONE, TWO}
    outbox.send(TWO, bytes(FRAME))
    for _ in range(2):
        outbox.send(ONE, bytes(FRAME))
    assert outbox.take_turned() == []
    for _ in range(2):
        outbox.send(ONE, bytes(FRAME))
    assert outbox.take_turned() == [(ONE, True)]
    outbox.retry()
    assert outbox.take_turned() == []
    door.full.clear()
    outbox.retry()
    assert outbox.take_turned() == [(ONE, False)]


def test_a_connection_that_loses_its_backlog_is_congested_no_more() -> None:
    door = FakeDoor()
    outbox = ClientOutbox(door, connection_bytes_max=300, congested_bytes=100)
    door.full.add(ONE)
    assert [outbox.send(ONE, bytes(FRAME)) for _ in range(4)] == [True, True, True, False]
    assert outbox.take_turned() == []
    assert [outbox.send(ONE, bytes(FRAME)) for _ in range(2)] == [True, True]
    assert outbox.take_turned() == [(ONE, True)]


def test_there_is_room_for_an_answer_beside_what_waits_here_and_in_the_socket() -> None:
    door = FakeDoor()
    outbox = ClientOutbox(door, node_bytes_max=1_000)
    door.full.add(ONE)
    outbox.send(ONE, bytes(FRAME))
    door.unread_bytes = 300
    assert outbox.has_room(600) and not outbox.has_room(601)
    outbox.drop(ONE)
    assert outbox.has_room(700) and not outbox.has_room(701)


# --- batches ----------------------------------------------------------------------------------


def test_what_gathers_for_a_connection_with_batches_is_one_frame() -> None:
    door = FakeDoor()
    door.batching.add(ONE)
    outbox = ClientOutbox(door)
    for frame in (b"1", b"2", b"3"):
        assert outbox.send(ONE, frame) is True
        assert outbox.send(TWO, frame) is True
    assert door.frames(ONE) == []
    assert outbox.send_batches() == []
    assert door.frames(ONE) == [pack([b"1", b"2", b"3"])]
    assert door.frames(TWO) == [b"1", b"2", b"3"]
    assert outbox.send_batches() == []
    assert door.sent == []


def test_one_frame_alone_is_no_batch() -> None:
    door = FakeDoor()
    door.batching.add(ONE)
    outbox = ClientOutbox(door)
    outbox.send(ONE, b"1")
    assert outbox.send_batches() == []
    assert door.frames(ONE) == [b"1"]


def test_batches_for_a_slow_client_wait_in_order() -> None:
    door = FakeDoor()
    door.batching.add(ONE)
    outbox = ClientOutbox(door)
    door.full.add(ONE)
    for frame in (b"1", b"2"):
        outbox.send(ONE, frame)
    assert outbox.send_batches() == []
    door.full.clear()
    outbox.send(ONE, b"3")
    assert outbox.send_batches() == []
    assert outbox.retry() == []
    assert door.frames(ONE) == [pack([b"1", b"2"]), b"3"]


def test_a_client_whose_batches_cannot_be_sent_is_named_once() -> None:
    """What follows is not sent either: it would be read behind a gap."""
    door = FakeDoor()
    door.batching |= {ONE, TWO}
    outbox = ClientOutbox(door, connection_bytes_max=300)
    door.full.add(ONE)
    door.gone.add(TWO)
    for _ in range(200):
        outbox.send(ONE, b"x")
        outbox.send(TWO, b"x")
    assert outbox.send_batches() == [(ONE, False), (TWO, None)]
    assert not outbox.backlogs


def test_what_has_gathered_for_a_connection_is_dropped_with_its_backlog() -> None:
    door = FakeDoor()
    door.batching.add(ONE)
    outbox = ClientOutbox(door)
    outbox.send(ONE, b"1")
    outbox.drop(ONE)
    assert outbox.send_batches() == []
    assert door.sent == []
