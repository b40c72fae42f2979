"""Watch, as etcd's clients know it, on a node that the test plays."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from cluster.etcd.services.calls import QUEUED_BYTES_MAX
from cluster.faults import FAULTS, INVALID_ARGUMENT, NOT_FOUND, UNAVAILABLE, FaultName
from tests.cluster.etcd.services.probe import ProbeCall, ProbeFeed, ProbeLink

WATCH = b"/etcdserverpb.Watch/Watch"
CREATE = {"op": "watch_create", "key": b"k"}
NO_LEADER = FAULTS["NoLeader"].message


@pytest.fixture
def link() -> ProbeLink:
    return ProbeLink()


async def watching(link: ProbeLink, **request: Any) -> tuple[ProbeCall, ProbeFeed]:
    call = ProbeCall(WATCH, link)
    call.service.on_request({**CREATE, **request})
    return call, link.feeds[0]


@pytest.mark.parametrize("requires", [True, False])
def test_only_the_watches_of_a_client_that_requires_a_leader_end_without_one(
    link: ProbeLink, requires: bool
) -> None:
    async def test() -> None:
        call = ProbeCall(WATCH, link, {b"hasleader": b"true"} if requires else {})
        if requires:
            link.answer(0, leader=1)
        call.service.on_request(dict(CREATE))
        assert link.feeds[0].sent[0].get("without_leader", False) is not requires

    asyncio.run(test())


def test_events_are_passed_on_without_the_id_of_a_request(link: ProbeLink) -> None:
    async def test() -> None:
        call, feed = await watching(link)
        feed.says(id=feed.sent[0]["id"], watch_id=0, created=True)
        feed.says(watch_id=0, events=({"type": "PUT"},))
        assert [sorted(reply) for reply in call.replies] == [
            ["created", "header", "watch_id"],
            ["events", "header", "watch_id"],
        ]

    asyncio.run(test())


def test_a_bookmark_is_passed_on_only_if_it_was_asked_for(link: ProbeLink) -> None:
    async def test() -> None:
        call, feed = await watching(link)
        feed.says(watch_id=-1, events=())
        assert not call.replies
        call.service.on_request({"op": "watch_progress"})
        feed.says(id=feed.sent[1]["id"], watch_id=-1, events=())
        assert [reply["watch_id"] for reply in call.replies] == [-1]

    asyncio.run(test())


def test_a_cancel_of_an_unknown_watch_is_not_answered(link: ProbeLink) -> None:
    async def test() -> None:
        call, feed = await watching(link)
        call.service.on_request({"op": "watch_cancel", "watch_id": 9})
        feed.says(id=feed.sent[1]["id"], error={"code": NOT_FOUND, "message": "no such watch"})
        assert not call.replies
        assert not call.is_over

    asyncio.run(test())


def test_a_refused_watch_is_created_and_canceled_with_the_reason(link: ProbeLink) -> None:
    async def test() -> None:
        call, feed = await watching(link, watch_id=-5)
        feed.says(id=feed.sent[0]["id"], error={"code": INVALID_ARGUMENT, "message": "why"})
        (reply,) = call.replies
        assert reply.pop("header") == {}
        assert reply == {"watch_id": -1, "created": True, "canceled": True, "cancel_reason": "why"}
        assert not call.is_over

    asyncio.run(test())


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        (
            "PermissionDenied",
            "rpc error: code = PermissionDenied desc = etcdserver: permission denied",
        ),
        (
            "InvalidAuthToken",
            "rpc error: code = Unauthenticated desc = etcdserver: invalid auth token",
        ),
        ("UserEmpty", "rpc error: code = InvalidArgument desc = etcdserver: user name is empty"),
    ],
)
def test_a_forbidden_watch_is_created_and_canceled_in_gos_words(
    link: ProbeLink, name: FaultName, reason: str
) -> None:
    async def test() -> None:
        call, feed = await watching(link, watch_id=5)
        said = {"watch_id": -1, "created": True, "canceled": True}
        feed.says(id=feed.sent[0]["id"], cancel_reason=FAULTS[name].message, **said)
        (reply,) = call.replies
        assert reply["header"]["revision"] == 8
        del reply["header"]
        assert reply == {"watch_id": 5, "created": True, "canceled": True, "cancel_reason": reason}
        assert not call.is_over

    asyncio.run(test())


def test_a_watch_whose_rights_have_gone_ends_in_gos_words(link: ProbeLink) -> None:
    async def test() -> None:
        call, feed = await watching(link)
        feed.says(watch_id=0, canceled=True, cancel_reason=FAULTS["PermissionDenied"].message)
        (reply,) = call.replies
        assert reply["cancel_reason"].startswith("rpc error: code = PermissionDenied desc = ")
        assert not call.is_over

    asyncio.run(test())


def test_a_request_that_asks_for_nothing_is_ignored(link: ProbeLink) -> None:
    async def test() -> None:
        call = ProbeCall(WATCH, link)
        call.service.on_request({})
        assert not link.feeds

    asyncio.run(test())


def test_a_node_without_a_leader_ends_the_stream(link: ProbeLink) -> None:
    async def test() -> None:
        call, feed = await watching(link)
        feed.says(watch_id=0, canceled=True, cancel_reason=NO_LEADER)
        error = await call.end()
        assert error is not None
        assert (error.code, error.message) == (UNAVAILABLE, NO_LEADER)
        assert not call.replies
        assert feed.is_closed

    asyncio.run(test())


def test_a_watch_whose_history_is_compacted_is_canceled_and_the_stream_goes_on(
    link: ProbeLink,
) -> None:
    async def test() -> None:
        call, feed = await watching(link)
        feed.says(watch_id=0, canceled=True, compact_revision=5, cancel_reason="compacted")
        (reply,) = call.replies
        assert reply["compact_revision"] == 5
        assert "revision" not in reply["header"]
        assert not reply["cancel_reason"]
        assert not call.is_over

    asyncio.run(test())


def test_a_client_that_requires_a_leader_is_refused_while_there_is_none(link: ProbeLink) -> None:
    async def test() -> None:
        call = ProbeCall(WATCH, link, {b"hasleader": b"true"})
        call.service.on_request(dict(CREATE))
        link.answer(0, leader=0)
        error = await call.end()
        assert error is not None
        assert error.message == NO_LEADER
        assert not link.feeds

    asyncio.run(test())


def test_requests_wait_until_it_is_known_that_there_is_a_leader(link: ProbeLink) -> None:
    async def test() -> None:
        call = ProbeCall(WATCH, link, {b"hasleader": b"true"})
        call.service.on_request({**CREATE, "key": b"a"})
        call.service.on_request({**CREATE, "key": b"b"})
        link.answer(0, leader=1)
        assert [request["key"] for request in link.feeds[0].sent] == [b"a", b"b"]

    asyncio.run(test())


def test_the_node_is_not_read_while_the_client_does_not_read(link: ProbeLink) -> None:
    async def test() -> None:
        call, feed = await watching(link)
        feed.says(watch_id=0, events=({"type": "PUT"},))
        assert not feed.is_paused
        call.queued_bytes = QUEUED_BYTES_MAX + 1
        feed.says(watch_id=0, events=({"type": "PUT"},))
        assert feed.is_paused
        call.service.on_drained()
        assert not feed.is_paused

    asyncio.run(test())


def test_the_stream_ends_with_the_connection_to_the_node(link: ProbeLink) -> None:
    async def test() -> None:
        call, feed = await watching(link)
        feed.on_end("the node is gone")
        error = await call.end()
        assert error is not None
        assert error.code == UNAVAILABLE

    asyncio.run(test())


def test_a_canceled_call_ends_its_watches_and_a_half_closed_one_does_not(link: ProbeLink) -> None:
    async def test() -> None:
        call, feed = await watching(link)
        call.service.on_half_close()
        assert not feed.is_closed
        call.service.on_cancel()
        assert feed.is_closed

    asyncio.run(test())
