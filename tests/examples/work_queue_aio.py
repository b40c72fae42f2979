"""A work queue with asyncio, as in `work_queue.py`.

python work_queue_aio.py HOST:PORT
"""

import asyncio
import sys

from cluster.aio import Client

TTL_SECONDS = 2
"""How long the job of a dead worker waits: here short, by default ten seconds."""

PATIENCE_SECONDS = 60


async def main(endpoints: str) -> None:
    dying, living = Client(endpoints, text=True), Client(endpoints, text=True)
    async with living, living.locking_queue("jobs") as queue:
        await queue.put_all(["wash", "dry"])
        await queue.put("soap", priority=1)  # the lowest number comes first

        begun = dying.locking_queue("jobs", ttl=TTL_SECONDS)
        print(await begun.get(PATIENCE_SECONDS), "is begun")
        await dying.close()  # as in a crash, it is not consumed

        done = []
        while await queue.size():
            done.append(await queue.get(PATIENCE_SECONDS))
            await queue.consume()
        print(*sorted(done), "are done")


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
