"""Campaigns: a cluster, clients that use it, harm that is done to it, and the judgement at the end.

An episode is one cluster for some minutes; then everything heals, all copies must be equal, and
what the clients saw is checked. A longer campaign is several episodes, each with a seed of its own,
so that no history grows without bound and a finding is repeated sooner.
"""

from __future__ import annotations

import hashlib
import itertools
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Final, NamedTuple, Self

from cluster import Client, LeaseholdError
from cluster.launcher.local import LocalCluster
from cluster.launcher.nodes.layout import LauncherError
from cluster.launcher.nodes.processes import NODE_COMMAND
from tests.chaos.checks import (
    LEASE_LATE_SECONDS,
    Bounds,
    Outage,
    check_leases,
    check_stream,
    outages,
    quantile,
)
from tests.chaos.clients import LEASE_TTL_SECONDS, Clients
from tests.chaos.control import FaultServer
from tests.chaos.harm import KINDS
from tests.chaos.history import (
    History,
    change_of,
    load_changes,
    load_operations,
    write_changes,
)
from tests.chaos.nemesis import Nemesis
from tests.chaos.scene import Scene
from tests.chaos.users import ANYBODY, Entry
from tests.limits import HANG_SECONDS
from tests.linearizability import (
    Change,
    FindingError,
    Operation,
    Outcome,
    check_keys,
    check_revisions,
)

EPISODE_SECONDS: Final = 120.0
POLL_MS: Final = 20

OPERATIONS: Final = "history.jsonl"
CHANGES: Final = "changes.jsonl"
"""What a finding leaves in its directory, beside the nodes' logs and data."""


class Figures(NamedTuple):
    """What happened in one episode, or in several."""

    episodes: int
    seconds: float
    operations: Counter[str]
    started: Counter[str]
    effective: Counter[str]
    notes: Counter[str]
    outages: tuple[Outage, ...]
    fault_seconds: float
    revisions: int
    keys: int
    leases_expired: int
    kills: int
    worst: tuple[float, str]

    def plus(self, other: Figures) -> Figures:
        """Both together."""
        return Figures(
            self.episodes + other.episodes,
            self.seconds + other.seconds,
            self.operations + other.operations,
            self.started + other.started,
            self.effective + other.effective,
            self.notes + other.notes,
            self.outages + other.outages,
            self.fault_seconds + other.fault_seconds,
            self.revisions + other.revisions,
            self.keys + other.keys,
            self.leases_expired + other.leases_expired,
            self.kills + other.kills,
            max(self.worst, other.worst),
        )

    def text(self) -> str:
        """All of it, in some lines; the last is the line of figures."""
        faults = ", ".join(
            f"{kind} {self.effective[kind]}/{self.started[kind]}" for kind in sorted(self.started)
        )
        what = ", ".join(f"{name} {count:,}" for name, count in sorted(self.operations.items()))
        notes = ", ".join(f"{name} {count}" for name, count in sorted(self.notes.items()) if count)
        gaps = [1000 * (outage.ended - outage.began) for outage in self.outages]
        at_a_time = self.fault_seconds / self.seconds if self.seconds else 0.0
        return (
            f"faults (effective/started; {at_a_time:.1f} at a time): {faults}\n"
            f"operations: {what}\n"
            + (f"notes: {notes}\n" if notes else "")
            + f"longest without an acknowledged write: {self.worst[0]:.0f} ms, during: "
            f"{self.worst[1] or 'nothing'}\n"
            + f"{self.episodes} episodes, {self.seconds:.0f} s: {self.effective.total()} faults of "
            f"{len(self.started)} kinds, {self.operations.total():,} operations, "
            f"{self.revisions:,} revisions, {self.keys} keys searched, "
            f"{self.leases_expired} leases expired; "
            f"{len(gaps)} times without an acknowledged write: p50 {quantile(gaps, 50):.0f} ms, "
            f"p99 {quantile(gaps, 99):.0f} ms, max {quantile(gaps, 100):.0f} ms; nothing lost, "
            "nothing doubled, histories linearizable"
        )

    def without_effect(self) -> list[str]:
        """The kinds of faults that never took effect: about them nothing was shown."""
        return [kind for kind in KINDS if not self.effective[kind]]


class Episode:
    """One cluster with its clients, in a directory that stays only if something was found.

    With `faults` its nodes are under control of `server`; without, they run as anybody's do. With
    `fronts` they have fronts, and clients speak gRPC to these as well. No lease may end more than
    `late_seconds` late. `prepare` is called when they first serve, and clients come in by `entry`.
    With `secure` nodes and members have keys, and fronts have TLS.
    """

    def __init__(
        self,
        seed: str,
        size: int,
        node_flags: Sequence[str] = (),
        *,
        faults: bool = True,
        fronts: bool = False,
        late_seconds: float = LEASE_LATE_SECONDS,
        secure: bool = False,
        entry: Entry = ANYBODY,
        prepare: Callable[[LocalCluster], None] = lambda cluster: None,
    ) -> None:
        self._entry = entry
        self._prepare = prepare
        self._late_seconds = late_seconds
        self.seed = seed
        self.directory = Path(tempfile.mkdtemp(prefix="leasehold-chaos-"))
        self.server = FaultServer(self.directory / "faults")
        self.history = History(self.directory / OPERATIONS)
        command = self.server.node_command if faults else NODE_COMMAND
        self.cluster = LocalCluster(
            size,
            self.directory,
            front=fronts,
            secure=secure,
            node_flags=node_flags,
            command=command,
        )
        self.clients = Clients(
            self.cluster.endpoints, self.history, seed, fronts=fronts, entry=entry
        )
        self.scene = Scene(self.cluster, self.server, self.clients, seed)
        self.nemesis = Nemesis(self.scene)
        self._began = 0.0

    def __enter__(self) -> Self:
        try:
            self.cluster.launch()
            self.cluster.wait_until_ready()
            self._prepare(self.cluster)
            if self.cluster.secure is not None:
                self.clients.members.sealed = tuple(self.cluster.direct_endpoints)
        except BaseException as error:
            self.__exit__(type(error), error)
            raise
        self._began = time.monotonic()
        self.clients.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, *_: object
    ) -> None:
        self._end()
        if kind is None:
            shutil.rmtree(self.directory)
        else:
            (self.directory / "faults.log").write_text("\n".join(self.scene.log) + "\n")
            if error is not None:
                error.add_note(f"logs, data and history are kept in {self.directory}")

    def judge(self) -> Figures:
        """Let the cluster come to rest, compare the copies and check what the clients saw."""
        seconds = time.monotonic() - self._began
        self.clients.stop_working()
        self._converge()
        changes, last = self._compare_copies()
        self._wait_for_watchers(last)
        self.clients.stop_watching()
        self.clients.check()
        write_changes(self.directory / CHANGES, changes)
        history = self.history
        seen = [one for stream in history.streams for one in stream.seen]
        check_revisions(history.operations, changes, seen)
        for stream in history.streams:
            check_stream(stream, changes, last)
        gaps = outages(self.clients.probe.acknowledged_at)
        operations = Counter(
            f"{op.op} {op.outcome}" if op.outcome is not Outcome.OK else op.op
            for op in history.operations
        )
        operations.update(f"lease {step.step}" for step in history.leases)
        return Figures(
            episodes=1,
            seconds=seconds,
            operations=operations,
            started=self.nemesis.started,
            effective=self.nemesis.effective,
            notes=self.scene.notes,
            outages=tuple(gaps),
            fault_seconds=self.nemesis.fault_seconds,
            revisions=last,
            keys=check_keys(_of_registers(history.operations)),
            leases_expired=check_leases(
                history.leases,
                changes,
                Bounds(history.operations, seen),
                gaps,
                self._late_seconds,
            ),
            kills=self.scene.kills,
            worst=self._worst(gaps),
        )

    def _worst(self, gaps: Sequence[Outage]) -> tuple[float, str]:
        """The longest outage in milliseconds, and what was done to the cluster meanwhile."""
        longest = max(gaps, key=lambda gap: gap.ended - gap.began, default=Outage(0.0, 0.0))
        meanwhile = [
            f"{span.kind} {span.target}".strip()
            for span in self.nemesis.spans
            if span.began < longest.ended and span.ended > longest.began
        ]
        return 1000 * (longest.ended - longest.began), ", ".join(meanwhile)

    # --- at rest ---

    def _converge(self) -> None:
        """All members run and have applied the same, and every lease has ended."""
        try:
            self.cluster.wait_until_ready(HANG_SECONDS)
        except LauncherError as error:
            raise FindingError(f"everything is healed, but: {error}") from None
        ttl = LEASE_TTL_SECONDS[1]
        self._wait("all leases end", lambda: not self._leases(), ttl + HANG_SECONDS)
        with self.client(*self.cluster.endpoints) as client:
            goal = client.range("\0", from_key=True, count_only=True).header.revision
        names = {node.name for node in self.cluster.members}

        def equal() -> bool:
            revisions = {n: status.revision for n, status in self.cluster.status().items()}
            one_for_all = len(set(revisions.values())) == 1
            return revisions.keys() >= names and one_for_all and min(revisions.values()) >= goal

        self._wait(f"all reach revision {goal}", equal, HANG_SECONDS)

    def _leases(self) -> tuple[int, ...]:
        with self.client(*self.cluster.endpoints) as client:
            return client.lease.list().ids

    def client(self, *endpoints: str) -> Client:
        """A client of these nodes, as the honest user."""
        return self._entry.client(endpoints, HANG_SECONDS)

    def _compare_copies(self) -> tuple[list[Change], int]:
        """The history of the store and its last revision: the same on every node."""
        until = time.monotonic() + HANG_SECONDS
        while True:
            found: dict[str, tuple[int, str]] = {}
            for node in self.cluster.members:
                with self.client(node.direct_address) as client:
                    keys = client.range("\0", from_key=True, serializable=True)
                    last = keys.header.revision
                    changes = _history(client, last)
                    held = repr((keys.kvs, changes)).encode()
                    found[node.name] = last, hashlib.sha256(held).hexdigest()
            if len(set(found.values())) == 1:
                return changes, last
            # What clients gave up, a node may have taken up only now: then the revisions differ.
            if len({revision for revision, _ in found.values()}) == 1 or time.monotonic() > until:
                raise FindingError(f"the nodes hold different data: {found}")

    def _wait_for_watchers(self, last: int) -> None:
        def arrived() -> bool:
            self.clients.check()
            return all(watcher.last >= last for watcher in self.clients.watchers)

        self._wait(f"the watchers see revision {last}", arrived, HANG_SECONDS)

    def _wait(self, what: str, condition: Callable[[], bool], seconds: float) -> None:
        until = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > until:
                raise FindingError(f"not within {seconds:g} s: {what}")
            self.cluster.poll(POLL_MS)

    def _end(self) -> None:
        """Whatever happened: leave no process, thread or socket."""
        self.clients.abandon()
        self.server.close()
        self.cluster.close()
        self.history.close()


def _history(client: Client, last: int) -> list[Change]:
    """Every change from the first one on, as one node tells it."""
    changes: list[Change] = []
    if last < 2:
        return changes
    with client.watch("\0", from_key=True, start_revision=1) as watch:
        while not changes or changes[-1].revision < last:
            changes.append(change_of(watch.get(HANG_SECONDS)))
        # The last revision may hold several events; they come in one batch.
        while True:
            try:
                changes.append(change_of(watch.get(0.0)))
            except TimeoutError:
                return changes


def _of_registers(operations: Iterable[Operation]) -> list[Operation]:
    """Those on keys that only puts and deletes change, and not the end of a lease."""
    return [op for op in operations if op.key.startswith("reg/")]


def check_again(directory: Path) -> str:
    """Judge once more what a finding left; FindingError, or how much was checked."""
    operations = load_operations(directory / OPERATIONS)
    changes = load_changes(directory / CHANGES)
    check_revisions(operations, changes)
    keys = check_keys(_of_registers(operations))
    return f"{len(operations):,} operations, {len(changes):,} changes, {keys} keys: linearizable"


def run(
    seconds: float,
    seed: int,
    kills: int | None = None,
    size: int | None = None,
    stopped: Callable[[], bool] = lambda: False,
) -> Figures:
    """Episodes until the time is over, so many processes were killed, or it is to stop."""
    total: Figures | None = None
    until = time.monotonic() + seconds
    for number in itertools.count():
        left = until - time.monotonic()
        # The last two share what is left, so that none is too short for every kind of fault.
        length = left if left <= EPISODE_SECONDS else min(EPISODE_SECONDS, left / 2)
        killed = 0 if total is None else total.kills
        enough = kills is not None and killed >= kills
        if total is not None and (left <= 1 or enough or stopped()):
            return total
        nodes = size or (3, 5)[number % 2]
        kills_left = None if kills is None else kills - killed
        try:
            done = _episode(str(seed + number), nodes, length, kills_left, stopped)
        except (AssertionError, LauncherError, LeaseholdError) as error:
            error.add_note(
                f"to repeat it: python -m tests.chaos --seed {seed + number} --nodes {nodes}"
                f" --minutes {length / 60:.2f}"
            )
            raise
        total = done if total is None else total.plus(done)
    raise AssertionError("there is always another number")


def _episode(
    seed: str, size: int, seconds: float, kills: int | None, stopped: Callable[[], bool]
) -> Figures:
    with Episode(seed, size, fronts=True) as episode:
        until = time.monotonic() + seconds

        def goes_on() -> bool:
            enough = kills is not None and episode.scene.kills >= kills
            return time.monotonic() < until and not enough and not stopped()

        episode.nemesis.run(goes_on)
        return episode.judge()
