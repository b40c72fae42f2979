"""A hash of all that one node holds (etcd's Maintenance.Hash): keys, leases, sessions and the rest.

While nothing is written it is the same at each call, and after a restart. Deadlines and times of
last use are left out, for they change without a change of the data. The hash is computed in steps:
leases and sessions that come or go meanwhile are as they were at its first step.
"""

from __future__ import annotations

from collections.abc import Iterable
from struct import Struct
from typing import Final
from zlib import crc32

from actors.language.commands import Member
from actors.language.results import WholeHashDone
from actors.store.alarms import AlarmTable
from actors.store.auth.table import AuthTable
from actors.store.digest import hash_revisions
from actors.store.integrity import hash_texts
from actors.store.leases import LeaseTable
from actors.store.mvcc import RevisionStore
from actors.store.sessions import SessionTable
from actors.store.steps import ITEMS_PER_STEP, Steps, sort

_PAIR: Final = Struct(">qq")


def hash_whole(
    store: RevisionStore,
    leases: LeaseTable,
    sessions: SessionTable,
    members: Iterable[Member],
    alarms: AlarmTable,
    auth: AuthTable,
) -> Steps[WholeHashDone]:
    """Hash everything as it is now; members are ordered by id."""
    revision = store.revision
    found = hash_texts(members, alarms, auth)
    pairs = [(lease.id, lease.ttl_ms) for lease in leases.table.values()]
    pairs += [(session_id, 0) for session_id in sessions.table]
    ordered = yield from sort(pairs, key=tuple)
    for start in range(0, len(ordered), ITEMS_PER_STEP):
        for pair in ordered[start : start + ITEMS_PER_STEP]:
            found = crc32(_PAIR.pack(*pair), found)
        yield
    keys = yield from hash_revisions(store, 0, revision + 1)
    return WholeHashDone(revision, crc32(keys.to_bytes(4), found))
