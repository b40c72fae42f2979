"""What the copier says when a copy of the store's file is complete, or could not be made.

All of it runs in the copier's thread: nothing of the actor may be touched here.
"""

from __future__ import annotations

import logging
from pathlib import Path

from actors.language.errors import StorageError
from actors.language.messages import CopyMade, SnapshotTaken
from actors.store.disk.snapshot_file import seal

log = logging.getLogger("leasehold.store")


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
