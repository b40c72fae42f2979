"""A client of a namespace sees its keys without the prefix, and no others."""

from __future__ import annotations

from typing import Any

import pytest

from cluster import InvalidArgumentError, LeaseLostError, ops
from cluster.client.namespace import Namespace
from tests.cluster.shells import Played
from tests.limits import HANG_SECONDS

APP = Namespace(b"app/")


@pytest.mark.quick
@pytest.mark.parametrize(
    ("key", "end", "key_inside", "end_inside"),
    [
        (b"a", b"", b"app/a", None),
        (b"a", b"b", b"app/a", b"app/b"),
        (b"a", b"\0", b"app/a", b"app0"),
        (b"\0", b"\0", b"app/\0", b"app0"),
    ],
)
def test_an_interval_goes_into_a_namespace(
    key: bytes, end: bytes, key_inside: bytes, end_inside: bytes | None
) -> None:
    fields = {"op": "range", "key": key, **({"range_end": end} if end else {})}
    inside = APP.into(fields)
    assert (inside["key"], inside.get("range_end")) == (key_inside, end_inside)
    assert fields["key"] == key, "the program's request stays as it is"


@pytest.mark.quick
def test_a_namespace_of_the_last_keys_has_no_end() -> None:
    inside = Namespace(b"\xff").into({"op": "range", "key": b"a", "range_end": b"\0"})
    assert (inside["key"], inside["range_end"]) == (b"\xffa", b"\0")


@pytest.mark.quick
def test_what_has_no_key_stays_as_it_is() -> None:
    for fields in ({"op": "lease_grant", "TTL": 5}, {"op": "put", "key": b""}):
        assert APP.into(fields) == fields


@pytest.mark.process
def test_keys_of_a_namespace_have_no_prefix_and_no_neighbours(played: Played) -> None:
    async def test(client: Any) -> None:
        app = client.namespace("app/")
        for key in ("a", "app", "app0", "b"):
            await client.put(key, "outside")
        await app.put("a", "1")
        await app.put("b", "2", prev_kv=True)
        assert (await app.put("b", "3", prev_kv=True)).prev_kv.key == b"b"
        assert (await app.get("a")).key == b"a" and (await client.get("app/a")).value == b"1"
        everything = [b"a", b"b"]
        assert [kv.key for kv in await app.range()] == everything
        assert [kv.key for kv in await app.range("a", from_key=True)] == everything
        assert [kv.key async for kv in app.scan(page_size=1)] == everything
        assert (await app.get_async("b")).key == b"b"
        done = (
            await app.txn()
            .if_(ops.value("a") == "1")
            .then(ops.put("c"), ops.txn().then(ops.get("", prefix=True)))
            .commit()
        )
        assert [kv.key for kv in done.responses[1].responses[0]] == [b"a", b"b", b"c"]
        assert (await app.history("b")).events[0].kv.key == b"b"
        assert [kv.key for kv in (await app.delete("", prefix=True, prev_kv=True)).prev_kvs] == [
            *everything,
            b"c",
        ]
        assert len(await client.range()) == 4
        with pytest.raises(InvalidArgumentError, match="key is not provided"):
            await app.put("", "x")

    played(test)


@pytest.mark.process
def test_watches_leases_and_recipes_are_in_the_namespace(played: Played) -> None:
    async def test(client: Any) -> None:
        inner = client.namespace("app/").namespace("in/")
        async with inner.watch("", prefix=True, prev_kv=True) as watch:
            await client.put("app/other")
            await inner.put("k", "1")
            await inner.put("k", "2")
            first, second = await watch.get(HANG_SECONDS), await watch.get(HANG_SECONDS)
            assert (first.kv.key, second.prev_kv.key) == (b"k", b"k")
        async with inner.session(60) as lease:
            await inner.put("leased", lease=lease)
            await client.put("outside", lease=lease)
            assert (await lease.time_to_live(keys=True)).keys == (b"leased",)
            lock = inner.lock("job", lease=lease)
            with pytest.raises(LeaseLostError, match="key job/"):
                await lock.acquire()
                assert lock.key.startswith(b"job/")
                assert await client.get(b"app/in/" + lock.key) is not None
                assert (await inner.txn().if_(lock.guard()).commit()).succeeded
                await client.delete(b"app/in/" + lock.key)
                assert await lock.lost.wait(HANG_SECONDS)
                await lock.release()

    played(test)
