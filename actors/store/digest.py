"""A hash of what a store holds, equal on all members: of each change that somebody may still see.

Those are all changes after the compacted revision, and the changes up to it that set a value which
still existed at it. So a sweep, a restart or a snapshot makes no difference. The hash is computed
in steps, in the order of revisions; changes that come meanwhile do not alter it.
"""

from __future__ import annotations

from struct import Struct
from typing import Final
from zlib import crc32

from actors.language.commands import Event
from actors.language.queries import HashKV
from actors.language.results import Failure, HashDone
from actors.store.mvcc import COMPACTED, FUTURE_REVISION, RevisionStore
from actors.store.steps import BYTES_PER_STEP, ITEMS_PER_STEP, Steps
from actors.store.storage import SUB_BITS

_HEAD: Final = Struct(">QIBQQqII")
"""Revision, sub, change, create_revision, version, lease, bytes of key and value."""

_SUB_MASK: Final = (1 << SUB_BITS) - 1


def read_hash(store: RevisionStore, query: HashKV, now: int) -> Steps[HashDone | Failure]:
    """Hash everything up to a revision; as in etcd, it must be above the compacted one."""
    compacted = store.compact_revision
    if query.revision > now:
        return FUTURE_REVISION
    if 0 < query.revision <= compacted:
        return COMPACTED
    until = query.revision if query.revision > 0 else now
    found = yield from hash_revisions(store, 0, until + 1)
    return HashDone(now, found, compacted, until)


def hash_revisions(store: RevisionStore, start: int, end: int) -> Steps[int]:
    """The CRC-32 of what may still be seen of the changes in revisions [start, end).

    From its first step to its last, nothing may be swept that a later compaction outdates.
    """
    compacted = (max(0, store.compact_revision) + 1) << SUB_BITS
    at, until = start << SUB_BITS, end << SUB_BITS
    found = 0
    while changes := store.changes(at, until, ITEMS_PER_STEP, BYTES_PER_STEP):
        for position, event in changes:
            if position >= compacted or is_visible(store, position, event, compacted):
                found = _add(found, position, event)
        at = changes[-1][0] + 1
        if at >= until:
            break
        yield
    return found


def is_visible(store: RevisionStore, position: int, event: Event, compacted: int) -> bool:
    """Whether a change set the value that its key had at the compacted revision."""
    return store.index.position_at(event.kv.key, (compacted >> SUB_BITS) - 1) == position


def _add(found: int, position: int, event: Event) -> int:
    change, kv, _ = event
    key, create_revision, revision, version, value, lease = kv
    head = _HEAD.pack(
        revision,
        position & _SUB_MASK,
        change,
        create_revision,
        version,
        lease,
        len(key),
        len(value),
    )
    return crc32(value, crc32(key, crc32(head, found)))
