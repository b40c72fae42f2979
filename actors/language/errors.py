"""StorageError, which any part of a node raises if its data on disk cannot be used.

And one line for an error of the operating system: where it was, what it is, what can be done.
"""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Final

_ELSEWHERE: Final = "or name another --data-dir"

_REMEDIES: Final = {
    errno.ENOSPC: f"make room on that file system, {_ELSEWHERE}",
    errno.EDQUOT: f"raise that quota, {_ELSEWHERE}",
    errno.EFBIG: "raise the limit of a file's size (ulimit -f)",
    errno.EROFS: f"mount that file system writable, {_ELSEWHERE}",
    errno.EACCES: f"let the node's user read and write there, {_ELSEWHERE}",
    errno.EPERM: f"let the node's user read and write there, {_ELSEWHERE}",
    errno.ENOTDIR: f"move that file away, {_ELSEWHERE}",
    errno.EEXIST: f"move that file away, {_ELSEWHERE}",
    errno.EISDIR: f"move that directory away, {_ELSEWHERE}",
    errno.EMFILE: "raise the limit of open files (ulimit -n)",
}


class StorageError(Exception):
    """The data on disk cannot be used; the message names the file, the place, and what to do."""


def described(error: Exception, path: Path | None = None) -> str:
    """An error of the system, or of LMDB, in one line: its path, the reason, and what to do."""
    if isinstance(error, OSError):
        number, reason = error.errno, error.strerror or str(error)
        place = str(path or error.filename or "")
    else:
        number, reason = getattr(error, "code", None), str(error)
        place = str(path or "")
    reason = reason.removeprefix(f"{place}: ")
    remedy = _REMEDIES.get(number or 0, "")
    return ": ".join(part for part in (place, reason, remedy) if part)
