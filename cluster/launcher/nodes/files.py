"""A local cluster's data directory: its lock, the record of its nodes, and their logs.

    DIR/lock           locked while a launcher, or a node it started, runs
    DIR/cluster.json   the nodes and their ports, which are their addresses and never change
    DIR/n1/            node n1's own data directory
    DIR/n1.log         what n1 wrote on stdout and stderr
    DIR/secure/        the secrets of a secure cluster: see `secure.files`

This module refuses to know what is inside a node's own directory.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import tempfile
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from cluster.launcher.nodes.layout import LauncherError, NodeRecord, founder
from cluster.launcher.ports import Ports
from cluster.private import FILE_MODE, create, make_directory

__all__ = ["DataDirectory", "LauncherError"]

ORPHANS_SECONDS: Final = 5.0
"""How long the nodes of a killed launcher may take to notice its end and to stop."""

TEMPORARY: Final = "leasehold-cluster-"
"""The beginning of the name of a temporary data directory."""

LOCK_RETRY_SECONDS: Final = 0.02
LOG_TAIL_BYTES: Final = 8_192


class DataDirectory:
    """A data directory, held by this process until `release`. Raises LauncherError."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            make_directory(path)
            self.lock_fd = os.open(path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, FILE_MODE)
        except OSError as error:
            raise LauncherError(f"cannot use data directory {path}: {error.strerror}") from None
        try:
            self._lock()
        except LauncherError:
            os.close(self.lock_fd)
            raise
        os.truncate(self.lock_fd, 0)
        os.pwrite(self.lock_fd, b"%d\n" % os.getpid(), 0)

    def log_of(self, name: str) -> Path:
        """The file that holds what a node wrote on stdout and stderr."""
        return self.path / f"{name}.log"

    def node_directory(self, name: str) -> Path:
        """The node's own --data-dir."""
        return self.path / name

    def last_log_line(self, name: str) -> str:
        """The last non-empty line of a node's log, or an empty text."""
        try:
            with self.log_of(name).open("rb") as log:
                log.seek(0, os.SEEK_END)
                log.seek(max(0, log.tell() - LOG_TAIL_BYTES))
                lines = log.read().decode(errors="replace").splitlines()
        except OSError:
            return ""
        return next((line.strip() for line in reversed(lines) if line.strip()), "")

    def recorded_nodes(self) -> tuple[NodeRecord, ...]:
        """The nodes of the cluster in this directory; empty if no cluster was started in it."""
        path = self.path / "cluster.json"
        if not path.exists():
            return ()
        try:
            records = tuple(map(_record, json.loads(path.read_text())["nodes"]))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise LauncherError(f"{path} is damaged: {error!r}") from None
        # Any node's data is the cluster's: one that was being wiped has none.
        return records if any(self.node_directory(each.name).exists() for each in records) else ()

    def record_nodes(self, records: Iterable[NodeRecord]) -> None:
        """Record the nodes of the cluster, atomically (by a rename)."""
        path = self.path / "cluster.json"
        draft = path.with_suffix(".new")
        nodes = [_document(record) for record in records]
        with create(draft) as file:
            file.write(json.dumps({"nodes": nodes}, indent=2).encode() + b"\n")
        draft.replace(path)

    def release(self) -> None:
        """Release the lock. The nodes hold it too: others can use the directory when they end."""
        os.truncate(self.lock_fd, 0)
        os.close(self.lock_fd)

    def _lock(self) -> None:
        deadline = time.monotonic() + ORPHANS_SECONDS
        while not _try_lock(self.lock_fd):
            holder = os.pread(self.lock_fd, 32, 0).decode().strip()
            if not holder.isdigit() or Path(f"/proc/{holder}").exists():
                who = f" by pid {holder}" if holder else ""
                raise LauncherError(f"data directory {self.path} is in use{who}")
            if time.monotonic() > deadline:
                raise LauncherError(
                    f"data directory {self.path} is in use by nodes whose launcher,"
                    f" pid {holder}, was killed"
                )
            time.sleep(LOCK_RETRY_SECONDS)


def holder_of(data_dir: Path) -> int:
    """The launcher that uses a data directory, as a process id; 0 if none does."""
    try:
        holder = (data_dir / "lock").read_text().strip()
    except OSError:
        return 0
    return int(holder) if holder.isdigit() and Path(f"/proc/{holder}").exists() else 0


def temporary_directories(where: Path | None = None) -> list[Path]:
    """The temporary data directories of all launchers, those of other users among them."""
    return sorted((where or Path(tempfile.gettempdir())).glob(f"{TEMPORARY}*"))


def delete_left_directories(where: Path | None = None) -> None:
    """Delete the temporary data directories of launchers that were killed, and whose nodes ended.

    Such a launcher could not do it itself. Those of launchers that run, or begin or end, stay.
    """
    for path in temporary_directories(where):
        with suppress(OSError):  # another user's, or another launcher deletes it just now
            if _is_left(path):
                shutil.rmtree(path, ignore_errors=True)


def _is_left(path: Path) -> bool:
    """Whether a launcher has used this directory, and neither it nor a node of it runs."""
    if path.is_symlink() or path.stat().st_uid != os.getuid():
        return False
    lock_fd = os.open(path / "lock", os.O_RDWR | os.O_CLOEXEC)
    try:
        # A launcher writes its number when it has the lock, and takes it out before the end.
        return _try_lock(lock_fd) and os.pread(lock_fd, 32, 0).strip().isdigit()
    finally:
        os.close(lock_fd)


def _record(node: dict[str, Any]) -> NodeRecord:
    record = founder(str(node["name"]), Ports(int(node["client"]), int(node["peer"])))
    if "joined_with" in node:
        member_id = int(node["member_id"])
        record = record._replace(member_id=member_id, joined_with=str(node["joined_with"]))
    return record._replace(
        is_learner=bool(node.get("is_learner", False)),
        is_removed=bool(node.get("is_removed", False)),
        key=str(node.get("key", "")),
    )


def _document(record: NodeRecord) -> dict[str, Any]:
    """A node in cluster.json: its name and ports, and the other fields where not the default."""
    document: dict[str, Any] = {"name": record.name, **record.ports._asdict()}
    if record.joined_with:
        document |= {"member_id": record.member_id, "joined_with": record.joined_with}
    for name in ("is_learner", "is_removed"):
        if getattr(record, name):
            document[name] = True
    if record.key:
        document["key"] = record.key
    return document


def _try_lock(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
