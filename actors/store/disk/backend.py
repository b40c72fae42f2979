"""The store on disk: an LMDB file with a record for each change, committed in whole transactions.

It owns the file: how it is created, checked, grown, copied and replaced, and every way it can fail.
At a start the whole file is read once, page by page (`pages.py`), before LMDB may use it. What a
record holds is `records.py`'s. LMDB reuses freed pages, so only `compact` makes the file smaller.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice, takewhile
from pathlib import Path
from typing import Any, Final, NamedTuple

import lmdb

from actors.language.commands import Event, KeyValue
from actors.language.errors import StorageError
from actors.store.disk.compact_copy import CompactCopy, remove_leftovers
from actors.store.disk.copier import Copier, WhenDone, Work, no_more
from actors.store.disk.file_errors import UNREADABLE, FileErrors
from actors.store.disk.lmdb_files import (
    ALARMS_KEY,
    FORMAT_KEY,
    FORMAT_NUMBER,
    STATE_KEY,
    TABLES,
    create,
    has_room,
    open_environment,
)
from actors.store.disk.open_commit import LmdbCommit
from actors.store.disk.tables import Tables, get_key_values
from actors.store.pages import PageFile, Table
from actors.store.records import (
    decode_alarms,
    decode_auth,
    decode_event,
    decode_format,
    decode_lease,
    decode_member,
    decode_row,
    decode_sessions,
    decode_state,
    position_key,
    position_of,
)
from actors.store.steps import Steps, finish, portions
from actors.store.storage import EMPTY, SUB_BITS, Batch, LeaseRecord, Loaded, Meta, Row
from cluster.private import open_file, sync_directory

MAP_SIZE_BYTES: Final = 1 << 34
"""The address space reserved at first; it takes neither disk nor memory. A commit that does not fit
doubles it, and must wait for the end of a copy that is being made."""

CLOSE_SECONDS_MAX: Final = 3.0
"""How long `close` waits for a copy that is being made; then the copy ends with the process."""

_META_PAGES: Final = 2

_COPY_TRANSACTION: Final = 1
"""LMDB numbers the commits of a compact copy anew: its first state is commit 1."""


class _Walk(NamedTuple):
    """The walk through the whole file at a start: `load` begins it, `scan` ends it."""

    pages: PageFile
    tables: dict[bytes, Table]
    meta: Meta


class LmdbBackend:
    """Backend on one LMDB file, for one thread. The directory must exist; the file need not.

    With an `original` it is a copy of that backend's file, and only read until it is installed.
    """

    # Each commit opens a new one: an old reader sees the past, and keeps all its pages in use.
    _reader: lmdb.Transaction

    # The commit that was begun and has not ended.
    _commit: LmdbCommit | None = None

    def __init__(
        self,
        path: Path,
        map_size_bytes: int = MAP_SIZE_BYTES,
        original: LmdbBackend | None = None,
    ) -> None:
        self._path = path
        self._original = original
        self._errors = FileErrors(path, is_copy=original is not None)
        self._map_size_bytes = map_size_bytes
        self._walk: _Walk | None = None
        # What the next commit removes.
        self._removed: list[int] = []
        self._copier = Copier()
        # The compact copy that is being made and repeats every commit; None if there is none.
        self._compact_copy: CompactCopy | None = None
        self._is_open = False
        with self._errors.named():
            if original is None:
                remove_leftovers(path)
                if not path.exists():
                    create(path)
            self._file = open_file(path, os.O_RDONLY)
            try:
                self._check_format()
                self._open_environment()
            except BaseException:
                os.close(self._file)
                raise

    # --- Backend ---

    def load(self) -> Steps[Loaded]:
        """The state of the last commit, without the revisions."""
        self._forget_commit()
        with self._errors.named():
            pages = self._pages()
            with self._errors.located(pages):
                tables = pages.tables()
                records = dict(pages.records(tables[b"meta"]))
                meta = self._read_meta(pages, records)
                record = records.get(ALARMS_KEY)
                alarms = () if record is None else decode_alarms(ALARMS_KEY, record)
                leases: list[LeaseRecord] = []
                for portion in portions(pages.records(tables[b"leases"])):
                    leases += [decode_lease(*each) for each in portion]
                    yield
                sessions = yield from decode_sessions(pages.records(tables[b"sessions"]))
                members = tuple([decode_member(*e) for e in pages.records(tables[b"members"])])
                auth = decode_auth(pages.records(tables[b"auth"]))
        self._walk = _Walk(pages, tables, meta)
        return Loaded(meta, tuple(leases), sessions, members, alarms, auth)

    def scan(self) -> Iterator[Row]:
        """Every revision in order, without its value; at its end all of the file was checked."""
        if self._walk is None:
            finish(self.load())
        assert self._walk is not None
        (pages, tables, meta), self._walk = self._walk, None
        last = 0
        with self._errors.named(), self._errors.located(pages):
            for at, record in pages.records(tables[b"revisions"]):
                row = decode_row(at, record)
                last = row[0]
                yield row
            pages.check_free()
            revision = last >> SUB_BITS or EMPTY.revision
            if revision != meta.revision:
                raise ValueError(f"the last revision is {revision}, not {meta.revision}")

    def read(self, position: int) -> Event:
        """The change at a position that a commit has written; without prev_kv."""
        try:
            record: Any = self._reader.get(position_key(position), db=self._tables.revisions)
            if record is None:
                raise ValueError(f"revision {position >> SUB_BITS} is missing")
            return decode_event(position, record)
        except lmdb.Error as error:
            raise StorageError(f"{self._path}: {error}") from None
        except UNREADABLE as error:
            raise self._errors.damaged(f": {error}") from None

    def key_values(self, positions: list[int], bytes_max: int) -> list[KeyValue]:
        """What the changes at these positions have put, until one reaches `bytes_max`."""
        with self._reading():
            return get_key_values(self._reader, self._tables, positions, bytes_max)

    def rows(self, start: int, end: int, rows_max: int) -> list[Row]:
        """The committed changes in [start, end), in order: at most `rows_max`."""
        with self._records(start, end) as records:
            return [decode_row(at, record) for at, record in islice(records, rows_max)]

    def changes(
        self, start: int, end: int, changes_max: int, bytes_max: int
    ) -> list[tuple[int, Event]]:
        """The same with values: at most `changes_max`, until one reaches `bytes_max`."""
        found: list[tuple[int, Event]] = []
        with self._records(start, end) as records:
            for at, record in islice(records, changes_max):
                position = position_of(at)
                found.append((position, decode_event(position, record)))
                bytes_max -= len(record)
                if bytes_max <= 0:
                    break
        return found

    def remove(self, positions: list[int]) -> None:
        """Remove the changes at these positions with the next commit."""
        self._removed += positions

    def begin(self, batch: Batch) -> LmdbCommit:
        """Begin a commit of these changes and of the removals so far; `end` ends it."""
        assert self._commit is None, "one commit at a time"
        removed, self._removed = self._removed, []
        self._commit = LmdbCommit(self._environment, self._tables, self._errors, removed, batch)
        return self._commit

    def end(self) -> None:
        """The commit is durable; if the map was full, it is made now, with more room."""
        assert self._commit is not None, "a commit was begun"
        commit, self._commit = self._commit, None
        while commit.is_full:
            self._grow()
            commit = commit.again()
            commit.write_all()
            commit.sync()
        self._reader.abort()
        self._reader = self._environment.begin()
        if self._compact_copy is not None:
            self._compact_copy.note(commit.removed, commit.batch)

    def commit(self, batch: Batch) -> None:
        """Make the changes durable, atomically; they are on disk when this returns."""
        commit = self.begin(batch)
        commit.write_all()
        commit.sync()
        self.end()

    def size(self) -> tuple[int, int]:
        """The size of the file in bytes, and how many of them are in use."""
        page_bytes = self._environment.stat()["psize"]
        pages = _META_PAGES
        with self._errors.named():
            for table in self._tables:
                stat = self._reader.stat(table)
                pages += stat["branch_pages"] + stat["leaf_pages"] + stat["overflow_pages"]
            return os.fstat(self._file).st_size, pages * page_bytes

    @property
    def is_copying(self) -> bool:
        """Whether a copy is being made, so that another must wait."""
        return self._copier.is_busy or self._compact_copy is not None

    def copy(self, path: Path, done: WhenDone) -> None:
        """Begin to write the last commit to another file, while this one goes on."""
        self._begin_copy(path, done, no_more)

    def compact(self, done: WhenDone) -> None:
        """Begin to write what is in use to another file, which follows every later commit."""
        assert self._compact_copy is None, "one compact copy at a time"
        compact_copy = CompactCopy(self._path, LmdbBackend, done)
        self._begin_copy(compact_copy.path, compact_copy.done, compact_copy.catch_up)
        self._compact_copy = compact_copy

    def change_over(self) -> StorageError | None:
        """Let the compact file take this one's place, or say why not; call it after a commit."""
        compact_copy, self._compact_copy = self._compact_copy, None
        if compact_copy is None:
            return None  # a snapshot was installed meanwhile, and its file is compact, too
        assert not self._removed, "what is new was committed before"
        error = compact_copy.finish()
        if error is None:
            with self._errors.named():
                self._close_environment()
                os.close(self._file)
                compact_copy.replace()
                self._file = open_file(self._path, os.O_RDONLY)
                self._open_environment()
        return error

    def _begin_copy(self, path: Path, done: WhenDone, then: Work) -> None:
        if self.is_copying:
            done(StorageError(f"{path}: another copy is being made"))
            return
        if not has_room(path.parent, self.size()[1]):
            done(StorageError(f"{path}: the disk has too little room for a copy"))
            return
        # Begun here, not in the copier's thread: the copy must have the commit that is last now.
        with self._errors.named():
            transaction = self._environment.begin()
        self._copier.begin(self._environment, transaction, path, done, then)

    def open_copy(self, path: Path) -> LmdbBackend:
        """A backend on the copy at `path`, to be loaded and scanned, then installed or closed."""
        return LmdbBackend(path, self._map_size_bytes, original=self)

    def install(self) -> None:
        """Put this copy, durably and as a whole, in the place of the backend that has opened it."""
        original = self._original
        assert original is not None, "only a copy is installed"
        original._copier.wait()
        original.close()
        remove_leftovers(original._path)
        with self._errors.named():
            self._close_environment()
            # After a crash at any step a whole file, old or new, has the store's name.
            os.fsync(self._file)
            self._path.rename(original._path)
            sync_directory(original._path.parent)
            sync_directory(self._path.parent)
            self._path, self._original = original._path, None
            self._errors = original._errors
            self._open_environment()

    def discard_copy(self, path: Path) -> None:
        """Remove the copy at `path`, if there is one."""
        with self._errors.named():
            path.unlink(missing_ok=True)

    def close(self) -> None:
        """Close the file and free its memory; what was not committed is lost."""
        if self._copier.wait(CLOSE_SECONDS_MAX) and self._is_open:
            self._close_environment()
            os.close(self._file)

    # --- opening ---

    def _pages(self) -> PageFile:
        """A walk through the last commit that has not begun."""
        file = self._file
        return PageFile(lambda offset, size: os.pread(file, size, offset), os.fstat(file).st_size)

    def _check_format(self) -> None:
        """Refuse a file of another program or format, before LMDB reads a root that may kill it."""
        pages = self._pages()
        with self._errors.located(pages):
            tables = pages.tables()
            if not tables.keys() >= set(TABLES):
                raise self._errors.damaged(", or not a store of leasehold")
            records = dict(pages.records(tables[b"meta"]))
            number = decode_format(FORMAT_KEY, records.get(FORMAT_KEY, b""))
        if number != FORMAT_NUMBER:
            raise StorageError(
                f"{self._path}: format {number}; this program reads format {FORMAT_NUMBER}"
            )

    def _read_meta(self, pages: PageFile, records: dict[bytes, bytes]) -> Meta:
        record = records.get(STATE_KEY)
        if record is None:
            return EMPTY
        meta, transaction = decode_state(STATE_KEY, record)
        if pages.transaction not in (transaction, _COPY_TRANSACTION):
            raise ValueError(f"commit {pages.transaction} has the state of commit {transaction}")
        return meta

    def _open_environment(self) -> None:
        is_copy = self._original is not None
        self._environment = open_environment(
            self._path, self._map_size_bytes, readonly=is_copy, lock=not is_copy
        )
        self._map_size_bytes = self._environment.info()["map_size"]
        self._tables = Tables(*[self._environment.open_db(name, create=False) for name in TABLES])
        self._reader = self._environment.begin()
        self._is_open = True

    def _close_environment(self) -> None:
        self._is_open = False
        self._forget_commit()
        self._reader.abort()
        self._environment.close()

    # --- committing ---

    def _forget_commit(self) -> None:
        commit, self._commit, self._removed = self._commit, None, []
        if commit is not None:
            commit.abort()

    def _grow(self) -> None:
        # LMDB forbids open transactions while the map moves, and a copy has one.
        self._copier.wait()
        self._reader.abort()
        self._map_size_bytes *= 2
        try:
            self._environment.set_mapsize(self._map_size_bytes)
        except (lmdb.Error, OSError) as error:
            raise self._errors.unwritable(error) from None
        self._reader = self._environment.begin()

    @contextmanager
    def _records(self, start: int, end: int) -> Iterator[Iterator[tuple[bytes, bytes]]]:
        """The keys and records of the committed changes in [start, end)."""
        end_key = position_key(end)
        with self._reading(), self._reader.cursor(self._tables.revisions) as cursor:
            items: Any = cursor if cursor.set_range(position_key(start)) else ()
            yield takewhile(lambda item: item[0] < end_key, items)

    @contextmanager
    def _reading(self) -> Iterator[None]:
        """Give errors while committed changes are read the file's name."""
        try:
            yield
        except lmdb.Error as error:
            raise StorageError(f"{self._path}: {error}") from None
        except UNREADABLE as error:
            raise self._errors.damaged(f": {error}") from None
