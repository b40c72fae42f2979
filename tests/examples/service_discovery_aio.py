"""Service discovery with asyncio, as in `service_discovery.py`.

python service_discovery_aio.py HOST:PORT
"""

import asyncio
import sys

from cluster.aio import Client, Lease

PATIENCE_SECONDS = 60


async def register(client: Client[str], service: str, address: str) -> Lease[str]:
    """Be listed until the lease ends: when it is revoked, or ten seconds after a crash."""
    lease = await client.session(ttl=10)
    await client.put(f"services/{service}/{address}", lease=lease)
    return lease


async def main(endpoints: str) -> None:
    async with Client(endpoints, text=True) as servers, Client(endpoints, text=True) as caller:
        await register(servers, "web", "10.0.0.1:80")
        async with caller.mirror("services/web/") as known:
            second = await register(servers, "web", "10.0.0.2:80")
            now = (await caller.get_prefix("services/web/")).header.revision
            await known.wait_for(now, PATIENCE_SECONDS)
            print(list(known))

            # A server that ends in peace takes itself off the list.
            gone = await second.revoke()
            await known.wait_for(gone.header.revision, PATIENCE_SECONDS)
            print(list(known))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
