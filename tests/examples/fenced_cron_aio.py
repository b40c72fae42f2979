"""Cron for several machines with asyncio, as in `fenced_cron.py`.

python fenced_cron_aio.py HOST:PORT
"""

import asyncio
import sys

from cluster import ops
from cluster.aio import Client

KNOWN_SECONDS = 24 * 60 * 60
"""How long a run is known to be done."""


class Report:
    """What the job writes to: another system. It takes nothing from an older holder of the lock
    than the last one, and needs no clock for that."""

    def __init__(self) -> None:
        self.text = ""
        self.token = 0

    def write(self, token: int, text: str) -> bool:
        """Take a text if the fencing token is not older than the last; whether it was taken."""
        if token < self.token:
            return False
        self.token, self.text = token, text
        return True


async def run_once(client: Client[str], time: str, report: Report) -> bool:
    """Do the run of this time unless another machine did; whether it was done here."""
    async with client.lock("cron/report") as lock:
        if await client.get(f"done/report/{time}") is not None:
            return False
        report.write(lock.revision, f"report of {time}")
        # If the lock is lost by now, this does nothing, and the next machine does the run again.
        done = ops.put(f"done/report/{time}", ttl=KNOWN_SECONDS)
        return (await client.txn().if_(lock.guard()).then(done).commit()).succeeded


async def main(endpoints: str) -> None:
    report = Report()
    async with Client(endpoints, text=True) as frozen, Client(endpoints, text=True) as client:
        lease = await frozen.session()
        lock = frozen.lock("cron/report", lease=lease)
        await lock.acquire()
        token = lock.revision
        await client.lease.revoke(lease.id)  # as it ends by itself while a machine is frozen

        done = await run_once(client, "12:00", report), await run_once(client, "12:00", report)
        print(*done)
        print(report.write(token, "the frozen machine's report"), report.text)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
