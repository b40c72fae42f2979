"""A client with `text=True` shows keys and values as str, and names those that are no text."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterator
from queue import SimpleQueue
from typing import Any

import pytest

from cluster import Client, KeyValue, NotTextError, ops
from cluster.client import forms
from cluster.launcher.local import LocalCluster
from tests.cluster.shells import SHELLS, Played, plain, run, until_true
from tests.limits import HANG_SECONDS

pytestmark = pytest.mark.process


@pytest.fixture
def bytewise(node: LocalCluster) -> Iterator[Client]:
    """A client without text, of a node that holds no key."""
    with Client(node.endpoints) as connected:
        connected.delete(b"\0", from_key=True)
        yield connected


@pytest.fixture(params=SHELLS)
def texts(request: pytest.FixtureRequest, node: LocalCluster, bytewise: Client) -> Played:
    """Runs a test with a client of one shell that shows text, of a node that holds no key."""

    def played(test: Callable[[Any], Coroutine[Any, Any, None]]) -> None:
        run(request.param, node.endpoints, test, timeout=HANG_SECONDS, text=True)

    return played


def test_keys_and_values_come_back_as_text(texts: Played) -> None:
    async def test(client: Any) -> None:
        await client.put("stadt/köln", "grüß")
        put = await client.put("stadt/köln", "dich", prev_kv=True)
        assert put.prev_kv.value == "grüß"
        assert (await client.get("stadt/köln")).key == "stadt/köln"
        assert (await client.get_async(b"stadt/k\xc3\xb6ln")).value == "dich"
        assert await client.get("none") is None
        assert [kv.value for kv in await client.get_prefix("stadt/")] == ["dich"]
        assert [kv.key async for kv in client.scan("s", prefix=True)] == ["stadt/köln"]
        history = await client.history("stadt/köln", limit=2)
        assert [event.kv.value for event in history.events] == ["dich", "grüß"]
        inside = client.namespace("stadt/")
        deleted = await inside.delete("köln", prev_kv=True)
        assert [(kv.key, kv.value) for kv in deleted.prev_kvs] == [("köln", "dich")]

    texts(test)


def test_transactions_answer_in_text(texts: Played) -> None:
    async def test(client: Any) -> None:
        await client.put("a", "1")
        await client.put("b", "2")
        inner = ops.txn().then(ops.delete("b", prev_kv=True))
        txn = client.txn().if_(ops.value("a") == "1")
        txn.then(ops.put("a", "2", prev_kv=True), ops.get("a"), ops.increment("n"), inner)
        put, found, number, done = (await txn.commit()).responses
        assert (put.prev_kv.value, number.value) == ("1", 1)
        assert (found[0].key, found[0].value) == ("a", "2")
        assert done.responses[0].prev_kvs[0].value == "2"

        async def more(keys: Any) -> str | None:
            before: str | None = await keys["n"]
            keys["n"] = f"{before}0"
            assert await keys.get("n") == "10"
            return before

        assert await client.stm(more) == "1"

    texts(test)


def test_what_follows_changes_shows_text(texts: Played) -> None:
    async def test(client: Any) -> None:
        told: SimpleQueue[Any] = SimpleQueue()
        async with client.mirror("w/") as mirror, client.watch("w/", prefix=True) as watch:
            mirror.add_listener(told.put)
            await client.put("w/a", "1")
            put = await client.put("w/a", "2")
            assert (await watch.get(HANG_SECONDS)).kv.value == "1"
            assert (await watch.batch(HANG_SECONDS)).events[0].kv.key == "w/a"
            assert await mirror.wait_for(put.header.revision, HANG_SECONDS)
            assert dict(plain(mirror)) == {"w/a": "2"} and mirror.key_value("w/a").version == 2
            assert mirror.state().kvs["w/a"].value == "2"
            await until_true(lambda: not told.empty())
            assert told.get().events[0].kv.value == "1"

    texts(test)


def test_a_lease_tells_its_keys_as_text(texts: Played) -> None:
    async def test(client: Any) -> None:
        async with await client.lease.grant(60) as lease:
            await client.put("k", "v", lease=plain(lease))
            assert (await lease.time_to_live(keys=True)).keys == ("k",)
            assert (await client.lease.time_to_live(lease.id)).keys is None

    texts(test)


def test_recipes_give_text(texts: Played, bytewise: Client) -> None:
    async def test(client: Any) -> None:
        async with client.lock("löck", identifier="mé") as lock:
            assert lock.key.startswith("löck/")
            assert [kv.value for kv in await lock.contenders()] == ["mé"]
        async with client.semaphore("s", 2, identifier="mé") as semaphore:
            assert [kv.value for kv in await semaphore.lease_holders()] == ["mé"]
        async with client.election("e") as election:
            await election.campaign("mé")
            assert (await election.leader()).value == "mé" == (await election.contenders())[0].value
            async with await election.observe() as observed:
                assert (await observed.get(HANG_SECONDS)).value == "mé"
        async with client.party("p", "mé") as party:
            assert (
                [name async for name in party] == ["mé"] == [m.value for m in await party.members()]
            )
        async with client.partitioner("share", ["b", "ä"]) as share:
            assert await share.wait_for_acquire(HANG_SECONDS)
            assert list(plain(share)) == ["b", "ä"]
        async with client.locking_queue("l") as locking:
            for queue in (client.queue("f"), client.priority_queue("p"), locking):
                await queue.put("ä")
                assert await queue.get(HANG_SECONDS) == "ä"
        bytewise.queue("q").put(b"\xff")
        with pytest.raises(NotTextError, match="value of the key b'q/items/"):
            await client.queue("q").get()
        assert bytewise.queue("q").try_get() == b"\xff", "what could not be shown was not taken"

    texts(test)


def test_what_is_no_text_is_named_and_hides_nothing_else(texts: Played, bytewise: Client) -> None:
    bytewise.put("bad", b"a\xff")
    bytewise.put(b"b\xfe", "good")

    async def test(client: Any) -> None:
        with pytest.raises(NotTextError, match=r"value of the key b'bad' is not UTF-8.*0xff at 1"):
            await client.get("bad")
        with pytest.raises(NotTextError, match=r"the key b'b\\xfe' is not UTF-8"):
            await client.range("b", prefix=True, keys_only=True)
        with pytest.raises(NotTextError) as raised:
            await client.put("bad", "better", prev_kv=True)
        assert raised.value.maybe_applied, "the value that was there could not be shown"
        assert (await client.get("bad")).value == "better"
        start = (await client.get("bad")).create_revision
        async with client.watch("bad", start_revision=start) as watch:
            with pytest.raises(NotTextError):
                await watch.get(HANG_SECONDS)
            assert (await watch.get(HANG_SECONDS)).kv.value == "better"
        told: SimpleQueue[Any] = SimpleQueue()
        async with client.watch("bad", start_revision=start, callback=told.put):
            await until_true(lambda: not told.empty())
        assert isinstance(told.get(), NotTextError) and told.empty(), "that has ended the watch"

    texts(test)


def test_bytes_are_shown_as_they_came() -> None:
    kv = KeyValue(b"k", b"\xff", 1, 2, 3, 4)
    assert forms.BYTES.key_value(kv) is kv
    with pytest.raises(NotTextError, match="the value of the key b'k'"):
        forms.TEXT.key_value(kv)
