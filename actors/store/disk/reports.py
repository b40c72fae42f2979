"""Copies of the store's file, and what the log says of these, and of entries that nobody can read.

`for_members` and `for_clients` run in the copier's thread: there nothing of the actor may be
touched.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from pathlib import Path

from actors.language.errors import StorageError
from actors.language.messages import CopyMade, SnapshotTaken
from actors.store.applying import Unreadable
from actors.store.disk.snapshot_file import seal
from actors.store.orders import Say
from actors.store.storage import Backend
from cluster.logs import complain, tell

log = logging.getLogger("leasehold.store")


def copy_for_members(
    backend: Backend, path: Path, index: int, term: int, done: Callable[[SnapshotTaken], None]
) -> None:
    """Begin to copy the last commit, whose last entry is at `index`; Raft is told the end."""
    backend.copy(path, lambda error: done(for_members(path, index, term, error)))


def copy_for_clients(backend: Backend, path: Path, done: Callable[[CopyMade], None]) -> None:
    """Begin to copy the last commit for clients; Store is told the end."""
    backend.copy(path, lambda error: done(for_clients(path, error)))


def for_members(path: Path, index: int, term: int, error: StorageError | None) -> SnapshotTaken:
    """The report for Raft, which sends the copy to a member; index 0: the copy has failed."""
    if error is None:
        return SnapshotTaken(path, index, term)
    log.error("no snapshot was taken: %s", error)
    return SnapshotTaken(path, 0, 0)


def for_clients(path: Path, error: StorageError | None) -> CopyMade:
    """Seal a copy for clients, and report it to Store; 0 bytes: the copy has failed."""
    try:
        if error is None:
            return CopyMade(path, *seal(path))
        log.error("no snapshot was made for a client: %s", error)
    except OSError as failure:
        log.error("no snapshot was made for a client: %s: %s", path, failure)
    return CopyMade(path, 0, b"")


def say_defragmented(error: StorageError | None, before_bytes: int, after_bytes: int) -> None:
    """Log how a defragmentation has ended."""
    if error is None:
        log.info("defragmented: %d bytes, before %d", after_bytes, before_bytes)
    else:
        log.error("not defragmented: %s", error)


def say(said: Say) -> None:
    """Something for the operator."""
    log.log(logging.CRITICAL if said.is_grave else logging.WARNING, "%s", said.text)


def say_unreadable(entries: Iterable[Unreadable]) -> None:
    """Entries of the log could not be decoded."""
    for index, term, reason in entries:
        text = f"entry {index} of term {term} cannot be read, and is skipped: {reason}"
        complain(log, "unreadable", text)


def say_installed(revision: int) -> None:
    """A copy of another member's data has taken the place of this one's."""
    text = f"took over the data of another member, at revision {revision}"
    tell("snapshot_installed", text, revision=revision)
