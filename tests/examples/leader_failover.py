"""Leader election: of several programs one leads; when it dies, the next one does.

python leader_failover.py HOST:PORT
"""

import sys
from concurrent.futures import ThreadPoolExecutor

from cluster import Client, ops

TTL_SECONDS = 2
"""How long others wait for a leader that died: here short, by default ten seconds."""


def main(endpoints: str) -> None:
    dying, living = Client(endpoints, text=True), Client(endpoints, text=True)
    with living, living.election("scheduler").observe() as leaders, ThreadPoolExecutor() as pool:
        first = dying.election("scheduler", ttl=TTL_SECONDS)
        first.campaign("the first")
        print(next(leaders).value, "leads")
        guard = first.guard()

        second = living.election("scheduler")
        waiting = pool.submit(second.campaign, "the second")
        dying.close()  # as in a crash, nobody resigns
        print(next(leaders).value, "leads")
        waiting.result()

        # What the old leader began, and comes late, does no harm if its guard is in it.
        late = living.txn().if_(guard).then(ops.put("plan", "of the first")).commit()
        own = living.txn().if_(second.guard()).then(ops.put("plan", "of the second")).commit()
        print(late.succeeded, own.succeeded)
        second.resign()


if __name__ == "__main__":
    main(sys.argv[1])
