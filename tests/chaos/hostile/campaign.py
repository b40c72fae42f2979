"""Peace, then hostile clients beside the honest ones, then the judgement, printed as a table.

What must hold: no node and no front ends, nothing acknowledged is lost, nothing is done twice, the
histories are linearizable, no node's and no front's memory grows beyond a bound, and the honest
writers' p99 stays within a few times what it was in peace. Both times are measured in the same run,
as only their ratio says anything on a machine that has other work. How late a lease ends is not
judged.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from math import inf
from pathlib import Path
from typing import Final, NamedTuple

from cluster import LeaseholdError
from cluster.launcher.local import LocalCluster
from cluster.launcher.nodes.layout import LauncherError
from tests.chaos.campaign import Episode, Figures
from tests.chaos.checks import quantile
from tests.chaos.history import padded
from tests.chaos.hostile import on_locks, on_rights, on_tls
from tests.chaos.hostile.intruder import THROUGH
from tests.chaos.hostile.keyed import Keyed
from tests.chaos.hostile.on_clients import BULK
from tests.chaos.hostile.process import KINDS, HostileProcess, Plan, Row
from tests.chaos.users import HONEST, STRANGER, Entry, guard
from tests.etcd.sides import halves_of
from tests.limits import HANG_SECONDS
from tests.linearizability import FindingError, Operation, Outcome

HOSTILE_CLIENTS: Final = 100
NODES: Final = 3
PEACE_SECONDS: Final = 30.0
BULK_KEYS: Final = 40
BULK_BYTES: Final = 64 * 1024
TURN_MS: Final = 50

GROWTH_MIB_MAX: Final = 512.0
"""A node's memory at its peak, or that of its front, beyond what it held in peace."""

P99_RATIO_MAX: Final = 5.0
LOG_LINES_PER_MINUTE_MAX: Final = 600.0
RELAUNCHES_MAX: Final = 20
SEEN_SHOWN: Final = 5
CHECK_COLUMNS: Final = 50

WRITERS: Final = {
    "a writer with bare sockets": "probe",
    "a writer with Client": "r",
    "a writer with gRPC": "g",
}
"""The honest ones, and how their names begin."""

ALIVE: Final = "no node ends"
FRONT: Final = "'s front"
SERVING: Final = "no front ends"
SAFE: Final = "nothing lost or doubled, linearizable"
REFUSED: Final = "nobody gets through without a right"
LOGS: Final = "nothing to look at"


class Check(NamedTuple):
    """One thing that must hold, and what was seen of it."""

    what: str
    seen: str
    holds: bool


class Report(NamedTuple):
    """The table of one run."""

    seed: int
    seconds: float
    rows: Sequence[Row]
    checks: Sequence[Check]

    @property
    def failed(self) -> list[str]:
        """What did not hold."""
        return [f"{check.what}: {check.seen}" for check in self.checks if not check.holds]

    def text(self) -> str:
        """One line for each kind of harm, and one for each check."""
        wide = max((len(row.kind) for row in self.rows), default=0) + 2
        lines = [f"{'harm':<{wide}}{'clients':>7}{'done':>8}  seen"]
        for row in self.rows:
            seen = [f"{what} {count:,}" for what, count in row.seen.items()]
            more = len(seen) - SEEN_SHOWN
            shown = ", ".join(seen[:SEEN_SHOWN]) + (f", {more} more" if more > 0 else "")
            lines.append(f"{row.kind:<{wide}}{row.clients:>7}{row.acts:>8,}  {shown}")
        lines += ["", f"{'must hold':<{CHECK_COLUMNS}}{'':<5}seen"]
        for check in self.checks:
            lines.append(
                f"{check.what:<{CHECK_COLUMNS}}{'yes' if check.holds else 'NO':<5}{check.seen}"
            )
        return "\n".join([*lines, f"seed {self.seed}, {self.seconds:.0f} s of harm"])


class Defence(NamedTuple):
    """What keeps the hostile clients out of a cluster, and who they are.

    `user`: requests are checked, and they have no rights. `keyed`: members and clients have keys,
    and fronts want certificates. `equal`: they get as much of the processors as each node, and not
    only what all others leave.
    """

    user: Sequence[str] = ()
    keyed: Keyed | None = None
    equal: bool = False

    def episode(self, seed: int) -> Episode:
        """The cluster, and the honest clients."""
        episode = partial(
            Episode,
            f"hostile {seed}",
            NODES,
            faults=False,
            fronts=True,
            late_seconds=HANG_SECONDS,
        )
        if self.keyed is not None:
            flags, entry = self.keyed.node_flags, self.keyed.entry
            return episode(flags, secure=True, entry=entry, prepare=self.keyed.prepare)
        if self.user:
            return episode(entry=Entry(HONEST), prepare=lambda cluster: guard(cluster.endpoints))
        return episode()

    def plan(self, plan: Plan) -> Plan:
        """The plan of the hostile clients, with what these have."""
        if self.keyed is not None:
            plan = plan._replace(people=self.keyed.people(), secrets=self.keyed.secrets)
        return plan._replace(user=self.user, equal=self.equal)


OPEN: Final = Defence()
GUARDED: Final = Defence(STRANGER)


def run(
    seconds: float,
    seed: int,
    kinds: Sequence[str] = tuple(KINDS),
    count: int = HOSTILE_CLIENTS,
    stopped: Callable[[], bool] = lambda: False,
    peace_seconds: float = PEACE_SECONDS,
    *,
    defence: Defence = OPEN,
) -> Report:
    """Do these kinds of harm for that time; whatever is found is in the report."""
    rows: list[Row] = []
    checks: list[Check] = []
    began = ended = time.monotonic()
    try:
        with defence.episode(seed) as episode:
            _load(episode)
            for done in () if defence.keyed is None else defence.keyed.operations:
                episode.history.add(done)
            watch = Watch(episode.cluster)
            peace = time.monotonic()
            watch.over(min(peace_seconds, seconds), episode, stopped)
            watch.begin()
            began = time.monotonic()
            plan = defence.plan(_plan(episode.cluster, kinds, count, seed))
            with HostileProcess(plan) as hostile:
                watch.over(seconds, episode, stopped)
                ended = time.monotonic()
                watch.end()
                checks += watch.checks(ended - began)
                rows += hostile.stop()
            if defence.user:
                checks.append(refused(rows))
            try:
                figures = episode.judge()
            finally:  # only now every operation is over, or known to be unanswered
                spans = (peace, began), (began, ended)
                checks += latencies(episode.history.operations, *spans)
            checks.append(_safe(figures))
            watch.raise_if_a_node_ended()
    except (AssertionError, LauncherError, LeaseholdError) as error:
        kept = "; ".join([str(error), *getattr(error, "__notes__", ())])
        checks.append(Check(SAFE if SAFE not in {c.what for c in checks} else LOGS, kept, False))
    return Report(seed, ended - began, rows, checks)


class Watch:
    """Looks at nodes and fronts while harm is done: who ends, and how large each becomes."""

    def __init__(self, cluster: LocalCluster) -> None:
        self._cluster = cluster
        self._ended: list[str] = []
        self._pids: dict[str, int] = {}
        self._before: dict[str, float] = {}
        self._peaks: dict[str, float] = {}
        self._log_bytes: dict[str, int] = {}
        self._logged: dict[str, list[bytes]] = {}
        self._terms = (0, 0)

    def over(self, seconds: float, episode: Episode, stopped: Callable[[], bool]) -> None:
        """Let time pass; a node that ends is started again, up to a number of times."""
        until = time.monotonic() + seconds
        while time.monotonic() < until and not stopped():
            self._cluster.poll(TURN_MS)
            self._cluster.reap()
            episode.clients.check()
            for node in self._cluster.members:
                if node.running:
                    continue
                self._ended.append(self._cluster.failure_of(node))
                if len(self._ended) > RELAUNCHES_MAX:
                    raise FindingError(f"{len(self._ended)} nodes ended: {self._ended[-1]}")
                self._cluster.launch_node(node.name)

    def begin(self) -> None:
        """The harm begins: from here on memory is looked at."""
        for node in self._cluster.running:
            _, serving = halves_of(node.pid)
            self._pids |= {node.name: node.pid, f"{node.name}{FRONT}": serving}
            self._log_bytes[node.name] = node.log_path.stat().st_size
        for name, pid in self._pids.items():
            self._before[name] = _memory_mib(pid, "VmRSS")
            # The kernel keeps the peak; it begins anew.
            Path(f"/proc/{pid}/clear_refs").write_text("5")
        self._terms = (self._term(), 0)

    def end(self) -> None:
        """It is over."""
        for name, pid in self._pids.items():
            self._peaks[name] = _memory_mib(pid, "VmHWM")
        for node in self._cluster.members:
            with node.log_path.open("rb") as log:
                log.seek(self._log_bytes.get(node.name, 0))
                self._logged[node.name] = log.read().splitlines()
        self._terms = (self._terms[0], self._term())

    def checks(self, seconds: float) -> list[Check]:
        """What was seen, and whether it holds."""
        growth = {n: peak - self._before.get(n, 0) for n, peak in self._peaks.items()}
        peaks = ", ".join(
            f"{name} {self._before.get(name, 0):.0f} to {peak:.0f}"
            for name, peak in self._peaks.items()
        )
        lines = {n: 60 * len(found) / seconds for n, found in self._logged.items()}
        said = ", ".join(f"{name} {count:.0f}" for name, count in lines.items())
        first = "; ".join(dict.fromkeys(self._ended))
        ended = [name for name, peak in self._peaks.items() if not peak]
        fronts = [name for name in ended if name.endswith(FRONT)]
        return [
            Check(ALIVE, f"{len(self._ended)} ended {first}".strip(), not self._ended),
            Check(SERVING, f"{len(fronts)} ended {', '.join(fronts)}".strip(), not fronts),
            Check(
                f"memory grows by {GROWTH_MIB_MAX:.0f} MiB at most",
                f"{peaks} MiB",
                max(growth.values(), default=0.0) <= GROWTH_MIB_MAX,
            ),
            Check(
                f"{LOG_LINES_PER_MINUTE_MAX:.0f} log lines a minute at most",
                f"{said} a minute; term {self._terms[0]} to {self._terms[1]}",
                max(lines.values(), default=0.0) <= LOG_LINES_PER_MINUTE_MAX,
            ),
        ]

    def raise_if_a_node_ended(self) -> None:
        """Whose logs and data are worth keeping then."""
        if self._ended:
            raise FindingError(f"{len(self._ended)} nodes ended")

    def _term(self) -> int:
        return max((status.term for status in self._cluster.status().values()), default=0)


def _memory_mib(pid: int, name: str) -> float:
    """What the system says of a process; 0 if it has ended."""
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith(f"{name}:"):
                return int(line.split()[1]) / 1024
    return 0.0


def _load(episode: Episode) -> None:
    """Put some megabytes, so that reading all of them is worth refusing."""
    with episode.client(*episode.cluster.endpoints) as client:
        for number in range(BULK_KEYS):
            key, name = f"{BULK}{number:03d}", f"bulk.{number}"
            began = time.monotonic()
            header = client.put(key, padded(name, BULK_BYTES)).header
            put = Operation("bulk", "put", key, began, time.monotonic(), Outcome.OK, value=name)
            episode.history.add(put._replace(revision=header.revision))


def _plan(cluster: LocalCluster, kinds: Sequence[str], count: int, seed: int) -> Plan:
    def address(text: str) -> tuple[str, int]:
        host, _, port = text.removeprefix("tcp://").rpartition(":")
        return host, int(port)

    return Plan(
        {node.name: address(node.endpoint) for node in cluster.members},
        {node.name: ("127.0.0.1", node.direct_port or 0) for node in cluster.members},
        {node.name: address(node.peer_url) for node in cluster.members},
        kinds,
        max(count, len(kinds)),
        str(seed),
    )


def latencies(
    operations: Sequence[Operation], peace: tuple[float, float], harm: tuple[float, float]
) -> list[Check]:
    """How long honest writes took; one that was refused or never answered took for ever."""
    puts = [operation for operation in operations if operation.op == "put"]
    checks = []
    for what, first in WRITERS.items():
        mine = [put for put in puts if put.client.startswith(first)]
        before, during = _taken_ms(mine, peace), _taken_ms(mine, harm)
        # In peace what is not served is the doing of others on this machine.
        calm = quantile([taken for taken in before if taken < inf], 99)
        hard = quantile(during, 99)
        ratio = hard / calm if calm else inf
        seen = (
            f"p50 {quantile(before, 50):.1f} to {quantile(during, 50):.1f} ms, p99 {calm:.1f} to"
            f" {hard:.1f} ms ({ratio:.1f} times); not served: {before.count(inf)} of {len(before)},"
            f" then {during.count(inf)} of {len(during)}"
        )
        checks.append(
            Check(f"{what}: p99 {P99_RATIO_MAX:.0f} times at most", seen, ratio <= P99_RATIO_MAX)
        )
    return checks


def _taken_ms(puts: Sequence[Operation], span: tuple[float, float]) -> list[float]:
    began, ended = span
    return [
        1000 * (put.ended - put.began) if put.outcome is Outcome.OK else inf
        for put in puts
        if began <= put.began < ended
    ]


def refused(rows: Sequence[Row]) -> Check:
    """Nobody was served without a right."""
    through = [what for row in rows for what in row.seen if what.startswith(THROUGH)]
    trying = {kind.name for kind in (*on_rights.KINDS, *on_locks.KINDS, *on_tls.KINDS)}
    tried = sum(row.acts for row in rows if row.kind in trying)
    return Check(REFUSED, "; ".join(through) or f"{tried:,} acts of those who try", not through)


def _safe(figures: Figures) -> Check:
    """The judgement found nothing."""
    return Check(
        SAFE,
        f"{figures.operations.total():,} operations, {figures.revisions:,} revisions,"
        f" {figures.leases_expired} leases expired",
        True,
    )
