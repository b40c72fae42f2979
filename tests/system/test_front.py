"""Nodes with fronts as processes: one port for all clients, and whose life depends on whose."""

from __future__ import annotations

import os
import queue
import select
import signal
import socket
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest

from cluster import Client
from cluster.etcd.rpc.schema import message_class
from cluster.launcher.local import IMPORT_ROOT, LocalCluster
from tests.cluster.inner import connection_of
from tests.cluster.probe import until
from tests.etcd.sides import halves_of
from tests.limits import HANG_MS, HANG_SECONDS, PATIENT
from tests.ports import free_ports

WRITERS = 3
KILLS = 6
WRITES_BETWEEN = 20


@pytest.fixture(scope="module")
def served() -> Iterator[LocalCluster]:
    with LocalCluster(1, front=True) as cluster:
        yield cluster


def end_of(pid: int) -> int:
    """A descriptor that is readable when the process has ended."""
    return os.pidfd_open(pid)


def wait_for(descriptors: list[int]) -> None:
    for descriptor in descriptors:
        poller = select.poll()
        poller.register(descriptor, select.POLLIN)
        assert poller.poll(HANG_MS), "a process of a front does not end"
        os.close(descriptor)


def health_of(endpoint: str) -> bytes:
    with urllib.request.urlopen(f"http://{endpoint}/health", timeout=HANG_SECONDS) as answer:
        body: bytes = answer.read()
        return body


def route_of(client: Client) -> str | None:
    """The connection by which a client's requests to its only endpoint go at present."""
    found: queue.SimpleQueue[str | None] = queue.SimpleQueue()
    (endpoint,) = client.endpoints
    connection_of(client).run(lambda core, now: found.put(core.endpoints.route(endpoint)))
    return found.get(timeout=HANG_SECONDS)


def goes_by(client: Client, url: str) -> bool:
    client.put(b"on", b"the way")
    return route_of(client) == f"{client.endpoints[0]} ({url})"


def put_by_grpc(endpoint: str, key: bytes, value: bytes) -> int:
    """Put through etcd's own protocol; the revision."""
    request = message_class("etcdserverpb.PutRequest")(key=key, value=value)
    response = message_class("etcdserverpb.PutResponse")
    with grpc.insecure_channel(endpoint) as channel:
        put = channel.unary_unary(
            "/etcdserverpb.KV/Put", lambda m: m.SerializeToString(), response.FromString
        )
        revision: int = put(request, timeout=HANG_SECONDS).header.revision
        return revision


def test_one_port_serves_every_kind_of_client(served: LocalCluster) -> None:
    (endpoint,) = served.endpoints
    assert health_of(endpoint) == b'{"health":"true","reason":""}'
    revision = put_by_grpc(endpoint, b"who", b"grpc")
    for name in (endpoint, f"http://{endpoint}", f"tcp://{endpoint}"):
        with Client([name]) as client:
            found = client.get(b"who")
            assert found is not None
            assert (found.value, found.mod_revision) == (b"grpc", revision)
            (member,) = client.member_list().members
            assert f"http://{endpoint}" in member.client_urls


def test_no_write_is_lost_or_done_twice_while_halves_of_the_front_end(
    served: LocalCluster,
) -> None:
    """Each key is put once: a second time would make its version 2."""
    (endpoint,) = served.endpoints
    acknowledged: list[bytes] = []
    stopping = threading.Event()
    enough = threading.Condition()

    def write(number: int) -> None:
        with Client([endpoint], **PATIENT, direct=False) as client:
            for count in range(1_000_000):
                if stopping.is_set():
                    return
                key = b"once/%d/%d" % (number, count)
                client.put(key, b"")
                with enough:
                    acknowledged.append(key)
                    enough.notify_all()

    def go_on() -> None:
        wanted = len(acknowledged) + WRITES_BETWEEN
        with enough:
            assert enough.wait_for(lambda: len(acknowledged) >= wanted, HANG_SECONDS)

    writers = [threading.Thread(target=write, args=(n,)) for n in range(WRITERS)]
    for writer in writers:
        writer.start()
    for kill in range(KILLS):
        go_on()
        victim = halves_of(served.node("n1").pid)[(kill + 1) % 2]
        ended = end_of(victim)
        # The serving half, which is the first one, may also end in order: it has closed the port.
        os.kill(victim, signal.SIGKILL if kill else signal.SIGTERM)
        wait_for([ended])
    go_on()
    stopping.set()
    for writer in writers:
        writer.join(HANG_SECONDS)
    with Client([endpoint]) as client:
        versions = {pair.key: pair.version for pair in client.get_prefix(b"once/")}
    assert set(acknowledged) <= versions.keys()
    assert set(versions.values()) == {1}
    assert health_of(endpoint) == b'{"health":"true","reason":""}'


@pytest.mark.parametrize(
    ("number", "is_stopped"),
    [
        (signal.SIGTERM, False),
        (signal.SIGTERM, True),
        (signal.SIGKILL, False),
        (signal.SIGKILL, True),
    ],
)
def test_a_front_and_its_port_end_with_the_node(number: int, is_stopped: bool) -> None:
    """However the node ends, and also if both halves of its front are stopped at that moment."""
    with LocalCluster(1, front=True) as cluster:
        host, port = cluster.endpoints[0].split(":")
        keeper, serving = halves_of(cluster.node("n1").pid)
        ends = [end_of(keeper), end_of(serving)]
        if is_stopped:
            os.kill(keeper, signal.SIGSTOP)
            os.kill(serving, signal.SIGSTOP)
        cluster.signal("n1", number)
        cluster.node("n1").wait(HANG_SECONDS)
        wait_for(ends)
        assert "the front did not stop" not in cluster.node("n1").log_path.read_text()
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((host, int(port)))
        if number == signal.SIGKILL:
            cluster.start("n1")
            put_by_grpc(cluster.endpoints[0], b"again", b"")


def test_our_client_leaves_the_front_and_needs_it_no_more(served: LocalCluster) -> None:
    node = served.node("n1")
    url = f"tcp://127.0.0.1:{node.direct_port}"
    (endpoint,) = served.endpoints
    kept = Client([endpoint], **PATIENT, direct=False)
    with Client([endpoint], **PATIENT) as client, kept:
        kept.put(b"k", b"by the front")
        watch = client.watch(b"k", start_revision=1)
        assert next(watch).kv.value == b"by the front"
        until(lambda: goes_by(client, url), HANG_SECONDS)
        assert route_of(kept) == endpoint
        front = halves_of(node.pid)
        for pid in front:
            os.kill(pid, signal.SIGSTOP)
        client.put(b"k", b"beside it")
        assert route_of(client) == f"{endpoint} ({url})"
        for pid in front:
            os.kill(pid, signal.SIGCONT)
        assert next(watch).kv.value == b"beside it"


def test_both_kinds_of_urls_may_be_given_together(tmp_path: Path, served: LocalCluster) -> None:
    """And metrics on a port of their own, where there is no way to the data.

    Our client goes by the second kind, and by no other node's that is named among them.
    """
    one, other = free_ports(2)
    urls = f"http://127.0.0.1:{one.client},tcp://127.0.0.1:{other.client}"
    first, second = urls.split(",")
    strangers = f"tcp://127.0.0.1:{served.node('n1').direct_port}"
    shown = (first, strangers, second)
    flags = {
        "data-dir": tmp_path,
        "listen-client-urls": urls,
        "advertise-client-urls": ",".join(shown),
        "listen-metrics-urls": f"http://127.0.0.1:{other.peer}",
        "listen-peer-urls": f"tcp://127.0.0.1:{one.peer}",
    }
    command = [sys.executable, "-P", "-m", "actors"]
    with subprocess.Popen(
        [*command, *(f"--{flag}={value}" for flag, value in flags.items())],
        env={**os.environ, "PYTHONPATH": str(IMPORT_ROOT)},
    ) as node:
        for url in (first, second):
            with Client([url], **PATIENT) as client:
                client.put(b"by", url.encode())
                (member,) = client.member_list().members
                assert set(member.client_urls) == set(shown)
                if url == first:
                    until(lambda: goes_by(client, second), HANG_SECONDS)
        assert health_of(f"127.0.0.1:{other.peer}") == b'{"health":"true","reason":""}'
        with pytest.raises(urllib.error.HTTPError, match="404"):
            urllib.request.urlopen(f"http://127.0.0.1:{other.peer}/version", timeout=HANG_SECONDS)
        node.terminate()
        assert node.wait(HANG_SECONDS) == 0
