"""Queues of values: each value is put once and got once.

A value that is got is deleted in the same step, so it is lost if the client dies right after. Where
that must not be, use a LockingQueue.
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final, Generic

from cluster.client import ops
from cluster.client.arguments import whole_number
from cluster.client.flows.deadlines import deadline_in
from cluster.client.flows.waiting import Nothing, wait_until
from cluster.client.replies import Reply, txn_result
from cluster.client.requests import Key, put_fields, to_bytes
from cluster.client.results import Data, KeyValue

if TYPE_CHECKING:
    from cluster.client.flows.caller import Caller
    from cluster.client.flows.primitives import Primitives
    from cluster.client.forms import DataForm

PRIORITY: Final = 100
PRIORITY_MAX: Final = 99_999
"""Priorities are written with five digits, so that the order of keys is theirs."""

SEQUENCE_DIGITS: Final = 20
PUT_ALL_MAX: Final = 100
"""The values of one transaction; etcd allows 128 operations in one."""


class Queue(Generic[Data]):
    """Values in the order in which they were put; any client may put and get.

    A name must not begin with the name of another recipe and a slash.
    """

    def __init__(self, client: Primitives, caller: Caller, form: DataForm[Data], name: Key) -> None:
        self._client = client
        self._caller = caller
        self._form = form
        self._items = to_bytes(name) + b"/items/"

    async def put(self, value: Key) -> None:
        """Put a value in at the end."""
        await self._client.put(self._items + f"{random.getrandbits(128):032x}".encode(), value)

    async def get(self, timeout: float | None = None) -> Data:
        """Take the first value out; DeadlineExceededError after `timeout` seconds without one.

        Without a `timeout` it waits without limit.
        """
        return await wait_until(self._client, self._items, self._take, deadline_in(timeout))

    async def try_get(self) -> Data | None:
        """Take the first value out if there is one; None when there is none."""
        taken = await self._take()
        return None if isinstance(taken, Nothing) else taken

    async def size(self) -> int:
        """The number of values in it."""
        return (await self._client.range(self._items, prefix=True, count_only=True)).count

    async def _take(self) -> Data | Nothing:
        while True:
            found = await self._client.range(
                self._items, prefix=True, limit=1, sort_target=self._order, sort_order="ASCEND"
            )
            if not found:
                return Nothing(found.header.revision)
            # First shown, then taken: a value that cannot be shown must not be lost.
            shown = self._form.value(found[0].key, found[0].value)
            if await self._took(found[0]):
                return shown

    _order: Any = "CREATE"

    async def _took(self, item: KeyValue) -> bool:
        """Delete an item, unless somebody else did. If the caller is cancelled, put it back."""
        txn = ops.txn().if_(ops.create_revision(item.key) == item.create_revision)
        fields = txn.then(ops.delete(item.key)).fields()
        back = put_fields(item.key, item.value, 0, prev_kv=False)

        def regret(reply: Reply) -> dict[str, Any] | None:
            return back if reply["succeeded"] else None

        return (await self._caller.request(fields, txn_result, write=True, regret=regret)).succeeded


class PriorityQueue(Queue[Data]):
    """Values by priority, the lowest number first; those of one priority in the order of putting.

    A name must not begin with the name of another recipe and a slash.
    """

    _order = "KEY"

    def __init__(self, client: Primitives, caller: Caller, form: DataForm[Data], name: Key) -> None:
        super().__init__(client, caller, form, name)
        self._numbers = to_bytes(name) + b"/last"

    async def put(self, value: Key, priority: int = PRIORITY) -> None:
        """Put a value in behind those of its priority, which is from 0 to 99,999."""
        await self.put_all([value], priority)

    async def put_all(self, values: Iterable[Key], priority: int = PRIORITY) -> None:
        """Put several values in, in their order, up to a hundred in one step."""
        first, waiting = in_line(priority), list(values)
        while waiting:
            several, waiting = waiting[:PUT_ALL_MAX], waiting[PUT_ALL_MAX:]
            last = await self._client.increment(self._numbers, len(several))
            keys = range(last - len(several) + 1, last + 1)
            puts = [
                ops.put(self._items + first + b"%0*d" % (SEQUENCE_DIGITS, number), value)
                for number, value in zip(keys, several, strict=True)
            ]
            await self._client.txn().then(*puts).commit()


def in_line(priority: int) -> bytes:
    """What the keys of a priority begin with."""
    whole_number("priority", priority, 0, PRIORITY_MAX)
    return b"%05d/" % priority
