"""What the client does to single nodes and to the disk, against real nodes and against probes."""

from __future__ import annotations

import fcntl
import hashlib
import io
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from cluster import Client, LeaseholdError, ResourceExhaustedError, UnavailableError, ops
from cluster.client.requests import request
from cluster.client.results import Alarm
from cluster.faults import DATA_LOSS
from cluster.launcher.local import LocalCluster
from cluster.protocol import OPS
from tests.cluster.probe import Answer, ProbeCluster, until
from tests.limits import HANG_SECONDS
from tests.protocol_table import reply_faults

pytestmark = pytest.mark.process


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCluster]:
    folder: Path = tmp_path_factory.mktemp("nodes")
    with LocalCluster(size=3, data_dir=folder) as cluster:
        yield cluster


@pytest.fixture
def client(nodes: LocalCluster) -> Iterator[Client]:
    with Client(nodes.endpoints) as connected:
        yield connected


def has_applied(endpoint: str) -> None:
    """Wait until a node holds what was acknowledged before."""
    with Client(endpoint) as there:
        there.get("k")


# --- one node, or all of them ---


def test_members_have_the_same_hash_of_the_same_revision(client: Client) -> None:
    revision = client.put("k", "v").header.revision
    client.put("k", "later")
    for endpoint in client.endpoints:
        has_applied(endpoint)
    hashes = {client.hash_kv(endpoint, revision)[1:] for endpoint in client.endpoints}
    assert len(hashes) == 1
    (found,) = hashes
    assert found[-1] == revision


def test_a_node_tells_the_hash_of_all_that_it_holds(client: Client) -> None:
    endpoint = client.endpoints[0]
    client.put("hashed", "v")
    has_applied(endpoint)
    before = client.hash(endpoint)
    assert before.hash == client.hash(endpoint).hash
    client.put("hashed", "w")
    has_applied(endpoint)
    assert client.hash(endpoint).hash != before.hash


def test_a_node_tells_what_it_has_counted(client: Client) -> None:
    asked = [
        client.request(request("metrics"), dict, pinned=endpoint) for endpoint in client.endpoints
    ]
    for reply in asked:
        reply.pop("id", None)
        reply.pop("header")
        assert reply_faults(OPS["metrics"], reply) == []
        assert reply["turns"] > 0
        assert reply["wal_syncs"]["counts"][-1] > 0
        assert len(reply["peers"]) == 2
    assert sorted(reply["is_leader"] for reply in asked) == [False, False, True]


def test_a_node_is_defragmented_while_it_serves(client: Client) -> None:
    for endpoint in client.endpoints:
        member = client.status(endpoint).header.member_id
        assert client.defragment(endpoint).header.member_id == member
    with pytest.raises(ValueError, match="not one of the client's endpoints"):
        client.defragment("127.0.0.1:1")


def test_alarms_are_raised_listed_and_cleared(client: Client) -> None:
    member = client.status().header.member_id
    assert client.alarm_list().alarms == ()
    raised = client.alarm_activate(member, "NOSPACE")
    assert raised.alarms == client.alarm_list().alarms == (Alarm(member, "NOSPACE"),)
    with pytest.raises(ResourceExhaustedError, match="database space exceeded"):
        client.put("k", "v")
    with pytest.raises(ResourceExhaustedError, match="database space exceeded"):
        client.txn().then(ops.put("k", "v")).commit()
    client.delete("k")
    assert client.alarm_disarm(member, "NOSPACE").alarms == (Alarm(member, "NOSPACE"),)
    assert client.alarm_disarm().alarms == ()
    client.put("k", "v")


# --- snapshots ---


def test_a_snapshot_is_saved_to_a_path_or_to_a_file(client: Client, tmp_path: Path) -> None:
    client.put("k", b"a value that is easy to find")
    has_applied(client.endpoints[1])
    path = tmp_path / "copy"
    path.write_text("what was there before")
    saved = client.snapshot_save(path, client.endpoints[1])
    content = path.read_bytes()
    assert b"a value that is easy to find" in content
    assert (saved.endpoint, saved.size) == (client.endpoints[1], len(content))
    assert saved.sha256 == hashlib.sha256(content).hexdigest()
    assert list(tmp_path.iterdir()) == [path]
    file = io.BytesIO()
    assert client.snapshot_save(file).size == len(file.getvalue())


class Parts:
    """A script that serves a snapshot in parts of 4 bytes."""

    def __init__(self, content: bytes, claimed: bytes | None = None) -> None:
        self.content = content
        self.sha256 = hashlib.sha256(claimed or content).digest()
        self.silences: dict[int, int] = {}

    def __call__(self, request: dict[str, Any]) -> Answer | bool:
        if request["op"] != "snapshot":
            return True
        offset = request.get("offset", 0)
        assert (request.get("name") == "one") is (offset > 0)
        if self.silences.get(offset, 0) > 0:
            self.silences[offset] -= 1
            return None
        blob = self.content[offset : offset + 4]
        left = len(self.content) - offset - len(blob)
        return {"name": "one", "blob": blob, "remaining_bytes": left, "sha256": self.sha256}


@pytest.fixture
def probes() -> Iterator[ProbeCluster]:
    with ProbeCluster(size=2) as probe_cluster:
        yield probe_cluster


def test_a_part_that_is_lost_is_asked_for_again(probes: ProbeCluster, tmp_path: Path) -> None:
    parts = Parts(b"0123456789")
    parts.silences[4] = 1
    probes.nodes[0].script = parts
    with Client(probes.endpoints) as client:
        client.snapshot_save(tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == b"0123456789"
    asked = [one.get("offset", 0) for one in probes.nodes[0].requests if one["op"] == "snapshot"]
    assert asked == [0, 4, 4, 8]


def test_one_process_at_a_time_saves_a_snapshot_in_a_place(
    probes: ProbeCluster, tmp_path: Path
) -> None:
    probes.nodes[0].script = Parts(b"0123456789")
    part = tmp_path / "copy.part"
    with Client(probes.endpoints) as client:
        with part.open("wb") as other:
            other.write(b"of the other process")
            other.flush()
            fcntl.flock(other, fcntl.LOCK_EX)
            with pytest.raises(OSError, match="another process is saving a snapshot there"):
                client.snapshot_save(tmp_path / "copy")
            assert part.read_bytes() == b"of the other process"
        client.snapshot_save(tmp_path / "copy")
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"copy": b"0123456789"}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_save_that_a_signal_ends_leaves_nothing_and_says_so(
    probes: ProbeCluster, tmp_path: Path, number: signal.Signals
) -> None:
    parts = Parts(b"0123456789")
    parts.silences[4] = 1 << 30
    probes.nodes[0].script = parts
    path = tmp_path / "copy"
    command = [sys.executable, "-m", "cluster.cli", "snapshot", "save", str(path)]
    with subprocess.Popen(
        [*command, f"--endpoints={probes.endpoints[0]}", "--command-timeout=600s"],
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        until(lambda: any(request.get("offset") for request in probes.nodes[0].requests))
        process.send_signal(number)
        _, said = process.communicate(timeout=HANG_SECONDS)
    assert said == f"interrupted by {number.name}: nothing was saved, and {path}.part is removed\n"
    assert process.returncode == 128 + number
    assert list(tmp_path.iterdir()) == []


def test_a_snapshot_that_is_not_what_was_made_is_not_kept(
    probes: ProbeCluster, tmp_path: Path
) -> None:
    (tmp_path / "copy").write_text("the last good one")
    probes.nodes[0].script = Parts(b"0123456789", claimed=b"012345678_")
    with Client(probes.endpoints) as client, pytest.raises(LeaseholdError, match="damaged") as bad:
        client.snapshot_save(tmp_path / "copy")
    assert bad.value.code == DATA_LOSS
    assert [path.read_text() for path in tmp_path.iterdir()] == ["the last good one"]


def test_a_snapshot_is_fetched_from_another_node_when_the_first_is_gone(
    probes: ProbeCluster, tmp_path: Path
) -> None:
    first, second = probes.nodes
    second.script = Parts(b"0123456789")
    parts = Parts(b"abcdefgh")

    def dies(request: dict[str, Any]) -> Answer | bool:
        if request.get("offset"):
            first._stopping = True
            return None
        return parts(request)

    first.script = dies
    with Client(probes.endpoints, timeout=3.0) as client:
        assert client.snapshot_save(tmp_path / "copy").endpoint == second.endpoint
    assert (tmp_path / "copy").read_bytes() == b"0123456789"


def test_what_was_written_to_a_file_is_not_written_twice(probes: ProbeCluster) -> None:
    def one_part(request: dict[str, Any]) -> Answer | bool:
        answer = Parts(b"0123456789")
        return None if request.get("offset") else answer(request)

    probes.nodes[0].script = one_part
    probes.nodes[1].script = Parts(b"0123456789")
    file = io.BytesIO()
    with Client(probes.endpoints, timeout=0.3) as client, pytest.raises(LeaseholdError):
        client.snapshot_save(file)
    assert file.getvalue() == b"0123"


@pytest.mark.parametrize(
    "use",
    [
        lambda client, endpoint: client.defragment(endpoint),
        lambda client, endpoint: client.hash_kv(endpoint),
        lambda client, endpoint: client.snapshot_save(io.BytesIO(), endpoint),
    ],
)
def test_work_on_a_node_that_is_gone_is_given_up_soon(
    probes: ProbeCluster, use: Callable[[Client, str], object]
) -> None:
    node = probes.nodes[0]
    probes.kill(node)
    with Client(probes.endpoints, dial_timeout=0.1) as client, pytest.raises(UnavailableError):
        use(client, node.endpoint)
