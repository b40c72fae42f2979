"""The tables of the store's file: what a commit writes to each, and how values are read.

Owns which record goes into which table. The bytes of a record are `records.py`'s; the file, its
transactions and its errors are `backend.py`'s.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import lmdb

from actors.language.commands import KeyValue
from actors.store.disk.lmdb_files import ALARMS_KEY, STATE_KEY
from actors.store.records import (
    State,
    decode_key_value,
    encode_alarms,
    encode_lease,
    encode_member,
    encode_session,
    encode_session_result,
    encode_state,
    lease_key,
    position_key,
    session_key,
)
from actors.store.storage import SUB_BITS, Batch, SessionChange


class Tables(NamedTuple):
    """LMDB's handles of the tables, in the order of `lmdb_files.TABLES`."""

    meta: Any
    revisions: Any
    leases: Any
    sessions: Any
    members: Any


def put_revisions(
    transaction: lmdb.Transaction, tables: Tables, records: list[tuple[bytes, bytes]]
) -> bool:
    """Append revisions; False if the table has these or later ones already."""
    if not records:
        return True
    # MDB_APPEND: no search for the place, and full pages; LMDB refuses keys that are not the last.
    _, added = transaction.cursor(tables.revisions).putmulti(records, append=True)
    return bool(added == len(records))


def get_key_values(
    transaction: lmdb.Transaction, tables: Tables, positions: list[int], bytes_max: int
) -> list[KeyValue]:
    """What these changes have put, until one reaches `bytes_max`; ValueError for damage."""
    found: list[KeyValue] = []
    with transaction.cursor(tables.revisions) as cursor:
        get = cursor.get
        for position in positions:
            record: Any = get(position_key(position))
            if record is None:
                raise ValueError(f"revision {position >> SUB_BITS} is missing")
            found.append(decode_key_value(position, record))
            bytes_max -= len(record)
            if bytes_max <= 0:
                break
    return found


def put_batch(transaction: lmdb.Transaction, tables: Tables, batch: Batch) -> None:
    """Write everything of a commit except its revisions."""
    for lease_id, lease in batch.leases.items():
        if lease is None:
            transaction.delete(lease_key(lease_id), db=tables.leases)
        else:
            transaction.put(*encode_lease(lease), db=tables.leases)
    for session in batch.sessions:
        _put_session(transaction, tables, session)
    # All members are written anew: a record of one that was removed must not be left.
    if batch.members:
        transaction.drop(tables.members, delete=False)
    for member in batch.members:
        transaction.put(*encode_member(member), db=tables.members)
    if batch.alarms is not None:
        alarms = encode_alarms(ALARMS_KEY, batch.alarms)
        transaction.put(ALARMS_KEY, alarms, db=tables.meta)
    state = encode_state(STATE_KEY, State(batch.meta, transaction.id()))
    transaction.put(STATE_KEY, state, db=tables.meta)


def _put_session(transaction: lmdb.Transaction, tables: Tables, change: SessionChange) -> None:
    if change.record is None:
        transaction.delete(session_key(change.id), db=tables.sessions)
    else:
        transaction.put(*encode_session(change.record), db=tables.sessions)
    for seq in change.forgotten:
        transaction.delete(session_key(change.id, seq), db=tables.sessions)
    for seq, result in change.kept:
        transaction.put(*encode_session_result(change.id, seq, result), db=tables.sessions)
