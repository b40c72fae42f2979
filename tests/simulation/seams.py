"""What stands where a node touches the world, in the simulation: sockets, disk and state machine.

Each is the shipped thing or its twin, with two additions: it says what is about to happen, so that
the node can crash right before, and it shows the checker what has happened.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from actors.language.auth import NODE, Principal
from actors.language.commands import Command, DeleteRange, LeaseExpire, LeaseRevoke, Range, Txn
from actors.language.commands import Sequence as Numbered
from actors.language.entries import Entry
from actors.language.errors import StorageError
from actors.language.messages import Connection, Question
from actors.language.metrics import Histogram
from actors.language.results import Result
from actors.raft.codec import PeerCodec
from actors.raft.disk.wal import Wal
from actors.raft.log import LogStart
from actors.raft.rpc import HardState, Message, Welcome
from actors.runtime.disk import Work, nothing
from actors.store.leases import Lease
from actors.store.long_queries import LongQueries
from actors.store.machine import Machine
from actors.store.steps import Steps
from actors.store.storage import Backend, Batch, Loaded
from cluster.visitors import LOOK_MS
from tests.simulation.network import CLUSTER_ID
from tests.simulation.newer import in_later_words
from tests.simulation.saved import require
from tests.still_door import StillDoor
from tests.twins import MemoryBackend, MemoryCommit

if TYPE_CHECKING:
    from tests.simulation.node import Node


class CrashError(BaseException):
    """The node's process has died just now. Not an Exception: nothing may handle it."""


class TappedCodec(PeerCodec):
    """Shows each message that leaves, before it leaves."""

    def __init__(self, node: Node) -> None:
        super().__init__(CLUSTER_ID)
        self._node = node

    def encode(self, message: Message) -> bytes:
        self._node.cluster.checker.said(self._node, message)
        frame = super().encode(message)
        return in_later_words(frame) if self._node.is_newer else frame

    def encode_welcome(self, welcome: Welcome) -> bytes:
        asking = [n for n in self._node.cluster.running() if n.member_id == welcome.member_id]
        if welcome.stream and any(node.has_forgotten for node in asking):
            self._node.cluster.moment("at_proof", self._node)
        return super().encode_welcome(welcome)


class TappedWal:
    """Tells the checker what is durable, when it is."""

    def __init__(self, node: Node, wal: Wal) -> None:
        self._node = node
        self._wal = wal
        self._checker = node.cluster.checker

    def write(self, hard_state: HardState, entries: Sequence[Entry], start: LogStart) -> None:
        node = self._node
        saved = self._checker.saved(node.member_id)
        if entries and hard_state.term > saved.term:
            node.cluster.moment("at_new_term", node)
        self._checker.saving(node, hard_state, entries)
        self._wal.write(hard_state, entries, start)

    def sync(self) -> None:
        self._wal.sync()
        self._checker.saved(self._node.member_id).saved()
        self._checker.counts["saves"] += 1

    def reset(self, hard_state: HardState, entries: Sequence[Entry], start: LogStart) -> None:
        node = self._node
        node.cluster.moment("at_snapshot", node)
        self._checker.resetting(node, hard_state, entries, start)
        self._wal.reset(hard_state, entries, start)
        self._checker.saved(node.member_id).saved()
        if node.actors is not None:  # else it is what an earlier process installed
            node.cluster.installed(node)

    def expect_snapshot(
        self, hard_state: HardState, expected: tuple[int, int], start: LogStart
    ) -> None:
        self._node.cluster.moment("at_snapshot", self._node)
        self._checker.saving(self._node, hard_state, ())
        self._wal.expect_snapshot(hard_state, expected, start)
        self._checker.saved(self._node.member_id).saved()

    def has_room(self) -> bool:
        return self._wal.has_room()

    def cut(self, index: int) -> None:
        self._wal.cut(index)

    def close(self) -> None:
        self._wal.close()


class SimulatedWaits:
    """Waits for the disk at once, or lets the node go on meanwhile (actors/runtime/disk.py).

    A wait is `late` with this probability.
    """

    def __init__(self, node: Node, late: float) -> None:
        self._node = node
        self._late = late
        self._pending: Work | None = None
        self._slow: bool | None = None
        self.is_busy = False
        self.durations = Histogram()
        self.is_over = False

    @property
    def is_slow(self) -> bool:
        """Whether the next wait will be late: it is asked before, and must hold then."""
        if self._slow is None:
            self._slow = bool(self._late) and self._node.chance.random.random() < self._late
        return self._slow

    def run(self, work: Work, done: Work, first: Work = nothing) -> bool:
        is_slow, self._slow = self.is_slow, None

        def whole() -> None:
            self._pending = None
            first()
            work()
            self.is_over = is_slow

        if not is_slow:
            whole()
            return True
        self._pending, self.is_busy = whole, True
        node = self._node
        delay_ms = 1 + node.chance(max(1, node.cluster.swarm.election_ms // 8))

        def end() -> None:
            # Unless somebody could not wait for it.
            if self._pending is whole:
                whole()
            done()

        node.later("synced", end, delay_ms)
        return False

    def end(self) -> None:
        if self._pending is not None:
            self._pending()
        self.is_busy = self.is_over = False

    def close(self) -> None:
        if self._pending is not None:
            self._pending()


LONG = (DeleteRange, Txn, LeaseRevoke, LeaseExpire)
"""The commands that may take several steps."""


class TappedMachine(Machine):
    """Tells the observer what each entry did, and looks whether anybody sees half of one."""

    node: Node
    _entry: tuple[int, Command, Numbered | None]
    _leases_before: dict[int, Lease]
    _shown_before: Result | None = None

    def begin_entry(
        self,
        index: int,
        term: int,
        time_ms: int,
        command: Command,
        sequence: Numbered | None,
        principal: Principal,
    ) -> Result | None:
        self._entry = index, command, sequence
        self._leases_before = self.leases.table.copy()
        may_be_long = self.node.cluster.swarm.has_long_entries and isinstance(command, LONG)
        self._shown_before = self._shown() if may_be_long else None
        return self._tapped(super().begin_entry(index, term, time_ms, command, sequence, principal))

    def go_on(self) -> Result | None:
        return self._tapped(super().go_on())

    def _tapped(self, result: Result | None) -> Result | None:
        cluster = self.node.cluster
        if result is None:
            cluster.counts["steps of long entries"] += 1
            index, command, _ = self._entry
            if self._shown_before is not None:
                half = f"{self.node} shows half of entry {index}: {command}"
                require(self._shown() == self._shown_before, half)
        else:
            leases = self.leases.table
            ended = [each for each in self._leases_before if each not in leases]
            revision = self.store.revision
            cluster.effects.applied(self.node, *self._entry, result, revision, ended)
        return result

    def _shown(self) -> Result:
        """What a serializable read of everything is answered now."""
        queries = LongQueries()
        replies = queries.answer(self, (Question(1, Range(b"\0", b"\0"), NODE),), 0)
        while not replies:
            replies = queries.work(self, lambda: 0)
        return replies[0][1]

    def skip(self, index: int, term: int, time_ms: int) -> None:
        super().skip(index, term, time_ms)
        cluster = self.node.cluster
        entry = cluster.checker.lineage.entry((index, term))
        cluster.effects.skipped(self.node, index, term, entry.command)

    def reopened(self, backend: Backend) -> Steps[TappedMachine]:
        machine = yield from super().reopened(backend)
        machine.node = self.node
        return machine


class SimulatedCommit(MemoryCommit):
    """A commit of one portion, or more; its sync may be the last thing that happens."""

    node: Node

    def write(self) -> bool:
        late, cluster = self.node.cluster.swarm.late_commits, self.node.cluster
        is_left = bool(late) and self.node.chance.random.random() < late / 2
        if is_left:
            cluster.counts["commits in several turns"] += 1
        return is_left

    def sync(self) -> None:
        self.node.effect("commit")
        if self.node.disk.is_full:
            raise StorageError("the simulated disk is full")
        super().sync()
        self.node.effect("commit")


class SimulatedBackend(MemoryBackend):
    """The store's twin: a commit may be the last thing that happens, and a copy takes its time."""

    def __init__(self, node: Node) -> None:
        super().__init__(node.disk)
        self._node = node

    def load(self) -> Steps[Loaded]:
        if self._commit is not None:
            found = "made durable" if self._commit.is_durable else "lost"
            self._node.cluster.counts[f"commits {found} before a crash"] += 1
        return super().load()

    def open_commit(self, removed: list[int], batch: Batch) -> SimulatedCommit:
        commit = SimulatedCommit(self, removed, batch)
        commit.node = self._node
        return commit

    def copy(self, path: Path, done: Callable[[StorageError | None], None]) -> None:
        """Pin the last commit now, and write it a little later, as another thread would."""
        data = self._place.content.encode()

        def write() -> None:
            try:
                self._write(path, data)
            except OSError as error:
                self.discard_copy(path)
                done(StorageError(f"{path}: {error}"))
            else:
                done(None)

        self._node.later("copy", write)

    def _write(self, path: Path, data: bytes) -> None:
        files, part = self._files, path.with_name(path.name + ".part")
        file = files.create(part, len(data))
        try:
            files.write(file, data, 0)
            files.sync(file)
        finally:
            files.close(file)
        files.rename(part, path)

    def open_copy(self, path: Path) -> SimulatedBackend:
        self._node.cluster.moment("at_snapshot", self._node)
        return super().open_copy(path)

    def install(self) -> None:
        self._node.effect("install")
        super().install()
        self._node.effect("install")


class EveryOther:
    """The connections that have sent batches: half of all."""

    def __contains__(self, route: object) -> bool:
        return isinstance(route, tuple) and sum(route[0]) % 2 == 0


class SimulatedDoor(StillDoor):
    """The clients' socket; at times the queue of a connection is full for a while."""

    def __init__(self, node: Node) -> None:
        self._node = node
        super().__init__()
        if node.cluster.swarm.batches:
            self.batching = EveryOther()
        self._full_until_ms: dict[Connection, int] = {}
        self.look_ms = LOOK_MS if node.cluster.swarm.hang_ups else None

    def send(self, route: Connection, payload: bytes) -> bool | None:
        if self._is_full(route):
            return False
        self._node.effect("reply")
        self._node.cluster.reply(self._node, route, payload)
        return True

    def look(self) -> list[Any]:
        broken, self._node.broken_connections = self._node.broken_connections, []
        return broken

    def _is_full(self, route: Connection) -> bool:
        node = self._node
        now_ms, congestion = node.true_ms, node.cluster.swarm.congestion
        if now_ms < self._full_until_ms.get(route, 0):
            node.cluster.counts["frames that had to wait"] += 1
            return True
        if node.chance.happens(congestion * 0.05):
            self._full_until_ms[route] = now_ms + node.chance(200)
        return False


class SimulatedLinks:
    """The way to the other members, by their URLs."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self.urls: dict[int, str] = {}

    def update(self, urls: dict[int, str]) -> None:
        self.urls = dict(urls)

    def send(self, member_id: int, frame: bytes) -> bool:
        self._node.effect("send")
        url = self.urls.get(member_id)
        if url is not None:
            self._node.cluster.send(self._node, url, frame)
        return url is not None

    def close(self) -> None:
        self.urls = {}


def failing(kind: str) -> OSError:
    """The error of a disk that cannot do this."""
    return OSError(errno.EIO, f"the simulated disk failed to {kind}")
