"""The file of the audit log: lines of JSON, written by a thread of its own, and rotated by size.

Whoever writes waits for nothing. A record that cannot be written is lost: that is counted, said in
the node's log, and said in the file itself once it can be written again. The node goes on. Refuses
to know what is recorded.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
import queue
import stat
import sys
import threading
import time
from contextlib import suppress
from io import TextIOWrapper
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Any, Final, NamedTuple

from actors.language.errors import StorageError
from cluster.logs import complain, iso_utc
from cluster.private import open_file

RECORDS_WAITING_MAX: Final = 10_000
"""The records that may wait for the thread; each operation of a transaction counts as one more.
Each takes some 3 KB at most."""

AT_ONCE: Final = 64
"""The records that are written at once, if more wait: a write costs more than a record does. If it
fails, all of them count as lost, even if some are there."""

LAST_RECORDS_SECONDS: Final = 2.0
"""How long a node that stops waits for the last records to be written."""

_FLAGS: Final = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW
_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO

log = logging.getLogger("leasehold.audit")


class AuditFile:
    """The audit log of one node, whose name each line has.

    A file that would become larger than `bytes_max` becomes PATH.1, PATH.1 becomes PATH.2, and so
    on: `kept` of them. Raises StorageError if the file cannot be used.
    """

    def __init__(self, path: Path, bytes_max: int, kept: int, node: str) -> None:
        self._node = node
        self._file = _PrivateFile(path, bytes_max, kept)
        # Numbers of records. Each is changed by one thread: the first two by the one that writes to
        # this object, the others by the one that writes to the file.
        self._given = self._refused = 0
        self._taken = self._told = 0
        self._waiting: queue.SimpleQueue[_Waiting | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="audit log", daemon=True)
        self._thread.start()

    @property
    def lost(self) -> int:
        """How many records were not written."""
        return self._refused + self._file.failed

    def write(self, record: dict[str, Any]) -> None:
        """Have a record written; it is lost if too many wait already."""
        weight = 1 + len(record.get("request", {}).get("ops", ()))
        if self._given - self._taken + weight > RECORDS_WAITING_MAX:
            self._refused += 1
            complain(log, "audit log", "an audit record is lost: too many wait to be written")
            return
        self._given += weight
        self._waiting.put(_Waiting(time.time(), weight, record))

    def close(self) -> None:
        """Write what waits, for LAST_RECORDS_SECONDS at most, and close the file."""
        self._waiting.put(None)
        self._thread.join(LAST_RECORDS_SECONDS)
        if self._thread.is_alive():
            log.warning("the last audit records are not written after %g s", LAST_RECORDS_SECONDS)
            self._file.stream = None  # or the exit would wait for it
        else:
            self._file.close()

    # --- the thread ---

    def _run(self) -> None:
        is_open = True
        while is_open:
            # It waits for the first one, and takes what has come meanwhile.
            items = [self._waiting.get()]
            while len(items) < AT_ONCE and not self._waiting.empty():
                items.append(self._waiting.get())
            is_open = items[-1] is not None
            if self.lost > self._told:
                self._tell_lost()
            taken = [each for each in items if each is not None]
            if taken:
                self._file.put([self._line(each.wall, each.record) for each in taken])
            self._taken += sum([each.weight for each in taken])

    def _tell_lost(self) -> None:
        """Say in the file what is missing in it, if it can be written again."""
        lost = self.lost
        line = self._line(time.time(), {"lost": lost - self._told})
        if self._file.put([line], counts=False):
            log.warning("the audit log is written again; %d records are lost", lost - self._told)
            self._told = lost

    def _line(self, wall: float, record: dict[str, Any]) -> str:
        return json.dumps({"time": iso_utc(wall), "node": self._node, **record})


class _Waiting(NamedTuple):
    """A record that waits; `wall` is when it was given."""

    wall: float
    weight: int
    record: dict[str, Any]


class _PrivateFile(RotatingFileHandler):
    """A rotated file that only its owner may read, and only this process writes.

    `failed` counts the lines that were not written.
    """

    def __init__(self, path: Path, bytes_max: int, kept: int) -> None:
        self.failed = 0
        self._went_well = True
        if not os.access(path.absolute().parent, os.W_OK | os.X_OK):
            raise StorageError(
                f"{path}: --audit-log needs a directory that exists and in which the node may write"
            )
        try:
            super().__init__(path, maxBytes=bytes_max, backupCount=kept, encoding="utf-8")
        except OSError as error:
            raise StorageError(f"{path}: --audit-log cannot be opened: {error.strerror}") from None

    def put(self, lines: list[str], *, counts: bool = True) -> bool:
        """Write lines; whether that went well. If not they count as failed, unless told not to."""
        self._went_well = True
        self.emit(logging.makeLogRecord({"msg": "\n".join(lines)}))
        if counts and not self._went_well:
            self.failed += len(lines)
        return self._went_well

    def _open(self) -> TextIOWrapper:
        path = self.baseFilename
        if os.path.lexists(path) and not stat.S_ISREG(os.lstat(path).st_mode):
            raise StorageError(f"{path}: --audit-log must name a regular file")
        descriptor = open_file(Path(path), _FLAGS)
        try:
            _take(descriptor, path)
        except BaseException:
            os.close(descriptor)
            raise
        return os.fdopen(descriptor, "a", encoding="utf-8")

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging calls it so
        """A line was not written; with what is left of it in memory, the file is opened anew."""
        error = sys.exc_info()[1]
        assert isinstance(error, OSError | StorageError), f"what else can go wrong: {error!r}"
        self._went_well = False
        stream, self.stream = self.stream, None
        if stream is not None:
            with suppress(OSError):
                stream.close()
        reason = error.strerror if isinstance(error, OSError) else error
        complain(log, "audit log", f"an audit record is lost: {self.baseFilename}: {reason}")


def _take(descriptor: int, path: str) -> None:
    """See that the file is this process's alone, and end a line that was cut off."""
    found = os.fstat(descriptor)
    if found.st_mode & _OTHERS:
        raise StorageError(
            f"{path}: others may read or change this audit log (its mode is"
            f" {stat.S_IMODE(found.st_mode):04o}): `chmod 600 {path}`"
        )
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise StorageError(
            f"{path}: another process writes this audit log: give each node a file of its own"
            " ({name} in --audit-log stands for the node's name)"
        ) from None
    if found.st_size and os.pread(descriptor, 1, found.st_size - 1) != b"\n":
        os.write(descriptor, b"\n")
