"""A namespace: the keys with a prefix, as a client that does not know the prefix sees them. Pure.

Requests go into the namespace, replies and events come out of it. What has no key is the same in
every namespace: leases, members, alarms.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from cluster.client.replies import Reply
from cluster.client.requests import EVERYTHING, prefix_end
from cluster.client.results import Event, KeyValue

KEYED: Final = frozenset(
    ("range", "put", "delete_range", "increment", "history", "watch_create", "txn")
)
"""The operations whose requests have keys."""

PARTS: Final = ("kvs", "prev_kvs", "events", "responses")
"""The fields of replies that are lists of maps with keys in them."""


class Namespace:
    """The keys that begin with a prefix, which must not be empty."""

    def __init__(self, prefix: bytes) -> None:
        self.prefix = prefix
        self._size = len(prefix)
        self._end = prefix_end(prefix)

    def into(self, fields: dict[str, Any]) -> dict[str, Any]:
        """A request of this namespace as one of the whole store."""
        op = fields.get("op")
        if op not in KEYED:
            return fields
        return self._txn(fields) if op == "txn" else self._interval(fields)

    def out(self, reply: Reply) -> Reply:
        """A reply of the whole store as one of this namespace."""
        return {name: self._field(name, value) for name, value in reply.items()}

    def event(self, event: Event) -> Event:
        """An event of the whole store as one of this namespace."""
        before = event.prev_kv
        return event._replace(
            kv=self._kv(event.kv), prev_kv=None if before is None else self._kv(before)
        )

    def _interval(self, fields: dict[str, Any]) -> dict[str, Any]:
        key, end = fields.get("key", b""), fields.get("range_end", b"")
        if not key and not end:
            return fields  # a key is missing, and the node says so
        inside = {**fields, "key": self.prefix + key}
        if end:
            inside["range_end"] = self._end if end == EVERYTHING else self.prefix + end
        return inside

    def _txn(self, fields: dict[str, Any]) -> dict[str, Any]:
        inside = dict(fields)
        inside["compare"] = [self._interval(one) for one in fields.get("compare", ())]
        for branch in ("success", "failure"):
            inside[branch] = [self._operation(one) for one in fields.get(branch, ())]
        return inside

    def _operation(self, operation: dict[str, Any]) -> dict[str, Any]:
        ((kind, fields),) = operation.items()
        within = self._txn if kind == "request_txn" else self._interval
        return {kind: within(fields)}

    def _field(self, name: str, value: Any) -> Any:
        if name in PARTS:
            return [self.out(part) for part in value]
        if name == "key":
            return value[self._size :]
        if name == "keys":  # those of a lease, of which some may be outside
            return [key[self._size :] for key in value if key.startswith(self.prefix)]
        is_map = name in {"kv", "prev_kv"} or name.startswith("response_")
        return self.out(value) if is_map and isinstance(value, Mapping) else value

    def _kv(self, kv: KeyValue) -> KeyValue:
        return kv._replace(key=kv.key[self._size :])
