"""The seam between the store's pure part and the disk: what a backend keeps and a commit holds.

A backend appends changes by position, and removes those it is told to. It knows nothing of etcd's
rules, and the state machine knows nothing of files. `disk/backend.py` implements it on LMDB,
`tests/twins.py` in memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, NamedTuple, Protocol

from actors.language.auth import AUTH_OFF, AuthState, Role, User
from actors.language.commands import AlarmMember, Event, KeyValue, Member
from actors.language.errors import StorageError
from actors.language.metrics import Histogram
from actors.language.results import Result
from actors.store.deletion import Changes
from actors.store.steps import Steps

SUB_BITS: Final = 32
"""A position is `revision << SUB_BITS | sub`; `sub` is the change's place within its revision."""

Row = tuple[int, int, bytes, int, int, int]
"""What the index keeps of a change: position, Change, key, create_revision, version, lease.

A bare tuple, because a start reads one for each change there is.
"""


class Meta(NamedTuple):
    """The state's place in the log and in time; one commit writes it with the data it is about.

    `applied_term` is the term of the last entry applied. `membership` is Raft's own record of who
    the members are: opaque here, and b"" until an entry has set one. History begins at
    `compact_revision`; what it has outdated before `swept_revision` was removed already.
    """

    applied_index: int
    applied_term: int
    cluster_ms: int
    revision: int
    compact_revision: int
    swept_revision: int
    membership: bytes


EMPTY: Final = Meta(
    applied_index=0,
    applied_term=0,
    cluster_ms=0,
    revision=1,
    compact_revision=-1,
    swept_revision=0,
    membership=b"",
)
"""An empty store is at revision 1, as in etcd: the first write gets 2. Its compact revision is -1,
as in etcd: it was never compacted."""


class LeaseRecord(NamedTuple):
    """A lease without its keys: the last change of each key names the key's lease.

    `owner` is the id of the user to whom it was granted, 0: to nobody.
    """

    id: int
    ttl_ms: int
    deadline_ms: int
    owner: int = 0


class SessionRecord(NamedTuple):
    """A session without its results; `floor` is the lowest number that it still answers.

    `owner` is the id of the user whom it serves, 0 while it serves anybody.
    """

    id: int
    used_index: int
    used_ms: int
    floor: int
    owner: int = 0


class SessionChange(NamedTuple):
    """What became of one session: results to keep and to forget; `record` None: it has ended."""

    id: int
    record: SessionRecord | None
    kept: tuple[tuple[int, Result], ...]
    forgotten: tuple[int, ...]


class AuthRecords(NamedTuple):
    """Users and roles, and whether requests are checked."""

    state: AuthState
    users: tuple[User, ...]
    roles: tuple[Role, ...]


NO_AUTH: Final = AuthRecords(AUTH_OFF, (), ())
"""Nobody was ever added."""


class AuthChange(NamedTuple):
    """The users and roles that have changed, by name (None: deleted), and the whole state."""

    state: AuthState
    users: dict[str, User | None]
    roles: dict[str, Role | None]


class Loaded(NamedTuple):
    """Everything but the revisions, as the last commit left it."""

    meta: Meta
    leases: tuple[LeaseRecord, ...]
    sessions: tuple[tuple[SessionRecord, dict[int, Result]], ...]
    members: tuple[Member, ...]
    alarms: tuple[AlarmMember, ...] = ()
    auth: AuthRecords = NO_AUTH


class Batch(NamedTuple):
    """All that one commit makes durable, or none of it.

    `events` is by position, ascending, and all of it comes after what the backend has. A lease that
    is None has ended. `members` are all members if one of them has changed, else none; `alarms` are
    all alarms if one of them has changed, else None; `auth` is None if nothing of it has changed.
    """

    meta: Meta
    events: Changes
    leases: dict[int, LeaseRecord | None]
    sessions: tuple[SessionChange, ...]
    members: tuple[Member, ...]
    alarms: tuple[AlarmMember, ...] | None = None
    auth: AuthChange | None = None


class OpenCommit(Protocol):
    """A batch, and the removals before it, on the way to the disk.

    One thread makes all calls of one commit, but not necessarily the backend's. Failures are
    StorageError.
    """

    def write(self) -> bool:
        """Write a portion, which takes about a millisecond; whether more is left to write."""

    def write_all(self) -> None:
        """Write all that is left."""

    def sync(self) -> None:
        """Make durable, as a whole, what was written: a crash before its end leaves none of it."""


class CommitWaits(Protocol):
    """Where the end of a commit is waited for (actors/runtime/disk.py)."""

    durations: Histogram

    @property
    def is_slow(self) -> bool:
        """Whether the next wait will be in a thread."""

    @property
    def is_busy(self) -> bool:
        """Whether work is in the thread, or nobody has taken note of its end yet."""

    @property
    def is_over(self) -> bool:
        """Whether the work in the thread is over, and nobody has taken note of that yet."""

    def run(
        self, work: Callable[[], None], done: Callable[[], None], first: Callable[[], None]
    ) -> bool:
        """Do `first`, then `work`, which waits for the disk: True if that is done.

        Else both are under way in a thread, which calls `done` at their end.
        """

    def end(self) -> None:
        """Take note of the end of the work, and wait for it; raises what it has raised."""

    def close(self) -> None:
        """Wait for what is under way."""


class Backend(Protocol):
    """Where the store survives a crash. Failures are StorageError: the process ends, no retry.

    At a start `load` and then the whole of `scan` come before all else: together they check
    everything there is. A damaged file that was not checked could kill the process later.
    """

    def load(self) -> Steps[Loaded]:
        """The state of the last commit, without the revisions."""

    def scan(self) -> Iterator[Row]:
        """Every revision in order, without its value."""

    def read(self, position: int) -> Event:
        """The change at a position that a commit has written; without prev_kv."""

    def key_values(self, positions: list[int], bytes_max: int) -> list[KeyValue]:
        """What the committed changes at these positions have put, in order.

        It ends with the one that reaches `bytes_max`: so at least one is read, whatever its size.
        """

    def rows(self, start: int, end: int, rows_max: int) -> list[Row]:
        """The committed changes in [start, end), in order: at most `rows_max`."""

    def changes(
        self, start: int, end: int, changes_max: int, bytes_max: int
    ) -> list[tuple[int, Event]]:
        """The committed changes in [start, end) with their positions: at most `changes_max`.

        It ends with the one that reaches `bytes_max`: so at least one is read, whatever its size.
        """

    def remove(self, positions: list[int]) -> None:
        """Remove the committed changes at these positions with the next commit.

        Nobody reads them any more. A crash before that commit leaves all of them there.
        """

    def begin(self, batch: Batch) -> OpenCommit:
        """Begin a commit of these changes and of the removals so far; `end` ends it.

        Until then reads see what there was before, and nothing else may be done with the files.
        """

    def end(self) -> None:
        """The commit that was begun is durable: from now on reads see what it has written."""

    def commit(self, batch: Batch) -> None:
        """Make the changes durable, atomically; they are on disk when this returns."""

    def size(self) -> tuple[int, int]:
        """The size of the file in bytes, and how many of them are in use."""

    @property
    def is_copying(self) -> bool:
        """Whether a copy is being made, so that another must wait."""

    def copy(self, path: Path, done: Callable[[StorageError | None], None]) -> None:
        """Begin to write the last commit to another file, while this one goes on.

        `done` is called, perhaps in another thread: with None when the file is complete and
        durable, or with an error, and then there is no file. Only one copy is made at a time.
        """

    def compact(self, done: Callable[[StorageError | None], None]) -> None:
        """Begin to write what is in use to another file, while this one goes on.

        The new file follows every later commit until `change_over`. `done` as for `copy`.
        """

    def change_over(self) -> StorageError | None:
        """Let the compact file take this one's place, or say why not; call it after a commit."""

    def open_copy(self, path: Path) -> Backend:
        """A backend on the copy at `path`, to be loaded and scanned, then installed or closed."""

    def install(self) -> None:
        """Put this copy, durably and as a whole, in the place of the backend that has opened it.

        The other backend is closed then, and the copy's file has the store's name.
        """

    def discard_copy(self, path: Path) -> None:
        """Remove the copy at `path`, if there is one."""

    def close(self) -> None:
        """Close the files and free their memory; what was not committed is lost."""


class SpoolPart(NamedTuple):
    """Some bytes of a snapshot's file, how many follow, and the SHA-256 of the whole file."""

    name: str
    blob: bytes
    remaining_bytes: int
    sha256: bytes


class Spool(Protocol):
    """Keeps the snapshots that clients are fetching, until nobody reads them any more."""

    def make_room(self) -> Path | None:
        """The path for the next file; None if too many files are still being read."""

    def keep(self, path: Path, total_bytes: int, sha256: bytes, now_ms: int) -> str:
        """Keep a file that is whole; returns the name by which clients ask for it."""

    def discard(self, path: Path) -> None:
        """Remove a file that has not become whole."""

    def read(self, name: str, offset: int, now_ms: int) -> SpoolPart | None:
        """A part of a file from an offset on; None if no file of that name is kept (any more)."""

    def end_idle(self, now_ms: int) -> None:
        """Remove the files that were not read for too long."""

    def next_end_ms(self) -> int | None:
        """When the next file may be idle for too long; None without files."""
