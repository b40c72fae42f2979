"""A process that is frozen beyond its lease's TTL believes not a moment longer that it holds."""

from __future__ import annotations

import signal
import subprocess
import sys

from cluster.launcher.local import LocalCluster
from tests.system.conditions import client_of

TTL_SECONDS = 4.0
WAIT = 60.0

PROGRAM = """
import sys
from cluster import Client, LeaseLostError

client = Client(sys.argv[1].split(","), timeout=240)
lock, election = client.lock("frozen/lock", ttl={ttl}), client.election("frozen/chair", ttl={ttl})
kept, quiet = client.session({ttl}), client.lease.grant({ttl})
writer, semaphore = client.write_lock("frozen/rw", {ttl}), client.semaphore("frozen/s", 2, {ttl})
party, queue = client.party("frozen/party", "me", {ttl}), client.locking_queue("frozen/q", {ttl})
share = client.partitioner("frozen/share", ["a"], ttl={ttl})
for take in (lock.acquire, writer.acquire, semaphore.acquire, party.join, share.wait_for_acquire):
    take()
election.campaign("me")
queue.put("v")
queue.get()

def held():
    yield from (lock.is_held, election.is_leader, writer.is_held, semaphore.is_held)
    yield from (party.participating, queue.holds_lock(), share.acquired)
    yield from (not kept.lost.is_set(), not quiet.lost.is_set())

print(all(held()), flush=True)
sys.stdin.readline()
# The first that it does after it has thawed: no thread had the time to be told anything.
print(any(held()), flush=True)
for give_up in (lock.release, election.resign, writer.release, party.leave, queue.consume):
    try:
        give_up()
    except LeaseLostError as error:
        print(error, flush=True)
"""


def test_a_frozen_process_knows_at_once_what_it_has_lost(cluster: LocalCluster) -> None:
    program = [sys.executable, "-c", PROGRAM.format(ttl=TTL_SECONDS), ",".join(cluster.endpoints)]
    with (
        client_of(cluster) as client,
        subprocess.Popen(
            program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as frozen,
    ):
        assert frozen.stdin is not None and frozen.stdout is not None
        try:
            assert frozen.stdout.readline() == "True\n"
            frozen.send_signal(signal.SIGSTOP)
            with (
                client.lock("frozen/lock"),
                client.write_lock("frozen/rw"),
                client.election("frozen/chair") as election,
                client.partitioner("frozen/share", ["a"]) as share,
            ):
                election.campaign("another")
                assert client.locking_queue("frozen/q").get() == b"v"
                assert share.wait_for_acquire(WAIT) and list(share) == [b"a"]
                assert len(client.party("frozen/party")) == 0
                frozen.stdin.write("\n")
                frozen.stdin.flush()
                frozen.send_signal(signal.SIGCONT)
                assert frozen.stdout.readline() == "False\n"
                assert frozen.stdout.read().count("mutex: session is expired") == 5
                assert election.is_leader
            assert frozen.wait(30) == 0
        finally:
            frozen.kill()
