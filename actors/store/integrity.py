"""Whether the members hold the same: what each hashes of its state, and whom the hashes accuse.

A check is an entry of the log. It names a slice of revisions, small enough to be hashed in idle
time. Slice by slice, a round checks all revisions; its first check also has the leases, sessions,
members and alarms as they are at that entry. Every member reports its hash through the log. Only
the hashes decide who is accused; what follows from that is the alarm's.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable
from struct import Struct
from typing import Final, NamedTuple
from zlib import crc32

from actors.language.commands import IntegrityCheck, Member
from actors.store.alarms import AlarmTable
from actors.store.auth.table import AuthTable
from actors.store.leases import LeaseTable
from actors.store.mvcc import RevisionStore
from actors.store.sessions import SessionTable
from actors.store.steps import BYTES_PER_STEP, ITEMS_PER_STEP, Steps
from actors.store.storage import SUB_BITS

SLICE_CHANGES: Final = 2_048
SLICE_BYTES: Final = 8 * 1024 * 1024
"""A slice ends with the revision in which it reaches 2,048 changes, or 8 MiB of values."""

RECORDS_MAX: Final = 2_000
"""Of more than 2,000 leases, or sessions, each round checks only a part: a hash of all of them
would hold up the entries behind it."""

_LEASE: Final = Struct(">qqqQ")
_SESSION: Final = Struct(">QQQQQ")


class Check(NamedTuple):
    """A check as it was applied here: its entry, the compact revision then, the state's hash."""

    index: int  # type: ignore[assignment]  # hides tuple.index, which nobody calls
    command: IntegrityCheck
    compact_revision: int
    state_hash: int


# --- what is hashed ---------------------------------------------------------------------------


def next_slice(store: RevisionStore, start: int) -> Steps[tuple[int, int]]:
    """Start and end of the next slice; after the last revision the first slice comes again."""
    changes = count = size = 0
    at, end = start << SUB_BITS, (store.revision + 1) << SUB_BITS
    while found := store.changes(at, end, ITEMS_PER_STEP, BYTES_PER_STEP):
        changes += len(found)
        size += sum(len(event.kv.value) for _, event in found)
        at = found[-1][0] + 1
        count += 1
        if changes >= SLICE_CHANGES or size >= SLICE_BYTES:
            return start, (at >> SUB_BITS) + 1
        yield
    if not count and start:
        return (yield from next_slice(store, 0))
    return start, end >> SUB_BITS


def hash_state(
    index: int,
    leases: LeaseTable,
    sessions: SessionTable,
    members: Iterable[Member],
    alarms: AlarmTable,
    auth: AuthTable,
) -> int:
    """The CRC-32 of all state but the keys, at the entry with this index."""
    found = 0
    for lease_id in _share(index, leases.table):
        lease = leases.table[lease_id]
        found = crc32(_LEASE.pack(*lease.record()), found)
    for session_id in _share(index, sessions.table):
        session = sessions.table[session_id]
        fields = (session.id, session.used_index, session.used_ms, session.floor, session.owner)
        found = crc32(_SESSION.pack(*fields), found)
    return hash_texts(members, alarms, auth, found)


def hash_texts(
    members: Iterable[Member], alarms: AlarmTable, auth: AuthTable, found: int = 0
) -> int:
    """The CRC-32 of members, in their order, alarms, users and roles.

    `found` is that of what came before.
    """
    texts = [repr(tuple(member)) for member in members]
    texts += [f"{member_id} {int(alarm)}" for member_id, alarm in alarms]
    return auth.hash(crc32("\n".join(texts).encode(), found))


def _share(index: int, ids: Collection[int]) -> list[int]:
    """The ids whose turn it is, sorted: all, or of many an equal share by remainder.

    The entry's index chooses the share, so that every member hashes the same one.
    """
    shares = len(ids) // RECORDS_MAX + 1
    turn = index % shares
    return sorted(ids if shares == 1 else [each for each in ids if each % shares == turn])


# --- what the hashes say ----------------------------------------------------------------------


class Tally:
    """The hashes that members have reported for one check, which `leader` proposed."""

    def __init__(self, index: int, leader: int) -> None:
        self.index = index
        self._leader = leader
        self._hashes: dict[int, int] = {}

    def add(self, member_id: int, found: int) -> None:
        """A member has reported; only its first report counts."""
        self._hashes.setdefault(member_id, found)

    def is_complete(self, members: Collection[int]) -> bool:
        """Whether all members have reported."""
        return self._hashes.keys() >= set(members)

    def accused(self, members: Collection[int]) -> list[int]:
        """The members whose hash differs from that of the majority.

        Without a majority they are those that differ from the leader; if the leader has not
        reported either, none. A member that has not reported is never accused.
        """
        hashes = {each: found for each, found in self._hashes.items() if each in members}
        if len(set(hashes.values())) <= 1:
            return []
        ((common, count),) = Counter(hashes.values()).most_common(1)
        # A majority of all members, not of those that reported: 2 equal ones of 5 prove little.
        if 2 * count <= len(members):
            if self._leader not in hashes:
                return []
            common = hashes[self._leader]
        return sorted(each for each, found in hashes.items() if found != common)
