"""LeaseKeepAlive, on a node that the test plays."""

from __future__ import annotations

import asyncio

import pytest

from cluster.etcd.services.calls import QUEUED_BYTES_MAX
from cluster.etcd.services.lease import RENEWALS_MAX
from cluster.faults import FAULTS, UNAVAILABLE
from tests.cluster.etcd.services.probe import ProbeCall, ProbeLink

KEEP_ALIVE = b"/etcdserverpb.Lease/LeaseKeepAlive"


@pytest.fixture
def link() -> ProbeLink:
    return ProbeLink()


async def renewing(link: ProbeLink, *leases: int) -> ProbeCall:
    call = ProbeCall(KEEP_ALIVE, link)
    for lease in leases:
        call.service.on_request({"op": "lease_keep_alive", "ID": lease})
    return call


def told(call: ProbeCall) -> list[int]:
    return [reply["ID"] for reply in call.replies]


def test_answers_come_in_the_order_of_the_requests(link: ProbeLink) -> None:
    async def test() -> None:
        call = await renewing(link, 1, 2, 3)
        link.answer(2, ID=3, TTL=5)
        assert not told(call)
        link.answer(0, ID=1, TTL=5)
        link.answer(1, ID=2, TTL=0)
        assert told(call) == [1, 2, 3]

    asyncio.run(test())


def test_a_half_closed_stream_answers_what_is_under_way_then_ends_well(link: ProbeLink) -> None:
    async def test() -> None:
        call = await renewing(link, 1, 2)
        link.answer(0, ID=1, TTL=5)
        call.service.on_half_close()
        assert not call.is_over
        link.answer(1, ID=2, TTL=5)
        assert await call.end() is None
        assert told(call) == [1, 2]

    asyncio.run(test())


def test_an_error_ends_the_stream_behind_the_answers_before_it(link: ProbeLink) -> None:
    async def test() -> None:
        call = await renewing(link, 1, 2, 3)
        link.refuse(1, UNAVAILABLE, "etcdserver: request timed out")
        assert not call.is_over
        link.answer(0, ID=1, TTL=5)
        error = await call.end()
        assert error is not None
        assert error.message == "etcdserver: request timed out"
        assert told(call) == [1]
        assert link.forgotten == [2]

    asyncio.run(test())


def test_a_client_waits_while_many_renewals_are_under_way(link: ProbeLink) -> None:
    async def test() -> None:
        call = await renewing(link, *range(1, RENEWALS_MAX))
        assert not call.is_paused
        call.service.on_request({"op": "lease_keep_alive", "ID": RENEWALS_MAX})
        assert call.is_paused
        for number in range(RENEWALS_MAX // 2):
            assert call.is_paused
            link.answer(number, ID=number + 1, TTL=5)
        assert not call.is_paused

    asyncio.run(test())


def test_answers_wait_for_a_slow_reader(link: ProbeLink) -> None:
    async def test() -> None:
        call = await renewing(link, 1)
        call.queued_bytes = QUEUED_BYTES_MAX + 1
        link.answer(0, ID=1, TTL=5)
        assert not told(call)
        call.queued_bytes = 0
        call.service.on_drained()
        assert told(call) == [1]

    asyncio.run(test())


def test_a_stream_that_requires_a_leader_ends_without_one(link: ProbeLink) -> None:
    async def test() -> None:
        call = ProbeCall(KEEP_ALIVE, link, {b"hasleader": b"true"})
        call.service.on_request({"op": "lease_keep_alive", "ID": 1})
        link.answer(0, leader=0)
        error = await call.end()
        assert error is not None
        assert error.message == FAULTS["NoLeader"].message

    asyncio.run(test())


def test_a_canceled_stream_forgets_its_renewals(link: ProbeLink) -> None:
    async def test() -> None:
        call = await renewing(link, 1, 2)
        link.answer(0, ID=1, TTL=5)
        call.service.on_cancel()
        assert link.forgotten == [1]

    asyncio.run(test())
