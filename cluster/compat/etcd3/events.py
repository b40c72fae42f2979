"""The events of a watch, as python-etcd3 shows them."""

from __future__ import annotations

from cluster.client import results
from cluster.compat.etcd3.etcdrpc import NO_KEY_VALUE


class Event:
    """One change: the fields of the key, and with `prev_` before their names those it had."""

    key: bytes
    value: bytes
    create_revision: int
    mod_revision: int
    version: int
    lease: int
    prev_key: bytes
    prev_value: bytes
    prev_create_revision: int
    prev_mod_revision: int
    prev_version: int
    prev_lease: int

    def __init__(self, event: results.Event) -> None:
        before = event.prev_kv or NO_KEY_VALUE
        vars(self).update(event.kv._asdict())
        vars(self).update((f"prev_{name}", value) for name, value in before._asdict().items())

    def __repr__(self) -> str:
        return f"{type(self).__name__}(key={self.key!r}, value={self.value!r})"


class PutEvent(Event):
    """The key was put."""


class DeleteEvent(Event):
    """The key was deleted, or its lease has ended; there is no value."""


def new_event(event: results.Event) -> Event:
    """An event of the client as one of this package."""
    return PutEvent(event) if event.type == "PUT" else DeleteEvent(event)
