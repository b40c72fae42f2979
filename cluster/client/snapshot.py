"""Saving a snapshot: a node makes a copy of all it holds, and the client fetches it part by part.

Checks the copy's SHA-256, so that what was saved is what the node made. What is in it, it does not
know.
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
from cluster.errors import DATA_LOSS, DeadlineExceededError, LeaseholdError, UnavailableError
from cluster.private import FILE_MODE, append

if TYPE_CHECKING:
    from cluster.client.caller import Caller

COPY_SECONDS_MAX: Final = 600.0
"""How long a node may take to make its copy, before it is taken for lost."""


def save(
    caller: Caller, target: str | os.PathLike[str] | BinaryIO, endpoint: str | None
) -> SnapshotResult:
    """Save the copy of the endpoint named, or of the first one that gives one, in order."""
    places = caller.endpoints if endpoint is None else (endpoint,)
    for place in places[:-1]:
        try:
            return _save(caller, target, place)
        except (UnavailableError, DeadlineExceededError):
            if not isinstance(target, str | os.PathLike) and target.tell():
                raise  # what was written cannot be taken back
    return _save(caller, target, places[-1])


def _save(
    caller: Caller, target: str | os.PathLike[str] | BinaryIO, endpoint: str
) -> SnapshotResult:
    if not isinstance(target, str | os.PathLike):
        return _fetch(caller, target, endpoint)
    path = Path(target)
    with _unfinished(path) as file:
        saved = _fetch(caller, file, endpoint)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)  # or the name might be lost with the power
    finally:
        os.close(folder)
    return saved


@contextmanager
def _unfinished(path: Path) -> Iterator[BinaryIO]:
    """A file beside `path`, for this process alone, which gets its name when it is durable.

    What a process has left that was killed is taken over. Raises OSError.
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
    """Lock an open file, unless another process has, or has just given it its name."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except (BlockingIOError, FileNotFoundError):
        return False


def _fetch(caller: Caller, file: BinaryIO, endpoint: str) -> SnapshotResult:
    """Have a copy made, and write all its parts to a file."""
    digest, size = hashlib.sha256(), 0
    request: dict[str, Any] = {"op": "snapshot"}
    part = caller.request(request, of(SnapshotPart), pinned=endpoint, timeout=COPY_SECONDS_MAX)
    while True:
        file.write(part.blob)
        digest.update(part.blob)
        size += len(part.blob)
        if not part.remaining_bytes:
            break
        if not part.blob:
            raise LeaseholdError(f"the snapshot of {endpoint} ends early", DATA_LOSS)
        # A part that is lost is asked for again: this is where a broken connection goes on.
        request = {"op": "snapshot", "name": part.name, "offset": size}
        part = caller.request(request, of(SnapshotPart), pinned=endpoint)
    if digest.digest() != part.sha256:
        raise LeaseholdError(f"the snapshot of {endpoint} was damaged on its way", DATA_LOSS)
    return SnapshotResult(endpoint, size, digest.hexdigest())
