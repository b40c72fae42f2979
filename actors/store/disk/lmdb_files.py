"""Whole LMDB files of the store: create, open and copy them.

Knows the tables' names and the file's format number; refuses to know what the tables hold.
"""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Final

import lmdb

from actors.store.disk.pour import poured_into
from actors.store.records import encode_format
from cluster.private import open_file, opened, sync_directory

FORMAT_NUMBER: Final = 4
"""The number of this layout of tables and records. A file with another number is refused."""

FORMAT_KEY: Final = b"format"
STATE_KEY: Final = b"state"
ALARMS_KEY: Final = b"alarms"
"""The keys of the table `meta`; the one of alarms is there only if there ever was an alarm."""

TABLES: Final = (b"meta", b"revisions", b"leases", b"sessions", b"members", b"auth")
TABLES_MAX: Final = 16
"""LMDB must be told a limit when a file is opened; more tables than now cost little."""

SPARE_BYTES: Final = 128 * 1024 * 1024
"""A copy leaves this room: with less on the disk the log takes no writes (raft/disk/wal.py)."""

_FILE_MODE: Final = 0o600
_NEW_MAP_BYTES: Final = 1 << 20


def create(path: Path) -> None:
    """Create a store with empty tables.

    It is made whole under another name, then renamed: a crash must not leave half a store.
    """
    new = path.with_name(path.name + ".new")
    new.unlink(missing_ok=True)
    environment = open_environment(new, _NEW_MAP_BYTES, lock=False)
    try:
        with environment.begin(write=True) as transaction:
            tables = [environment.open_db(name, txn=transaction) for name in TABLES]
            record = encode_format(FORMAT_KEY, FORMAT_NUMBER)
            transaction.put(FORMAT_KEY, record, db=tables[0])
    finally:
        environment.close()
    new.rename(path)
    sync_directory(path.parent)


def has_room(directory: Path, needed_bytes: int) -> bool:
    """Whether `needed_bytes` fit on the disk, and leave enough room for the log to go on."""
    try:
        status = os.statvfs(directory)
    except OSError:
        return True  # the write that follows will fail, and say what is wrong
    return status.f_bavail * status.f_frsize >= needed_bytes + SPARE_BYTES


def write_copy(environment: lmdb.Environment, transaction: lmdb.Transaction, path: Path) -> None:
    """Write the commit that a transaction sees to a file, without unused pages, and sync it.

    LMDB gives the interpreter's lock up meanwhile, so other threads run, and the disk has pauses
    for others. A file of that name is what a crash has left of an earlier copy, and is removed.
    """
    path.unlink(missing_ok=True)
    file = open_file(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
    try:
        with poured_into(file) as pipe:
            environment.copyfd(pipe, compact=True, txn=transaction)
    finally:
        os.close(file)


def open_environment(
    path: Path, map_size_bytes: int, *, readonly: bool = False, lock: bool = True
) -> lmdb.Environment:
    """Open one file with LMDB; it needs no directory of its own.

    If need be, with descriptors that connections cannot have.
    """

    def opening() -> lmdb.Environment:
        try:
            return lmdb.open(
                str(path),
                subdir=False,
                max_dbs=TABLES_MAX,
                map_size=map_size_bytes,
                mode=_FILE_MODE,
                readonly=readonly,
                lock=lock,
            )
        except lmdb.Error as error:
            # LMDB's errors have no number, only the system's text.
            if os.strerror(errno.EMFILE) in str(error):
                raise OSError(errno.EMFILE, os.strerror(errno.EMFILE), str(path)) from error
            raise

    return opened(opening)
