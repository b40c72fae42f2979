"""Prober: the probe client beside a cluster, and what it finds.

A part of the launcher's main loop. It hears the journal and the client, and tells in the journal
what a fault has cost, and each second's figures.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from math import inf
from pathlib import Path
from typing import Final, NamedTuple

from cluster.launcher.probing.measuring import Measuring
from cluster.launcher.probing.process import ClientProcess
from cluster.launcher.probing.records import (
    LOST,
    LeaseNews,
    Operation,
    ProbeOutcome,
    Record,
    Seen,
    ShutOut,
)
from cluster.launcher.probing.report import text_of
from cluster.launcher.secure.refusals import explained
from cluster.launcher.story.failover import Failover
from cluster.launcher.story.happenings import Happening
from cluster.launcher.story.journal import Journal

SAMPLES_KEPT_MAX: Final = 20_000
"""The newest samples that are kept, for plots."""

LOG: Final = "probe.log"

TICK_SECONDS: Final = 0.05
"""How often it is looked whether a fault is over."""

FIGURES_SECONDS: Final = 1.0

START_AGAIN_SECONDS: Final = 1.0
"""A client that has ended by itself is started again after this time."""

OWN: Final = frozenset({"explained", "failover", "probe", "message"})
"""The kinds that it tells itself or that say nothing to it."""


class Sample(NamedTuple):
    """What one request, event or lease of the client showed.

    `kind`: write, read, watch or lease. `ms`: how long it took; for an event, since its write was
    sent. A lease's is 0; it is not `ok` when it ended before its time.
    """

    at: float
    kind: str
    ms: float
    ok: bool


Reader = Callable[[Sequence[Sample]], None]


class Prober:
    """The probe client of a cluster that runs, and all that is made of what it sees.

    `voters` gives the voters' addresses, HOST:PORT or HOST:PORT#KEY, by name: where a node listens
    itself. The client's log is in `data_dir`, its own key in `key_file`, if nodes have keys.
    """

    def __init__(
        self,
        journal: Journal,
        data_dir: Path,
        voters: Callable[[], Mapping[str, str]],
        leader: str | None,
        election_timeout_ms: int,
        key_file: str = "",
    ) -> None:
        self.samples: deque[Sample] = deque(maxlen=SAMPLES_KEPT_MAX)
        self._journal = journal
        self._log = data_dir / LOG
        self._key_file = key_file
        self._voters = voters
        self._nodes: dict[str, str] = {}
        self._measuring = Measuring(leader, election_timeout_ms)
        self._readers: list[Reader] = []
        self._second: list[Sample] = []
        self._process: ClientProcess | None = None
        self._start_at = 0.0
        self._tick_due = 0.0
        self._figures_due = 0.0
        self._forget_journal = journal.read_by(self._read)

    @property
    def failovers(self) -> list[Failover]:
        """Every fault that was measured to its end."""
        return self._measuring.failovers

    @property
    def is_measuring(self) -> bool:
        """Whether a fault is being measured."""
        return self._measuring.is_measuring

    @property
    def pid(self) -> int:
        """The client's process; 0 while it does not run."""
        return 0 if self._process is None else self._process.pid

    def read_by(self, reader: Reader) -> None:
        """Hand each new sample to this reader, some at a time."""
        self._readers.append(reader)

    # --- a part of the main loop ---

    @property
    def due(self) -> float:
        """When `serve` must be called next (time.monotonic seconds), if nothing is readable."""
        tick_due = self._tick_due if self._measuring.is_measuring else inf
        start_at = self._start_at if self._process is None else inf
        return min(self._figures_due, tick_due, start_at)

    def fds(self) -> Iterable[int]:
        """The descriptors to wait for."""
        return () if self._process is None else (self._process.fd,)

    def serve(self, ready: Set[int], now: float) -> None:
        """Do what is to be done; called each time round the loop."""
        self._keep_client(now)
        if now >= self._tick_due:
            self._tick_due = now + TICK_SECONDS
            for failover in self._measuring.tick(now):
                self._journal.tell("failover", text_of(failover), **failover.document())
        self._carry_out_wishes()
        if now >= self._figures_due:
            self._figures_due = now + FIGURES_SECONDS
            self._tell_figures()

    def close(self) -> None:
        """End the client."""
        self._forget_journal()
        if self._process is not None:
            self._process.stop()
            self._process = None

    # --- inside ---

    def _read(self, happening: Happening) -> None:
        """A reader of the journal."""
        if happening.kind not in OWN:
            self._measuring.hear(happening)
            self._carry_out_wishes()

    def _keep_client(self, now: float) -> None:
        """Start the client if it does not run; else tell it who the voters are, and hear it."""
        if self._process is None:
            if now < self._start_at:
                return
            self._process = ClientProcess(self._log, self._key_file)
            self._nodes = {}
            self._measuring.history.begin_again(now)
        nodes = dict(self._voters())
        if nodes != self._nodes and self._process.follow(nodes):
            self._nodes = nodes
        samples = []
        for record in self._process.receive():
            if isinstance(record, ShutOut):
                text = f"the probe client cannot measure: {explained(record.why)}"
                self._journal.tell("users", text, what="shut_out")
                continue
            self._measuring.note(record)
            sample = _sample_of(record)
            if sample is not None:
                samples.append(sample)
        self.samples.extend(samples)
        self._second += samples
        for reader in self._readers if samples else ():
            reader(samples)
        if self._process.has_ended:
            self._process = None
            self._start_at = now + START_AGAIN_SECONDS

    def _carry_out_wishes(self) -> None:
        for wish in self._measuring.wishes():
            if self._process is None:
                continue
            if wish.closely_seconds:
                self._process.look_closely(wish.closely_seconds)
            if wish.order:
                self._process.read_again(wish.order)

    def _tell_figures(self) -> None:
        samples, self._second = self._second, []
        requests = [sample for sample in samples if sample.kind in {"write", "read"}]
        if not requests:
            return
        writes = sum(sample.kind == "write" for sample in requests)
        took = sorted(sample.ms for sample in requests if sample.ok)
        failed = len(requests) - len(took)
        p50_ms, p99_ms = (
            round(took[(len(took) - 1) * percent // 100], 2) if took else None
            for percent in (50, 99)
        )
        text = f"{writes} writes, {len(requests) - writes} reads, {failed} failed"
        self._journal.tell(
            "probe",
            text,
            writes=writes,
            reads=len(requests) - writes,
            p50_ms=p50_ms,
            p99_ms=p99_ms,
            failed=failed,
        )


def _sample_of(record: Record) -> Sample | None:
    match record:
        case Operation(kind, _, _, began, ended, outcome):
            took_ms = 1000 * (ended - began)
            return Sample(ended, kind.name.lower(), took_ms, outcome is ProbeOutcome.DONE)
        case Seen(at, number, _, _, sent_at) if number:
            return Sample(at, "watch", 1000 * (at - sent_at), ok=True)
        case LeaseNews(at, _, what):
            return Sample(at, "lease", 0.0, ok=what != LOST)
    return None
