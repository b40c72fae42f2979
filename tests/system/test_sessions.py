"""Clients that outlive their sessions, or the cluster: what is acknowledged to them is there."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import wait
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import zmq

from actors.store.sessions import SESSIONS_MAX
from cluster import Client, LeaseholdError, OutcomeUnknownError
from cluster.launcher.local import LocalCluster
from cluster.wire import pack, unpack
from tests.cluster.inner import connection_of
from tests.limits import HANG_MS, HANG_SECONDS, PATIENT
from tests.system.conditions import client_of, restore, wait_until
from tests.system.short_sessions import TTL_MS

ROUNDS = 20
BATCH = 500


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    """What is entered here ends with the test."""
    with ExitStack() as entered:
        yield entered


class Writer:
    """A client that puts keys of its own; `kept` are those that it was told are there."""

    def __init__(self, client: Client, name: str) -> None:
        self.client = client
        self.kept: list[str] = []
        self.errors: list[LeaseholdError] = []
        self._name = name
        self._count = 0

    def put(self, times: int = 1) -> None:
        """Put one key after the other."""
        for _ in range(times):
            self._count += 1
            key = f"{self._name}-{self._count}"
            try:
                self.client.put(key, "v")
            except LeaseholdError as error:
                self.errors.append(error)
            else:
                self.kept.append(key)


def writer(
    stack: ExitStack, cluster: LocalCluster, name: str, *others: str, times: int = 5
) -> Writer:
    """Somebody new, who has put a few keys."""
    made = Writer(stack.enter_context(Client([*cluster.endpoints, *others], **PATIENT)), name)
    made.put(times)
    assert (len(made.kept), made.errors) == (times, [])
    return made


def writers(stack: ExitStack, cluster: LocalCluster, name: str) -> list[Writer]:
    """Several, whose sessions begin at all kinds of places in the log."""
    return [writer(stack, cluster, f"{name}{n}", times=1 + n % 3) for n in range(9)]


def keys_in(*clusters: LocalCluster) -> set[str]:
    """All keys of some clusters."""
    found: set[str] = set()
    for cluster in clusters:
        with client_of(cluster) as client:
            found |= {kv.key.decode() for kv in client.range("", from_key=True).kvs}
    return found


def write_in_turn(writers: list[Writer]) -> list[str]:
    """Let all put again and again; what they were told is there from then on."""
    for each in writers:
        each.kept.clear()
    for _ in range(ROUNDS):
        for each in writers:
            each.put()
    for each in writers:
        assert len(each.kept) == ROUNDS, each.errors
    return [key for each in writers for key in each.kept]


def stop(cluster: LocalCluster) -> Path:
    """Stop the only node; its directory."""
    cluster.stop("n1")
    return cluster.directory.node_directory("n1")


def start(cluster: LocalCluster) -> None:
    """Start it again, on whatever is there now."""
    cluster.launch_node("n1")
    cluster.wait_until_ready()


def test_clients_outlive_a_cluster_that_is_made_anew(stack: ExitStack) -> None:
    cluster = stack.enter_context(LocalCluster(1))
    old = writers(stack, cluster, "old")
    shutil.rmtree(stop(cluster))
    start(cluster)
    new = writers(stack, cluster, "new")
    kept = write_in_turn([*old, *new])
    assert set(kept) <= keys_in(cluster)


def test_clients_outlive_data_that_is_rolled_back(stack: ExitStack, tmp_path: Path) -> None:
    cluster = stack.enter_context(LocalCluster(1))
    early = writer(stack, cluster, "early")
    shutil.copytree(stop(cluster), tmp_path / "copy")
    start(cluster)
    late = writers(stack, cluster, "late")
    early.put(5)
    directory = stop(cluster)
    shutil.rmtree(directory)
    shutil.copytree(tmp_path / "copy", directory)
    start(cluster)
    new = writers(stack, cluster, "new")
    kept = write_in_turn([early, *late, *new])
    assert set(kept) <= keys_in(cluster)


def test_clients_go_from_one_restored_cluster_to_another_of_the_same_snapshot(
    stack: ExitStack, tmp_path: Path
) -> None:
    one, other = (stack.enter_context(LocalCluster(1)) for _ in range(2))
    source = writer(stack, one, "source")
    source.client.snapshot_save(tmp_path / "saved")
    for cluster in (one, other):
        restore(cluster, tmp_path / "saved")
    here = writer(stack, one, "here")
    there = writers(stack, other, "there")
    stop(other)
    # They begin at the only cluster that runs, and will go on at the other.
    roaming = [writer(stack, one, f"roaming{n}", *other.endpoints) for n in range(3)]
    kept = write_in_turn([source, here, *roaming])
    assert set(kept) <= keys_in(one)
    stop(one)
    start(other)
    kept = write_in_turn([*roaming, *there])
    assert set(kept) <= keys_in(other)


def test_what_was_under_way_is_unknown_once_and_all_else_goes_on(stack: ExitStack) -> None:
    cluster = stack.enter_context(LocalCluster(1))
    old = writer(stack, cluster, "old")
    under_way = {key: old.client.put_async(key, "v") for key in map(str, range(200))}
    cluster.kill("n1")
    shutil.rmtree(cluster.directory.node_directory("n1"))
    start(cluster)
    wait(under_way.values(), timeout=HANG_SECONDS)
    assert {type(put.exception()) for put in under_way.values()} <= {
        type(None),
        OutcomeUnknownError,
    }
    kept = write_in_turn([old])
    assert set(kept) <= keys_in(cluster)


# --- sessions that end -------------------------------------------------------------------------


def test_a_client_whose_session_has_expired_opens_another(stack: ExitStack) -> None:
    command = (sys.executable, "-P", "-m", "tests.system.short_sessions")
    cluster = stack.enter_context(LocalCluster(1, command=command))
    idle = writer(stack, cluster, "idle")
    session = session_of(idle)
    with client_of(cluster) as other:
        # Leases end on cluster time, as sessions do.
        clock = other.lease.grant(3 * TTL_MS / 1_000)
        other.put("clock", "runs", lease=clock)
        wait_until(cluster, "the lease ends", lambda: other.get("clock") is None)
    kept = write_in_turn([idle])
    assert set(kept) <= keys_in(cluster)
    assert session_of(idle) != session


def raw(stack: ExitStack, cluster: LocalCluster) -> Callable[..., Any]:
    """The client of PROTOCOL.md, in a few lines."""
    context = stack.enter_context(zmq.Context())
    socket = stack.enter_context(context.socket(zmq.REQ))
    socket.linger = 0
    socket.rcvtimeo = HANG_MS
    socket.connect(f"tcp://{cluster.endpoints[0]}")

    def call(**request: Any) -> Any:
        socket.send(pack(request))
        return unpack(socket.recv())

    return call


def test_a_client_whose_numbers_are_too_old_opens_another_session(stack: ExitStack) -> None:
    cluster = stack.enter_context(LocalCluster(1))
    behind = writer(stack, cluster, "behind")
    session = session_of(behind)
    # As another process would that was copied with its memory.
    ahead = {"session": session, "seq": 100, "ack": 100}
    assert "error" not in raw(stack, cluster)(op="put", key="ahead", value="v", **ahead)
    kept = write_in_turn([behind])
    assert set(kept) <= keys_in(cluster)
    assert session_of(behind) != session


def session_of(writer: Writer) -> int:
    """The id of a client's session."""
    session = connection_of(writer.client)._core.calls._sessions._session
    assert session is not None
    return session.id


def test_a_flood_of_openings_ends_nobody_s_session(stack: ExitStack) -> None:
    cluster = stack.enter_context(LocalCluster(1))
    idle = writer(stack, cluster, "idle")
    session = session_of(idle)
    hostile = stack.enter_context(stack.enter_context(zmq.Context()).socket(zmq.DEALER))
    hostile.linger = 0
    hostile.rcvtimeo = HANG_MS
    hostile.connect(f"tcp://{cluster.endpoints[0]}")
    refused = 0
    for _ in range(2 * SESSIONS_MAX // BATCH):
        for _ in range(BATCH):
            hostile.send(pack({"op": "session_open"}))
        answers = [unpack(hostile.recv()) for _ in range(BATCH)]
        refused += sum("too many requests" in str(each.get("error")) for each in answers)
    assert refused > SESSIONS_MAX
    write_in_turn([idle])
    assert session_of(idle) == session
