"""What a forked child finds of its parent's: it sends nothing for it, and nothing makes it hang.

Each scene is a program of its own, which forks while it has threads; the child's verdict is its
exit status.
"""

from __future__ import annotations

import subprocess
import sys
from textwrap import dedent, indent

import pytest

from cluster import Client
from cluster.launcher.local import LocalCluster

pytestmark = pytest.mark.process

WAIT = 60.0

PROGRAM = """
import os, sys, threading, traceback
from concurrent.futures import wait
from cluster import *

client = Client({endpoints!r}, timeout=240)

def refuses(use, text="forked"):
    try:
        use()
    except LeaseholdError as error:
        assert text in str(error), error
        return error
    raise AssertionError("it was not refused")

def keys():
    return [kv.key for kv in client.get_prefix("")]

{before}
child = os.fork()
if child == 0:
    try:
{inside}
    except BaseException:
        traceback.print_exc()
        os._exit(1)
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0, "the child failed"
{after}
"""


def play(node: LocalCluster, before: str, inside: str, after: str) -> None:
    """Run a scene: what is done before the fork, in the child, and in the parent afterwards."""
    program = PROGRAM.format(
        endpoints=node.endpoints,
        before=dedent(before),
        inside=indent(dedent(inside), " " * 8),
        after=dedent(after),
    )
    # From 3.12 on Python warns of what is tested here: a fork of a process that has threads.
    command = [sys.executable, "-W", "ignore:This process:DeprecationWarning", "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, timeout=WAIT, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_child_gives_up_no_lock_of_its_parent(node: LocalCluster, client: Client) -> None:
    play(
        node,
        """
        own, given = client.lock("own"), client.lock("given", lease=client.lease.grant(60))
        own.acquire()
        given.acquire()
        """,
        """
        for lock in (own, given):
            assert not lock.is_held and lock.lost.is_set() and lock.lost.wait()
            refuses(lock.acquire)
            refuses(lock.try_acquire)
            assert isinstance(refuses(lock.release), LeaseLostError)
        """,
        """
        assert len(keys()) == 2
        for lock in (own, given):
            assert lock.is_held
            lock.release()
        assert keys() == []
        """,
    )


@pytest.mark.parametrize("ending", ["pass", "raise KeyError('mine')"])
def test_a_child_that_leaves_the_blocks_of_its_parent_frees_nothing(
    node: LocalCluster, client: Client, ending: str
) -> None:
    leaves = f"""
        for block in (lock, lease, election):
            try:
                block.__exit__(*((None,) * 3 if {ending == "pass"} else (KeyError, None, None)))
            except LeaseLostError as error:
                assert {ending == "pass"} and "forked" in str(error)
            else:
                assert {ending != "pass"}
        """
    play(
        node,
        """
        lock, lease, election = client.lock("l"), client.session(60), client.election("e")
        lock.acquire()
        client.put("s", lease=lease)
        election.campaign("me")
        """,
        leaves,
        """
        assert len(keys()) == 3
        assert lock.is_held and election.is_leader and not lease.lost.is_set()
        election.resign()
        lock.release()
        lease.revoke()
        assert keys() == []
        """,
    )


def test_a_child_neither_renews_nor_revokes_a_lease_of_its_parent(
    node: LocalCluster, client: Client
) -> None:
    play(
        node,
        """
        kept, quiet = client.session(60), client.lease.grant(60)
        sent = []
        """,
        """
        client._flow._caller.request = lambda *arguments, **options: sent.append(arguments)
        for lease in (kept, quiet):
            assert lease.lost.is_set() and "forked" in str(lease.error)
            for use in (lease.revoke, lease.keep_alive, lease.keep_alive_once):
                refuses(use)
            lease.stop()
            for hold in (client.lock("x", lease=lease), client.election("x", lease=lease)):
                refuses(getattr(hold, "acquire", None) or hold.campaign)
        assert sent == []
        """,
        """
        assert not kept.lost.is_set() and not quiet.lost.is_set()
        kept.revoke()
        quiet.revoke()
        """,
    )


def test_a_child_does_not_resign_for_its_parent_but_may_stand_itself(
    node: LocalCluster, client: Client
) -> None:
    play(
        node,
        """
        election = client.election("job")
        election.campaign("parent")
        seen = election.observe()
        assert seen.get(20).value == b"parent"
        """,
        """
        assert not election.is_leader
        refuses(lambda: seen.get(20))
        assert isinstance(refuses(election.resign), LeaseLostError)
        try:
            election.campaign("child", timeout=0.05)
        except LockTimeoutError:
            pass
        assert election.leader().value == b"parent"
        """,
        """
        assert election.is_leader
        election.proclaim("again")
        assert seen.get(20).value == b"again"
        election.resign()
        """,
    )


def test_a_child_waits_for_no_answer_to_its_parent(node: LocalCluster, client: Client) -> None:
    play(
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


def test_a_child_does_not_wait_where_another_thread_of_its_parent_does(
    node: LocalCluster, client: Client
) -> None:
    play(
        node,
        """
        held, waited = client.lock("job"), client.lock("job")
        held.acquire()
        watch = client.watch("k")
        waiters = [
            threading.Thread(target=waited.acquire),
            threading.Thread(target=watch.get),
        ]
        for thread in waiters:
            thread.start()
        while len(keys()) < 2 or not watch._flow._taking.is_taken:
            pass
        """,
        """
        refuses(waited.acquire)
        refuses(lambda: watch.get(60))
        watch.cancel()
        """,
        """
        client.put("k")
        held.release()
        for thread in waiters:
            thread.join(20)
        assert waited.is_held
        waited.release()
        """,
    )


def test_a_child_may_hold_locks_of_its_own(node: LocalCluster, client: Client) -> None:
    play(
        node,
        """
        client.put("before")
        lock = client.lock("job")
        """,
        """
        with lock:
            assert lock.is_held
            with Client(client.endpoints) as another:
                assert not another.lock("job").try_acquire()
        """,
        """
        with lock:
            assert lock.is_held
        """,
    )
