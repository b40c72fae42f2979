"""Requests that are too large for the nodes, and large ones that they take, also over a kill."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator

import pytest

from cluster import Client, InvalidArgumentError
from cluster.aio import Client as AsyncClient
from cluster.client import ops
from cluster.launcher.local import LocalCluster
from tests.limits import HANG_SECONDS, PATIENT
from tests.system.conditions import client_of

REFUSAL = "etcdserver: request is too large"
MIB = 1024 * 1024
TOO_LARGE_BYTES = [1_600_000, 2 * MIB, 4 * MIB, 15 * MIB, 17 * MIB]
"""A node answers the first; it would end the connection of those between; no client sends the last.
"""


@pytest.fixture(scope="module")
def usual() -> Iterator[LocalCluster]:
    """A node with the usual limit."""
    with LocalCluster(1) as cluster:
        yield cluster


@pytest.mark.parametrize("size", TOO_LARGE_BYTES)
def test_what_is_too_large_is_refused_with_its_reason(usual: LocalCluster, size: int) -> None:
    with client_of(usual) as client:
        with pytest.raises(InvalidArgumentError, match=REFUSAL):
            client.put("a", bytes(size))
        with pytest.raises(InvalidArgumentError, match=REFUSAL):
            client.txn().then(ops.put("a", bytes(size))).commit()
        assert client.get("a") is None


def test_in_asyncio_it_is_refused_alike(usual: LocalCluster) -> None:
    async def refused() -> None:
        async with AsyncClient(usual.endpoints, **PATIENT) as client:
            with pytest.raises(InvalidArgumentError, match=REFUSAL):
                await client.put("a", bytes(4 * MIB))

    asyncio.run(refused())


@pytest.mark.parametrize("command", ["put", "txn", "import"])
def test_leasectl_names_the_reason(usual: LocalCluster, command: str) -> None:
    value = "x" * (4 * MIB)
    words, typed = {
        "put": (["put", "a"], value),
        "txn": (["txn"], f"\nput a {value}\n\n\n"),
        "import": (["import"], json.dumps({"key": "a", "value": value})),
    }[command]
    ended = subprocess.run(
        [sys.executable, "-m", "cluster.cli", "--endpoints", *usual.endpoints, *words],
        input=typed,
        capture_output=True,
        text=True,
        timeout=HANG_SECONDS,
        check=False,
    )
    assert (ended.stdout, ended.returncode != 0) == ("", True)
    assert ended.stderr.endswith(f"{REFUSAL}\n")


def test_a_raised_limit_holds_over_kills_of_the_leader() -> None:
    value = bytes(5 * MIB)
    with (
        LocalCluster(3, node_flags=[f"--max-request-bytes={8 * MIB}"]) as cluster,
        Client(cluster.endpoints, **PATIENT) as client,
    ):
        for round_number in range(2):
            futures = [client.put_async(f"{round_number}/{n}", value) for n in range(4)]
            killed = cluster.kill(cluster.leader())
            assert all(future.result().header.revision for future in futures)
            cluster.start(*killed)
        assert client.range("0", "2", count_only=True).count == 8
        with pytest.raises(InvalidArgumentError, match=REFUSAL):
            client.put("a", bytes(9 * MIB))
