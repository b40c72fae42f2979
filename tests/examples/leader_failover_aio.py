"""Leader election with asyncio, as in `leader_failover.py`.

python leader_failover_aio.py HOST:PORT
"""

import asyncio
import sys

from cluster import ops
from cluster.aio import Client

TTL_SECONDS = 2
"""How long others wait for a leader that died: here short, by default ten seconds."""


async def main(endpoints: str) -> None:
    dying, living = Client(endpoints, text=True), Client(endpoints, text=True)
    async with living, living.election("scheduler").observe() as leaders:
        first = dying.election("scheduler", ttl=TTL_SECONDS)
        await first.campaign("the first")
        print((await anext(leaders)).value, "leads")
        guard = first.guard()

        second = living.election("scheduler")
        waiting = asyncio.create_task(second.campaign("the second"))
        await dying.close()  # as in a crash, nobody resigns
        print((await anext(leaders)).value, "leads")
        await waiting

        # What the old leader began, and comes late, does no harm if its guard is in it.
        late = living.txn().if_(guard).then(ops.put("plan", "of the first"))
        own = living.txn().if_(second.guard()).then(ops.put("plan", "of the second"))
        print((await late.commit()).succeeded, (await own.commit()).succeeded)
        await second.resign()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
