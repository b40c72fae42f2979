"""What a node needs of its host before it starts: a directory of its own, ports, open files.

If something is missing, one line names it, says what was wanted, and what to do. Starts nothing.
"""

from __future__ import annotations

import fcntl
import logging
import os
import re
import resource
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from actors.language.errors import StorageError, described
from cluster.private import RESERVED_DESCRIPTORS, make_directory

OWN_DESCRIPTORS: Final = 64
"""A node by itself opens 25 files; it opens more while it copies its store, and libraries do."""

PEER_DESCRIPTORS: Final = 8
"""For each other member: the connections to and from it, and the files ZeroMQ opens for them."""

CLIENT_DESCRIPTORS: Final = 128
"""A node that could serve fewer clients than this refuses to start."""

DESCRIPTORS_WANTED: Final = 65_536
"""The soft limit of open files is raised to this, or as far as the hard limit allows, less what is
kept back for the node's own files (RESERVED_DESCRIPTORS)."""

_SNAPSHOT: Final = re.compile(r"[a-z0-9]+\.snapshot(\.[a-z]+)?")

log = logging.getLogger("leasehold")


def take_directory(data_dir: Path) -> int:
    """Lock the data directory for this process; returns the lock's file. Raises StorageError.

    The kernel drops the lock when the process ends, in whatever way it does.
    """
    if data_dir.is_symlink() and not data_dir.exists():
        raise StorageError(
            f"{data_dir}: a link to {data_dir.readlink()}, which does not exist: make that "
            "directory, or remove the link"
        )
    for path in (data_dir, *data_dir.parents):
        if path.exists() and not path.is_dir():
            raise StorageError(f"{path}: not a directory: move it away, or name another --data-dir")
    make_directory(data_dir)
    path = data_dir / "lock"
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        owner = os.pread(file, 32, 0).decode("ascii", "replace").strip() or "another process"
        os.close(file)
        raise StorageError(f"data directory {data_dir} is in use by {owner}") from None
    os.ftruncate(file, 0)
    _note_owner(file, path)
    return file


def _note_owner(file: int, path: Path) -> None:
    try:
        os.pwrite(file, f"pid {os.getpid()}".encode(), 0)
    except OSError as error:
        raise StorageError(described(error, path)) from None


def clear_directory(directory: Path) -> None:
    """Make a directory for snapshots, and remove those that an earlier run has left in it.

    They are of no use: a complete one was moved away. Files that are not this node's are kept.
    """
    make_directory(directory)
    for path in sorted(directory.iterdir()):
        is_own = _SNAPSHOT.fullmatch(path.name) is not None
        if is_own and (path.is_symlink() or not path.is_dir()):
            path.unlink()
        else:
            log.warning("left alone %s: it is not a file of this node", path)


def require_descriptors(members: int) -> None:
    """Set the limit of open files as high as allowed. Raises StorageError if that is too low.

    Connections count as files. They may have all but RESERVED_DESCRIPTORS of the hard limit: else
    whoever opens enough of them would end the node when it begins the next file of its log.
    """
    needed = OWN_DESCRIPTORS + PEER_DESCRIPTORS * (members - 1) + CLIENT_DESCRIPTORS
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return
    if hard != resource.RLIM_INFINITY and hard < needed:
        raise StorageError(
            f"a process may have {hard} files open here, and a member of a cluster of {members} "
            f"needs {needed}, {CLIENT_DESCRIPTORS} of them for clients: raise the limit "
            f"(ulimit -n {needed})"
        )
    soft = max(soft, DESCRIPTORS_WANTED)
    if hard != resource.RLIM_INFINITY:
        soft = min(soft, hard - RESERVED_DESCRIPTORS)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def try_to_listen(urls: tuple[str, ...]) -> None:
    """Raise StorageError now if a URL is taken, and not inside an actor that has started."""
    for url in urls:
        _bind(url).close()


def bind_http(urls: Sequence[str]) -> list[socket.socket]:
    """Sockets that have these URLs, and do not listen yet. Raises StorageError."""
    return [_bind(url) for url in urls]


def _bind(url: str) -> socket.socket:
    host, _, port = url.partition("://")[2].rpartition(":")
    host = host.strip("[]")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind(("" if host == "*" else host, int(port)))
    except OSError as error:
        bound.close()
        raise StorageError(f"cannot listen on {url}: {error.strerror}") from None
    return bound
