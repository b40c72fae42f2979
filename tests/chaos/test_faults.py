"""Each fault that a test can plan has its effect on a real node."""

from __future__ import annotations

import random
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from cluster import Client, LeaseholdError, ResourceExhaustedError
from cluster.launcher.local import LocalCluster
from cluster.link_plan import LinkFault
from tests.chaos.control import FaultServer, Layer, plan_document
from tests.chaos.faulty_disk import sectors_of
from tests.chaos.harm import flip_a_bit
from tests.chaos.plans import DiskFault
from tests.limits import HANG_SECONDS, PATIENT

CUT = {0: LinkFault(cut=True)}


class Ground:
    """A cluster of three under control, with a client of all."""

    def __init__(self, cluster: LocalCluster, server: FaultServer, client: Client) -> None:
        self.cluster = cluster
        self.server = server
        self.client = client

    def effect(self, kind: str, layer: Layer) -> float:
        """Impose a layer on the leader, and write until it takes effect; how long that took."""
        leader = self.cluster.leader()
        began = time.monotonic()
        self.server.impose(leader, "test", layer)
        assert self.server.wait_until_applied(leader)
        self.client.put("written", "x" * 3_000)
        took = time.monotonic() - began
        assert self.server.wait_for_effect(leader, kind, began, HANG_SECONDS)
        self.server.lift("test")
        return took

    def ending(self, layer: Layer) -> int | None:
        """Impose a layer on the leader that must end it; its exit status. It is started again."""
        leader = self.cluster.leader()
        self.server.impose(leader, "test", layer)
        node = self.cluster.node(leader)
        deadline = time.monotonic() + HANG_SECONDS
        while not node.wait(0.1):
            # More than once: the first write may come before the layer does.
            assert time.monotonic() < deadline, "it goes on"
            self.client.put("written", "x" * 3_000)
        self.server.lift("test")
        status = node.exit_status
        self.cluster.restart(leader)
        return status


@pytest.fixture(scope="module")
def shared_ground() -> Iterator[Ground]:
    """Not below tmp_path: the path of a Unix socket must be short."""
    directory = Path(tempfile.mkdtemp(prefix="leasehold-faults-"))
    server = FaultServer(directory / "faults")
    try:
        with (
            LocalCluster(data_dir=directory, command=server.node_command) as cluster,
            Client(cluster.endpoints, **PATIENT) as client,
        ):
            yield Ground(cluster, server, client)
    finally:
        server.close()
        shutil.rmtree(directory)


@pytest.fixture
def ground(shared_ground: Ground) -> Iterator[Ground]:
    """The module's, healed after each test."""
    yield shared_ground
    shared_ground.server.lift("test")
    shared_ground.cluster.reap()
    for node in shared_ground.cluster.members:
        if not node.running:
            shared_ground.cluster.launch_node(node.name)
    shared_ground.cluster.wait_until_ready()


@pytest.mark.parametrize(
    ("kind", "layer"),
    [
        ("cut out", Layer(outgoing=CUT)),
        ("cut in", Layer(incoming=CUT)),
        ("loss out", Layer(outgoing={0: LinkFault(loss=0.5)})),
        ("loss in", Layer(incoming={0: LinkFault(loss=0.5)})),
        ("duplicate out", Layer(outgoing={0: LinkFault(duplicate=0.5)})),
        ("duplicate in", Layer(incoming={0: LinkFault(duplicate=0.5)})),
        ("delay out", Layer(outgoing={0: LinkFault(delay_ms=5)})),
        ("delay in", Layer(incoming={0: LinkFault(jitter_ms=10, reorder=True)})),
        ("slow sync", Layer(DiskFault(sync_delay_ms=20))),
    ],
)
def test_fault_that_a_cluster_bears_takes_effect(ground: Ground, kind: str, layer: Layer) -> None:
    ground.effect(kind, layer)
    assert ground.client.put("afterwards", "x").header.revision > 1


def test_delayed_links_delay_writes_until_they_are_lifted(ground: Ground) -> None:
    delayed = {0: LinkFault(delay_ms=60)}
    assert ground.effect("delay", Layer(outgoing=delayed, incoming=delayed)) >= 0.12
    leader, lifted = ground.cluster.leader(), time.monotonic()
    assert ground.server.wait_until_applied(leader)
    ground.client.put("afterwards", "x")
    assert not ground.server.took_effect(leader, "delay", lifted)


def test_slow_fsync_delays_writes(ground: Ground) -> None:
    every = Layer(DiskFault(sync_delay_ms=50))
    for name in ground.cluster.nodes:
        ground.server.impose(name, "test", every)
        assert ground.server.wait_until_applied(name)
    assert min(_times(ground.client, 3)) >= 0.05


def _times(client: Client, count: int) -> list[float]:
    times = []
    for _ in range(count):
        began = time.monotonic()
        client.put("timed", "x")
        times.append(time.monotonic() - began)
    return times


def test_cut_leader_is_replaced_and_follows_when_it_is_back(ground: Ground) -> None:
    leader = ground.cluster.leader()
    ground.server.impose(leader, "test", Layer(outgoing=CUT, incoming=CUT))
    others = [node.endpoint for node in ground.cluster.members if node.name != leader]
    with Client(others, **PATIENT) as client:
        last = client.put("without it", "x").header.revision
    ground.server.lift("test")
    with Client(ground.cluster.node(leader).endpoint, **PATIENT) as client:
        found = client.get("without it")
    assert found is not None and found.mod_revision == last


def test_fault_holds_from_the_first_moment_after_a_restart(ground: Ground) -> None:
    name = ground.cluster.leader()
    ground.server.impose(name, "test", Layer(outgoing=CUT, incoming=CUT))
    ground.cluster.kill(name)
    ground.cluster.wait_for_leader()
    term = max(status.term for status in ground.cluster.status().values())
    ground.cluster.launch_node(name)
    assert ground.server.wait_until_applied(name, HANG_SECONDS)
    endpoint = ground.cluster.node(name).endpoint
    with Client(endpoint, **PATIENT) as client, Client(endpoint, timeout=1) as hasty:
        assert client.status().leader == 0
        with pytest.raises(LeaseholdError):
            hasty.get("anything")
        # It asks, cut off as it is, whether it could win: nobody's term rises by that.
        assert client.status().raft_term <= term


@pytest.mark.parametrize(
    ("fault", "status"),
    [
        (DiskFault(write="EIO"), 70),
        (DiskFault(write="ENOSPC"), 70),
        (DiskFault(sync="EIO"), 70),
        (DiskFault(torn=True), -signal.SIGKILL),
    ],
)
def test_node_whose_disk_fails_stops_and_recovers(
    ground: Ground, fault: DiskFault, status: int
) -> None:
    ground.client.put("before", "1")
    assert ground.ending(Layer(fault)) == status
    found = ground.client.get("before")
    assert found is not None and found.value == b"1"


def test_full_disk_refuses_writes_and_takes_them_again(ground: Ground) -> None:
    for name in ground.cluster.nodes:
        ground.server.impose(name, "test", Layer(DiskFault(full=True)))
    _write_until(ground, refused=True)
    ground.server.lift("test")
    _write_until(ground, refused=False)


def _write_until(ground: Ground, refused: bool) -> None:
    """Nodes look now and then how much room there is."""
    deadline = time.monotonic() + HANG_SECONDS
    while time.monotonic() < deadline:
        try:
            ground.client.put("room", "x")
        except ResourceExhaustedError as error:
            assert "space exceeded" in error.message
            if refused:
                return
        else:
            if not refused:
                return
    raise AssertionError(f"refused: {not refused}")


def test_flipped_bit_of_a_stopped_node_is_found_at_its_start(ground: Ground) -> None:
    name = next(n for n in ground.cluster.nodes if n != ground.cluster.leader())
    node = ground.cluster.node(name)
    ground.cluster.kill(name)
    directory = ground.cluster.directory.node_directory(name) / "wal"
    path, offset = flip_a_bit(directory, random.Random(1))
    ground.cluster.launch_node(name)
    assert node.wait(HANG_SECONDS)
    words = ground.cluster.directory.last_log_line(name)
    assert node.exit_status == 1
    assert str(path) in words and "damaged at byte" in words
    # The same bit again: whole as before.
    with path.open("r+b") as file:
        file.seek(offset)
        damaged = file.read(1)[0]
        for bit in range(8):
            file.seek(offset)
            file.write(bytes([damaged ^ 1 << bit]))
            file.flush()
            ground.cluster.launch_node(name)
            if not _ends_at_once(ground.cluster, name):
                return
    raise AssertionError("no bit makes it whole")


def _ends_at_once(cluster: LocalCluster, name: str) -> bool:
    node = cluster.node(name)
    while node.running:
        if (status := cluster.status(0.2).get(name)) is not None and status.leader:
            return False
        cluster.poll(10)
        cluster.reap()
    return True


# --- without processes ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("offset", "size", "pieces"),
    [
        (0, 10, [(0, 10)]),
        (500, 12, [(500, 512)]),
        (500, 13, [(500, 512), (512, 513)]),
        (512, 1024, [(512, 1024), (1024, 1536)]),
        (8, 1100, [(8, 512), (512, 1024), (1024, 1108)]),
    ],
)
def test_write_is_cut_at_the_sectors_of_its_file(
    offset: int, size: int, pieces: list[tuple[int, int]]
) -> None:
    assert sectors_of(offset, size) == pieces


def test_layers_add_up_to_the_worst_of_each() -> None:
    slow, cut = Layer(DiskFault(sync_delay_ms=5)), Layer(outgoing={3: LinkFault(cut=True)})
    slower = Layer(DiskFault(sync_delay_ms=9), outgoing={3: LinkFault(delay_ms=4)})
    plan = plan_document([slow, cut, slower])
    assert plan["disk"]["sync_delay_ms"] == 9
    assert plan["links"]["outgoing"] == {"3": {"cut": True, "delay_ms": 4}}
    assert not plan["links"]["incoming"]
