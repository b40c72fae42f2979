"""Members with keys on real processes: who gets in, a key that changes under load, and removal."""

from __future__ import annotations

import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
import zmq

from actors.raft.admission import MISDIRECTED
from actors.raft.keyring import OTHERS_KEY
from actors.raft.rpc import Introduction, JoinRequest, TimeoutNow
from cluster import Client, InvalidArgumentError, Member
from cluster.curve import HeldKeys, KeyPair, derived_pair, new_pair, z85
from cluster.key_files import MEMBER, MEMBER_FILE, read, read_bootstrap, write_bootstrap
from cluster.launcher.local import LocalCluster
from cluster.launcher.nodes.node import EXIT_REMOVED
from tests.chaos.writers import ClientWriter
from tests.forgery import forged
from tests.limits import HANG_MS, HANG_SECONDS, PATIENT
from tests.ports import free_ports
from tests.system.conditions import client_of, wait_for_other_leader, wait_until
from tests.system.test_membership import assert_kept, remove, wait_until_removed
from tests.system.test_strangers import messages

NAMES = ("n1", "n2", "n3")


@pytest.fixture(scope="module")
def secret(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The secret that the first members share."""
    path = tmp_path_factory.mktemp("bootstrap") / "secret"
    write_bootstrap(path)
    return path


@pytest.fixture(scope="module")
def cluster(secret: Path) -> Iterator[LocalCluster]:
    """Three nodes with keys of their own, under a launcher that can harm their links."""
    with LocalCluster(node_flags=[f"--initial-cluster-key-file={secret}"]) as made:
        wait_until(made, "all have replaced their first keys", lambda: have_own_keys(made))
        yield made


def have_own_keys(cluster: LocalCluster) -> bool:
    """Whether no member has a first key any more, nor two keys."""
    held = [held_by(cluster, name) for name in NAMES]
    return all(each == HeldKeys(each.pair) for each in held) and all(
        len(member.keys) == 1 for member in members(cluster).values()
    )


def held_by(cluster: LocalCluster, name: str) -> HeldKeys:
    return read(cluster.directory.node_directory(name) / MEMBER_FILE, MEMBER)


def members(cluster: LocalCluster) -> dict[str, Member]:
    with client_of(cluster) as client:
        return {member.name: member for member in client.member_list().members}


class Intruder:
    """Somebody with a pair of keys, or without, at the peer door of a node."""

    def __init__(self, cluster: LocalCluster, name: str, pair: KeyPair | None) -> None:
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._socket = self._context.socket(zmq.PUSH)
        self._socket.linger = 0
        self._socket.setsockopt(zmq.IMMEDIATE, 1)
        if pair is not None:
            self._socket.setsockopt(zmq.CURVE_SERVERKEY, z85(held_by(cluster, name).pair.public))
            self._socket.setsockopt(zmq.CURVE_PUBLICKEY, z85(pair.public))
            self._socket.setsockopt(zmq.CURVE_SECRETKEY, z85(pair.secret))
        # Where one side has no keys, either of the two may notice first.
        self._monitor = self._socket.get_monitor_socket(
            zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL
            | zmq.EVENT_HANDSHAKE_FAILED_AUTH
            | zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL
        )
        self._socket.connect(cluster.node(name).peer_url)

    def assert_refused(self) -> None:
        """Nobody lets it in."""
        assert self._monitor.poll(HANG_MS), "nobody says no"
        assert not self._socket.poll(0, zmq.POLLOUT)

    def say(self, frame: bytes) -> None:
        assert self._socket.poll(HANG_MS, zmq.POLLOUT), "it was not let in"
        self._socket.send(frame)

    def close(self) -> None:
        self._socket.disable_monitor()
        self._monitor.close(linger=0)
        self._socket.close(linger=HANG_MS)
        self._context.term()


def test_each_member_has_a_pair_of_its_own_that_only_it_may_read(
    cluster: LocalCluster, secret: Path
) -> None:
    shared = {derived_pair(read_bootstrap(secret), name).public for name in NAMES}
    known = members(cluster)
    for name in NAMES:
        path = cluster.directory.node_directory(name) / MEMBER_FILE
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert known[name].keys == (held_by(cluster, name).pair.public,)
        assert not shared & set(known[name].keys), "whoever has the secret has that pair"


@pytest.mark.parametrize("who", ["nobody", "a user", "a first member"])
def test_a_stranger_is_let_in_by_no_member(cluster: LocalCluster, secret: Path, who: str) -> None:
    first = derived_pair(read_bootstrap(secret), "n2")
    pair = {"nobody": None, "a user": new_pair(), "a first member": first}[who]
    for name in NAMES:
        with closing(Intruder(cluster, name, pair)) as intruder:
            intruder.assert_refused()


def test_a_member_cannot_speak_as_another(cluster: LocalCluster) -> None:
    """What n1 would have to say as n2 to take over the cluster, to empty or to stop a member."""
    known = members(cluster)
    own, other, target = (known[name].id for name in NAMES)
    with client_of(cluster) as client:
        head = client.put("kept", "value").header
    claims = [each._replace(source=other) for each in messages(target, head.raft_term)]
    log = cluster.directory.log_of("n3")
    with closing(Intruder(cluster, "n3", held_by(cluster, "n1").pair)) as thief:
        for claim in (*claims, JoinRequest(7, other, ()), Introduction(other, "tcp://a:1")):
            thief.say(forged(head.cluster_id, claim))
        # The last of all has a reason of its own to be ignored.
        thief.say(forged(head.cluster_id, TimeoutNow(own, other, 1)))
        wait_until(cluster, "n3 has heard all", lambda: MISDIRECTED in log.read_text("utf-8"))
    assert f"ignored a ForwardRequest: {OTHERS_KEY}" in log.read_text("utf-8")
    cluster.reap()
    with client_of(cluster, "n3") as client:
        assert client.get("kept") is not None
        assert client.put("still", "here").header.raft_term == head.raft_term


def test_keys_change_under_load_and_no_write_is_lost(cluster: LocalCluster) -> None:
    stolen = {name: held_by(cluster, name).pair for name in NAMES}
    with ClientWriter(cluster.endpoints, "rotated/") as writer:
        for name in (cluster.leader(), *NAMES):
            before = held_by(cluster, name).pair
            with client_of(cluster) as client:
                client.member_rotate_key(members(cluster)[name].id)
            writer.wait_for_more(50, HANG_SECONDS)
            wait_until(cluster, "it is done", lambda: have_own_keys(cluster))
            assert held_by(cluster, name).pair != before
        writes = writer.stop()
    for name in NAMES:
        assert_kept(cluster, name, writes)
    with closing(Intruder(cluster, "n1", stolen["n2"])) as thief:
        thief.assert_refused()


def test_a_launcher_can_harm_links_that_have_keys(cluster: LocalCluster) -> None:
    (isolated,) = cluster.isolate("leader")
    wait_for_other_leader(cluster, isolated)
    cluster.heal()
    with client_of(cluster, isolated) as client:
        client.put("healed", "yes")


def test_only_the_member_itself_can_make_its_key(cluster: LocalCluster) -> None:
    known = members(cluster)
    with (
        client_of(cluster, "n1") as client,
        pytest.raises(InvalidArgumentError, match="is not one of the endpoints"),
    ):
        client.member_rotate_key(known["n2"].id)


def test_a_member_joins_by_its_key_and_is_worth_nothing_when_it_is_removed(
    cluster: LocalCluster, tmp_path: Path
) -> None:
    (ports,) = free_ports(1)
    peer_url, client_url = (f"tcp://127.0.0.1:{port}" for port in (ports.peer, ports.client))
    data_dir = tmp_path / "n4"
    made = run("key", "make", "--data-dir", str(data_dir))
    public = made.stdout.strip()
    with client_of(cluster) as client:
        added = client.member_add(peer_url, key=public)
    initial = [f"{m.name or 'n4'}={m.peer_urls[0]}#{m.keys[0]}" for m in added.members]
    process = subprocess.Popen(
        [
            *COMMAND,
            "--name=n4",
            f"--data-dir={data_dir}",
            f"--initial-cluster={','.join(initial)}",
            "--initial-cluster-state=existing",
            f"--initial-advertise-peer-urls={peer_url}",
            f"--listen-peer-urls={peer_url}",
            f"--listen-client-urls={client_url}",
            f"--advertise-client-urls={client_url}",
        ],
        stderr=subprocess.DEVNULL,
    )
    try:
        endpoint = client_url.removeprefix("tcp://")
        with Client([endpoint], **PATIENT) as there:
            there.put("joined", "n4")
        with client_of(cluster) as client:
            client.member_remove(added.member.id)
        assert process.wait(HANG_SECONDS) == EXIT_REMOVED
    finally:
        process.kill()
        process.wait()
    pair = read(data_dir / MEMBER_FILE, MEMBER).pair
    assert pair.public == public
    for name in NAMES:
        with closing(Intruder(cluster, name, pair)) as removed:
            removed.assert_refused()


def test_a_first_member_that_has_changed_its_key_is_told_of_its_removal(
    cluster: LocalCluster,
) -> None:
    name = next(name for name in NAMES if name != cluster.leader())
    pair = held_by(cluster, name).pair
    remove(cluster, name)
    wait_until_removed(cluster, name)
    for other in NAMES:
        if other != name:
            with closing(Intruder(cluster, other, pair)) as removed:
                removed.assert_refused()


COMMAND = (sys.executable, "-P", "-m", "actors")


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the node's program to its end."""
    return subprocess.run(
        [*COMMAND, *arguments], capture_output=True, text=True, check=False, timeout=HANG_SECONDS
    )
