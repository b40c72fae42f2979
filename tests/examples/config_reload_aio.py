"""Configuration that reloads itself with asyncio, as in `config_reload.py`.

python config_reload_aio.py HOST:PORT
"""

import asyncio
import sys

from cluster import MirrorChange, ops
from cluster.aio import Client


async def main(endpoints: str) -> None:
    async with Client(endpoints, text=True) as client:
        await client.put("config/colour", "red")
        await client.put("config/size", "1")
        async with client.mirror("config/") as config:
            print(config["config/colour"], config["config/size"])

            changes = asyncio.Queue[MirrorChange[str]]()
            config.add_listener(changes.put_nowait)
            # In one transaction, so nobody ever sees one of them without the other.
            both = ops.put("config/colour", "blue"), ops.put("config/size", "2")
            await client.txn().then(*both).commit()

            change = await changes.get()
            print("changed:", *(event.kv.key for event in change.events))
            print(config["config/colour"], config["config/size"])


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
