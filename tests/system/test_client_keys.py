"""Clients with keys on a real node: the node that they mean, who they are, and what goes wrong."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgpack
import pytest
import zmq

from cluster import Client
from cluster.client.replies import Reply
from cluster.curve import HeldKeys, KeyPair, new_pair, z85
from cluster.errors import LeaseholdError
from cluster.key_files import CLIENT, MEMBER, MEMBER_FILE, read, write
from tests.bench.keys import Side, running
from tests.limits import HANG_MS, HANG_SECONDS, PATIENT
from tests.ports import free_ports

WRONG_SECONDS = 0.5
"""How long a client waits where nobody will let it in."""


class Node(NamedTuple):
    """A node whose clients need keys."""

    data_dir: Path
    direct: str
    front: str

    @property
    def key(self) -> str:
        """Its public key now."""
        return read(self.data_dir / MEMBER_FILE, MEMBER).pair.public


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    """One node, by itself and behind its front."""
    ports, more = free_ports(2)
    direct, front = f"127.0.0.1:{ports.client}", f"127.0.0.1:{more.client}"
    data_dir = tmp_path_factory.mktemp("node") / "data"
    flags = [
        f"--data-dir={data_dir}",
        f"--listen-client-urls=tcp://{direct},http://{front}",
        f"--advertise-client-urls=tcp://{direct}",
        f"--listen-peer-urls=tcp://127.0.0.1:{ports.peer}",
        "--client-keys",
    ]
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "actors", *flags], stderr=subprocess.DEVNULL
    )
    try:
        made = Node(data_dir, direct, front)
        deadline = time.monotonic() + HANG_SECONDS
        while not (data_dir / MEMBER_FILE).exists():
            assert process.poll() is None and time.monotonic() < deadline
        yield made
    finally:
        process.terminate()
        process.wait(HANG_SECONDS)


def client_of(endpoint: str, key: str, **more: Any) -> Client:
    return Client(f"{endpoint}#{key}", **PATIENT, **more)


def own_key(directory: Path) -> Path:
    """The file of a new client's key."""
    path = directory / "client.key"
    write(path, CLIENT, HeldKeys(new_pair()))
    return path


@pytest.mark.parametrize("way", ["direct", "front"])
def test_a_client_talks_to_the_node_that_it_means(node: Node, way: str, tmp_path: Path) -> None:
    endpoint = getattr(node, way)
    with client_of(endpoint, node.key, key_file=own_key(tmp_path)) as client:
        client.put("greeting", "hello")
    with client_of(endpoint, node.key) as nobody:
        found = nobody.get("greeting")
        assert found is not None and found.value == b"hello"


@pytest.mark.parametrize(
    ("pin", "complaint"),
    [
        ("", "or it wants its key named, as HOST:PORT#KEY"),
        ("#" + 32 * "5a", "no node with the key of the endpoint answers there"),
    ],
)
def test_a_missing_or_wrong_key_is_an_error_that_names_it(
    node: Node, pin: str, complaint: str
) -> None:
    for endpoint in (node.direct, node.front):
        with (
            Client(endpoint + pin, timeout=WRONG_SECONDS, dial_timeout=WRONG_SECONDS) as client,
            pytest.raises(LeaseholdError, match=complaint),
        ):
            client.put("a", "b")


def test_a_request_client_needs_three_more_lines(node: Node) -> None:
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    with context.socket(zmq.REQ) as socket:
        socket.linger = 0
        socket.curve_serverkey = z85(node.key)
        socket.curve_publickey, socket.curve_secretkey = zmq.curve_keypair()
        socket.connect(f"tcp://{node.direct}")
        socket.send(msgpack.packb({"op": "put", "key": "k", "value": "v"}))
        assert socket.poll(HANG_MS)
        assert "error" not in msgpack.unpackb(socket.recv())
    context.term()


def whole(reply: Reply) -> Reply:
    return reply


def test_a_key_stands_for_a_user_and_is_checked_with_each_request(
    node: Node, tmp_path: Path
) -> None:
    files = {name: own_key(tmp_path / name) for name in ("root", "alice", "mallory")}
    pairs: dict[str, KeyPair] = {name: read(path, CLIENT).pair for name, path in files.items()}
    clients = {
        name: client_of(node.direct, node.key, key_file=path) for name, path in files.items()
    }
    root, alice, mallory = clients.values()

    def ask(client: Client, op: str, **fields: Any) -> None:
        client.request({"op": op, **fields}, whole)

    try:
        for name in ("root", "alice"):
            ask(root, "user_add", name=name, options={"no_password": True})
            ask(root, "user_add_key", name=name, key=bytes.fromhex(pairs[name].public))
        ask(root, "role_add", name="root")
        ask(root, "user_grant_role", user="root", role="root")
        ask(root, "auth_enable")
        ask(root, "role_add", name="a")
        perm = {"permType": "READWRITE", "key": b"a", "range_end": b"b"}
        ask(root, "role_grant_permission", name="a", perm=perm)
        ask(root, "user_grant_role", user="alice", role="a")
        alice.put("a1", "hers")
        with pytest.raises(LeaseholdError, match="permission denied"):
            alice.put("b1", "not hers")
        with pytest.raises(LeaseholdError, match="user name is empty"):
            mallory.put("a1", "his")
        ask(root, "user_remove_key", name="alice", key=bytes.fromhex(pairs["alice"].public))
        with pytest.raises(LeaseholdError, match="user name is empty"):
            alice.put("a1", "hers no more")  # by the same connection
    finally:
        ask(root, "auth_disable")
        for client in clients.values():
            client.close()


def test_a_client_goes_on_while_all_nodes_change_their_keys() -> None:
    with (
        running(Side("keys", has_keys=True)) as cluster,
        Client(cluster.addresses, **PATIENT) as client,
    ):
        before = {member.id: member.keys for member in client.member_list().members}
        # Each endpoint has been met before the first key changes.
        met = {client.status(endpoint).header.member_id for endpoint in client.endpoints}
        assert met == before.keys()
        for member_id, keys in before.items():
            client.member_rotate_key(member_id)
            deadline = time.monotonic() + HANG_SECONDS
            number = 0
            while True:
                client.put(f"{member_id}/{number}", "kept")
                listed = {member.id: member.keys for member in client.member_list().members}
                if len(listed[member_id]) == 1 and listed[member_id] != keys:
                    break
                number += 1
                assert time.monotonic() < deadline
            assert len(client.range(f"{member_id}/", prefix=True)) == number + 1
        after = {client.status(endpoint).header.member_id for endpoint in client.endpoints}
        assert after == met, "by pins that no node has any more"


def test_after_the_node_has_changed_its_key_only_the_next_one_is_believed(node: Node) -> None:
    before = node.key
    with client_of(node.direct, before) as client:
        client.member_rotate_key(client.status().header.member_id)
    deadline = time.monotonic() + HANG_SECONDS
    while node.key == before:
        assert time.monotonic() < deadline
    with client_of(node.direct, node.key) as client:
        assert [member.keys for member in client.member_list().members] == [(node.key,)]
    with (
        Client(
            f"{node.direct}#{before}", timeout=WRONG_SECONDS, dial_timeout=WRONG_SECONDS
        ) as late,
        pytest.raises(LeaseholdError, match="no node with the key of the endpoint"),
    ):
        late.status()
