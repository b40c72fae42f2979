"""Transactions, a lock and an election with the Python client: `python recipes.py HOST:PORT`."""

import sys

from cluster import Client, Stm, ops

with Client(sys.argv[1]) as client:
    # Create a key unless it is there, and say in either case what it holds.
    create = client.txn().if_(ops.version("motd") == 0).then(ops.put("motd", "hello"))
    print(create.else_(ops.get("motd")).commit().succeeded)

    # Move 30 from one account to another, whoever else does so at the same time.
    client.txn().then(ops.put("alice", "100"), ops.put("bob", "0")).commit()

    def pay(keys: Stm) -> int:
        left = int(keys["alice"] or 0) - 30
        keys["alice"] = str(left)
        keys["bob"] = str(int(keys["bob"] or 0) + 30)
        return left

    print(client.stm(pay), [kv.value for kv in client.scan("alice", "c")])

    # One at a time; the guard refuses the write of one who has lost the lock without noticing.
    with client.lock("nightly", ttl=10) as lock:
        report = client.txn().if_(lock.guard()).then(ops.put("report", "done"))
        print(lock.is_held, report.commit().succeeded)

    # One leads, and says who it is.
    with client.election("api") as election:
        election.campaign("node-1:8080")
        leader = election.leader()
        print(leader and leader.value)
