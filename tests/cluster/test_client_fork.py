"""What a forked child finds of its parent's: it sends nothing for it, and nothing makes it hang.

Each scene is a program of its own, which forks while its client lives; the child's verdict is its
exit status. A scene is written once, for the asyncio client, as a sequence of lines with `await`.
For the threaded client these words are left out, as in the documentation of both.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from textwrap import dedent

import pytest

from cluster import Client
from cluster.client.threads.blocking import ASYNC_WORDS
from cluster.launcher.local import LocalCluster
from tests.cluster.shells import SHELLS

pytestmark = pytest.mark.process

WAIT = 60.0

HELPERS = """
async def result(used):
    return await used if inspect.isawaitable(used) else used

async def refuses(use, *arguments, **options):
    try:
        await result(use(*arguments, **options))
    except LeaseholdError as error:
        assert "forked" in str(error), error
        return error
    raise AssertionError("it was not refused")

async def leave(block, kind=None):
    await result(getattr(block, LEAVE)(kind, None, None))

async def keys():
    return [kv.key for kv in await client.get_prefix("")]
"""

TASKS = """
import asyncio, ast, inspect, os, sys, threading, traceback
from cluster import *
from cluster.aio import Client

LEAVE = "__aexit__"
begin, ended = lambda flow: asyncio.ensure_future(flow()), asyncio.wait_for
{helpers}
client = Client({endpoints!r}, timeout=240)

async def play(text):
    line = compile(text, "the scene", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    await result(eval(line, globals()))

async def main():
    await play({before!r})
    child = os.fork()
    if child == 0:
        try:
            asyncio.run(play({inside!r}))
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0, "the child failed"
    await play({after!r})

asyncio.run(main())
"""

THREADS = """
import inspect, os, sys, threading, traceback
from concurrent.futures import ThreadPoolExecutor, wait
from cluster import *

LEAVE = "__exit__"
begin, ended = ThreadPoolExecutor().submit, lambda begun, seconds: begun.result(seconds)
{helpers}
client = Client({endpoints!r}, timeout=240)

def play(text):
    exec(compile(text, "the scene", "exec"), globals())

play({before!r})
child = os.fork()
if child == 0:
    try:
        play({inside!r})
    except BaseException:
        traceback.print_exc()
        os._exit(1)
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0, "the child failed"
play({after!r})
"""

PROGRAMS = {"threads": THREADS, "asyncio": TASKS}

Play = Callable[[str, str, str], None]
"""Plays a scene: what is done before the fork, in the child, and in the parent afterwards."""


def play_with(shell: str, node: LocalCluster, before: str, inside: str, after: str) -> None:
    """Play a scene with a client of this shell."""
    scene = {"before": before, "inside": inside, "after": after, "helpers": HELPERS}
    scene = {part: dedent(text) for part, text in scene.items()}
    if shell == "threads":
        scene = {part: ASYNC_WORDS.sub("", text) for part, text in scene.items()}
    program = PROGRAMS[shell].format(endpoints=node.endpoints, **scene)
    # From 3.12 on Python warns of what is tested here: a fork of a process that has threads.
    command = [sys.executable, "-W", "ignore:This process:DeprecationWarning", "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, timeout=WAIT, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.fixture(params=SHELLS)
def play(request: pytest.FixtureRequest, node: LocalCluster, client: Client) -> Play:
    """Plays a scene with a client of one shell, of a node that holds no key."""
    return lambda *scene: play_with(request.param, node, *scene)


def test_a_child_starts_anew_and_leaves_the_parent_alone(play: Play) -> None:
    play(
        """
        await client.put("parent", "1")
        watch = await client.watch("k")
        lock = client.lock("job")
        """,
        """
        await client.put("child", "2")
        async with lock:
            assert lock.is_held
            async with Client(client.endpoints) as another:
                assert not await another.lock("job").try_acquire()
        assert (await client.get("parent")).value == b"1"
        await refuses(watch.get, 60)
        await client.close()
        """,
        """
        await client.put("k", "3")
        assert (await watch.get(60)).kv.value == b"3"
        async with lock:
            assert lock.is_held
        assert await keys() == [b"child", b"k", b"parent"]
        """,
    )


def test_a_child_gives_up_no_lock_of_its_parent(play: Play) -> None:
    play(
        """
        own, given = client.lock("own"), client.lock("given", lease=await client.lease.grant(60))
        await own.acquire()
        await given.acquire()
        """,
        """
        for lock in (own, given):
            assert not lock.is_held and lock.lost.is_set() and await lock.lost.wait()
            await refuses(lock.acquire)
            await refuses(lock.try_acquire)
            assert isinstance(await refuses(lock.release), LeaseLostError)
        """,
        """
        assert len(await keys()) == 2
        for lock in (own, given):
            assert lock.is_held
            await lock.release()
        assert await keys() == []
        """,
    )


@pytest.mark.parametrize("is_error", [False, True])
def test_a_child_that_leaves_the_blocks_of_its_parent_frees_nothing(
    play: Play, is_error: bool
) -> None:
    leaves = """
        for block in (lock, lease, election):
            await leave(block, KeyError)
        """
    refused = """
        for block in (lock, lease, election):
            assert isinstance(await refuses(leave, block), LeaseLostError)
        """
    play(
        """
        lock, lease, election = client.lock("l"), await client.session(60), client.election("e")
        await lock.acquire()
        await client.put("s", lease=lease)
        await election.campaign("me")
        """,
        leaves if is_error else refused,
        """
        assert len(await keys()) == 3
        assert lock.is_held and election.is_leader and not lease.lost.is_set()
        await election.resign()
        await lock.release()
        await lease.revoke()
        assert await keys() == []
        """,
    )


def test_a_child_neither_renews_nor_revokes_a_lease_of_its_parent(play: Play) -> None:
    play(
        """
        kept, quiet = await client.session(60), await client.lease.grant(60)
        sent = []
        """,
        """
        caller = getattr(client, "_flow", client)._caller
        caller.request = lambda *arguments, **options: sent.append(arguments)
        for lease in (kept, quiet):
            assert lease.lost.is_set() and "forked" in str(lease.error)
            for use in (lease.revoke, lease.keep_alive, lease.keep_alive_once):
                await refuses(use)
            lease.stop()
            await refuses(client.lock("x", lease=lease).acquire)
            await refuses(client.election("x", lease=lease).campaign)
        assert sent == []
        """,
        """
        assert not kept.lost.is_set() and not quiet.lost.is_set()
        await kept.revoke()
        await quiet.revoke()
        """,
    )


def test_a_child_does_not_resign_for_its_parent_but_may_stand_itself(play: Play) -> None:
    play(
        """
        election = client.election("job")
        await election.campaign("parent")
        seen = await election.observe()
        assert (await seen.get(20)).value == b"parent"
        """,
        """
        assert not election.is_leader
        await refuses(seen.get, 20)
        assert isinstance(await refuses(election.resign), LeaseLostError)
        try:
            await election.campaign("child", timeout=0.05)
        except LockTimeoutError:
            pass
        assert (await election.leader()).value == b"parent"
        """,
        """
        assert election.is_leader
        await election.proclaim("again")
        assert (await seen.get(20)).value == b"again"
        await election.resign()
        """,
    )


def test_a_child_does_not_wait_where_its_parent_does(play: Play) -> None:
    play(
        """
        held, waited = client.lock("job"), client.lock("job")
        await held.acquire()
        watch = await client.watch("k")
        async def take():
            await waited.acquire()
        async def get():
            await watch.get()
        waiters = [begin(take), begin(get)]
        while len(await keys()) < 2 or not getattr(watch, "_flow", watch)._taking.is_taken:
            pass
        """,
        """
        await refuses(waited.acquire)
        await refuses(watch.get, 60)
        watch.cancel()
        """,
        """
        await client.put("k")
        await held.release()
        for waiter in waiters:
            await ended(waiter, 20)
        assert waited.is_held
        await waited.release()
        """,
    )


def test_a_child_waits_for_no_answer_to_its_parents_threads(
    node: LocalCluster, client: Client
) -> None:
    play_with(
        "threads",
        node,
        """
        # As many as make it likely that some are under way in each place there is.
        writes = [client.put_async(f"k{n}") for n in range(2000)]
        reads = [client.get_async(f"k{n}") for n in range(200)]
        """,
        """
        assert not wait(writes + reads, 60).not_done
        for future in writes + reads:
            error = future.exception()
            assert error is None or "forked" in str(error), error
            assert error is None or isinstance(error, (OutcomeUnknownError, UnavailableError))
        assert any(future.exception() for future in writes)
        """,
        """
        for future in writes + reads:
            assert future.exception() is None
        """,
    )


def test_a_child_cannot_wait_in_the_event_loop_of_its_parent(
    node: LocalCluster, client: Client
) -> None:
    play_with(
        "asyncio",
        node,
        """
        write = client.put_async("k", "v")
        def refused(waits, text):
            try:
                waits.send(None)
            except RuntimeError as error:
                assert text in str(error), error
            else:
                raise AssertionError("it was not refused")
        # The first that a child of a task does is in the coroutine of its parent still.
        on = lambda: refused(client.put("child"), "no running event loop")
        os.register_at_fork(after_in_child=on)
        """,
        """
        try:
            await write
        except RuntimeError as error:
            assert "attached to a different loop" in str(error), error
        else:
            raise AssertionError("it was not refused")
        """,
        """
        await write
        assert await keys() == [b"k"]
        """,
    )
