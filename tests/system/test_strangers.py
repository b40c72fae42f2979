"""What one who is no member sends to the peers' ports changes nothing, asserted or not."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, closing

import pytest
import zmq

from actors.language.codec import encode_command
from actors.language.commands import DeleteRange
from actors.language.entries import Entry, Proposal
from actors.language.members import Peer, RemoveMember
from actors.raft.codec import PeerCodec
from actors.raft.membership import encode, first_membership
from actors.raft.rpc import (
    AppendRequest,
    AppendResponse,
    ChangeRequest,
    Confession,
    Contradiction,
    Doubt,
    ForwardRequest,
    Heartbeat,
    Introduction,
    JoinRequest,
    Message,
    RemovedNotice,
    SnapshotChunk,
    TimeoutNow,
    VoteRequest,
    Welcome,
)
from cluster.launcher.local import LocalCluster
from cluster.wire import pack
from tests.forgery import forged
from tests.system.conditions import client_of, wait_until

STRANGER = 0x1234
HOSTS = first_membership((Peer(STRANGER, ("tcp://127.0.0.1:1",)),))
KEYS = [f"key{number:02}" for number in range(20)]
SAID = "it claims to be from this member itself"


@pytest.fixture(params=["0", "1"], ids=["asserting", "optimized"])
def cluster(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[LocalCluster]:
    """Three nodes; as `python -O` runs them, no assertion stands in anybody's way."""
    monkeypatch.setenv("PYTHONOPTIMIZE", request.param)
    with LocalCluster() as cluster:
        yield cluster


def messages(target: int, term: int) -> list[Message]:
    """One message that would end a node, or the data, for each way there is to do that."""
    head = (STRANGER, target, term)
    delete = encode_command(DeleteRange(b"\0", b"\0", False), None)
    poison = Entry(10**6, term, 0, 0, 0, b"\xc1garbage")
    return [
        ForwardRequest(*head, (Proposal(STRANGER, 1, delete),)),
        VoteRequest(STRANGER, target, 2**62, False, 0, 0, True),
        RemovedNotice(*head),
        Heartbeat(*head, 0, 10**9, 0, 0, 0, True),
        Heartbeat(STRANGER, target, term + 1, 0, 10**9, 0, 0, 2**60, True),
        AppendRequest(*head, 0, 10**6 - 1, term, 10**6, (poison,)),
        AppendResponse(*head, term, 10**9, False, 0, 0),
        ChangeRequest(*head, 1, RemoveMember(target)),
        SnapshotChunk(*head, 0, 77, 10**9, term, 2**50, 0, 0, b"x"),
        TimeoutNow(*head),
        Contradiction(*head, 10**9, term),
        Confession(*head, 1),
        Doubt(*head, 1, 5),
    ]


def frames(cluster_id: int, target: int, term: int) -> list[bytes]:
    """The same, and what is no message of Raft's, or of this version's."""
    others = [Introduction(10**6 + n, "tcp://127.0.0.1:1") for n in range(3_000)]
    said = (
        *messages(target, term),
        Introduction(STRANGER, "nonsense"),
        Introduction(target, "tcp://_foo:1"),
        JoinRequest(5, STRANGER, ("nonsense",)),
        Welcome(STRANGER, target, cluster_id, 0, encode(HOSTS)),
    )
    return [
        *(forged(cluster_id, message) for message in said),
        pack((cluster_id, 4, STRANGER, target, term, ((STRANGER, 1, b"\xc1garbage"),))),
        pack((cluster_id, 7, STRANGER, target, 2**64 - 1, False, 0, 0, True)),
        pack((cluster_id, 9, STRANGER, target, term, (1,), "ErrorOfTomorrow")),
        pack((cluster_id, 13, STRANGER, target, term, 1, b"not json")),
        b"",
        *(forged(cluster_id, introduction) for introduction in others),
    ]


def test_a_stranger_changes_nothing(cluster: LocalCluster) -> None:
    with client_of(cluster) as client:
        for key in KEYS:
            client.put(key, "v")
        cluster_id = client.status().header.cluster_id
        before = cluster.status()
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    codec = PeerCodec(cluster_id)
    with ExitStack() as stack:
        for node in cluster.nodes.values():
            socket = stack.enter_context(closing(context.socket(zmq.PUSH)))
            socket.linger = 0
            socket.connect(f"tcp://127.0.0.1:{node.ports.peer}")
            for frame in frames(cluster_id, node.member_id, before[node.name].term):
                socket.send(frame)
            socket.send_multipart([bytes(2**20), *[b"x"] * 3_000])
            socket.send(pack((cluster_id, 99)))
            # The last of all has a reason of its own to be ignored.
            socket.send(codec.encode(TimeoutNow(node.member_id, node.member_id, 1)))

            def has_heard(log: str = node.name) -> bool:
                return SAID in cluster.directory.log_of(log).read_text()

            wait_until(cluster, f"{node.name} has heard all of it", has_heard, 60)
    context.destroy(linger=0)
    cluster.reap()
    assert [node.name for node in cluster.nodes.values() if not node.running] == []
    with client_of(cluster) as client:
        assert [kv.key.decode() for kv in client.scan("key", prefix=True)] == KEYS
        assert len(client.member_list().members) == 3
        for name in cluster.nodes:
            with client_of(cluster, name) as there:
                assert there.put("after", name).header.raft_term < 2**32
