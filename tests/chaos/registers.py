"""The workers of a campaign that use keys which only puts and deletes change: registers.

What they do is the same for every protocol; by which client they do it is a matter of three
methods. Knows nothing of faults.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from typing import Final

from cluster import KeyValue
from cluster.client.results import Header
from tests.chaos.history import held_of
from tests.chaos.worker import Answer, Worker

KEYS: Final = 6
OPERATIONS_PER_WINDOW: Final = 600
"""After this number of operations the clients go on to other keys: a search for an order needs
short histories of each."""


class RegisterWorker(Worker):
    """Puts, deletes and reads a few keys that all such workers share."""

    shared_count = itertools.count()

    def work(self) -> None:
        window = next(self.shared_count) // OPERATIONS_PER_WINDOW
        key = f"reg/{window:05d}/{self.chance.randrange(KEYS)}"
        kind = self.chance.random()
        if kind < 0.4:
            self.put_key(key)
        elif kind < 0.5:
            self.delete_key(key)
        elif kind < 0.75:
            self.read_keys(key, "", serializable=False)
        elif kind < 0.9:
            self.read_keys(key, "", serializable=True)
        else:
            # The whole window: "0" follows "/".
            self.read_keys(key[: key.rindex("/") + 1], key[: key.rindex("/")] + "0", False)
        self.pause()

    def put_key(self, key: str) -> None:
        name, value = self.new_value()
        self.do(self.intent("put", key, value=name), lambda: (self.put(key, value), {}))

    def delete_key(self, key: str) -> None:
        def call() -> Answer:
            header, deleted = self.delete(key)
            return header, {"deleted": deleted}

        self.do(self.intent("delete", key), call)

    def read_keys(self, key: str, end: str, serializable: bool) -> None:
        def call() -> Answer:
            header, found = self.read(key, end, serializable)
            return header, {"held": tuple(map(held_of, found))}

        self.do(self.intent("range", key, end=end, serializable=serializable), call)

    # --- by which client ---

    def put(self, key: str, value: bytes) -> Header:
        """Put a key."""
        return self.client().put(key, value).header

    def delete(self, key: str) -> tuple[Header, int]:
        """Delete a key; how many that were."""
        result = self.client().delete(key)
        return result.header, result.deleted

    def read(self, key: str, end: str, serializable: bool) -> tuple[Header, Iterable[KeyValue]]:
        """Read a key, or the keys up to `end` if that is not empty."""
        result = self.client().range(key, end or None, serializable=serializable)
        return result.header, result
