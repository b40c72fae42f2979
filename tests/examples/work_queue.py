"""A work queue: a job that a worker took comes back if the worker dies before it is done.

python work_queue.py HOST:PORT
"""

import sys

from cluster import Client

TTL_SECONDS = 2
"""How long the job of a dead worker waits: here short, by default ten seconds."""

PATIENCE_SECONDS = 60


def main(endpoints: str) -> None:
    dying, living = Client(endpoints, text=True), Client(endpoints, text=True)
    with living, living.locking_queue("jobs") as queue:
        queue.put_all(["wash", "dry"])
        queue.put("soap", priority=1)  # the lowest number comes first

        print(dying.locking_queue("jobs", ttl=TTL_SECONDS).get(PATIENCE_SECONDS), "is begun")
        dying.close()  # as in a crash, it is not consumed

        done = []
        while queue.size():
            done.append(queue.get(PATIENCE_SECONDS))
            queue.consume()
        print(*sorted(done), "are done")


if __name__ == "__main__":
    main(sys.argv[1])
