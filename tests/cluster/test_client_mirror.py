"""A mirror is the store's keys with a prefix, a moment later, revision by revision."""

from __future__ import annotations

from typing import Any

import pytest

from cluster import ClientClosedError, WatchCanceledError, ops
from cluster.client.flows.mirror import MirrorChange, MirrorState
from tests.cluster.probe import ProbeCluster
from tests.cluster.shells import SHELLS, Played, plain, run, until_true
from tests.limits import HANG_SECONDS

pytestmark = pytest.mark.process


def test_a_mirror_is_a_dict_that_follows(played: Played) -> None:
    async def test(client: Any) -> None:
        await client.put("m/a", "1")
        await client.put("n", "outside")
        async with client.mirror("m/") as shown:
            mirror = plain(shown)
            assert dict(mirror) == {b"m/a": b"1"} and mirror["m/a"] == b"1" and "m/b" not in mirror
            await client.put("m/b", "2")
            done = await client.delete("m/a")
            assert await shown.wait_for(done.header.revision, HANG_SECONDS)
            assert (list(mirror), len(mirror), mirror.get("m/a")) == ([b"m/b"], 1, None)
            assert mirror.key_value("m/b").version == 1 and mirror.error is None
            last = (await client.put("n", "outside")).header.revision
            assert await shown.wait_for(last, HANG_SECONDS), "though nothing here has changed"
            assert not await shown.wait_for(last + 1, 0.01)
        await client.put("m/c", "3")
        assert list(mirror) == [b"m/b"], "it is closed"

    played(test)


def test_a_mirror_shows_whole_revisions_and_tells_them_in_order(played: Played) -> None:
    async def test(client: Any) -> None:
        async with client.mirror("m/") as shown:
            mirror = plain(shown)
            changes: list[MirrorChange] = []
            states: list[MirrorState] = []
            mirror.add_listener(lambda change: states.append(mirror.state()))
            mirror.add_listener(changes.append)
            for number in range(20):
                both = [ops.put(f"m/{name}", str(number)) for name in "ab"]
                done = await client.txn().then(*both).commit()
                halves = {kv.value for kv in mirror.state().kvs.values()}
                assert len(halves) <= 1, "both keys are of one revision"
            assert await shown.wait_for(done.header.revision, HANG_SECONDS)
            await until_true(lambda: len(changes) == 20)
            revisions = [change.revision for change in changes]
            assert revisions == sorted(set(revisions)) and revisions[-1] == done.header.revision
            assert [len(change.events) for change in changes] == [2] * 20
            assert all(len({kv.value for kv in one.kvs.values()}) == 1 for one in states)
            mirror.remove_listener(changes.append)

    played(test)


def test_a_mirror_of_many_keys_reads_page_by_page(played: Played) -> None:
    async def test(client: Any) -> None:
        for part in range(12):
            puts = [ops.put(f"m/{part:02}{number:02}", "v") for number in range(100)]
            await client.txn().then(*puts).commit()
        async with client.mirror("m/") as shown:
            assert len(plain(shown)) == 1_200

    played(test)


@pytest.mark.parametrize("shell", SHELLS)
def test_a_mirror_makes_up_for_what_was_compacted_before_it_was_seen(shell: str) -> None:
    with ProbeCluster(size=1) as probes:
        (node,) = probes.nodes

        async def test(client: Any) -> None:
            await client.put("m/gone", "1")
            await client.put("m/kept", "1")
            async with client.mirror("m/") as shown:
                mirror = plain(shown)
                changes: list[MirrorChange] = []
                mirror.add_listener(changes.append)
                await until_true(lambda: node.watch_count == 1)
                del probes.store.keys[b"m/gone"]  # nobody is told
                node.cancel_watches("", compact_revision=9)
                await until_true(lambda: b"m/gone" not in mirror)
                await until_true(lambda: changes)
                (change,) = changes
                assert [(one.type, one.kv.key) for one in change.events] == [("DELETE", b"m/gone")]
                await until_true(lambda: node.watch_count == 1)
                await client.put("m/new", "2")
                await until_true(lambda: b"m/new" in mirror)

        run(shell, probes.endpoints, test)


@pytest.mark.parametrize("shell", SHELLS)
def test_a_mirror_of_a_closed_client_says_so(shell: str) -> None:
    mirrors: list[Any] = []
    with ProbeCluster(size=1) as probes:

        async def test(client: Any) -> None:
            mirrors.append(plain(await client.mirror("m/")))

        run(shell, probes.endpoints, test)
    (mirror,) = mirrors
    # The watch that it follows by may have been open already, or not yet.
    ends = (WatchCanceledError, ClientClosedError)
    with pytest.raises(ends, match="the client was closed"):
        mirror["m/a"]
    assert isinstance(mirror.error, ends)
