"""What a machine begins with: read from its backend at a start, or in steps beside another one.

It joins what the backend keeps apart: the index is made of all changes, and each key's last change
names its lease. What the state means is the machine's.
"""

from __future__ import annotations

from typing import NamedTuple

from actors.language.errors import StorageError
from actors.store.index import KeyIndex
from actors.store.leases import LeaseTable
from actors.store.steps import Steps, portions
from actors.store.storage import Backend, Loaded


class Found(NamedTuple):
    """All of a backend's state; `leases` has each lease with its keys."""

    loaded: Loaded
    key_index: KeyIndex
    leases: LeaseTable


def read_all(backend: Backend, leases_max: int, *, at_once: bool = False) -> Steps[Found]:
    """Read and check all that a backend has; `at_once`: nothing waits, so long steps are no harm.

    Damage is a StorageError, in any step.
    """
    loaded = yield from backend.load()
    index, leases = KeyIndex(), LeaseTable(leases_max)
    compact_revision = loaded.meta.compact_revision
    yield from index.rebuild(backend.scan(), compact_revision, at_once=at_once)
    for records in portions(loaded.leases):
        leases.restore(records)
        yield
    table = leases.table
    for portion in portions(index.live.items()):
        for key, live in portion:
            if live[3]:
                if live[3] not in table:
                    raise StorageError(f"the store's key {key!r} names the missing lease {live[3]}")
                leases.move(key, 0, live[3])
        yield
    return Found(loaded, index, leases)
