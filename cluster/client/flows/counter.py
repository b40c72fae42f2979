"""Counter: a number that all clients count with."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any

from cluster.client import ops
from cluster.client.requests import Key, to_bytes

if TYPE_CHECKING:
    from cluster.client.flows.primitives import Primitives


class Counter:
    """An integer of 64 bits by name; `default` is its value before the first count."""

    def __init__(self, client: Primitives, name: Key, default: int) -> None:
        self._client = client
        self._key = to_bytes(name)
        self._default = default

    @property
    def value(self) -> Coroutine[Any, Any, int]:
        """The present value: `await counter.value`."""
        return self._value()

    async def add(self, delta: int = 1) -> int:
        """Add to it, and return the sum; FailedPreconditionError if its key is no number."""
        if self._default:
            first = self._client.txn().if_(ops.create_revision(self._key) == 0)
            await first.then(ops.put(self._key, str(self._default))).commit()
        return await self._client.increment(self._key, delta)

    async def _value(self) -> int:
        found = await self._client.get(self._key)
        return self._default if found is None else int(found.value)
