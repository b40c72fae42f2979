"""Configuration that reloads itself: a live dict, which changes by whole transactions.

python config_reload.py HOST:PORT
"""

import sys
from queue import Queue

from cluster import Client, MirrorChange, ops

PATIENCE_SECONDS = 60


def main(endpoints: str) -> None:
    with Client(endpoints, text=True) as client:
        client.put("config/colour", "red")
        client.put("config/size", "1")
        with client.mirror("config/") as config:
            print(config["config/colour"], config["config/size"])

            changes = Queue[MirrorChange[str]]()
            config.add_listener(changes.put)
            # In one transaction, so nobody ever sees one of them without the other.
            both = ops.put("config/colour", "blue"), ops.put("config/size", "2")
            client.txn().then(*both).commit()

            change = changes.get(timeout=PATIENCE_SECONDS)
            print("changed:", *(event.kv.key for event in change.events))
            print(config["config/colour"], config["config/size"])


if __name__ == "__main__":
    main(sys.argv[1])
