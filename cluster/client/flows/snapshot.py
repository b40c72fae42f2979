"""Saving a snapshot: a node copies its whole data, and the client fetches the copy part by part.

The copy's SHA-256 is checked, so the file is the copy that the node made. This module refuses to
know what the copy holds.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final

from cluster.client.replies import of
from cluster.client.results import SnapshotPart, SnapshotResult
from cluster.errors import DeadlineExceededError, LeaseholdError, UnavailableError
from cluster.faults import DATA_LOSS
from cluster.private import FILE_MODE, append, sync_directory

if TYPE_CHECKING:
    from cluster.client.flows.caller import Caller

COPY_SECONDS_MAX: Final = 600.0
"""How long a node may take to make its copy before the request counts as failed."""


async def save(
    caller: Caller, target: str | os.PathLike[str] | BinaryIO, endpoint: str | None
) -> SnapshotResult:
    """Save the copy of one endpoint: of the one named, or of the first that has one to give."""
    places = caller.endpoints if endpoint is None else (endpoint,)
    for place in places[:-1]:
        try:
            return await _save(caller, target, place)
        except (UnavailableError, DeadlineExceededError):
            if not isinstance(target, str | os.PathLike) and target.tell():
                raise  # bytes in the caller's own file cannot be taken back
    return await _save(caller, target, places[-1])


async def _save(
    caller: Caller, target: str | os.PathLike[str] | BinaryIO, endpoint: str
) -> SnapshotResult:
    if not isinstance(target, str | os.PathLike):
        return await _fetch(caller, target, endpoint)
    path = Path(target)
    with _unfinished(path) as file:
        saved = await _fetch(caller, file, endpoint)
    sync_directory(path.parent)
    return saved


@contextmanager
def _unfinished(path: Path) -> Iterator[BinaryIO]:
    """A file beside `path`, locked by this process, which is renamed to `path` once it is durable.

    The unfinished file of a killed process is used again. OSError when another process has it.
    """
    part = path.with_name(path.name + ".part")
    with append(part) as file:
        if not _maybe_lock(file, part):
            reason = "another process is saving a snapshot there"
            raise OSError(errno.EWOULDBLOCK, reason, str(part))
        try:
            os.fchmod(file.fileno(), FILE_MODE)
            file.truncate(0)
            yield file
            file.flush()
            os.fsync(file.fileno())
            part.replace(path)
        except BaseException:
            part.unlink(missing_ok=True)
            raise


def _maybe_lock(file: BinaryIO, path: Path) -> bool:
    """Lock an open file, unless another process has locked it, or has just renamed it."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except (BlockingIOError, FileNotFoundError):
        return False


async def _fetch(caller: Caller, file: BinaryIO, endpoint: str) -> SnapshotResult:
    """Have a node make a copy, and write all parts of it to a file."""
    digest, size = hashlib.sha256(), 0
    request: dict[str, Any] = {"op": "snapshot"}
    part = await caller.request(
        request, of(SnapshotPart), pinned=endpoint, timeout=COPY_SECONDS_MAX
    )
    while True:
        file.write(part.blob)
        digest.update(part.blob)
        size += len(part.blob)
        if not part.remaining_bytes:
            break
        if not part.blob:
            raise LeaseholdError(f"the snapshot of {endpoint} ends early", DATA_LOSS)
        # Not slow, unlike the first request: a lost part is asked for again after a short time, so
        # the copy goes on after a broken connection.
        request = {"op": "snapshot", "name": part.name, "offset": size}
        part = await caller.request(request, of(SnapshotPart), pinned=endpoint)
    if digest.digest() != part.sha256:
        raise LeaseholdError(f"the snapshot of {endpoint} was damaged on its way", DATA_LOSS)
    return SnapshotResult(endpoint, size, digest.hexdigest())
