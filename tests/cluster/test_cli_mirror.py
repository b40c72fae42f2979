"""leasectl make-mirror: keys of a node under another prefix, and their changes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from cluster import Client
from cluster.launcher.local import LocalCluster
from tests.cluster.in_process import Leasectl, leasectl_for
from tests.cluster.probe import until
from tests.limits import HANG_SECONDS

pytestmark = pytest.mark.process

PROGRAM = """
from cluster.cli import main, make_mirror
make_mirror.REPORT_SECONDS = 0.02
main()
"""


@contextmanager
def mirroring(node: LocalCluster, *words: str) -> Iterator[subprocess.Popen[bytes]]:
    """A leasectl that mirrors keys of the node to the node itself."""
    (endpoint,) = node.endpoints
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM, "make-mirror", endpoint, *words],
        env={**os.environ, "LEASECTL_ENDPOINTS": endpoint},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def copied(client: Client, prefix: str) -> dict[bytes, bytes]:
    """The keys and values under a prefix."""
    return {kv.key: kv.value for kv in client.range(prefix, prefix=True)}


def test_a_mirror_has_what_is_there_and_then_each_change(
    node: LocalCluster, client: Client
) -> None:
    for number in range(3):
        client.put(f"a/{number}", f"v{number}")
    with mirroring(node, "--prefix=a/", "--dest-prefix=b/", "--max-txn-ops=2") as process:
        until(lambda: len(copied(client, "b/")) == 3)
        client.delete("a/", prefix=True)  # three changes at one revision
        client.put("a/9", "new")
        until(lambda: copied(client, "b/") == {b"b/9": b"new"})
        assert process.stdout is not None
        # 3 puts, 3 deletes and a put; each number may be printed again.
        assert any(int(line) == 7 for line in process.stdout)
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=HANG_SECONDS) == 130
        assert process.stderr is not None
        assert process.stderr.read() == b""


def test_from_a_revision_on_only_changes_are_mirrored(node: LocalCluster, client: Client) -> None:
    client.put("a/old", "v")
    revision = client.put("a/new", "v").header.revision
    with mirroring(node, "--prefix=a/", "--no-dest-prefix", f"--rev={revision}"):
        until(lambda: client.get("new"))
    assert client.get("old") is None


@pytest.fixture
def leasectl(
    node: LocalCluster,
    capsysbinary: pytest.CaptureFixture[bytes],
    monkeypatch: pytest.MonkeyPatch,
) -> Leasectl:
    return leasectl_for(node.endpoints[0], capsysbinary, monkeypatch)


def test_a_mistake_has_etcdctls_text(leasectl: Leasectl) -> None:
    one = "Error: make-mirror takes one destination argument\n"
    assert leasectl("make-mirror") == leasectl("make-mirror", "a:1", "b:1") == (b"", one, 128)
    both = "`--dest-prefix` and `--no-dest-prefix` cannot be set at the same time, choose one"
    words = ("make-mirror", "a:1", "--dest-prefix=x", "--no-dest-prefix")
    assert leasectl(*words) == (b"", f"Error: {both}\n", 128)


def test_a_destination_that_is_not_there_is_an_error(leasectl: Leasectl, client: Client) -> None:
    client.put("k", "v")
    ended = leasectl("make-mirror", "127.0.0.1:1", "--dial-timeout=50ms")
    assert ended.code == 1
    assert ended.stderr.startswith("Error: context deadline exceeded: no endpoint answered")
