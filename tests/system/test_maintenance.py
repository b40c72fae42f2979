"""The upkeep of real nodes: space, copies, snapshots and damage, with clients and kills."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import pytest

from cluster import Client, CompactedError, OutcomeUnknownError, ResourceExhaustedError
from cluster.launcher.local import LocalCluster
from tests.system.conditions import client_of, followers, restore, wait_for_revision, wait_until

FLAGS = ("--corrupt-check-time=200ms",)


@pytest.fixture(scope="module")
def shared_cluster() -> Iterator[LocalCluster]:
    """Three nodes that are compared with each other all the time."""
    with LocalCluster(node_flags=FLAGS) as made:
        yield made


@pytest.fixture
def own_cluster() -> Iterator[LocalCluster]:
    """The same for one test, which does not leave it as it was."""
    with LocalCluster(node_flags=FLAGS) as made:
        yield made


class Filled(NamedTuple):
    """The keys whose puts were acknowledged, and those whose puts may have been applied."""

    kept: set[str]
    unknown: set[str]


def fill(client: Client, count: int = 500, size: int = 1_000) -> Filled:
    """Put keys until no more fit, or so many.

    On a slow machine a put may be refused only when it is sent again, without an answer before.
    """
    puts = {f"key{n:04d}": client.put_async(f"key{n:04d}", "v" * size) for n in range(count)}
    wait(puts.values())
    filled = Filled(set(), set())
    for key, put in puts.items():
        match put.exception():
            case None:
                filled.kept.add(key)
            case OutcomeUnknownError():
                filled.unknown.add(key)
            case error:
                assert isinstance(error, ResourceExhaustedError), error
    return filled


def keys_of(client: Client) -> set[str]:
    return {kv.key.decode() for kv in client.range("key", prefix=True, keys_only=True).kvs}


def rewrite(client: Client, times: int) -> int:
    """Write the same few keys over and over; the last revision."""
    puts = [client.put_async(f"key{n % 10}", "v" * 1_000) for n in range(times)]
    wait(puts)
    return max(put.result().header.revision for put in puts)


# --- quota ------------------------------------------------------------------------------------


def test_a_full_cluster_refuses_writes_loses_none_and_recovers_by_itself() -> None:
    flags = ("--quota-backend-bytes=2000000",)
    with LocalCluster(node_flags=flags) as cluster, client_of(cluster) as client:
        kept, unknown = set[str](), set[str]()
        while not client.alarm_list().alarms:
            filled = fill(client)
            kept, unknown = kept | filled.kept, unknown | filled.unknown
        with pytest.raises(ResourceExhaustedError, match="database space exceeded"):
            client.put("other", "more")
        assert kept <= keys_of(client) <= kept | unknown
        status = client.status()
        assert any("alarm:NOSPACE" in error for error in status.errors), status
        client.delete("key", prefix=True)
        client.compact(client.status().header.revision)

        def takes_writes() -> bool:
            # One member may have room again a little sooner than another.
            with suppress(ResourceExhaustedError):
                client.put("key", "as before")
                return not client.alarm_list().alarms
            return False

        wait_until(cluster, "there is room again", takes_writes, 40)
        assert keys_of(client) == {"key"}


# --- defragmentation --------------------------------------------------------------------------


def test_a_file_becomes_smaller_while_writes_go_on(cluster: LocalCluster) -> None:
    name = next(iter(cluster.nodes))
    with client_of(cluster, name) as client:
        client.compact(rewrite(client, 1_000), physical=True)
        before = client.status().db_size
        puts = [client.put_async(f"meanwhile{n}", "v") for n in range(500)]
        client.defragment()
        wait(puts)
        assert client.status().db_size < before / 2
        assert client.range("meanwhile", prefix=True, count_only=True).count == 500


def test_a_node_that_is_killed_while_it_defragments_has_lost_nothing(
    cluster: LocalCluster,
) -> None:
    name = followers(cluster)[0]
    pool = ThreadPoolExecutor()
    for round_ in range(2):
        with client_of(cluster) as client, client_of(cluster, name) as there:
            revision = rewrite(client, 300)
            client.compact(revision)
            wait_for_revision(cluster, name, revision)
            asked = pool.submit(there.defragment)
            for number in range(25 * round_):
                client.put(f"meanwhile{round_}", f"{number}")
            cluster.kill(name)
            client.put(f"after{round_}", "the kill")
            there.close()
            wait([asked])
            cluster.restart(name)
            wait_for_revision(cluster, name, client.status().header.revision)
    with client_of(cluster, name) as there:
        assert there.range("after", prefix=True, count_only=True).count == 2
    assert not list(cluster.directory.node_directory(name).glob("store.compact*"))


# --- snapshots --------------------------------------------------------------------------------


def test_a_cluster_is_restored_from_a_snapshot_that_was_saved_under_load(
    own_cluster: LocalCluster, tmp_path: Path
) -> None:
    path = tmp_path / "saved"
    with client_of(own_cluster) as client:
        kept = fill(client, 200).kept
        wait_for_revision(own_cluster, "n1", client.put("first", "v").header.revision)
        later = [client.put_async(f"later{n}", "v") for n in range(300)]
        client.snapshot_save(path, endpoint=own_cluster.node("n1").endpoint)
        wait(later)
        revision = client.put("lost", "v").header.revision
        cluster_id = client.status().header.cluster_id
    restore(own_cluster, path)
    with client_of(own_cluster) as client:
        assert keys_of(client) == kept
        assert client.get("lost") is None
        status = client.status()
        assert status.header.cluster_id != cluster_id
        assert status.header.revision > revision
        with pytest.raises(CompactedError):
            next(client.watch("key", prefix=True, start_revision=revision + 1))
        revision = client.put("goes", "on").header.revision
        for name in own_cluster.nodes:
            wait_for_revision(own_cluster, name, revision)
        assert len({client.hash_kv(each, revision).hash for each in client.endpoints}) == 1


def test_a_member_that_joins_a_restored_cluster_gets_what_was_restored(
    own_cluster: LocalCluster, tmp_path: Path
) -> None:
    path = tmp_path / "saved"
    with client_of(own_cluster) as client:
        kept = fill(client, 100).kept
        client.snapshot_save(path, endpoint=own_cluster.node(own_cluster.leader()).endpoint)
    restore(own_cluster, path)
    name = own_cluster.add()
    with client_of(own_cluster, name) as there:
        assert keys_of(there) == kept


def test_a_saved_snapshot_is_checked_offline(cluster: LocalCluster, tmp_path: Path) -> None:
    path = tmp_path / "saved"
    with client_of(cluster) as client:
        fill(client, 20)
        revision = client.put("last", "v").header.revision
        wait_for_revision(cluster, "n1", revision)
        client.snapshot_save(path, endpoint=cluster.node("n1").endpoint)
    command = [sys.executable, "-m", "actors", "snapshot", "status", str(path)]
    sound = subprocess.run(command, capture_output=True, text=True, check=True)
    assert sound.stdout.split(", ")[1] == str(revision)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    damaged = subprocess.run(command, capture_output=True, text=True, check=False)
    assert damaged.returncode == 1
    assert f"{path}: damaged at byte " in damaged.stderr


# --- integrity --------------------------------------------------------------------------------


def test_a_value_that_one_members_disk_has_changed_is_found_and_the_others_go_on(
    own_cluster: LocalCluster,
) -> None:
    name = followers(own_cluster)[0]
    with client_of(own_cluster) as client:
        value = "precious" * 100
        client.put("key", value)
        path = own_cluster.directory.node_directory(name) / "store"
        wait_until(own_cluster, "it is on disk", lambda: value.encode() in path.read_bytes())
        with path.open("r+b") as file:
            file.seek(path.read_bytes().index(value.encode()))
            file.write(b"P")
        node = own_cluster.node(name)

        def has_stopped() -> bool:
            own_cluster.reap()
            return not node.running

        wait_until(own_cluster, f"{name} finds the damage", has_stopped)
        assert "wrong checksum" in own_cluster.failure_of(node)
        client.put("others", "go on")
        found = client.get("key")
        assert found is not None
        assert found.value == value.encode()


def test_members_that_hold_the_same_raise_no_alarm(cluster: LocalCluster) -> None:
    with client_of(cluster) as client:
        before = client.status().raft_index
        for n in range(100):
            client.put(f"key{n % 7}", f"{n}", ttl=60)
            if n % 20 == 19:
                client.compact(client.status().header.revision - 3)

        def were_compared() -> bool:
            return client.status().raft_index > before + 100 + 5 + 5 * 4

        wait_until(cluster, "five checks were made", were_compared)
        assert client.alarm_list().alarms == ()
