"""The helpers of python-etcd3 that programs call."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from cluster.client import requests
from cluster.client.requests import Key


def to_bytes(maybe_bytestring: Key) -> bytes:
    """A key or value as bytes."""
    return requests.to_bytes(maybe_bytestring)


def prefix_range_end(prefix: bytes) -> bytes:
    """The first key behind all that begin with a prefix."""
    return requests.prefix_end(prefix)


def lease_to_id(lease: Any) -> int:
    """The id of a lease, of which a program has the object or the id; 0 for None."""
    return int(getattr(lease, "id", lease) or 0)


def response_to_event_iterator(response_iterator: Iterable[Any]) -> Iterator[Any]:
    """The events of the responses of a watch, one by one."""
    for response in response_iterator:
        yield from response.events
