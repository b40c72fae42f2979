"""Links and doors between members on real sockets, where somebody else gets it wrong."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import closing

import pytest
import zmq

from cluster.addresses import AddressError, advertised_url, listen_url
from cluster.links import SKIPPED_PER_LOOK_MAX, PeerDoor, PeerFrame
from cluster.peer_links import PeerLinks
from tests.ports import free_ports

Context = zmq.Context[zmq.Socket[bytes]]

LOOPBACKS = ("127.0.0.1", "[::1]")


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


@pytest.fixture
def context() -> Iterator[Context]:
    context: Context = zmq.Context()
    yield context
    context.destroy(linger=0)


def url_of(host: str = "127.0.0.1") -> str:
    return f"tcp://{host}:{free_ports(1)[0].peer}"


def pass_on(links: PeerLinks, door: PeerDoor, member_id: int, frame: bytes) -> None:
    """Send until it has left, and wait until it is there."""
    while not links.send(member_id, frame):
        door.wait(1)
    arrived: list[bytes] = []
    while not arrived:
        door.wait(100)
        arrived = door.drain(10)
    assert arrived == [frame]


# --- where a host is, as libzmq sees it ------------------------------------------------------

HOSTS = [
    *(
        "localhost",
        "a",
        "1a",
        "a-b",
        "a_b",
        "a-",
        "a_",
        "a.",
        "a..b",
        "A.b.C",
        "xn--a",
        "127.0.0.1",
    ),
    *("0.0.0.0", "1.2.3", "1.2.3.4.5", "256.0.0.1", "*", "-a", "_a", ".a", "*a", "é", "aé", "a\n"),
    *("", " ", "a b", "\ta", "a\0", "[::1]", "[::1", "::1", "[::g]", "[]", "[a]", "[::1%lo]"),
    *(f"a{sign}b" for sign in "!\"#$&'()+,/;<=>?@[\\]^`{|}~%*:"),
    *(f"{sign}b" for sign in "!\"#$&'()+,/;<=>?@[\\]^`{|}~%*:"),
]


@pytest.mark.parametrize("host", HOSTS)
def test_every_host_that_an_address_may_name_is_one_that_libzmq_connects_to(
    context: Context, host: str
) -> None:
    try:
        url = advertised_url(f"tcp://{host}:1")
    except AddressError:
        return
    with closing(context.socket(zmq.PUSH)) as link:
        link.linger = 0
        link.setsockopt(zmq.IPV6, 1)
        link.connect(url)


@pytest.mark.parametrize("host", ["a", "1a", "a-b", "a_b", "A.b.C", "xn--a", "127.0.0.1", "[::1]"])
def test_an_address_may_name_what_hosts_are_called(host: str) -> None:
    assert advertised_url(f"tcp://{host}:1") == f"tcp://{host}:1"


@pytest.mark.parametrize("host", ["_a", "-a", ".a", "*a", "a\n", "é", "a;b", "a*b", "a%b", "a b"])
def test_an_address_names_no_host_that_libzmq_refuses_or_nobody_has(host: str) -> None:
    for check in (advertised_url, listen_url):
        with pytest.raises(AddressError):
            check(f"tcp://{host}:1")


# --- links -----------------------------------------------------------------------------------


def test_a_link_that_libzmq_refuses_ends_nothing_and_is_tried_at_its_next_url(
    context: Context, caplog: pytest.LogCaptureFixture
) -> None:
    urls = {1: url_of(), 2: url_of()}
    doors = {member: PeerDoor(context, (url,)) for member, url in urls.items()}
    links = PeerLinks(context)
    links.update({1: urls[1], 2: "tcp://_foo:1"})
    links.update({1: urls[1], 2: "tcp://_foo:1", 3: "nonsense"})
    assert not links.send(2, b"lost") and not links.send(3, b"lost")
    pass_on(links, doors[1], 1, b"first")
    assert [record.getMessage().partition(": ")[0] for record in caplog.records] == [
        "no member can be reached at tcp://_foo:1",
        "no member can be reached at nonsense",
    ]
    links.update(urls)
    pass_on(links, doors[2], 2, b"second")
    links.update({})
    assert links.descriptors() == []
    links.close()


@pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6")
@pytest.mark.parametrize("here", LOOPBACKS)
@pytest.mark.parametrize("uses_ipv6", [0, 1])
def test_members_at_addresses_of_both_kinds_reach_each_other(here: str, uses_ipv6: int) -> None:
    """Whatever a node's own flags are: it was started before the other was added."""
    context: Context = zmq.Context()
    context.setsockopt(zmq.IPV6, uses_ipv6)
    urls = {member: url_of(host) for member, host in enumerate(LOOPBACKS, 1)}
    doors = {member: PeerDoor(context, (url,)) for member, url in urls.items()}
    both = PeerDoor(context, (url_of(here), url_of(LOOPBACKS[0])))
    links = PeerLinks(context)
    links.update(urls)
    for member, door in doors.items():
        pass_on(links, door, member, b"hello")
    for door in (*doors.values(), both):
        door.close()
    links.close()
    context.destroy(linger=0)


# --- doors -----------------------------------------------------------------------------------


def test_a_message_of_many_frames_is_refused_as_a_whole_a_portion_at_a_look(
    context: Context,
) -> None:
    url = url_of()
    door = PeerDoor(context, (url,))
    with closing(context.socket(zmq.PUSH)) as sender:
        sender.linger = 0
        sender.connect(url)
        sender.send(b"before")
        sender.send_multipart([bytes(60 * 2**20), *[b"x"] * 3_000])
        sender.send_multipart([b"one", b"two"])
        sender.send(b"after")
        arrived: list[bytes] = []
        looks = 0
        while b"after" not in arrived:
            if not door.must_drain():
                door.wait(100)
            arrived += door.drain(10)
            looks += 1
    assert arrived == [b"before", b"", b"", b"after"]
    assert looks > 3_000 // SKIPPED_PER_LOOK_MAX
    door.close()


def test_a_frame_tells_where_it_came_from(context: Context) -> None:
    url = url_of()
    door = PeerDoor(context, (url,))
    with closing(context.socket(zmq.PUSH)) as sender:
        sender.linger = 0
        sender.connect(url)
        sender.send(b"rubbish")
        sender.send_multipart([b"one", b"two"])
        arrived: list[bytes] = []
        while len(arrived) < 2:
            door.wait(100)
            arrived += door.drain(10)
    assert [each.address for each in arrived if isinstance(each, PeerFrame)] == ["127.0.0.1"] * 2
    assert arrived == [b"rubbish", b""]
    door.close()
