"""In-memory twins of what touches the world, for tests and the simulation.

A twin keeps the contract of the real thing - here: a commit is atomic, and a crash loses all since
the last one - and none of its cost. To crash, drop a machine and make a new one on its twin.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from copy import copy, deepcopy
from itertools import islice
from pathlib import Path
from typing import Any, Self
from zlib import crc32

import msgpack

from actors.language.auth import Role, User
from actors.language.codec import decode_result, encode_result
from actors.language.commands import AlarmMember, AlarmType, Change, Event, KeyValue, Member
from actors.language.errors import StorageError
from actors.language.metrics import Histogram
from actors.language.results import Result
from actors.raft.disk.files import DISK, Files
from actors.runtime.beside import Beside
from actors.runtime.disk import Work, nothing
from actors.runtime.system import System
from actors.store.records import auth_key, decode_auth, encode_auth
from actors.store.steps import Steps
from actors.store.storage import (
    EMPTY,
    SUB_BITS,
    AuthChange,
    Batch,
    LeaseRecord,
    Loaded,
    Meta,
    Row,
    SessionRecord,
)

_CHECKSUM_BYTES = 4


def system_at(wall_ms: int) -> System:
    """A system whose wall clock stands still."""
    return System(lambda: wall_ms, lambda: 0)


NO_SYSTEM = system_at(0)


class AtOnce(Beside):
    """Computes in the caller's thread, before `begin` returns."""

    def __init__(self) -> None:
        super().__init__("at once")
        self._results: list[Any] = []

    @property
    def is_busy(self) -> bool:
        return bool(self._results)

    def begin(self, compute: Callable[[], Any], done: Callable[[], None]) -> None:
        self._results.append(compute())
        done()

    def take(self) -> Any:
        return self._results.pop()


class _Content:
    """All that a backend holds, as the last commit left it."""

    def __init__(self) -> None:
        self.meta: Meta = EMPTY
        self.events: dict[int, Event] = {}
        self.leases: dict[int, LeaseRecord] = {}
        self.sessions: dict[int, tuple[SessionRecord, dict[int, Result]]] = {}
        self.members: dict[int, Member] = {}
        self.alarms: tuple[AlarmMember, ...] = ()
        self.auth: dict[bytes, bytes] = {}

    def encode(self) -> bytes:
        """Equal contents give equal bytes: a simulation must not depend on who shares an object."""
        packed: bytes = msgpack.packb(
            (
                self.meta,
                [(at, change, *kv) for at, (change, kv, _) in self.events.items()],
                tuple(self.leases.values()),
                [
                    (record, [(seq, encode_result(result)) for seq, result in results.items()])
                    for record, results in self.sessions.values()
                ],
                tuple(self.members.values()),
                self.alarms,
                self.auth,
            )
        )
        return crc32(packed).to_bytes(_CHECKSUM_BYTES, "big") + packed

    @classmethod
    def decode(cls, data: bytes) -> _Content:
        """What `encode` made; ValueError for anything else."""
        packed = data[_CHECKSUM_BYTES:]
        if crc32(packed).to_bytes(_CHECKSUM_BYTES, "big") != data[:_CHECKSUM_BYTES]:
            raise ValueError("it has a wrong checksum")
        meta, events, leases, sessions, members, alarms, auth = msgpack.unpackb(
            packed, use_list=False, strict_map_key=False
        )
        content = cls()
        content.meta = Meta(*meta)
        content.events = {at: _event(change, kv) for at, change, *kv in events}
        content.leases = {lease[0]: LeaseRecord(*lease) for lease in leases}
        content.sessions = {
            record[0]: (SessionRecord(*record), {seq: decode_result(r) for seq, r in results})
            for record, results in sessions
        }
        content.members = {member[0]: Member(*member) for member in members}
        content.alarms = tuple(AlarmMember(each, AlarmType(kind)) for each, kind in alarms)
        content.auth = auth
        return content


def _take_auth(records: dict[bytes, bytes], change: AuthChange) -> None:
    changed: list[Any] = [(User, *each) for each in change.users.items()]
    changed += [(Role, *each) for each in change.roles.items()]
    for kind, name, value in changed:
        records.pop(auth_key(kind, name), None)
        if value is not None:
            records.update([encode_auth(value)])
    records.update([encode_auth(change.state)])


class _Place:
    """Where a backend's content is; what is installed there is seen by every backend that uses it,
    also by one that was opened before.
    """

    def __init__(self) -> None:
        self.content = _Content()


class MemoryCommit:
    """A commit on its way to a MemoryBackend, which shows it from `end` on, or after a crash."""

    def __init__(self, backend: MemoryBackend, removed: list[int], batch: Batch) -> None:
        self.removed = removed
        self.batch = batch
        self.is_durable = False
        self._backend = backend

    def write(self) -> bool:
        """All of it is one portion."""
        return False

    def write_all(self) -> None:
        """Write all that is left."""
        while self.write():
            pass

    def sync(self) -> None:
        """From now on a crash leaves it."""
        self._backend.sync(self.batch)
        self.is_durable = True


class ImmediateWaits:
    """Waits for the disk (actors/runtime/disk.py) in the loop, however slow it is."""

    is_slow = False
    is_busy = False
    is_over = False

    def __init__(self) -> None:
        self.durations = Histogram()

    def run(self, work: Work, done: Work, first: Work = nothing) -> bool:
        """Do all of it now."""
        first()
        work()
        self.durations.add(1)
        return True

    def end(self) -> None:
        """Nothing is ever under way."""
        raise AssertionError("no work is under way")

    def close(self) -> None:
        """Nothing is ever under way."""


class LateWaits(ImmediateWaits):
    """Work that is under way until a test ends it: by `work_now`, and the actor hears of that."""

    def __init__(self) -> None:
        super().__init__()
        self.is_slow = True
        self._work: list[Work] = []
        self._done: Work = nothing
        self._error: Exception | None = None

    @property
    def is_busy(self) -> bool:  # type: ignore[override]
        """Whether work was begun whose end the actor has not taken note of."""
        return bool(self._work) or self.is_over

    def run(self, work: Work, done: Work, first: Work = nothing) -> bool:
        """Begin the work."""
        assert not self.is_busy, "one wait at a time"
        self._work, self._done = [first, work], done
        return False

    def work_now(self) -> None:
        """Let the work come to its end, and tell that."""
        work, self._work = self._work, []
        self.is_over = True
        try:
            for each in work:
                each()
        except Exception as error:  # noqa: BLE001 - as the thread does: `end` raises it
            self._error = error
        self._done()

    def end(self) -> None:
        """Wait for the work, and raise what it has raised."""
        if not self.is_over:
            self.work_now()
        self.is_over = False
        if self._error is not None:
            raise self._error

    def close(self) -> None:
        """Wait for the work."""
        if self._work:
            self.work_now()


class MemoryBackend:
    """The store's backend as dictionaries; `commits` counts what a disk would have synced.

    Copies are whole before `copy` returns; they are files of `files`, as Raft wants them.
    """

    def __init__(self, files: Files = DISK) -> None:
        self.commits = 0
        self.is_closed = False
        self._files = files
        self._place = _Place()
        # To be gone with the next commit.
        self._removed: list[int] = []
        self._commit: MemoryCommit | None = None
        # Set in a copy that is not installed yet: where to, and its file.
        self._target: _Place | None = None
        self._path = Path()

    def clone(self) -> MemoryBackend:
        """Another backend, with what the last commit left in this one."""
        other = MemoryBackend()
        other._place.content = deepcopy(self._place.content)
        return other

    def load(self) -> Steps[Loaded]:
        """The state of the last commit, without the revisions."""
        commit, self._commit, self._removed = self._commit, None, []
        if commit is not None and commit.is_durable:
            self._take(commit)
        yield
        content = self._place.content
        return Loaded(
            content.meta,
            tuple(content.leases.values()),
            tuple((record, dict(results)) for record, results in content.sessions.values()),
            tuple(content.members.values()),
            content.alarms,
            decode_auth(content.auth.items()),
        )

    def scan(self) -> Iterator[Row]:
        """Every revision in order, without its value."""
        for position, (change, kv, _) in self._place.content.events.items():
            yield position, change, kv.key, kv.create_revision, kv.version, kv.lease

    def read(self, position: int) -> Event:
        """The change at a position that a commit has written; without prev_kv."""
        event = self._place.content.events.get(position)
        if event is None:
            raise StorageError(f"revision {position >> SUB_BITS} is missing")
        return event

    def key_values(self, positions: list[int], bytes_max: int) -> list[KeyValue]:
        """What the changes at these positions have put: at most so many bytes, and one more."""
        found: list[KeyValue] = []
        for position in positions:
            found.append(self.read(position).kv)
            bytes_max -= len(found[-1].value)
            if bytes_max <= 0:
                break
        return found

    def rows(self, start: int, end: int, rows_max: int) -> list[Row]:
        """What a commit has written from one position to before another: at most so many."""
        within = (row for row in self.scan() if start <= row[0] < end)
        return list(islice(within, rows_max))

    def changes(
        self, start: int, end: int, changes_max: int, bytes_max: int
    ) -> list[tuple[int, Event]]:
        """Those of `rows` as `read` has them: at most so many, or bytes of values and one more."""
        found: list[tuple[int, Event]] = []
        size = 0
        for position, event in self._place.content.events.items():
            if start <= position < end and len(found) < changes_max and size < bytes_max:
                found.append((position, event))
                size += len(event.kv.value)
        return found

    def remove(self, positions: list[int]) -> None:
        """Let the changes at these positions go with the next commit."""
        self._removed += positions

    def begin(self, batch: Batch) -> MemoryCommit:
        """Begin a commit of these changes and of the removals so far."""
        assert self._commit is None, "one commit at a time"
        self._commit = self.open_commit(self._removed, batch)
        self._removed = []
        return self._commit

    def open_commit(self, removed: list[int], batch: Batch) -> MemoryCommit:
        """What `begin` returns; a subclass has another."""
        return MemoryCommit(self, removed, batch)

    def sync(self, batch: Batch) -> None:
        """A commit becomes durable; a subclass may fail."""

    def end(self) -> None:
        """The commit is durable: reads see it."""
        assert self._commit is not None and self._commit.is_durable, "a durable commit has ended"
        commit, self._commit = self._commit, None
        self._take(commit)

    def commit(self, batch: Batch) -> None:
        """Do all of a commit."""
        commit = self.begin(batch)
        commit.write_all()
        commit.sync()
        self.end()

    def _take(self, commit: MemoryCommit) -> None:
        """Take all changes; as on a disk, positions only ever go up."""
        content, batch = self._place.content, commit.batch
        last = next(reversed(content.events), 0)
        for position in commit.removed:
            del content.events[position]
        for position, event in batch.events.items():
            assert position > last, f"position {position} after {last}"
            last = position
            content.events[position] = event._replace(prev_kv=None)
        for lease_id, lease in batch.leases.items():
            if lease is None:
                content.leases.pop(lease_id, None)
            else:
                content.leases[lease_id] = lease
        for session_id, record, kept, forgotten in batch.sessions:
            _, results = content.sessions.pop(session_id, (record, {}))
            for seq in forgotten:
                del results[seq]
            if record is not None:
                content.sessions[session_id] = (record, {**results, **dict(kept)})
        if batch.members:
            content.members = {member.id: member for member in batch.members}
        if batch.alarms is not None:
            content.alarms = batch.alarms
        if batch.auth is not None:
            _take_auth(content.auth, batch.auth)
        content.meta = batch.meta
        self.commits += 1

    def size(self) -> tuple[int, int]:
        """Bytes of keys and values; the same for both, nothing is wasted."""
        events = self._place.content.events.values()
        in_use = sum(len(kv.key) + len(kv.value) for _, kv, _ in events)
        return in_use, in_use

    @property
    def is_copying(self) -> bool:
        """Copies are whole at once."""
        return False

    def copy(self, path: Path, done: Callable[[StorageError | None], None]) -> None:
        """Write the last commit to a file of its own, at once."""
        part = path.with_name(path.name + ".part")
        data = self._place.content.encode()
        try:
            file = self._files.create(part, len(data))
            try:
                self._files.write(file, data, 0)
                self._files.sync(file)
            finally:
                self._files.close(file)
            self._files.rename(part, path)
        except OSError as error:
            self.discard_copy(part)
            done(StorageError(f"{path}: {error}"))
            return
        done(None)

    def compact(self, done: Callable[[StorageError | None], None]) -> None:
        """Nothing is wasted here."""
        done(None)

    def change_over(self) -> StorageError | None:
        """As it was."""
        return None

    def open_copy(self, path: Path) -> Self:
        """The copy at `path`, to be loaded and scanned, and then installed or closed."""
        if path.name not in self._files.names(path.parent):
            raise StorageError(f"{path}: there is no such file")
        opened = copy(self)  # also what a subclass is and has
        opened._target, opened._path, opened._place = self._place, path, _Place()
        opened._removed, opened._commit = [], None
        try:
            opened._place.content = _Content.decode(self._files.read(path))
        except ValueError as error:
            raise StorageError(f"{path}: damaged: {error}") from None
        return opened

    def install(self) -> None:
        """Put this copy, as a whole, in the place of the backend that opened it."""
        assert self._target is not None, "only a copy is installed"
        self._target.content = self._place.content
        self._place, self._target = self._target, None
        self._files.remove(self._path)

    def discard_copy(self, path: Path) -> None:
        """Remove the copy at `path`, if there is one."""
        if path.name in self._files.names(path.parent):
            self._files.remove(path)

    def close(self) -> None:
        """What was committed stays, for the next machine on this twin."""
        self.is_closed = True


def _event(change: int, kv: list[Any]) -> Event:
    return Event(Change(change), KeyValue(*kv), None)
