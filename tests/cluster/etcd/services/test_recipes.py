"""v3lock and v3election on a real node."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest

from cluster.etcd.rpc.status import RpcError
from cluster.etcd.services.calls import Service
from cluster.faults import UNKNOWN
from cluster.launcher.local import LocalCluster
from tests.cluster.etcd.services.bench import Bench, bench, run
from tests.cluster.etcd.services.probe import settle

pytestmark = pytest.mark.process

LOCK = "v3lockpb.Lock/Lock"
UNLOCK = "v3lockpb.Lock/Unlock"
ELECTION = "v3electionpb.Election/"
DELETE = "etcdserverpb.KV/DeleteRange"


async def queued(bench: Bench, prefix: bytes, number: int) -> list[bytes]:
    """The keys of a queue, once there are as many."""
    while len(keys := await bench.keys(prefix)) != number:
        pass  # each look is a round trip
    return keys


async def canceled(service: Service) -> None:
    """Cancel a call, and wait until it has taken back what it left."""
    task = service.on_cancel()
    if task is not None:
        with suppress(asyncio.CancelledError):
            await task


def test_a_lock_goes_from_one_to_the_next_in_the_order_of_asking(etcd_node: LocalCluster) -> None:
    async def test() -> None:
        async with bench(etcd_node) as node:
            first, second = await node.grant(), await node.grant()
            held = await node.ask(LOCK, name=b"order", lease=first)
            assert held["key"] == b"order/%x" % first
            again = await node.ask(LOCK, name=b"order", lease=first)
            assert again["key"] == held["key"]
            waiting = node.call(LOCK, name=b"order", lease=second)
            await queued(node, b"order", 2)
            assert not waiting.replies
            await node.ask(UNLOCK, key=held["key"])
            assert (await waiting.reply())["key"] == b"order/%x" % second

    run(test())


def test_a_lock_without_a_lease_gets_one_and_a_canceled_wait_leaves_neither_key_nor_lease(
    etcd_node: LocalCluster,
) -> None:
    async def test() -> None:
        async with bench(etcd_node) as node:
            held = await node.ask(LOCK, name=b"own")
            leases = await node.leases()
            assert int(held["key"].rpartition(b"/")[2], 16) in leases
            waiting = node.call(LOCK, name=b"own")
            await queued(node, b"own", 2)
            await canceled(waiting.service)
            assert await node.keys(b"own") == [held["key"]]
            assert await node.leases() == leases

    run(test())


def test_a_lock_that_is_canceled_at_once_leaves_nothing(etcd_node: LocalCluster) -> None:
    async def test() -> None:
        async with bench(etcd_node) as node:
            leases = await node.leases()
            call = node.call(LOCK, name=b"at once")
            # Two turns of the loop: the lock has asked for a lease, and has no key yet, since it
            # looks at one answer a turn.
            await settle(2)
            await canceled(call.service)
            assert await node.keys(b"at once") == []
            assert await node.leases() == leases

    run(test())


def test_a_waiting_lock_whose_lease_ends_is_refused(etcd_node: LocalCluster) -> None:
    async def test() -> None:
        async with bench(etcd_node) as node:
            held = await node.ask(LOCK, name=b"lost", lease=await node.grant())
            lease = await node.grant()
            waiting = node.call(LOCK, name=b"lost", lease=lease)
            await queued(node, b"lost", 2)
            await node.ask("etcdserverpb.Lease/LeaseRevoke", ID=lease)
            await node.ask(UNLOCK, key=held["key"])
            error = await waiting.end()
            assert error is not None
            assert (error.code, error.message) == (UNKNOWN, "mutex: session is expired")

    run(test())


def test_a_lock_on_a_lease_that_does_not_exist_is_refused(etcd_node: LocalCluster) -> None:
    async def test() -> None:
        async with bench(etcd_node) as node:
            with pytest.raises(RpcError, match="requested lease not found") as refused:
                await node.ask(LOCK, name=b"none", lease=77)
            assert refused.value.code == UNKNOWN

    run(test())


def test_an_election_from_campaign_to_resignation(etcd_node: LocalCluster) -> None:
    async def test() -> None:
        async with bench(etcd_node) as node:
            name = b"seat"
            with pytest.raises(RpcError, match="election: no leader"):
                await node.ask(ELECTION + "Leader", name=name)
            observed = node.call(ELECTION + "Observe", name=name)
            won = await node.ask(
                ELECTION + "Campaign", name=name, lease=await node.grant(), value=b"a"
            )
            leader = won["leader"]
            assert (await observed.reply(0))["kv"]["value"] == b"a"
            rival = node.call(
                ELECTION + "Campaign", name=name, lease=await node.grant(), value=b"b"
            )
            await queued(node, name, 2)
            await node.ask(ELECTION + "Proclaim", leader=leader, value=b"a2")
            assert (await observed.reply(1))["kv"]["value"] == b"a2"
            assert (await node.ask(ELECTION + "Leader", name=name))["kv"]["value"] == b"a2"
            assert not rival.replies
            await node.ask(ELECTION + "Resign", leader=leader)
            assert (await rival.reply())["leader"]["name"] == name
            assert (await observed.reply(2))["kv"]["value"] == b"b"
            with pytest.raises(RpcError, match="election: not leader"):
                await node.ask(ELECTION + "Proclaim", leader=leader, value=b"late")
            await node.ask(ELECTION + "Resign", leader=leader)
            observed.service.on_cancel()

    run(test())


def test_a_leader_that_campaigns_again_changes_its_value(etcd_node: LocalCluster) -> None:
    async def test() -> None:
        async with bench(etcd_node) as node:
            lease = await node.grant()
            first = await node.ask(ELECTION + "Campaign", name=b"again", lease=lease, value=b"1")
            second = await node.ask(ELECTION + "Campaign", name=b"again", lease=lease, value=b"2")
            assert second["leader"] == first["leader"]
            assert (await node.ask(ELECTION + "Leader", name=b"again"))["kv"]["value"] == b"2"

    run(test())


def test_a_leader_that_names_no_lease_gets_one_for_what_it_proclaims(
    etcd_node: LocalCluster,
) -> None:
    async def test() -> None:
        async with bench(etcd_node) as node:
            lease = await node.grant()
            won = await node.ask(ELECTION + "Campaign", name=b"unnamed", lease=lease, value=b"1")
            leader = {field: won["leader"][field] for field in ("name", "key", "rev")}
            leases = await node.leases()
            await node.ask(ELECTION + "Proclaim", leader=leader, value=b"2")
            (granted,) = await node.leases() - leases
            said = (await node.ask(ELECTION + "Leader", name=b"unnamed"))["kv"]
            assert (said["value"], said["lease"]) == (b"2", granted)
            with pytest.raises(RpcError, match="election: not leader"):
                await node.ask(ELECTION + "Proclaim", leader={**leader, "rev": 1}, value=b"3")
            assert await node.leases() - leases == {granted}

    run(test())


def test_a_canceled_candidate_leaves_the_queue(etcd_node: LocalCluster) -> None:
    async def test() -> None:
        async with bench(etcd_node) as node:
            await node.ask(ELECTION + "Campaign", name=b"queue", lease=await node.grant())
            rival = node.call(ELECTION + "Campaign", name=b"queue", lease=await node.grant())
            await queued(node, b"queue", 2)
            await canceled(rival.service)
            assert len(await node.keys(b"queue")) == 1

    run(test())


def test_a_candidate_whose_key_is_deleted_does_not_lead(etcd_node: LocalCluster) -> None:
    async def test() -> None:
        async with bench(etcd_node) as node:
            first = await node.ask(ELECTION + "Campaign", name=b"gone", lease=await node.grant())
            rival = node.call(ELECTION + "Campaign", name=b"gone", lease=await node.grant())
            keys = await queued(node, b"gone", 2)
            await node.ask(DELETE, key=keys[1])
            await node.ask(ELECTION + "Resign", leader=first["leader"])
            error = await rival.end()
            assert error is not None
            assert error.message == "etcdserver: requested lease not found"

    run(test())


@pytest.mark.parametrize("method", ["Proclaim", "Resign"])
def test_the_leader_must_be_named(etcd_node: LocalCluster, method: str) -> None:
    async def test() -> None:
        async with bench(etcd_node) as node:
            with pytest.raises(RpcError, match='"leader" field must be provided'):
                await node.ask(ELECTION + method)

    run(test())
