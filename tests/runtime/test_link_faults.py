"""Faulty links and doors on real sockets, in one process."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import NamedTuple

import pytest
import zmq

from actors.runtime.link_faults import FaultyDoor, FaultyLinks
from cluster.link_plan import EVERYBODY, LinkFault, LinkPlan
from cluster.links import PeerDoor
from cluster.peer_links import PeerLinks
from tests.cluster.probe import until
from tests.ports import free_ports

HERE = 1
OTHER = 2
CUT = {OTHER: LinkFault(cut=True)}
Context = zmq.Context[zmq.Socket[bytes]]


class Control:
    """What a test has planned, and what took effect and was recorded."""

    def __init__(self) -> None:
        self.link_plan = LinkPlan()
        self.is_recording = False
        self.chance = Random(1)
        self.effects: list[str] = []
        self.recorded: list[tuple[int, bytes, bool]] = []

    def took_effect(self, kind: str) -> None:
        self.effects.append(kind)

    def record(self, member_id: int, frame: bytes, *, is_lost: bool) -> None:
        self.recorded.append((member_id, frame, is_lost))


class Pair(NamedTuple):
    """The links of one member, and the door of the other, each under a control of its own."""

    sender: Control
    links: FaultyLinks
    receiver: Control
    door: FaultyDoor

    def arrivals(self, count: int) -> list[bytes]:
        """The next frames to come through, waited for."""
        found: list[bytes] = []
        while len(found) < count:
            self.links.drain(10)
            self.door.wait(10)
            found += self.door.drain(100)
        return found

    def send(self, frame: bytes) -> None:
        """Send; the connection may still be on its way."""
        while not self.links.send(OTHER, frame):
            self.door.wait(1)


@pytest.fixture
def context() -> Iterator[Context]:
    context: Context = zmq.Context()
    yield context
    context.destroy(linger=0)


@pytest.fixture
def pair(context: Context) -> Iterator[Pair]:
    """Two members that are connected."""
    url = f"tcp://127.0.0.1:{free_ports(1)[0].peer}"
    sender, receiver = Control(), Control()
    door = FaultyDoor(receiver, lambda frame: frame[0], context, (url,))
    links = FaultyLinks(sender, context, record=sender.record)
    links.update({OTHER: url})
    made = Pair(sender, links, receiver, door)
    made.send(b"\1first")
    assert made.arrivals(1) == [b"\1first"]
    yield made
    links.close()
    door.close()


def test_a_cut_link_is_silent_and_whole_again_when_it_is_healed(pair: Pair) -> None:
    pair.sender.link_plan = LinkPlan(outgoing=CUT)
    assert pair.links.send(OTHER, b"\1cut")
    pair.sender.link_plan = LinkPlan()
    pair.send(b"\1healed")
    assert pair.arrivals(1) == [b"\1healed"]
    assert pair.sender.effects == ["cut out"]


def test_a_member_that_hears_nobody_loses_what_arrives_from_the_one_it_is_cut_from(
    pair: Pair,
) -> None:
    pair.receiver.link_plan = LinkPlan(incoming={HERE: LinkFault(cut=True)})
    pair.send(b"\1cut")
    pair.send(b"\3another member's")
    assert pair.arrivals(1) == [b"\3another member's"]
    assert pair.receiver.effects == ["cut in"]


def test_a_member_that_is_named_wins_over_everybody(pair: Pair) -> None:
    everybody = LinkFault(cut=True)
    pair.sender.link_plan = LinkPlan({EVERYBODY: everybody, OTHER: LinkFault(duplicate=1.0)})
    pair.send(b"\1twice")
    assert pair.arrivals(2) == [b"\1twice"] * 2
    pair.sender.link_plan = LinkPlan({EVERYBODY: everybody})
    assert pair.links.send(OTHER, b"\1cut")
    assert pair.sender.effects == ["duplicate out", "cut out"]


@pytest.mark.parametrize(
    "plan", [LinkPlan(outgoing=CUT), LinkPlan(incoming=CUT)], ids=["outgoing", "incoming"]
)
def test_behind_a_cut_nobody_sees_that_a_process_ends(context: Context, plan: LinkPlan) -> None:
    control, third = Control(), 3
    urls = {each: f"tcp://127.0.0.1:{free_ports(1)[0].peer}" for each in (OTHER, third)}
    doors = {each: PeerDoor(context, (url,)) for each, url in urls.items()}
    links = FaultyLinks(control, context)
    links.update(urls)
    until(lambda: all(links.send(member_id, b"\1") for member_id in urls))
    control.link_plan = plan
    # In this order: when the end of the third is seen, that of the other would have been.
    doors[OTHER].close()
    until(lambda: not PeerLinks.send(links, OTHER, b"\1"))
    doors[third].close()
    broken: list[int] = []

    def hears() -> bool:
        broken.extend(links.drain(10))
        return bool(broken)

    until(hears)
    links.close()
    assert broken == [third]


def test_a_slow_link_keeps_the_order_and_loses_what_is_under_way_when_it_is_cut(
    pair: Pair,
) -> None:
    slow = LinkPlan({OTHER: LinkFault(delay_ms=20, jitter_ms=20)})
    pair.sender.link_plan = slow
    frames = [b"\1%d" % number for number in range(50)]
    for frame in frames:
        pair.links.send(OTHER, frame)
    assert pair.door.drain(100) == []
    assert pair.arrivals(50) == frames
    pair.links.send(OTHER, b"\1under way")
    pair.sender.link_plan = LinkPlan(outgoing=CUT)
    until(lambda: pair.links.drain(10) == [] and pair.links._held.is_empty)
    pair.sender.link_plan = LinkPlan()
    pair.send(b"\1healed")
    assert pair.arrivals(1) == [b"\1healed"]


def test_recording_tells_each_frame_and_whether_it_is_lost(pair: Pair) -> None:
    pair.sender.is_recording = True
    pair.send(b"\1a")
    pair.sender.link_plan = LinkPlan(outgoing=CUT)
    pair.links.send(OTHER, b"\1b")
    pair.sender.link_plan = LinkPlan({OTHER: LinkFault(delay_ms=1)})
    pair.links.send(OTHER, b"\1c")
    assert pair.sender.recorded[-3:] == [
        (OTHER, b"\1a", False),
        (OTHER, b"\1b", True),
        (OTHER, b"\1c", False),
    ]
    pair.sender.is_recording = False
    pair.links.send(OTHER, b"\1d")
    assert len(pair.sender.recorded) == 3
