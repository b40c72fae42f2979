"""The links between members on real sockets: what a node learns of a peer that dies."""

from __future__ import annotations

import select

import zmq

from cluster.links import PeerDoor
from cluster.peer_links import PeerLinks
from tests.limits import HANG_MS
from tests.ports import free_ports


def test_a_broken_connection_wakes_whoever_sleeps_on_the_descriptors() -> None:
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    url = f"tcp://127.0.0.1:{free_ports(1)[0].peer}"
    door = PeerDoor(context, (url,))
    links = PeerLinks(context)
    links.update({7: url})
    poller = select.poll()
    for descriptor in links.descriptors():
        poller.register(descriptor, select.POLLIN)
    # As the mailbox does: nobody sleeps while something must be drained.
    while links.must_drain():
        assert links.drain(10) == []
    while not links.send(7, b"hello"):
        door.wait(1)
    assert links.drain(10) == [], "it is connected"
    door.close()
    assert poller.poll(HANG_MS), "no word of the broken connection"
    assert links.drain(10) == [7]
    links.close()
    context.destroy(linger=0)


def test_members_whose_urls_are_etcds_talk_by_zeromq_all_the_same() -> None:
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    port = free_ports(1)[0].peer
    door = PeerDoor(context, (f"http://127.0.0.1:{port}",))
    links = PeerLinks(context)
    links.update({7: f"http://127.0.0.1:{port}"})
    descriptors = links.descriptors()
    links.update({7: f"tcp://127.0.0.1:{port}"})
    assert links.descriptors() == descriptors, "the same place, and no new connection"
    while not links.send(7, b"hello"):
        door.wait(1)
    door.wait(HANG_MS)
    assert door.drain(10) == [b"hello"]
    links.close()
    door.close()
    context.destroy(linger=0)
