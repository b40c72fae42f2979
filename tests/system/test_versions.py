"""The last landed version and the present one in one cluster, as FORMATS.md promises.

See FORMATS.md#which-versions-may-stand-in-one-cluster. These tests need the repository's history.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
import zmq

from cluster import Client
from cluster.wire import pack, unpack
from tests.chaos.writers import Acknowledged, ClientWriter
from tests.limits import HANG_MS, HANG_SECONDS
from tests.system.conditions import (
    client_of,
    events_until,
    followers,
    revisions,
    wait_for_revision,
)
from tests.system.landed import ROOT, MixedCluster, home_of, take_landed


@pytest.fixture(scope="module")
def landed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The landed version; without the repository's history these tests are left out."""
    directory = tmp_path_factory.mktemp("landed")
    reason = take_landed(directory)
    if reason:
        pytest.skip(reason)
    assert (home_of(directory), home_of(ROOT)) == (directory, ROOT)
    return directory


@contextmanager
def writers_through_each(cluster: MixedCluster) -> Iterator[list[ClientWriter]]:
    """A client for each node that knows no other one, and writes whenever that node serves."""
    with ExitStack() as stack:
        yield [
            stack.enter_context(ClientWriter([node.endpoint], f"{node.name}/"))
            for node in cluster.nodes.values()
        ]


def wait_for_writes(writers: list[ClientWriter], count: int = 5) -> None:
    """Wait until each of them has written so many more keys."""
    for writer in writers:
        writer.wait_for_more(count, HANG_SECONDS)


def lead_each(cluster: MixedCluster, writers: list[ClientWriter]) -> None:
    """Let every node lead for a while, so that each version leads the other."""
    for name in cluster.nodes:
        if cluster.leader() != name:
            cluster.transfer(name)
        wait_for_writes(writers)


def assert_all_kept(cluster: MixedCluster, writes: list[Acknowledged]) -> None:
    """Every node has each of these writes, once, and all hold the same."""
    last = max(write.revision for write in writes)
    hashes = set()
    for name in cluster.nodes:
        wait_for_revision(cluster, name, last)
        with client_of(cluster, name) as there:
            found = {kv.key: kv.version for kv in there.range(serializable=True)}
            hashes.add(there.hash_kv(revision=last).hash)
        assert {found.get(write.key) for write in writes} == {1}, name
    assert len(hashes) == 1


def ask(cluster: MixedCluster, name: str, **request: Any) -> dict[str, Any]:
    """One request over a plain socket: a client would choose its own session."""
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    socket = context.socket(zmq.REQ)
    socket.linger, socket.rcvtimeo = 0, HANG_MS
    try:
        socket.connect(f"tcp://{cluster.node(name).endpoint}")
        socket.send(pack(request))
        answer = unpack(socket.recv())
    finally:
        context.destroy(linger=0)
    assert isinstance(answer, dict) and "error" not in answer, answer
    return answer


def test_a_rolling_upgrade_loses_nothing_and_can_be_undone(landed: Path, tmp_path: Path) -> None:
    with MixedCluster(tmp_path, landed) as cluster, client_of(cluster) as client:
        lease = client.lease.grant(3_600)
        client.put("leased", "for an hour", lease=lease.id)
        session = ask(cluster, "n1", op="session_open")["session"]
        numbered = {"op": "put", "key": "k", "value": "v", "session": session, "seq": 1, "ack": 1}
        first = ask(cluster, "n1", **numbered)["header"]["revision"]
        watched = client.watch("n1/", prefix=True, start_revision=first + 1)
        with writers_through_each(cluster) as writers, watched as watch:
            wait_for_writes(writers)
            for name in cluster.nodes:
                cluster.change(name, ROOT)
                lead_each(cluster, writers)
                assert ask(cluster, name, **numbered)["header"]["revision"] == first
            cluster.change("n1", landed)
            lead_each(cluster, writers)
            writes = [write for writer in writers for write in writer.stop()]
            told = events_until(watch, max(write.revision for write in writers[0].stop()))
        assert revisions(told) == [write.revision for write in writers[0].acknowledged]
        assert_all_kept(cluster, writes)
        assert client.lease.time_to_live(lease.id, keys=True).keys == (b"leased",)
        assert client.range("k")[0].version == 1


@pytest.mark.parametrize("is_upgrade", [True, False], ids=["to the present", "to the landed"])
def test_a_member_gets_a_snapshot_of_the_other_version(
    landed: Path, tmp_path: Path, is_upgrade: bool
) -> None:
    before, after = (landed, ROOT) if is_upgrade else (ROOT, landed)
    flags = ("--snapshot-catchup-entries=10",)
    with MixedCluster(tmp_path, before, flags) as cluster, client_of(cluster) as client:
        name = followers(cluster)[0]
        client.put("seen", "before")
        cluster.stop(name)
        cluster.choose(name, after)
        write_until_cut(cluster, client)
        cluster.restart(name)
        revision = client.put("seen", "after").header.revision
        wait_for_revision(cluster, name, revision)
        log = cluster.directory.log_of(name).read_text()
        assert "installing a snapshot up to" in log
        with client_of(cluster, name) as there:
            assert there.hash_kv(revision=revision).hash == client.hash_kv(revision=revision).hash
            there.put("written", "through it")


def write_until_cut(cluster: MixedCluster, client: Client) -> None:
    """Write until no log here has what the member that is away needs next.

    A physical compaction is answered when the node that was asked has made all durable, and has let
    its log go up to there.
    """
    for node in cluster.running:
        for number in range(50):
            revision = client.put(f"meanwhile {number}", node.name).header.revision
        with client_of(cluster, node.name) as there:
            there.compact(revision, physical=True)
