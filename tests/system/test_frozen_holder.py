"""A process that is frozen beyond its lease's TTL believes not a moment longer that it holds."""

from __future__ import annotations

import signal
import subprocess
import sys

from cluster.launcher.local import LocalCluster
from tests.system.conditions import client_of

TTL_SECONDS = 4.0

PROGRAM = """
import sys
from cluster import Client, LeaseLostError

client = Client(sys.argv[1].split(","), timeout=240)
lock, election = client.lock("frozen/lock", ttl={ttl}), client.election("frozen/chair", ttl={ttl})
kept, quiet = client.session({ttl}), client.lease.grant({ttl})
lock.acquire()
election.campaign("me")
print("held" if lock.is_held and election.is_leader and not kept.lost.is_set() else "?", flush=True)
sys.stdin.readline()
# The first that it does after it has thawed: no thread had the time to be told anything.
known = [lock.is_held, election.is_leader, not kept.lost.is_set(), not quiet.lost.is_set()]
print(known, flush=True)
for give_up in (lock.release, election.resign):
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
            assert frozen.stdout.readline() == "held\n"
            frozen.send_signal(signal.SIGSTOP)
            with client.lock("frozen/lock"), client.election("frozen/chair") as election:
                election.campaign("another")
                frozen.stdin.write("\n")
                frozen.stdin.flush()
                frozen.send_signal(signal.SIGCONT)
                assert frozen.stdout.readline() == "[False, False, False, False]\n"
                assert frozen.stdout.read().count("mutex: session is expired") == 2
                assert election.is_leader
            assert frozen.wait(30) == 0
        finally:
            frozen.kill()
