"""One request and one answer, Snapshot and Downgrade, and what the front says by itself."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from cluster.etcd.rpc.schema import RPCS
from cluster.etcd.rpc.status import RpcError
from cluster.etcd.services.calls import QUEUED_BYTES_MAX
from cluster.etcd.services.table import SERVICES
from cluster.etcd.versions import SERVER_VERSION
from cluster.faults import FAULTS, NOT_FOUND, UNAVAILABLE
from tests.cluster.etcd.services.probe import ProbeCall, ProbeLink, settle

PUT = b"/etcdserverpb.KV/Put"
SNAPSHOT = b"/etcdserverpb.Maintenance/Snapshot"


@pytest.fixture
def link() -> ProbeLink:
    return ProbeLink()


def test_every_rpc_of_etcd_is_served() -> None:
    assert set(SERVICES) == set(RPCS)


def test_the_answer_is_the_nodes_reply(link: ProbeLink) -> None:
    async def test() -> None:
        call = ProbeCall(PUT, link)
        call.service.on_request({"op": "put", "key": b"k"})
        assert link.asked == [{"op": "put", "key": b"k"}]
        link.answer(0)
        assert await call.end() is None
        assert len(call.replies) == 1

    asyncio.run(test())


def test_the_error_is_the_nodes_and_a_write_is_not_sent_again(link: ProbeLink) -> None:
    async def test() -> None:
        call = ProbeCall(PUT, link)
        call.service.on_request({"op": "put", "key": b"k"})
        link.refuse(0, UNAVAILABLE, "etcdserver: request timed out")
        error = await call.end()
        assert error is not None
        assert (error.code, error.message) == (UNAVAILABLE, "etcdserver: request timed out")
        assert not call.replies
        assert len(link.asked) == 1

    asyncio.run(test())


@pytest.mark.parametrize("leader", [0, 1])
def test_a_call_that_requires_a_leader_goes_to_a_node_that_knows_one(
    link: ProbeLink, leader: int
) -> None:
    async def test() -> None:
        call = ProbeCall(PUT, link, {b"hasleader": b"true"})
        call.service.on_request({"op": "put", "key": b"k"})
        assert link.asked == [{"op": "status"}]
        link.answer(0, leader=leader)
        assert [request["op"] for request in link.asked[1:]] == (["put"] if leader else [])
        if not leader:
            error = await call.end()
            assert error is not None
            assert error.message == FAULTS["NoLeader"].message

    asyncio.run(test())


def test_a_canceled_call_is_forgotten(link: ProbeLink) -> None:
    async def test() -> None:
        call = ProbeCall(PUT, link)
        call.service.on_request({"op": "put", "key": b"k"})
        call.service.on_cancel()
        assert link.forgotten == [0]

    asyncio.run(test())


def test_status_says_etcds_version(link: ProbeLink) -> None:
    async def test() -> None:
        call = ProbeCall(b"/etcdserverpb.Maintenance/Status", link)
        call.service.on_request({"op": "status"})
        link.answer(0, version="99.0", leader=1)
        reply = await call.reply()
        assert (reply["version"], reply["leader"]) == (SERVER_VERSION, 1)

    asyncio.run(test())


def test_a_snapshot_is_read_part_by_part_at_the_readers_pace(link: ProbeLink) -> None:
    async def test() -> None:
        call = ProbeCall(SNAPSHOT, link)
        call.service.on_request({"op": "snapshot"})
        link.answer(0, name="s", blob=b"abc", remaining_bytes=5)
        assert link.asked[1] == {"op": "snapshot", "name": "s", "offset": 3}
        call.queued_bytes = QUEUED_BYTES_MAX + 1
        link.answer(1, name="s", blob=b"def", remaining_bytes=2)
        assert len(link.asked) == 2
        call.service.on_drained()
        assert link.asked[2]["offset"] == 6
        link.answer(2, name="s", blob=b"gh", remaining_bytes=0)
        assert await call.end() is None
        assert b"".join(reply["blob"] for reply in call.replies) == b"abcdefgh"
        assert [reply["remaining_bytes"] for reply in call.replies] == [5, 2, 0]

    asyncio.run(test())


def test_a_snapshot_without_a_part_is_an_error(link: ProbeLink) -> None:
    async def test() -> None:
        call = ProbeCall(SNAPSHOT, link)
        call.service.on_request({"op": "snapshot"})
        link.answer(0, name="s", blob=b"", remaining_bytes=5)
        error = await call.end()
        assert error is not None
        assert error.code == UNAVAILABLE

    asyncio.run(test())


async def said(link: ProbeLink, method: str, **request: Any) -> dict[str, Any]:
    """What the front answers by itself; it may ask for the node's status."""
    call = ProbeCall(b"/" + method.encode(), link)
    call.service.on_request(request)
    await settle()
    if link.asked:
        link.answer(0, leader=1)
    return await call.reply()


@pytest.mark.parametrize(
    ("method", "request_fields", "error"),
    [
        ("Maintenance/Downgrade", {}, "etcdserver: wrong downgrade target version format"),
        (
            "Maintenance/Downgrade",
            {"action": 1, "version": "3.4.0"},
            "etcdserver: invalid downgrade target version",
        ),
        ("Maintenance/Downgrade", {"action": 2}, "etcdserver: no inflight downgrade job"),
        ("Maintenance/Downgrade", {"action": 7}, "etcdserver: unknown method"),
    ],
)
def test_what_the_front_refuses_by_itself(
    link: ProbeLink, method: str, request_fields: dict[str, Any], error: str
) -> None:
    with pytest.raises(RpcError) as refused:
        asyncio.run(said(link, f"etcdserverpb.{method}", **request_fields))
    assert refused.value.message == error


def test_health_is_that_of_the_whole_server(link: ProbeLink) -> None:
    async def test() -> None:
        assert (await said(link, "grpc.health.v1.Health/Check"))["status"] == "SERVING"
        with pytest.raises(RpcError) as refused:
            await said(link, "grpc.health.v1.Health/Check", service="etcdserverpb.KV")
        assert refused.value.code == NOT_FOUND
        watch = ProbeCall(b"/grpc.health.v1.Health/Watch", link)
        watch.service.on_request({"service": "etcdserverpb.KV"})
        assert watch.replies == [{"status": "SERVICE_UNKNOWN"}]
        assert not watch.is_over

    asyncio.run(test())
