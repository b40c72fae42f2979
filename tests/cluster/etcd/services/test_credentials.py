"""The token beside a call's request goes into each request to the node that the call makes."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from cluster.etcd.services.credentials import token_of
from tests.cluster.etcd.services.probe import ProbeCall, ProbeLink, settle

SHOWN = {b"token": b"secret"}


@pytest.mark.parametrize(
    ("metadata", "token"),
    [
        ({}, None),
        ({b"token": b"a"}, "a"),
        ({b"authorization": b"a"}, "a"),
        ({b"authorization": b"Bearer a"}, "a"),
        ({b"token": b"a", b"authorization": b"b"}, "a"),
        ({b"authorization": b""}, ""),
        ({b"token": b"\xff"}, "\xff"),
    ],
)
def test_grpcs_metadata_counts_before_the_header(
    metadata: dict[bytes, bytes], token: str | None
) -> None:
    assert token_of(metadata) == token


@pytest.fixture
def link() -> ProbeLink:
    return ProbeLink()


def begun(link: ProbeLink, path: bytes, **request: Any) -> ProbeCall:
    call = ProbeCall(path, link, SHOWN)
    call.service.on_request(request)
    return call


@pytest.mark.parametrize(
    ("path", "request_"),
    [
        (b"/etcdserverpb.Lease/LeaseKeepAlive", {"op": "lease_keep_alive", "ID": 7}),
        (b"/etcdserverpb.Maintenance/Snapshot", {"op": "snapshot"}),
        (b"/etcdserverpb.KV/Range", {"op": "range", "key": b"a"}),
        (b"/v3lockpb.Lock/Unlock", {"key": b"a"}),
        (b"/v3electionpb.Election/Leader", {"name": b"a"}),
    ],
)
def test_each_kind_of_call_shows_the_token(
    link: ProbeLink, path: bytes, request_: dict[str, Any]
) -> None:
    async def test() -> None:
        begun(link, path, **request_)
        await settle()
        assert [asked["token"] for asked in link.asked] == ["secret"]

    asyncio.run(test())


def test_the_next_part_of_a_snapshot_shows_it_too(link: ProbeLink) -> None:
    async def test() -> None:
        begun(link, b"/etcdserverpb.Maintenance/Snapshot", op="snapshot")
        link.answer(0, name="n", blob=b"x", remaining_bytes=1)
        assert [asked["token"] for asked in link.asked] == ["secret", "secret"]

    asyncio.run(test())


def test_only_a_new_watch_shows_the_token(link: ProbeLink) -> None:
    async def test() -> None:
        call = begun(link, b"/etcdserverpb.Watch/Watch", op="watch_create", key=b"a")
        call.service.on_request({"op": "watch_progress"})
        created, progress = link.feeds[0].sent
        assert created["token"] == "secret"
        assert "token" not in progress

    asyncio.run(test())


def test_a_call_without_a_token_asks_without_one(link: ProbeLink) -> None:
    async def test() -> None:
        call = ProbeCall(b"/etcdserverpb.KV/Range", link)
        call.service.on_request({"op": "range", "key": b"a"})
        assert link.asked == [{"op": "range", "key": b"a"}]

    asyncio.run(test())
