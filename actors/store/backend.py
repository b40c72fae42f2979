"""The store on disk: an LMDB file, append-only by revision, committed as a whole or not at all.

It owns the file's format and every way the file can be wrong. Revisions are keyed by position (8
bytes of main revision, 4 of sub, big-endian), so each commit appends in one go. It knows nothing of
what a revision means, and keeps no state that a crash could lose.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final
from zlib import crc32

import lmdb
import msgpack

from actors.store.codec import decode_result, encode_result
from actors.store.commands import Change, Event, KeyValue, Member, Result
from actors.store.storage import (
    EMPTY,
    SUB_BITS,
    Changes,
    LeaseRecord,
    Loaded,
    Meta,
    Row,
    SessionChange,
    SessionRecord,
    StorageError,
)

FORMAT_NUMBER: Final = 1
"""The layout below. A file of another format is refused, not guessed at."""

MAP_SIZE_BYTES: Final = 1 << 30
"""Address space reserved at first; doubled when a commit does not fit. It takes no disk."""

TABLES_MAX: Final = 16

_FORMAT_KEY: Final = b"format"
_META_KEY: Final = b"state"
_POSITION_BYTES: Final = 12
_META_PAGES: Final = 2

_FORMAT: Final = struct.Struct(">I")
_META: Final = struct.Struct(">QQQQ")
_LEASE_KEY: Final = struct.Struct(">q")
_LEASE: Final = struct.Struct(">qq")
_SESSION_KEY: Final = struct.Struct(
    ">QQ"
)  # session and number; number 0 is the session's own record
_SESSION: Final = struct.Struct(">QQQ")
_MEMBER_KEY: Final = struct.Struct(">Q")

_CHANGES: Final = tuple(Change)
_new: Final = tuple.__new__  # spares a NamedTuple's own constructor where it is made by thousands

_CHECKSUM: Final = struct.Struct(">I")
_HEAD: Final = struct.Struct(
    ">IBQQqI"
)  # checksum of the rest, change, create, version, lease, key bytes
_BODY: Final = struct.Struct(">BQQqI")


class LmdbBackend:
    """Backend on one LMDB file, for one thread. The directory must exist; the file need not."""

    # A commit opens a new one: a reader that stays open would see the past, and keep its pages.
    _reader: lmdb.Transaction

    def __init__(self, path: Path, map_size_bytes: int = MAP_SIZE_BYTES) -> None:
        self._path = path
        with self._named_errors():
            file_bytes = path.stat().st_size if path.exists() else 0
            while map_size_bytes < 2 * file_bytes:
                map_size_bytes *= 2
            self._map_size_bytes = map_size_bytes
            self._environment = lmdb.open(
                str(path), subdir=False, max_dbs=TABLES_MAX, map_size=map_size_bytes
            )
            try:
                self._open(file_bytes)
            except BaseException:
                self._environment.close()
                raise

    # --- Backend ---

    def load(self) -> Loaded:
        """The state of the last commit, without the revisions."""
        with self._named_errors():
            reader = self._reader
            packed = reader.get(_META_KEY, db=self._meta)
            meta = EMPTY if packed is None else Meta(*_META.unpack(packed))
            self._check_last_revision(meta)
            leases = tuple(
                LeaseRecord(*_LEASE_KEY.unpack(key), *_LEASE.unpack(value))
                for key, value in reader.cursor(self._leases)
            )
            members = tuple(
                Member(*_MEMBER_KEY.unpack(key), *msgpack.unpackb(value, use_list=False))
                for key, value in reader.cursor(self._members)
            )
            sessions = _load_sessions(reader.cursor(self._sessions))
        return Loaded(meta, leases, sessions, members)

    def scan(self) -> Iterator[Row]:
        """Every revision in order, without its value."""
        unpack, key_from = _HEAD.unpack_from, _HEAD.size
        with self._named_errors(), self._environment.begin(buffers=True) as transaction:
            for position, record in transaction.cursor(self._revisions):
                _, change, create_revision, version, lease, key_bytes = unpack(record)
                key = bytes(record[key_from : key_from + key_bytes])
                number = int.from_bytes(position, "big")
                yield number, change, key, create_revision, version, lease

    def read(self, position: int) -> Event:
        """The change at a position that a commit has written; without prev_kv."""
        try:
            record: Any = self._reader.get(
                position.to_bytes(_POSITION_BYTES, "big"), db=self._revisions
            )
        except lmdb.Error as error:
            raise StorageError(f"{self._path}: {error}") from None
        if record is None:
            raise self._damaged(f"revision {position >> SUB_BITS} is missing")
        try:
            return _decode(position, record)
        except (ValueError, IndexError, struct.error):
            raise self._damaged(f"revision {position >> SUB_BITS} has a wrong checksum") from None

    def commit(self, changes: Changes) -> None:
        """Make the changes durable, atomically; they are on disk when this returns."""
        records = [
            (position.to_bytes(_POSITION_BYTES, "big"), _encode(event))
            for position, event in changes.events.items()
        ]
        with self._named_errors():
            while not self._maybe_write(changes, records):
                self._grow()
            self._reader.abort()
            self._reader = self._environment.begin()

    def size(self) -> tuple[int, int]:
        """Bytes taken from the disk, and bytes of these in use."""
        page_bytes = self._environment.stat()["psize"]
        pages = _META_PAGES
        with self._named_errors():
            for table in self._tables:
                stat = self._reader.stat(table)
                pages += stat["branch_pages"] + stat["leaf_pages"] + stat["overflow_pages"]
            return self._path.stat().st_size, pages * page_bytes

    def close(self) -> None:
        """Give files and memory back; what was not committed is lost."""
        self._reader.abort()
        self._environment.close()

    # --- opening ---

    def _open(self, file_bytes: int) -> None:
        if not self._environment.stat()["entries"]:
            self._create_tables()
            self._reader = self._environment.begin()
            return
        needed_bytes = (self._environment.info()["last_pgno"] + 1) * self._environment.stat()[
            "psize"
        ]
        if file_bytes >= needed_bytes:
            self._open_tables()
            return
        # A page past the end of the file would kill the process. LMDB may leave unused pages
        # off the end, so a short file can be sound: fill it up and see.
        os.truncate(self._path, needed_bytes)
        try:
            self._open_tables()
            self._verify_all()
        except BaseException:
            os.truncate(self._path, file_bytes)
            raise

    def _create_tables(self) -> None:
        """A new file: tables and format number appear together or not at all."""
        with self._environment.begin(write=True) as transaction:
            self._open_each(txn=transaction, create=True)
            transaction.put(_FORMAT_KEY, _FORMAT.pack(FORMAT_NUMBER), db=self._meta)
        descriptor = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def _open_tables(self) -> None:
        try:
            self._open_each(create=False)
        except (lmdb.NotFoundError, lmdb.IncompatibleError):
            raise StorageError(f"{self._path}: not a store of leasehold") from None
        self._reader = self._environment.begin()
        packed = self._reader.get(_FORMAT_KEY, db=self._meta)
        if packed != _FORMAT.pack(FORMAT_NUMBER):
            found = "none" if packed is None else str(int.from_bytes(packed, "big"))
            raise StorageError(
                f"{self._path}: format {found}; this program reads format {FORMAT_NUMBER}"
            )

    def _open_each(self, **options: Any) -> None:
        open_table = self._environment.open_db
        self._meta = open_table(b"meta", **options)
        self._revisions = open_table(b"revisions", **options)
        self._leases = open_table(b"leases", **options)
        self._sessions = open_table(b"sessions", **options)
        self._members = open_table(b"members", **options)
        self._tables = (self._meta, self._revisions, self._leases, self._sessions, self._members)

    def _verify_all(self) -> None:
        """Read everything there is; anything wrong raises."""
        self.load()
        for position, _ in self._reader.cursor(self._revisions).iternext():
            self.read(int.from_bytes(position, "big"))

    def _check_last_revision(self, meta: Meta) -> None:
        cursor = self._reader.cursor(self._revisions)
        if not cursor.last():
            return
        last = int.from_bytes(cursor.key(), "big") >> SUB_BITS
        if last != meta.revision:
            raise self._damaged(f"it ends at revision {last} and should at {meta.revision}")

    # --- committing ---

    def _maybe_write(self, changes: Changes, records: list[tuple[bytes, bytes]]) -> bool:
        """Whether all is durable now; when the map was too small for it, nothing is."""
        try:
            with self._environment.begin(write=True) as transaction:
                if records:
                    cursor = transaction.cursor(self._revisions)
                    _, added = cursor.putmulti(records, append=True)
                    if added != len(records):
                        raise self._damaged("it holds revisions that were never committed")
                for lease_id, record in changes.leases.items():
                    self._write_lease(transaction, lease_id, record)
                for session in changes.sessions:
                    self._write_session(transaction, session)
                for member_id, *fields in changes.members:
                    value = msgpack.packb(fields)
                    transaction.put(_MEMBER_KEY.pack(member_id), value, db=self._members)
                transaction.put(_META_KEY, _META.pack(*changes.meta), db=self._meta)
        except lmdb.MapFullError:
            return False
        return True

    def _write_lease(
        self, transaction: lmdb.Transaction, lease_id: int, record: LeaseRecord | None
    ) -> None:
        key = _LEASE_KEY.pack(lease_id)
        if record is None:
            transaction.delete(key, db=self._leases)
        else:
            value = _LEASE.pack(record.ttl_ms, record.deadline_ms)
            transaction.put(key, value, db=self._leases)

    def _write_session(self, transaction: lmdb.Transaction, change: SessionChange) -> None:
        table = self._sessions
        if change.record is None:
            transaction.delete(_SESSION_KEY.pack(change.id, 0), db=table)
        else:
            _, *fields = change.record
            transaction.put(_SESSION_KEY.pack(change.id, 0), _SESSION.pack(*fields), db=table)
        for seq in change.forgotten:
            transaction.delete(_SESSION_KEY.pack(change.id, seq), db=table)
        for seq, result in change.kept:
            transaction.put(_SESSION_KEY.pack(change.id, seq), encode_result(result), db=table)

    def _grow(self) -> None:
        # No transaction may be open while the map moves.
        self._reader.abort()
        self._map_size_bytes *= 2
        self._environment.set_mapsize(self._map_size_bytes)
        self._reader = self._environment.begin()

    # --- faults ---

    @contextmanager
    def _named_errors(self) -> Iterator[None]:
        """LMDB's and the system's errors, and values that do not decode, name the file."""
        try:
            yield
        except (lmdb.Error, OSError) as error:
            raise StorageError(f"{self._path}: {error}") from None
        except (ValueError, TypeError, IndexError, struct.error) as error:
            raise self._damaged(str(error)) from None

    def _damaged(self, what: str) -> StorageError:
        return StorageError(f"{self._path}: the file is damaged: {what}")


def _encode(event: Event) -> bytes:
    change, kv, _ = event
    key, create_revision, _, version, value, lease = kv
    body = _BODY.pack(change, create_revision, version, lease, len(key)) + key + value
    return _CHECKSUM.pack(crc32(body)) + body


def _decode(position: int, record: bytes) -> Event:
    """Raises ValueError, IndexError or struct.error for what `_encode` did not make."""
    checksum, change, create_revision, version, lease, key_bytes = _HEAD.unpack_from(record)
    if crc32(memoryview(record)[_CHECKSUM.size :]) != checksum:
        raise ValueError("wrong checksum")
    value_from = _HEAD.size + key_bytes
    key = record[_HEAD.size : value_from]
    revision = position >> SUB_BITS
    fields = (key, create_revision, revision, version, record[value_from:], lease)
    kv = _new(KeyValue, fields)
    return _new(Event, (_CHANGES[change], kv, None))


def _load_sessions(cursor: lmdb.Cursor) -> tuple[tuple[SessionRecord, dict[int, Result]], ...]:
    sessions: list[tuple[SessionRecord, dict[int, Result]]] = []
    for key, value in cursor:
        session_id, seq = _SESSION_KEY.unpack(key)
        if seq == 0:
            sessions.append((SessionRecord(session_id, *_SESSION.unpack(value)), {}))
        elif sessions and sessions[-1][0].id == session_id:
            sessions[-1][1][seq] = decode_result(bytes(value))
        else:
            raise ValueError(f"a result of session {session_id}, which does not exist")
    return tuple(sessions)
