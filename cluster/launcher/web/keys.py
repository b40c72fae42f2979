"""The key browser's end here: it reads and writes keys of the cluster through a client.

Its functions block, and belong to threads that may wait. Keys and values go to the browser in
base64, because they are bytes. It refuses to know HTTP.
"""

from __future__ import annotations

import threading
from base64 import b64decode, b64encode
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from cluster.client.arguments import LEASE_TTL_SECONDS_MAX
from cluster.client.results import Event, KeyValue
from cluster.errors import LeaseholdError, UnavailableError
from cluster.launcher.probing.records import PREFIX
from cluster.launcher.secure.refusals import explained
from cluster.launcher.web.limits import (
    LEASE_KEYS_SHOWN_MAX,
    LEASES_SHOWN_MAX,
    SHOWN_KEYS_MAX,
    SHOWN_VALUE_BYTES_MAX,
)

if TYPE_CHECKING:
    from cluster.client.api import Client

T = TypeVar("T")
Endpoints = Callable[[], Sequence[str]]


class MistakeError(Exception):
    """A request that the browser should not have made; the message says what is wrong."""


class Keys:
    """A client of the cluster whose endpoints change. May be shared by threads."""

    def __init__(self, endpoints: Endpoints, key_file: str = "") -> None:
        self._endpoints = endpoints
        self._key_file = key_file
        self._changing = threading.Lock()
        self._client: Client | None = None
        self._known: tuple[str, ...] = ()
        self._is_closed = False

    def client(self) -> Client:
        """A client of the cluster as it is now. Raises LeaseholdError."""
        from cluster.client.api import Client  # noqa: PLC0415 - most launches show no keys

        endpoints = tuple(self._endpoints())
        with self._changing:
            if self._is_closed or not endpoints:
                raise UnavailableError("no voter is known")
            if self._client is None or endpoints != self._known:
                client = Client(endpoints, key_file=self._key_file)
                former, self._client = self._client, client
                self._known = endpoints
                if former is not None:
                    former.close()
            return self._client

    def close(self) -> None:
        """End the client; calls and watches under way end with an error."""
        with self._changing:
            self._is_closed = True
            if self._client is not None:
                self._client.close()
            self._client = None

    def range(self, prefix: bytes) -> dict[str, Any]:
        """The first keys with this prefix, and how many there are, without the probe client's."""
        found = self.client().range(prefix, prefix=True, limit=SHOWN_KEYS_MAX)
        rows = [key_value(one) for one in found.kvs if is_shown(one.key)]
        count = found.count - (len(found.kvs) - len(rows))
        return {"revision": found.header.revision, "count": count, "keys": rows}

    def put(self, key: bytes, value: bytes, ttl_seconds: float) -> dict[str, Any]:
        """Set a key, for `ttl_seconds` if that is not 0."""
        return {"revision": self.client().put(key, value, ttl=ttl_seconds).header.revision}

    def delete(self, key: bytes) -> dict[str, Any]:
        """Delete a key; the number of keys that were there."""
        found = self.client().delete(key)
        return {"revision": found.header.revision, "deleted": found.deleted}

    def leases(self) -> dict[str, Any]:
        """The leases with the time that each has left, and how many there are."""
        api = self.client().lease
        ids = api.list().ids
        rows = []
        for lease_id in ids[:LEASES_SHOWN_MAX]:
            found = api.time_to_live(lease_id, keys=True)
            if found.ttl < 0:
                continue  # it has ended meanwhile
            keys = found.keys or ()
            row = {
                "id": f"{lease_id:x}",
                "granted_ms": round(found.granted_ttl * 1000),
                "remaining_ms": found.remaining_ms,
                "keys": [encoded(key) for key in keys[:LEASE_KEYS_SHOWN_MAX] if is_shown(key)],
                "key_count": len(keys),
                "is_probe": any(not is_shown(key) for key in keys),
            }
            rows.append(row)
        return {"count": len(ids), "leases": rows}


def outcome_of(work: Callable[[], T]) -> T:
    """What `work` returns; the cluster's refusals become MistakeErrors with one line."""
    try:
        return work()
    except LeaseholdError as error:
        raise MistakeError(explained(error.message)) from None
    except (TypeError, ValueError) as error:
        raise MistakeError(str(error)) from None


def is_shown(key: bytes) -> bool:
    """Whether a key is a user's, and not the probe client's."""
    return not key.startswith(PREFIX)


def encoded(data: bytes) -> str:
    """Bytes as the browser gets them."""
    return b64encode(data).decode()


def decoded(given: Any, name: str) -> bytes:
    """Bytes as the browser sends them, called `name`. Raises MistakeError."""
    try:
        return b64decode(given, validate=True)
    except (TypeError, ValueError):  # what JSON has beside texts is a TypeError
        raise MistakeError(f"{name} must be a text in base64") from None


def ttl_of(fields: dict[str, Any]) -> float:
    """The TTL of a put in seconds, 0 if there is none. Raises MistakeError."""
    given = fields.get("ttl", 0)
    is_number = isinstance(given, int | float) and not isinstance(given, bool)
    if not is_number or not 0 <= given <= LEASE_TTL_SECONDS_MAX:
        raise MistakeError(f"a TTL is a number of seconds from 0 to {LEASE_TTL_SECONDS_MAX}")
    return float(given)


def key_value(found: KeyValue) -> dict[str, Any]:
    """A key and its value for the browser; a long value is cut, and its length said."""
    row: dict[str, Any] = {
        "key": encoded(found.key),
        "value": encoded(found.value[:SHOWN_VALUE_BYTES_MAX]),
        "bytes": len(found.value),
        "revision": found.mod_revision,
        "version": found.version,
    }
    if found.lease:
        row["lease"] = f"{found.lease:x}"
    return row


def event(change: Event) -> dict[str, Any]:
    """A change of a key for the browser."""
    return {"type": change.type, "reason": change.reason, **key_value(change.kv)}
