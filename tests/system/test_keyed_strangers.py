"""Attacks on a cluster with keys, users and certificates, by people with every key but a right one.

What they say is what does harm to a cluster without keys (`test_strangers`), every operation that
there is, and what they have recorded. Each person is one of `tests.chaos.hostile.keyed`. The last
test makes a new cluster of a snapshot of this one.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from random import Random
from typing import Any, Final, NamedTuple

import pytest
import zmq

from cluster import Client, LeaseholdError
from cluster.key_files import MEMBER, MEMBER_FILE, read
from cluster.keyed import seal
from cluster.launcher.local import LocalCluster
from cluster.protocol import OPS
from cluster.wire import pack, unpack
from tests.chaos.hostile.curve import GREETING, SealedConnection, opened_at_once
from tests.chaos.hostile.intruder import Address, Facts
from tests.chaos.hostile.keyed import RECORDED, Keyed, root_client
from tests.chaos.hostile.on_rights import A_USER, Credential, fields_of, is_allowed
from tests.chaos.hostile.person import Person, tls_of
from tests.chaos.hostile.zmtp import Connection, message
from tests.chaos.users import Entry
from tests.limits import HANG_MS, HANG_SECONDS
from tests.ports import free_ports
from tests.system.test_strangers import KEYS, frames

PEOPLE: Final = (
    "nobody",
    "a stranger with a key",
    "a user without rights",
    "a deleted user",
    "a removed member",
)
UNANSWERED: Final = {"watch_cancel", "watch_progress"}
"""Operations without an answer of their own, where there is no watch."""

READ_BYTES: Final = 65_536


class Besieged(NamedTuple):
    """The cluster, and what everybody shows."""

    cluster: LocalCluster
    keyed: Keyed
    people: dict[str, Person]

    @property
    def entry(self) -> Entry:
        """How the honest come in."""
        return self.keyed.entry

    def client(self) -> Client:
        """An honest client of the nodes themselves."""
        return self.entry.client(self.cluster.direct_endpoints, HANG_SECONDS)

    def key_of(self, name: str) -> str:
        """The public key of a node."""
        return self.keyed.secrets.keys[name]

    def door(self, name: str) -> Address:
        """Where a node itself serves clients."""
        return "127.0.0.1", self.cluster.node(name).direct_port or 0

    def front(self, name: str) -> Address:
        """Where its front does."""
        return "127.0.0.1", self.cluster.node(name).ports.client

    def peers(self, name: str) -> Address:
        """Where it listens for members."""
        return "127.0.0.1", self.cluster.node(name).ports.peer


@pytest.fixture(scope="module")
def besieged(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Besieged]:
    keyed = Keyed(tmp_path_factory.mktemp("keyed"))
    with LocalCluster(secure=True, node_flags=keyed.node_flags) as cluster:
        keyed.prepare(cluster)
        people = {person.name: person for person in keyed.people()}
        assert tuple(people) == PEOPLE
        made = Besieged(cluster, keyed, people)
        with made.client() as client:
            for key in KEYS:
                client.put(key, "v")
        yield made


def said_until_the_end(connection: Connection) -> bytes:
    """What a port says before it closes the connection."""
    said = b""
    connection.socket.settimeout(HANG_SECONDS)
    with suppress(ConnectionError):
        while data := connection.socket.recv(READ_BYTES):
            said += data
    return said


@pytest.mark.parametrize("who", PEOPLE)
def test_no_frame_of_a_stranger_reaches_a_member(besieged: Besieged, who: str) -> None:
    cluster, pair = besieged.cluster, besieged.people[who].pair
    before, ignored = cluster.status(), ignored_frames(cluster)
    with besieged.client() as client:
        cluster_id = client.status().header.cluster_id
    for node in cluster.members:
        harm = frames(cluster_id, node.member_id, before[node.name].term)
        where = besieged.peers(node.name), pair, besieged.key_of(node.name)
        with opened_at_once(*where, b"PUSH") as connection:
            with suppress(ConnectionError):
                connection.send(b"".join(map(message, harm)))
            assert b"\x05READY" not in said_until_the_end(connection)
    cluster.reap()
    assert all(node.running for node in cluster.members)
    assert ignored_frames(cluster) == ignored, "no frame got so far"
    with besieged.client() as client:
        assert [kv.key.decode() for kv in client.scan("key", prefix=True)] == KEYS
        assert len(client.member_list().members) == len(cluster.members)
        assert client.put("after", who).header.raft_term < 2**32


def ignored_frames(cluster: LocalCluster) -> list[int]:
    """How often each member has said that it ignores a frame of somebody who was let in."""
    return [node.log_path.read_text("utf-8").count("ignored a ") for node in cluster.members]


@pytest.mark.parametrize("who", PEOPLE[1:])
def test_no_operation_is_served_to_somebody_without_a_right(besieged: Besieged, who: str) -> None:
    person = besieged.people[who]
    members = {node.name: node.member_id for node in besieged.cluster.members}
    facts = Facts({}, {}, {}, members, 0, 0, 0, 0)
    shown = Credential(A_USER if person.is_user else "nobody", None)
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    with closing(context.socket(zmq.DEALER)) as socket:
        socket.linger = 0
        assert person.pair is not None
        seal(socket, besieged.key_of("n1"), person.pair)
        socket.connect("tcp://{}:{}".format(*besieged.door("n1")))
        for op in OPS:
            if op not in UNANSWERED:
                asked = {"op": op, "id": op, **fields_of(op, Random(op), facts)}
                answer = answer_of(socket, asked)
                error = answer.get("error") or answer.get("cancel_reason")
                assert error or is_allowed(op, shown), f"{op} is served: {answer}"
    context.term()


def answer_of(socket: zmq.Socket[bytes], asked: dict[str, Any]) -> dict[str, Any]:
    socket.send(pack(asked))
    while True:
        assert socket.poll(HANG_MS), f"no answer to {asked}"
        answer: dict[str, Any] = unpack(socket.recv())
        if answer.get("id") == asked["id"]:
            return answer


def test_without_a_key_nobody_comes_to_a_client_port(besieged: Besieged) -> None:
    for name in besieged.cluster.nodes:
        if not besieged.cluster.node(name).is_removed:
            with Connection(besieged.door(name)) as connection, pytest.raises(ConnectionError):
                connection.shake_hands(b"DEALER")


@pytest.mark.parametrize("who", PEOPLE)
def test_a_front_answers_nobody_without_a_certificate_of_its_authority(
    besieged: Besieged, who: str
) -> None:
    person = besieged.people[who]
    if person.is_invited:
        assert ask_front(besieged, person, "range", key="AA==") == "etcdserver: user name is empty"
    else:
        with pytest.raises(OSError, match=r"(?i)certificate|unknown.ca|closed"):
            ask_front(besieged, person, "range", key="AA==")


def ask_front(
    besieged: Besieged, person: Person, what: str, token: str = "", **asked: str
) -> str | None:
    """Ask the JSON gateway of n1; the error, or None: it was served."""
    body = json.dumps(asked)
    head = f"POST /v3/kv/{what} HTTP/1.1\r\nHost: n1\r\nContent-Length: {len(body)}\r\n"
    with Connection(besieged.front("n1")) as connection:
        connection.socket = tls_of(person).wrap_socket(connection.socket)
        shown = f"Authorization: {token}\r\n" if token else ""
        connection.send(f"{head}{shown}Connection: close\r\n\r\n{body}".encode())
        said = b""
        while data := connection.socket.recv(READ_BYTES):
            said += data
    if not said:
        raise ConnectionError("closed")
    error = json.loads(said.partition(b"\r\n\r\n")[2]).get("message")
    return None if error is None else str(error)


def test_a_token_and_a_key_are_worth_nothing_once_their_user_is_gone(besieged: Besieged) -> None:
    gone, invited = (besieged.people[who] for who in ("a deleted user", "a user without rights"))
    dead_token = besieged.keyed.secrets.dead_token
    invalid = "etcdserver: invalid auth token"
    for person in (gone, invited):
        assert ask_front(besieged, person, "range", dead_token, key="AA==") == invalid
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    with closing(context.socket(zmq.DEALER)) as socket:
        socket.linger = 0
        assert gone.pair is not None
        seal(socket, besieged.key_of("n1"), gone.pair)
        socket.connect("tcp://{}:{}".format(*besieged.door("n1")))
        asked = {"op": "range", "key": "key00", "id": 1}
        by_token = answer_of(socket, {**asked, "token": dead_token})
        assert by_token["error"]["message"] == invalid
        by_key = answer_of(socket, asked)
        assert by_key["error"]["message"] == "etcdserver: user name is empty"
    context.term()


def test_what_was_recorded_of_a_member_and_of_a_client_opens_nothing(besieged: Besieged) -> None:
    secrets = besieged.keyed.secrets
    for name in secrets.keys:
        for recorded, address in (
            (secrets.of_member[name], besieged.peers(name)),
            (secrets.of_client[name], besieged.door(name)),
        ):
            hello, initiate, *others = recorded[1:]
            for pieces in (recorded, (GREETING, initiate, *others), (GREETING, hello, *others)):
                with Connection(address) as connection:
                    connection.send(b"".join(pieces))
                    assert b"\x05READY" not in said_until_the_end(connection)
    with besieged.client() as client:
        found = client.get(RECORDED)
        assert found is not None and found.version == len(secrets.keys)


# --- a new cluster of a snapshot --------------------------------------------------------------

COMMAND: Final = (sys.executable, "-P", "-m", "actors")


def run(*arguments: str) -> str:
    """Run the node's program to its end; what it printed."""
    done = subprocess.run(
        [*COMMAND, *arguments], capture_output=True, text=True, check=True, timeout=HANG_SECONDS
    )
    return done.stdout.strip()


def test_a_restored_cluster_has_its_users_and_keys_of_its_own(
    besieged: Besieged, tmp_path: Path
) -> None:
    snapshot, data_dir = tmp_path / "snapshot", tmp_path / "r1"
    cluster = besieged.cluster
    with root_client(cluster) as root:
        root.snapshot_save(snapshot)
    (ports,) = free_ports(1)
    endpoint, peers = (f"127.0.0.1:{port}" for port in (ports.client, ports.peer))
    key = run("key", "make", f"--data-dir={data_dir}")
    named = ("--name=r1", f"--data-dir={data_dir}", f"--initial-cluster=r1=tcp://{peers}#{key}")
    flags = (*named, f"--initial-advertise-peer-urls=tcp://{peers}")
    run("snapshot", "restore", str(snapshot), *flags)
    urls = (f"--listen-peer-urls=tcp://{peers}", f"--listen-client-urls=tcp://{endpoint}")
    process = subprocess.Popen(
        [*COMMAND, *flags, *urls, f"--advertise-client-urls=tcp://{endpoint}", "--client-keys"],
        stderr=subprocess.DEVNULL,
    )
    try:
        sealed = f"{endpoint}#{key}"
        with besieged.entry.client([sealed], HANG_SECONDS) as honest:
            assert [kv.key.decode() for kv in honest.scan("key", prefix=True)] == KEYS
            assert [member.keys for member in honest.member_list().members] == [(key,)]
            honest.put("restored", "yes")
            with pytest.raises(LeaseholdError, match="permission denied"):
                honest.user_list()
        own = read(data_dir / MEMBER_FILE, MEMBER).pair
        address = "127.0.0.1", ports.peer
        with SealedConnection(address, own, key) as member:
            member.shake_hands(b"PUSH")
        for name in cluster.nodes:
            former = read(cluster.directory.node_directory(name) / MEMBER_FILE, MEMBER).pair
            with (
                SealedConnection(address, former, key) as connection,
                pytest.raises(ConnectionError),
            ):
                connection.shake_hands(b"PUSH")
    finally:
        process.terminate()
        process.wait(HANG_SECONDS)
