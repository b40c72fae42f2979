"""Snapshot files without a cluster: what one holds, and how a new cluster's member is made of one.

A file is checked as a whole before anything is made of it. A restored member belongs to a new
cluster, not to that of the snapshot: it has a new cluster id, new first members, no sessions and no
Raft state, and its log begins after the snapshot. Users stay as they were. Keys of members are
those that the flags name, never those of the snapshot. Starts nothing and prints nothing.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Final, NamedTuple
from zlib import crc32

import lmdb

from actors.language.commands import Change, Event, KeyValue, Member
from actors.language.errors import StorageError, described
from actors.member_keys import find_keys, with_own_key
from actors.offline.recovery import founder
from actors.raft.disk.wal import Wal
from actors.raft.disk.wal_reader import Identity
from actors.raft.log import FIRST_TERM, LogStart
from actors.raft.membership import Membership, encode, first_membership
from actors.raft.rpc import HardState
from actors.store.disk.backend import LmdbBackend
from actors.store.disk.lmdb_files import (
    FORMAT_KEY,
    FORMAT_NUMBER,
    STATE_KEY,
    TABLES,
)
from actors.store.disk.snapshot_file import is_sealed, verify
from actors.store.pages import PageError, PageFile
from actors.store.records import decode_format, decode_row, decode_state, unseal
from actors.store.steps import finish
from actors.store.storage import EMPTY, SUB_BITS, Batch, Loaded, SessionChange
from cluster.config import NodeConfig
from cluster.identity import InitialMember, first_eight
from cluster.key_files import MEMBER_FILE
from cluster.private import create, make_directory, sync_directory

REVISION_BUMP: Final = 10_000_000_000
"""By default the revision of a restored store is this much higher than the snapshot's.

All that the old cluster has written since the snapshot is below it, at 10,000 writes a second for
eleven days. A watcher that has seen such a revision, and asks for later events, then hears that the
revision is compacted; it does not miss events unknowingly. After 900,000 restores revisions are
still below 2^53, where the exact integers of JSON end.
"""

_COPY_BYTES: Final = 4 * 1024 * 1024
_KEPT: Final = {MEMBER_FILE.parent.name}


class SnapshotStatus(NamedTuple):
    """What `snapshot status` shows; `total_keys` counts revisions of keys, as etcd does."""

    hash: int
    revision: int
    total_keys: int
    total_bytes: int


class _Source(NamedTuple):
    """A snapshot file that was checked; its first `store_bytes` are the store's."""

    path: Path
    store_bytes: int


# --- status -----------------------------------------------------------------------------------


def status_of(path: Path) -> SnapshotStatus:
    """Check a snapshot file, every byte of it. Raises StorageError."""
    source = _source(path, skip_hash_check=False)
    with _named_errors(path):
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            return _status(source, file)
        finally:
            os.close(file)


def _status(source: _Source, file: int) -> SnapshotStatus:
    pages = PageFile(lambda offset, size: os.pread(file, size, offset), source.store_bytes)
    tables = pages.tables()
    if not tables.keys() >= set(TABLES):
        raise StorageError(f"{source.path}: not a snapshot of leasehold")
    checksum = total_keys = 0
    revision = EMPTY.revision
    # In the order of their names. The free list can be checked only after all tables were read.
    for name in sorted(tables):
        for key, record in pages.records(tables[name]):
            checksum = crc32(record, crc32(key, checksum))
            if name == b"revisions":
                decode_row(key, record)
                total_keys += 1
            elif (name, key) == (b"meta", FORMAT_KEY):
                number = decode_format(key, record)
                if number != FORMAT_NUMBER:
                    raise StorageError(f"{source.path}: format {number}, not {FORMAT_NUMBER}")
            elif (name, key) == (b"meta", STATE_KEY):
                revision = decode_state(key, record).meta.revision
            else:
                unseal(key, record)
    pages.check_free()
    total_bytes = os.fstat(file).st_size
    return SnapshotStatus(checksum, revision, total_keys, total_bytes)


# --- restore ----------------------------------------------------------------------------------


class Restored(NamedTuple):
    """Whether members had keys in the cluster that the snapshot is of, and have in the new one."""

    had_keys: bool
    have_keys: bool


def restore(path: Path, config: NodeConfig, bump: int, skip_hash_check: bool) -> Restored:
    """Make the data directory of a first member of a new cluster. Raises StorageError.

    Every first member is made of the same file with the same flags. The directory gets its name
    once all its files are durable. It may hold the key of the member beforehand, and nothing else.
    """
    data_dir = config.data_dir
    if data_dir.is_symlink() and data_dir.is_dir():
        data_dir = data_dir.resolve()
    _refuse_used(data_dir)
    source = _source(path, skip_hash_check)
    with _named_errors(data_dir), _taken(data_dir) as part:
        config = with_own_key(config, find_keys(config))
        digest = _copy(source, part / "store")
        founders = first_membership(tuple(map(founder, config.members)))
        index, had_keys = _restore_store(part / "store", config, founders, bump)
        identity = Identity(config.member_id, _cluster_id(config, digest, bump))
        wal, _ = Wal.create(part / "wal", identity, founders)
        start = LogStart(index, FIRST_TERM, founders)
        wal.reset(HardState(FIRST_TERM, 0, index), (), start)
        wal.close()
    return Restored(had_keys, config.have_members_keys)


@contextmanager
def _taken(data_dir: Path) -> Iterator[Path]:
    """An empty directory for this process alone, which becomes the data directory in the end.

    The kernel drops its lock when the process ends. Files left by a process that died are removed,
    but for the keys that it had taken over from the data directory.
    """
    part = data_dir.with_name(data_dir.name + ".part")
    make_directory(part)
    file = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        is_locked = _maybe_lock(file, part)
        _refuse_used(data_dir)
        if not is_locked:
            raise StorageError(f"another process is restoring to {data_dir} just now")
        _move_keys(part, data_dir)
        for left in part.iterdir():
            shutil.rmtree(left) if left.is_dir() else left.unlink()
        try:
            yield part
            _move_keys(data_dir, part)
            sync_directory(part)
            part.rename(data_dir)
        except BaseException:
            _move_keys(part, data_dir)
            shutil.rmtree(part, ignore_errors=True)
            raise
        sync_directory(data_dir.parent)
    finally:
        os.close(file)


def _move_keys(source: Path, target: Path) -> None:
    """Move the keys of a member from one directory to another, if they are in the first alone."""
    keys = MEMBER_FILE.parent
    if (source / keys).is_dir() and not (target / keys).exists():
        make_directory(target)
        (source / keys).rename(target / keys)
        sync_directory(target)


def _maybe_lock(file: int, path: Path) -> bool:
    """Lock an open directory; False if another process holds it, or has just renamed it."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return os.path.samestat(os.fstat(file), path.stat())
    except (BlockingIOError, FileNotFoundError):
        return False


def _cluster_id(config: NodeConfig, digest: bytes, bump: int) -> int:
    """The id of the new cluster, the same for members made of the same file and flags.

    Members that are made in different ways have different ids, and ignore each other.
    """
    members = b"".join(each.id.to_bytes(8, "big") for each in config.members)
    return first_eight(members + digest + bump.to_bytes(8, "big"))


def _restore_store(
    path: Path, config: NodeConfig, founders: Membership, bump: int
) -> tuple[int, bool]:
    """Make the copied store a new cluster's; returns the log index up to which it is applied, and
    whether its members had keys."""
    backend = LmdbBackend(path)
    try:
        loaded = finish(backend.load())
        for _ in backend.scan():
            pass  # reading a record checks it
        batch = changes_of(loaded, config.members, founders, bump)
        backend.commit(batch)
    finally:
        backend.close()
    path.with_name(path.name + "-lock").unlink(missing_ok=True)
    return batch.meta.applied_index, any(member.keys for member in loaded.members)


def changes_of(
    loaded: Loaded, members: Iterable[InitialMember], founders: Membership, bump: int
) -> Batch:
    """The changes that make the store in a snapshot that of a new cluster."""
    meta = loaded.meta
    revision = meta.revision + bump
    meta = meta._replace(
        applied_term=FIRST_TERM,
        membership=encode(founders),
        revision=revision,
    )
    events: dict[int, Event] = {}
    if bump:
        meta = meta._replace(compact_revision=revision)
        # A store's revision is that of its last change. So one is added at the new revision: the
        # tombstone of the empty key, which no client can have.
        nothing = KeyValue(b"", 0, revision, 0, b"", 0)
        events[revision << SUB_BITS] = Event(Change.DELETED, nothing, None)
    # All sessions are dropped. Their clients may go on in the old cluster, or in another one that
    # is made of the same snapshot; a client that comes here is told that its session is unknown,
    # and opens a new one.
    sessions = tuple(
        SessionChange(record.id, None, (), tuple(results)) for record, results in loaded.sessions
    )
    first = tuple(_unstarted(each) for each in members)
    return Batch(meta, events, {}, sessions, first, alarms=())


def _unstarted(member: InitialMember) -> Member:
    keys = founder(member).keys
    return Member(member.id, member.name, member.peer_urls, (), is_learner=False, keys=keys)


# --- the file ---------------------------------------------------------------------------------


def _source(path: Path, skip_hash_check: bool) -> _Source:
    """Check the seal of a snapshot file.

    A store's own file has no seal: it is taken only with `skip_hash_check`.
    """
    if is_sealed(path) or not skip_hash_check:
        return _Source(path, verify(path))
    return _Source(path, path.stat().st_size)


def _copy(source: _Source, target: Path) -> bytes:
    """Copy the store out of a snapshot; returns its SHA-256."""
    hashed = sha256()
    with create(target) as new:
        for data in _read(source):
            hashed.update(data)
            with _named_errors(target):
                new.write(data)
        with _named_errors(target):
            new.flush()
            os.fsync(new.fileno())
    return hashed.digest()


def _read(source: _Source) -> Iterator[bytes]:
    with _named_errors(source.path), source.path.open("rb") as file:
        left = source.store_bytes
        while left:
            data = file.read(min(left, _COPY_BYTES))
            if not data:
                raise StorageError(f"{source.path}: the file became shorter while it was read")
            left -= len(data)
            yield data


def _refuse_used(data_dir: Path) -> None:
    if data_dir.is_symlink() or data_dir.exists():
        has_room = data_dir.is_dir() and {each.name for each in data_dir.iterdir()} <= _KEPT
        if not has_room:
            raise StorageError(f'data-dir "{data_dir}" not empty or could not be read')


@contextmanager
def _named_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except PageError as fault:
        raise StorageError(f"{path}: damaged at byte {fault.offset}: {fault}") from None
    except OSError as error:
        raise StorageError(described(error, Path(error.filename or path))) from None
    except lmdb.Error as error:
        raise StorageError(described(error, path)) from None
    except (ValueError, LookupError) as error:
        raise StorageError(f"{path}: damaged: {error}") from None
