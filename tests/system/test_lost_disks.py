"""Members that lost their disks, or had them rolled back, on real processes: nothing is lost."""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from cluster import Client, LeaseholdError, ResourceExhaustedError
from cluster.client.results import Alarm
from cluster.launcher.local import LocalCluster
from cluster.launcher.nodes.files import LauncherError
from cluster.launcher.nodes.node import EXIT_REMOVED
from tests.chaos.control import FaultServer, Layer
from tests.chaos.plans import DiskFault
from tests.limits import HANG_SECONDS, PATIENT
from tests.system.conditions import client_of, followers, wait_for_revision, wait_until

KEYS = 100


@pytest.fixture
def cluster() -> Iterator[LocalCluster]:
    """Three nodes of its own for each test, each known by its name."""
    with LocalCluster() as made:
        wait_until_named(made, 3)
        yield made


def wait_until_named(cluster: LocalCluster, count: int) -> None:
    """Wait until every running node has applied that all members have told their names."""

    def named() -> bool:
        for node in cluster.running:
            with Client(node.endpoint, **PATIENT) as client:
                names = [member.name for member in client.member_list().members if member.name]
            if len(names) < count:
                return False
        return True

    wait_until(cluster, "all members are named", named)


def lose_disk(cluster: LocalCluster, name: str) -> None:
    """A node is killed, and its data directory is gone."""
    if cluster.node(name).running:
        cluster.kill(name)
    shutil.rmtree(cluster.directory.node_directory(name))


def refused(cluster: LocalCluster, name: str) -> str:
    """Start a node that is expected to give up; its last words."""
    cluster.launch_node(name)
    node = cluster.node(name)
    assert node.wait(HANG_SECONDS), f"{name} runs"
    assert node.exit_status == 1
    line = cluster.directory.last_log_line(name)
    assert "has already been bootstrapped" in line, line
    assert f"member {name} ({node.member_id:x})" in line
    assert str(cluster.directory.node_directory(name)) in line
    return line


def put_keys(*endpoints: str) -> int:
    """Acknowledged puts; the revision of the last."""
    with Client(list(endpoints), **PATIENT) as client:
        return [client.put(f"k{n}", "acknowledged").header.revision for n in range(KEYS)][-1]


def count_keys(cluster: LocalCluster, *names: str) -> int:
    with client_of(cluster, *names) as client:
        return len(list(client.scan("k", prefix=True)))


def test_a_founder_without_its_disk_does_not_help_to_elect_a_log_that_lacks_writes(
    cluster: LocalCluster,
) -> None:
    """The one that lags and the one that forgot are a majority, and must not be one."""
    lead = cluster.leader()
    forgets, lags = followers(cluster)
    cluster.kill(lags)
    put_keys(cluster.node(lead).endpoint, cluster.node(forgets).endpoint)
    cluster.kill(lead)
    lose_disk(cluster, forgets)
    cluster.launch_node(lags)
    refused(cluster, forgets)
    with Client(cluster.node(lags).endpoint, timeout=2) as client, pytest.raises(LeaseholdError):
        client.get("k0")
    cluster.launch_node(lead)
    cluster.wait_for_leader()
    assert count_keys(cluster, lead, lags) == KEYS


@pytest.mark.parametrize("down", [0, 1])
def test_a_wiped_founder_is_refused_by_any_that_answers(cluster: LocalCluster, down: int) -> None:
    revision = put_keys(*cluster.endpoints)
    forgets, other = followers(cluster)
    for name in cluster.nodes:
        wait_for_revision(cluster, name, revision)
    lose_disk(cluster, forgets)
    if down:
        cluster.kill(other)
    refused(cluster, forgets)
    # It stays so, though there is a log in its directory now.
    refused(cluster, forgets)


def test_the_command_that_it_names_mends_it(cluster: LocalCluster) -> None:
    revision = put_keys(*cluster.endpoints)
    forgets = followers(cluster)[0]
    lose_disk(cluster, forgets)
    old = cluster.node(forgets)
    line = refused(cluster, forgets)
    words = shlex.split(line[line.index("leasectl ") :])
    printed = run([sys.executable, "-m", "cluster.cli", *words[1:]])
    lines = [each for each in printed.splitlines() if each.startswith("ETCD_")]
    environment = dict(each.replace('"', "").split("=", 1) for each in lines)
    assert environment["ETCD_NAME"] == forgets
    shutil.rmtree(cluster.directory.node_directory(forgets))
    record = old.record._replace(joined_with=environment["ETCD_INITIAL_CLUSTER"])
    with client_of(cluster, cluster.leader()) as client:
        (member_id,) = [
            each.id for each in client.member_list().members if old.peer_url in each.peer_urls
        ]
    assert member_id != old.member_id
    cluster.enlist(record, member_id)
    wait_for_revision(cluster, forgets, revision)
    assert count_keys(cluster, forgets) == KEYS
    # As who it was it does not come back, and is told what to do instead.
    lose_disk(cluster, forgets)
    node = cluster.node(forgets)
    node.record = node.record._replace(joined_with="", member_id=old.member_id)
    cluster.launch_node(forgets)
    assert node.wait(HANG_SECONDS)
    assert node.exit_status == EXIT_REMOVED
    line = cluster.directory.last_log_line(forgets)
    assert "permanently removed" in line and "--initial-cluster-state=existing" in line
    assert f"{member_id:x}" in line


@pytest.mark.parametrize("down", [0, 1])
def test_a_wiped_member_that_joined_is_refused_too(cluster: LocalCluster, down: int) -> None:
    name = cluster.add()
    wait_until_named(cluster, 4)
    lose_disk(cluster, name)
    if down:
        cluster.kill(followers(cluster)[0])
    refused(cluster, name)


def test_a_launcher_shows_why_a_node_is_refused(cluster: LocalCluster) -> None:
    forgets = followers(cluster)[0]
    lose_disk(cluster, forgets)
    with pytest.raises(LauncherError, match=r"already been bootstrapped.*leasectl.*member replace"):
        cluster.restart(forgets)


def test_nodes_that_lost_everything_together_start_anew(cluster: LocalCluster) -> None:
    put_keys(*cluster.endpoints)
    for name in list(cluster.nodes):
        lose_disk(cluster, name)
    for name in cluster.nodes:
        cluster.launch_node(name)
    cluster.wait_until_ready()
    assert count_keys(cluster) == 0


def test_a_member_that_lost_its_disk_before_anybody_knew_its_name_comes_back() -> None:
    """It may have promised something all the same, and is let in only as far as it has proven."""
    with (
        tempfile.TemporaryDirectory(prefix="faults-") as place,
        closing(FaultServer(Path(place) / "s")) as server,
        LocalCluster(command=server.node_command) as cluster,
    ):
        revision = put_keys(*cluster.endpoints)
        for name in cluster.nodes:
            # What has room for nothing takes no names, either.
            server.impose(name, "full", Layer(DiskFault(full=True)))
        wait_until(cluster, "writes are refused", lambda: is_full(cluster))
        late = cluster.add(learner=True)
        mark = cluster.directory.node_directory(late) / "wal" / "probation"
        wait_until(cluster, f"{late} is a full member", lambda: not mark.exists())
        wait_for_revision(cluster, late, revision)
        lose_disk(cluster, late)
        server.lift("full")
        cluster.restart(late)
        wait_for_revision(cluster, late, revision)
        with client_of(cluster, late) as client:
            assert len(list(client.range("k", prefix=True, serializable=True))) == KEYS
        wait_until_named(cluster, 4)


def is_full(cluster: LocalCluster) -> bool:
    """Whether the cluster refuses a write for want of space."""
    with client_of(cluster) as client:
        try:
            client.put("is there", "room")
        except ResourceExhaustedError:
            return True
    return False


def test_one_node_alone_asks_nobody() -> None:
    with LocalCluster(1) as cluster:
        lose_disk(cluster, "n1")
        cluster.restart("n1")
        put_keys(*cluster.endpoints)


def test_a_disk_that_was_rolled_back_stops_its_member_and_is_named_on_every_other(
    cluster: LocalCluster,
) -> None:
    """Under a leader that remembers what that member has acknowledged."""
    rolled_back, other = followers(cluster)
    directory = cluster.directory.node_directory(rolled_back)
    copy = directory.with_name("copy")
    cluster.stop(rolled_back)
    shutil.copytree(directory, copy)
    cluster.restart(rolled_back)
    revision = put_keys(*cluster.endpoints)
    for name in cluster.nodes:
        wait_for_revision(cluster, name, revision)
    cluster.kill(rolled_back)
    shutil.rmtree(directory)
    copy.rename(directory)
    cluster.launch_node(rolled_back)
    node = cluster.node(rolled_back)
    assert node.wait(HANG_SECONDS), "it goes on with what it has"
    assert node.exit_status == 1
    line = cluster.directory.last_log_line(rolled_back)
    assert f"member {rolled_back} ({node.member_id:x}) stops" in line
    assert f"member replace {node.member_id:x}" in line
    for name in (cluster.leader(), other):
        with client_of(cluster, name) as client:
            alarm = Alarm(node.member_id, "DATA_LOSS")
            wait_until(cluster, f"{name} shows the alarm", shows(client, alarm))
    assert count_keys(cluster, cluster.leader(), other) == KEYS


def shows(client: Client, alarm: Alarm) -> Callable[[], bool]:
    return lambda: alarm in client.alarm_list().alarms


def run(command: list[str]) -> str:
    """What a command prints; it must succeed."""
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=HANG_SECONDS, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
