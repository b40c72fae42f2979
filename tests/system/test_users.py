"""Users on real processes: all nodes know them, wrong passwords slow nobody, and a way back in."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import pytest
import zmq

from cluster.launcher.local import IMPORT_ROOT, LocalCluster
from cluster.wire import pack, unpack
from tests.limits import HANG_MS, HANG_SECONDS
from tests.system.conditions import wait_until

NAMES = ("n1", "n2", "n3")
EMPTY = "etcdserver: user name is empty"
FAILED = "etcdserver: authentication failed, invalid user ID or password"
INVALID = "etcdserver: invalid auth token"


@pytest.fixture
def cluster() -> Iterator[LocalCluster]:
    """Three nodes whose passwords take little work."""
    with LocalCluster(node_flags=["--bcrypt-cost=4"]) as made:
        yield made


def ask(cluster: LocalCluster, node: str, op: str, **fields: Any) -> dict[str, Any]:
    """What one node answers."""
    with zmq.Context() as context, context.socket(zmq.REQ) as socket:
        socket.linger = 0
        socket.rcvtimeo = HANG_MS
        socket.connect(f"tcp://{cluster.node(node).endpoint}")
        socket.send(pack({"op": op, **fields}))
        reply: dict[str, Any] = unpack(socket.recv())
        return reply


def text(reply: dict[str, Any]) -> str:
    """The text of an error, or nothing."""
    message: str = reply.get("error", {}).get("message", "")
    return message


def may_put(cluster: LocalCluster, node: str, **who: str) -> bool:
    """Whether a node does a put."""
    return text(ask(cluster, node, "put", key="k", **who)) == ""


def secure(cluster: LocalCluster) -> str:
    """Let requests be checked from now on, at every node; returns a token of root."""
    for op, fields in (
        ("user_add", {"name": "root", "password": "secret"}),
        ("user_grant_role", {"user": "root", "role": "root"}),
        ("auth_enable", {}),
    ):
        assert text(ask(cluster, "n1", op, **fields)) == ""
    token: str = ask(cluster, "n2", "authenticate", name="root", password="secret")["token"]
    for name in NAMES:
        wait_until(cluster, f"{name} knows the token", partial(may_put, cluster, name, token=token))
    return token


def reset(cluster: LocalCluster, name: str) -> subprocess.CompletedProcess[str]:
    directory = cluster.directory.node_directory(name)
    return subprocess.run(
        [sys.executable, "-P", "-m", "actors", "auth", "reset", f"--data-dir={directory}"],
        env={**os.environ, "PYTHONPATH": str(IMPORT_ROOT)},
        capture_output=True,
        text=True,
        timeout=HANG_SECONDS,
        check=False,
    )


def test_users_are_known_everywhere_and_a_stopped_member_is_the_way_back_in(
    cluster: LocalCluster,
) -> None:
    token = secure(cluster)
    assert text(ask(cluster, "n3", "range", key="k")) == EMPTY
    assert text(ask(cluster, "n3", "range", key="k", token="made up")) == INVALID
    # A thousand wrong passwords would wait for each other; meanwhile everybody else is served.
    with ThreadPoolExecutor(8) as guessing:
        guesses = [
            guessing.submit(ask, cluster, "n1", "authenticate", name="root", password=f"{number}")
            for number in range(8)
        ]
        for _ in range(50):
            assert text(ask(cluster, "n1", "put", key="k", token=token)) == ""
        refused = {text(guess.result()) for guess in guesses}
    assert refused <= {FAILED, "etcdserver: too many requests"}
    running = reset(cluster, "n1")
    assert running.returncode == 1 and "in use by" in running.stderr
    cluster.stop("n1")
    assert reset(cluster, "n1").returncode == 0
    assert text(ask(cluster, "n2", "put", key="k")) == EMPTY
    cluster.start("n1")
    for name in NAMES:
        wait_until(cluster, f"{name} asks nobody who they are", partial(may_put, cluster, name))
    assert ask(cluster, "n2", "user_list")["users"] == ("root",)
    # It counts once.
    assert text(ask(cluster, "n1", "auth_enable")) == ""
    assert not (cluster.directory.node_directory("n1") / "auth-reset").exists()


def test_a_directory_without_a_member_is_not_reset(tmp_path: Any) -> None:
    result = subprocess.run(
        [sys.executable, "-P", "-m", "actors", "auth", "reset", f"--data-dir={tmp_path}"],
        env={**os.environ, "PYTHONPATH": str(IMPORT_ROOT)},
        capture_output=True,
        text=True,
        timeout=HANG_SECONDS,
        check=False,
    )
    assert result.returncode == 1
    assert "there is no member's data" in result.stderr
    assert list(tmp_path.iterdir()) == []
