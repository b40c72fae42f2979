"""The tables of the store's file: what a commit writes to each, and how values are read.

Owns which record goes into which table. The bytes of a record are `records.py`'s; the file, its
transactions and its errors are `backend.py`'s.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import lmdb

from actors.language.auth import Role, User
from actors.language.commands import KeyValue
from actors.store.deletion import Changes
from actors.store.disk.file_errors import FileErrors
from actors.store.disk.lmdb_files import ALARMS_KEY, STATE_KEY
from actors.store.records import (
    State,
    auth_key,
    decode_key_value,
    encode_alarms,
    encode_auth,
    encode_event,
    encode_lease,
    encode_member,
    encode_session,
    encode_session_result,
    encode_state,
    lease_key,
    position_key,
    session_key,
)
from actors.store.storage import SUB_BITS, AuthChange, Batch, SessionChange

PIECE_ROWS: Final = 100
PIECE_BYTES: Final = 64 * 1024
"""100 revisions, or 64 KiB of them, are given to LMDB at once: that is less work."""

ROW_BYTES: Final = 1_024
"""To write 1 KiB of a large record costs as much as a row."""

SESSION_COST: Final = 4
"""To write what became of one session costs as much as 4 rows."""


class Tables(NamedTuple):
    """LMDB's handles of the tables, in the order of `lmdb_files.TABLES`."""

    meta: Any
    revisions: Any
    leases: Any
    sessions: Any
    members: Any
    auth: Any


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


def cost_of(removed: list[int], batch: Batch) -> int:
    """About what it costs to write a commit, in rows; large values cost more."""
    rows = len(removed) + len(batch.events) + len(batch.leases)
    return rows + SESSION_COST * len(batch.sessions)


def put_batch(
    transaction: lmdb.Transaction,
    tables: Tables,
    errors: FileErrors,
    removed: list[int],
    batch: Batch,
) -> Iterator[int]:
    """Write everything of a commit, piece by piece; yields what each has cost, in rows."""
    for position in removed:
        if not transaction.delete(position_key(position), db=tables.revisions):
            raise errors.damaged(f": revision {position >> SUB_BITS} is missing")
        yield 1
    for records, size in _pieces(batch.events):
        # MDB_APPEND: no search for the place, and full pages; LMDB refuses keys that are not the
        # last.
        _, added = transaction.cursor(tables.revisions).putmulti(records, append=True)
        if added != len(records):
            raise errors.damaged(": it holds revisions that were never committed")
        yield len(records) + size // ROW_BYTES
    for lease_id, lease in batch.leases.items():
        if lease is None:
            transaction.delete(lease_key(lease_id), db=tables.leases)
        else:
            transaction.put(*encode_lease(lease), db=tables.leases)
        yield 1
    for session in batch.sessions:
        _put_session(transaction, tables, session)
        yield SESSION_COST
    # All members are written anew: a record of one that was removed must not be left.
    if batch.members:
        transaction.drop(tables.members, delete=False)
    for member in batch.members:
        transaction.put(*encode_member(member), db=tables.members)
    if batch.alarms is not None:
        alarms = encode_alarms(ALARMS_KEY, batch.alarms)
        transaction.put(ALARMS_KEY, alarms, db=tables.meta)
    if batch.auth is not None:
        yield _put_auth(transaction, tables, batch.auth)
    state = encode_state(STATE_KEY, State(batch.meta, transaction.id()))
    transaction.put(STATE_KEY, state, db=tables.meta)


def _put_auth(transaction: lmdb.Transaction, tables: Tables, change: AuthChange) -> int:
    """Write users and roles that have changed; what that has cost, in rows."""
    transaction.put(*encode_auth(change.state), db=tables.auth)
    named: list[tuple[type[User | Role], str, User | Role | None]] = []
    named += [(User, *each) for each in change.users.items()]
    named += [(Role, *each) for each in change.roles.items()]
    for kind, name, value in named:
        if value is None:
            transaction.delete(auth_key(kind, name), db=tables.auth)
        else:
            transaction.put(*encode_auth(value), db=tables.auth)
    return 1 + len(named)


def _pieces(events: Changes) -> Iterator[tuple[list[tuple[bytes, bytes]], int]]:
    """The records of changes in pieces, each with the bytes of its values."""
    records: list[tuple[bytes, bytes]] = []
    size = 0
    for position, event in events.items():
        records.append(encode_event(position, event))
        size += len(event[1][4])
        if len(records) == PIECE_ROWS or size >= PIECE_BYTES:
            yield records, size
            records, size = [], 0
    if records:
        yield records, size


def _put_session(transaction: lmdb.Transaction, tables: Tables, change: SessionChange) -> None:
    if change.record is None:
        transaction.delete(session_key(change.id), db=tables.sessions)
    else:
        transaction.put(*encode_session(change.record), db=tables.sessions)
    for seq in change.forgotten:
        transaction.delete(session_key(change.id, seq), db=tables.sessions)
    for seq, result in change.kept:
        transaction.put(*encode_session_result(change.id, seq, result), db=tables.sessions)
