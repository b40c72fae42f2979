"""LocalCluster, with stand-ins for nodes: processes, signals, deaths, refusals."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from cluster.identity import member_id_of
from cluster.launcher import ports
from cluster.launcher.local import LocalCluster
from cluster.launcher.nodes.layout import LauncherError
from cluster.launcher.ports import FREE_PORTS, SMALL_STEP, PortClaims, Ports, is_free
from tests.limits import HANG_SECONDS

pytestmark = pytest.mark.process

STANDIN = (sys.executable, "-P", "-m", "tests.cluster.standin")


@pytest.fixture
def cluster() -> Iterator[LocalCluster]:
    """Three stand-ins that are ready; n1 leads."""
    with LocalCluster(3, command=STANDIN) as made:
        yield made


# --- LocalCluster -----------------------------------------------------------------------------


def test_a_cluster_is_ready_inside_the_block_and_gone_after_it() -> None:
    with LocalCluster(3, command=STANDIN) as cluster:
        pids = [node.pid for node in cluster.nodes.values()]
        assert [f"127.0.0.1:{node.ports.client}" for node in cluster.nodes.values()] == (
            cluster.endpoints
        )
        assert cluster.leader() == "n1"
        assert set(cluster.status()) == {"n1", "n2", "n3"}
    assert not any(Path(f"/proc/{pid}").exists() for pid in pids)
    assert not cluster.data_dir.exists()


def test_a_killed_node_is_seen_and_another_leads(cluster: LocalCluster) -> None:
    cluster.kill("n1")
    node = cluster.nodes["n1"]
    assert not node.running
    assert node.ending == "was killed by SIGKILL"
    assert cluster.wait_for_leader() == "n2"
    cluster.start("n1")
    assert node.running
    assert cluster.leader() == "n1"


def test_a_kill_by_somebody_else_is_seen_too(cluster: LocalCluster) -> None:
    os.kill(cluster.nodes["n3"].pid, signal.SIGKILL)
    assert cluster.nodes["n3"].wait(HANG_SECONDS)
    assert [node.name for node in cluster.running] == ["n1", "n2"]


def test_without_a_quorum_waiting_for_a_leader_says_so(cluster: LocalCluster) -> None:
    cluster.kill("n1")
    cluster.kill("n2")
    with pytest.raises(LauncherError, match="1 of 3 nodes run: writes wait for 2"):
        cluster.wait_for_leader()


def test_what_is_asked_of_the_wrong_node_is_refused(cluster: LocalCluster) -> None:
    with pytest.raises(LauncherError, match="there is no node n9; there are n1, n2, n3"):
        cluster.kill("n9")
    with pytest.raises(LauncherError, match=r"n1 already runs \(pid [0-9]+\)"):
        cluster.start("n1")
    assert cluster.stop("n1") == ["n1"]
    with pytest.raises(LauncherError, match="n1 already was killed by SIGTERM: start n1 brings"):
        cluster.kill("n1")


def test_a_paused_node_is_left_out_of_the_status_and_stopped_all_the_same() -> None:
    with LocalCluster(3, command=STANDIN) as cluster:
        cluster.pause("N2")
        assert set(cluster.status(timeout_seconds=0.2)) == {"n1", "n3"}
        assert cluster.nodes["n2"].condition(time.monotonic()) == "paused"
        cluster.resume("all")
        assert set(cluster.status()) == {"n1", "n2", "n3"}
        cluster.pause("n2")
    assert cluster.nodes["n2"].exit_status is not None


def test_a_node_that_gives_up_at_the_start_is_named_with_its_last_words(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("STANDIN", "fail")
    with pytest.raises(LauncherError, match=r"n\d exited with status 3: the stand-in was told to"):
        LocalCluster(3, command=STANDIN).__enter__()


def test_nodes_that_ignore_sigterm_are_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STANDIN", "deaf")
    cluster = LocalCluster(1, command=STANDIN)
    cluster.__enter__()
    assert cluster.close(timeout_seconds=0.2) == ["n1"]
    assert cluster.nodes["n1"].exit_status == -signal.SIGKILL


def test_a_cluster_that_never_answers_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STANDIN", "mute")
    cluster = LocalCluster(1, command=STANDIN)
    cluster.launch()
    with pytest.raises(LauncherError, match="no write was acknowledged within"):
        cluster.wait_until_ready(timeout_seconds=0.5)
    # It has never answered: that is a long start, and no silence.
    assert cluster.nodes["n1"].condition(time.monotonic() + 1_000) == "starting"
    cluster.close()


def test_a_taken_port_is_named_and_nothing_is_started(tmp_path: Path) -> None:
    with LocalCluster(1, command=STANDIN) as other:
        port = other.nodes["n1"].ports.client
        second = LocalCluster(1, tmp_path, base_port=port, command=STANDIN)
        with pytest.raises(
            LauncherError, match=rf"port {port} is taken by python.* \(pid \d+\): --base"
        ):
            second.launch()
        assert second.running == []
        second.close()


def free_for_all(monkeypatch: pytest.MonkeyPatch) -> int:
    """The first of six ports that nobody has; free ports are chosen from these alone."""
    with PortClaims() as claims:
        first = next(
            first
            for first in range(FREE_PORTS.start, FREE_PORTS.stop, 6)
            if all(claims.maybe_claim(Ports(port, port + 1)) for port in range(first, first + 6, 2))
        )
    monkeypatch.setattr(ports, "FREE_PORTS", range(first, first + 6))
    return first


def test_a_nodes_direct_port_is_no_members_port(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two pairs of the six ports have one of the member's, which has no claim before the start."""
    first = free_for_all(monkeypatch)
    cluster = LocalCluster(1, tmp_path, base_port=first + 1, front=True, command=STANDIN)
    assert cluster.nodes["n1"].direct_port == first + 4
    cluster.close()


def test_a_new_member_does_not_get_the_direct_port_of_a_node_that_is_down(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing listens there, and the port is the next one of the layout."""
    first = free_for_all(monkeypatch)
    base_port = first + 4 - SMALL_STEP
    monkeypatch.setattr(ports, "STEPS", ())
    monkeypatch.setattr(ports, "FREE_PORTS", range(first + 4, first + 6))
    cluster = LocalCluster(1, tmp_path, base_port=base_port, front=True, command=STANDIN)
    assert cluster.nodes["n1"].direct_port == base_port + SMALL_STEP
    assert cluster.plan_node().ports.client != base_port + SMALL_STEP
    cluster.close()


def test_a_data_directory_keeps_its_size_and_ports(tmp_path: Path) -> None:
    with LocalCluster(3, tmp_path, command=STANDIN) as cluster:
        endpoints = cluster.endpoints
    with pytest.raises(LauncherError, match="holds a cluster of size 3, not 5"):
        LocalCluster(5, tmp_path, command=STANDIN)
    with pytest.raises(LauncherError, match="holds a cluster whose first port is"):
        LocalCluster(3, tmp_path, base_port=9_000, command=STANDIN)
    with LocalCluster(data_dir=tmp_path, command=STANDIN) as cluster:
        assert cluster.endpoints == endpoints


def test_nodes_end_when_their_launcher_is_killed(tmp_path: Path) -> None:
    script = (
        "import sys; from cluster.launcher.local import LocalCluster\n"
        f"cluster = LocalCluster(2, {str(tmp_path)!r}, command={STANDIN!r})\n"
        "cluster.__enter__(); print(*[n.pid for n in cluster.nodes.values()], flush=True)\n"
        "sys.stdin.read()"
    )
    launcher = subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert launcher.stdout is not None and launcher.stdin is not None
    pidfds = [os.pidfd_open(int(pid)) for pid in launcher.stdout.readline().split()]
    launcher.kill()
    launcher.communicate()
    # The nodes hold the directory's lock: getting it means that they are gone.
    with LocalCluster(data_dir=tmp_path, command=STANDIN) as cluster:
        assert len(cluster.running) == 2
    for pidfd in pidfds:
        os.close(pidfd)


def test_a_node_that_was_added_belongs_to_the_cluster_from_then_on(tmp_path: Path) -> None:
    with LocalCluster(3, tmp_path, command=STANDIN) as cluster:
        assert cluster.add() == "n4"
        node = cluster.nodes["n4"]
        assert node.running and node.member_id == member_id_of((node.peer_url,), "etcd-cluster")
        assert cluster.quorum == 3
        endpoints = cluster.endpoints
        assert len(endpoints) == 4
    with LocalCluster(data_dir=tmp_path, command=STANDIN) as cluster:
        assert cluster.endpoints == endpoints
        assert cluster.nodes["n4"].member_id == node.member_id


def test_a_learner_is_no_voter_and_no_endpoint(cluster: LocalCluster) -> None:
    record = cluster.plan_node(learner=True)
    cluster.enlist(record, 77)
    assert [node.name for node in cluster.voters] == ["n1", "n2", "n3"]
    assert len(cluster.endpoints) == 3
    cluster.note_promoted("n4")
    assert len(cluster.endpoints) == 4


def test_a_removed_node_is_stopped_and_never_started_again(tmp_path: Path) -> None:
    with LocalCluster(3, tmp_path, command=STANDIN) as cluster:
        cluster.remove("n3", timeout_seconds=0.1)  # a stand-in does not hear of its removal
        assert not cluster.nodes["n3"].running
        assert len(cluster.members) == len(cluster.endpoints) == 2
        with pytest.raises(LauncherError, match="n3 was removed from the cluster for good"):
            cluster.start("n3")
        assert cluster.add() == "n4"
    with LocalCluster(data_dir=tmp_path, command=STANDIN) as cluster:
        assert list(cluster.nodes) == ["n1", "n2", "n4"]
        assert cluster.add() == "n5"


def test_what_a_node_refuses_is_said_in_its_words(cluster: LocalCluster) -> None:
    with pytest.raises(LauncherError, match="not in a stand-in"):
        cluster.transfer()
    with pytest.raises(LauncherError, match="n2 is already a voter"):
        cluster.promote("n2")


def test_the_ports_of_a_stopped_cluster_are_free_again() -> None:
    with LocalCluster(1, command=STANDIN) as cluster:
        ports = cluster.nodes["n1"].ports
    assert is_free(ports.client) and is_free(ports.peer)
