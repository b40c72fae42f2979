"""The audit log of a real node with a front: who did what from where, and what became of it."""

from __future__ import annotations

import http.client
import json
import os
import socket as socket_module
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import zmq
from zmq.utils.monitor import recv_monitor_message

from cluster.launcher.local import IMPORT_ROOT, LocalCluster
from cluster.wire import pack, unpack
from tests.limits import HANG_MS, HANG_SECONDS
from tests.ports import free_ports
from tests.system.conditions import wait_until

DENIALS = 1_200
"""Refused reads of long keys: more than a megabyte of lines."""


class Asking:
    """A client of one node, on one connection."""

    def __init__(self, socket: zmq.Socket[bytes], address: str) -> None:
        self._socket = socket
        self.address = address

    def ask(self, op: str, **fields: Any) -> str:
        """The text of the error, or nothing."""
        return str(self.answer(op, **fields).get("error", {}).get("message", ""))

    def answer(self, op: str, **fields: Any) -> dict[str, Any]:
        (reply,) = self.answers(1, op, **fields)
        return reply

    def answers(self, times: int, op: str, **fields: Any) -> list[dict[str, Any]]:
        """The answers to the same request, asked as many times without waiting."""
        for _ in range(times):
            self._socket.send(pack({"op": op, **fields}))
        return [unpack(self._socket.recv()) for _ in range(times)]


@contextmanager
def client(cluster: LocalCluster) -> Iterator[Asking]:
    with zmq.Context() as context, context.socket(zmq.DEALER) as socket:
        socket.linger = 0
        socket.sndhwm = 0
        socket.rcvtimeo = HANG_MS
        monitor = socket.get_monitor_socket(zmq.EVENT_CONNECTED)
        monitor.rcvtimeo = HANG_MS
        socket.connect(f"tcp://{cluster.node('n1').endpoint}")
        connected = recv_monitor_message(monitor)["value"]
        with socket_module.socket(fileno=os.dup(connected)) as same:
            host, port = same.getsockname()
        yield Asking(socket, f"{host}:{port}")
        socket.disable_monitor()


def log_in_by_json(cluster: LocalCluster, password: str) -> str:
    """Ask the front for a token; returns the address that this was asked from."""
    endpoint = cluster.node("n1").endpoint
    connection = http.client.HTTPConnection(endpoint, timeout=HANG_SECONDS)
    connection.connect()
    host, own_port = connection.sock.getsockname()
    body = json.dumps({"name": "root", "password": password})
    connection.request("POST", "/v3/auth/authenticate", body)
    connection.getresponse().read()
    connection.close()
    return f"{host}:{own_port}"


def lines(*paths: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for path in paths for line in path.read_text().splitlines()]


def test_a_node_writes_down_who_did_what(tmp_path: Path) -> None:
    path = tmp_path / "audit-n1.log"
    (ports,) = free_ports(1)
    url = f"tcp://127.0.0.1:{ports.client}"
    audit = f"--audit-log={tmp_path}/audit-{{name}}.log"
    flags = ["--bcrypt-cost=4", audit, "--audit-log-maxsize=1"]
    with LocalCluster(1, front=True, node_flags=flags) as cluster, client(cluster) as asking:
        asking.ask("user_add", name="root", password="top secret")
        asking.ask("user_grant_role", user="root", role="root")
        asking.ask("auth_enable")
        place = log_in_by_json(cluster, "not so")
        token = asking.answer("authenticate", name="root", password="top secret")["token"]
        assert asking.ask("put", key="k", value="hidden", token=token) == ""
        assert asking.ask("range", key="k") == "etcdserver: user name is empty"
        assert asking.ask("member_add", peerURLs=[url], isLearner=True, token=token) == ""
        wait_until(cluster, "seven lines", lambda: len(lines(path)) >= 7)
        mode = stat.S_IMODE(path.stat().st_mode)
        told = lines(path)
        asking.answers(DENIALS, "range", key="k" * 1_000)
        rotated = path.with_name("audit-n1.log.1")
        second = {
            "name": "n2",
            "data-dir": tmp_path / "n2",
            "audit-log": path,
            "listen-client-urls": url,
            "advertise-client-urls": url,
        }
        refused = subprocess.run(
            [
                *(sys.executable, "-P", "-m", "actors"),
                *(f"--{flag}={value}" for flag, value in second.items()),
            ],
            env={**os.environ, "PYTHONPATH": str(IMPORT_ROOT)},
            capture_output=True,
            text=True,
            timeout=HANG_SECONDS,
            check=False,
        )
    ops = [(line["op"], line["user"], line["outcome"]) for line in told]
    assert ops == [
        ("user_add", None, "ok"),
        ("user_grant_role", None, "ok"),
        ("auth_enable", None, "ok"),
        ("authenticate", None, "etcdserver: authentication failed, invalid user ID or password"),
        ("authenticate", None, "ok"),
        ("range", None, "etcdserver: user name is empty"),
        ("member_add", "root", "ok"),
    ]
    assert {line["node"] for line in told} == {"n1"}
    places = [asking.address] * 7
    places[3] = place
    assert [line["from"] for line in told] == places
    assert mode == 0o600
    assert "another process writes this audit log" in refused.stderr
    assert refused.returncode == 1
    assert stat.S_IMODE(rotated.stat().st_mode) == 0o600
    assert len(lines(rotated, path)) == len(told) + DENIALS
    written = path.read_text() + rotated.read_text()
    assert not any(secret in written for secret in ("top secret", "not so", "hidden", token))
