"""Service discovery: a server has a key while it lives, and callers keep a live list of servers.

python service_discovery.py HOST:PORT
"""

import sys

from cluster import Client, Lease

PATIENCE_SECONDS = 60


def register(client: Client[str], service: str, address: str) -> Lease[str]:
    """Be listed until the lease ends: when it is revoked, or ten seconds after a crash."""
    lease = client.session(ttl=10)
    client.put(f"services/{service}/{address}", lease=lease)
    return lease


def main(endpoints: str) -> None:
    with Client(endpoints, text=True) as servers, Client(endpoints, text=True) as caller:
        register(servers, "web", "10.0.0.1:80")
        with caller.mirror("services/web/") as known:
            second = register(servers, "web", "10.0.0.2:80")
            now = caller.get_prefix("services/web/").header.revision
            known.wait_for(now, PATIENCE_SECONDS)
            print(list(known))

            # A server that ends in peace takes itself off the list.
            gone = second.revoke()
            known.wait_for(gone.header.revision, PATIENCE_SECONDS)
            print(list(known))


if __name__ == "__main__":
    main(sys.argv[1])
