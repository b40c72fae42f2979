"""CONNECTED, SUSPENDED, LOST: when the state changes, and who hears of it."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from cluster import ConnectionState
from cluster.client.flows.states import MEANINGS
from tests.cluster.probe import ProbeCluster, until
from tests.cluster.rig import Rig
from tests.cluster.shells import SHELLS, run

CONNECTED, SUSPENDED, LOST = ConnectionState


def keeps(rig: Rig, ttl: float = 3.0) -> None:
    """Have a rig's client keep a lease alive, with one answered renewal."""
    rig.core.keepers.keep(1, 7, rig.now + ttl, rig.now)
    rig.answer(rig.one(), ID=7, TTL=ttl)


def changes(rig: Rig) -> list[ConnectionState]:
    seen = rig.core.changes.copy()
    rig.core.changes.clear()
    return seen


@pytest.mark.quick
def test_a_client_is_suspended_while_no_node_can_be_reached() -> None:
    rig = Rig("a", "b", up=False)
    assert changes(rig) == []
    rig.core.endpoint_up("a", rig.now)
    rig.core.endpoint_up("b", rig.now)
    rig.core.endpoint_down("a", rig.now)
    assert changes(rig) == [CONNECTED]
    rig.core.endpoint_down("b", rig.now)
    assert changes(rig) == [SUSPENDED]
    rig.core.endpoint_up("a", rig.now)
    assert changes(rig) == [CONNECTED]


@pytest.mark.quick
def test_a_lease_that_ends_meanwhile_makes_it_lost_until_a_node_is_reached() -> None:
    rig = Rig("a")
    keeps(rig)
    rig.core.endpoint_down("a", rig.now)
    rig.advance(4)
    assert changes(rig) == [CONNECTED, SUSPENDED, LOST]
    rig.core.endpoint_up("a", rig.now)
    assert changes(rig) == [CONNECTED]


@pytest.mark.quick
def test_a_lease_that_ends_while_a_node_is_reached_is_told_all_the_same() -> None:
    rig = Rig("a")
    keeps(rig)
    rig.advance(1.1)
    rig.answer(rig.one(), ID=7, TTL=0)
    assert changes(rig) == [CONNECTED, LOST, CONNECTED]


@pytest.mark.quick
def test_a_lease_that_is_given_up_is_no_loss_and_the_end_is_told_once() -> None:
    rig = Rig("a")
    keeps(rig)
    rig.core.keepers.drop(1)
    rig.advance(4)
    rig.core.close(rig.now)
    rig.core.close(rig.now)
    assert changes(rig) == [CONNECTED, LOST]


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.process
def test_listeners_hear_of_each_change_and_may_use_the_client(
    shell: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "leasehold.client")
    with ProbeCluster(size=1) as probes:
        (node,) = probes.nodes
        heard: list[ConnectionState] = []
        removed: list[ConnectionState] = []
        threads: set[str] = set()

        async def test(client: Any) -> None:
            assert client.state is SUSPENDED
            client.add_listener(heard.append)
            client.add_listener(lambda state: threads.add(threading.current_thread().name))
            client.add_listener(removed.append)
            client.remove_listener(removed.append)
            await client.put("a")
            assert client.state is CONNECTED
            probes.kill(node)
            await asyncio.to_thread(until, lambda: client.state is SUSPENDED)
            probes.restart(node)
            await asyncio.to_thread(until, lambda: client.state is CONNECTED)

        run(shell, probes.endpoints, test)
        until(lambda: heard[-1:] == [LOST])
        assert heard == [CONNECTED, SUSPENDED, CONNECTED, LOST]
        assert removed == []
        logged = [line for line in caplog.messages if line.partition(":")[0] in MEANINGS]
        assert [line.partition(":")[0] for line in logged] == [CONNECTED, SUSPENDED, CONNECTED]
        assert threads == {"MainThread" if shell == "asyncio" else "leasehold-callbacks"}
