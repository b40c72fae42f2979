"""Many seeds on several processes: figures, the first finding, and whether anything was tested.

A campaign in which an interesting thing never happened has not shown that it goes well.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from itertools import islice
from typing import NamedTuple, TypeVar

from tests.simulation.runner import Report, run

Task = TypeVar("Task")
Answer = TypeVar("Answer")

JOBS = min(4, os.cpu_count() or 1)
BATCH_SEEDS = 5
REPEATED_ONE_IN = 50
"""So many seeds are run twice: their digests must be equal."""

OFTEN = (
    "leaders",
    "elections without a winner",
    "commits of earlier terms",
    "truncations",
    "saves lost in a crash",
    "commits in several turns",
    "commits lost before a crash",
    "sectors lost",
    "messages lost",
    "messages late",
    "messages repeated",
    "snapshot chunks",
    "snapshots installed",
    "snapshots compared",
    "joint memberships",
    "disks emptied",
    "ended by its disk",
    "stopped",
    "outcomes unknown",
    "leases expired",
    "leases held",
    "leases renewed",
    "watches moved",
    "keys checked by search",
    "done: member_add",
    "done: member_remove",
    "put",
    "delete_range",
    "range",
    "lease_grant",
    "lease_leases",
    "txn",
    "increment",
    "history",
    "hash_kv",
    "defragment",
    "answers as the model has them",
    "refused: FutureRev",
    "applied: SessionNotFound",
    "frames of a later version",
    "outsider: beyond bounds",
    "outsider: broken",
    "outsider: forged",
    "outsider: not asked for",
    "outsider: replayed",
    "outsider: under another name",
    "bookmarks",
    "fragments",
    "connections broken",
    "act: block",
    "act: clog",
    "act: crash",
    "act: fail",
    "act: stall",
    "act: transfer",
    "act: trap",
    "act: forget",
)
"""What a fifth of all seeds meet, or more."""

SELDOM = (
    "commits made durable before a crash",
    "leaders elected in a joint membership",
    "crashes of a leader in a joint membership",
    "removed members that ended",
    "disks lost",
    "refused: it was here before",
    "came back after their disk was emptied",
    "refused to start",
    "failed: sync",
    "failed: write",
    "retries answered",
    "leases lost",
    "expiries refused",
    "done: member_promote",
    "done: member_replace",
    "done: move_leader",
    "lease_keep_alive",
    "lease_revoke",
    "lease_time_to_live",
    "txns in txns",
    "compact",
    "alarm",
    "refused: Compacted",
    "refused: LeaseNotFound",
    "refused: NoSpace",
    "applied: SequenceTooOld",
    "applied: TooManyOutstanding",
    "applied: TooManySessions",
    "applied: TooManyLeases",
    "entries of a later version",
    "entries skipped unread",
    "frames that had to wait",
    "watches compacted",
    "act: flip",
    "act: full",
    "act: hurry",
    "act: jump",
    "act: slow",
    "act: stop",
    "act: wipe",
)
"""What fewer of them meet, but at least one in a hundred."""

SEEDS_FOR_OFTEN_MIN = 100
SEEDS_FOR_ALL_MIN = 1_000
"""Fewer seeds than that need not meet everything, as they would not by chance."""


class Result(NamedTuple):
    """What a campaign came to; `failed` is the first run with a finding."""

    seeds: int
    events: int
    seconds: float
    counts: Counter[str]
    failed: Report | None
    digests: dict[int, str]

    @property
    def line(self) -> str:
        """One line of figures."""
        figures = ", ".join(f"{name} {count}" for name, count in sorted(self.counts.items()))
        verdict = "1 finding" if self.failed else "no finding"
        rate = self.events / max(self.seconds, 0.001)
        return (
            f"{self.seeds} seeds, {self.events} events, {rate:.0f} events/s, {self.seconds:.0f} s: "
            f"{verdict}; {figures}"
        )


def run_seeds(first: int, count: int, seconds: float | None = None, jobs: int = JOBS) -> Result:
    """Run seeds from `first` on, so many or for so long, until there is a finding."""
    started = time.monotonic()
    counts: Counter[str] = Counter()
    digests: dict[int, str] = {}
    seeds = events = 0
    failed: Report | None = None
    batches = _batches(first, count, started, seconds)
    for reports in each_result(_run_batch, batches, jobs):
        for report in reports:
            seeds += 1
            events += report.events
            counts.update(report.counts)
            digests[report.seed] = report.digest
            if report.finding and (failed is None or report.seed < failed.seed):
                failed = report
        if failed is not None:
            break
    return Result(seeds, events, time.monotonic() - started, counts, failed, digests)


def each_result(
    work: Callable[[Task], Answer], tasks: Iterable[Task], jobs: int
) -> Iterator[Answer]:
    """The result of each task, as they come; with one job they are done here."""
    if jobs == 1:
        yield from map(work, tasks)
        return
    waiting = iter(tasks)
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, context, initializer=_begin) as pool:
        running: list[Future[Answer]] = [pool.submit(work, task) for task in islice(waiting, jobs)]
        try:
            while running:
                done = next(iter(wait(running, return_when=FIRST_COMPLETED).done))
                running.remove(done)
                running += [pool.submit(work, task) for task in islice(waiting, 1)]
                yield done.result()
        finally:
            for each in running:
                each.cancel()


def _begin() -> None:
    logging.disable(logging.CRITICAL)


def _batches(first: int, count: int, started: float, seconds: float | None) -> Iterator[range]:
    for start in range(first, first + count, BATCH_SEEDS):
        if seconds is not None and time.monotonic() - started >= seconds:
            return
        yield range(start, min(start + BATCH_SEEDS, first + count))


def _run_batch(seeds: range) -> list[Report]:
    return [_run_checked(seed) for seed in seeds]


def _run_checked(seed: int) -> Report:
    report = run(seed)
    if seed % REPEATED_ONE_IN == 0 and not report.finding:
        again = run(seed)
        if again.digest != report.digest:
            finding = f"seed {seed} does not replay: {report.digest}, then {again.digest}"
            return report._replace(finding=finding)
    return report


def missing(counts: Counter[str], seeds: int) -> str:
    """What never happened and should have; nothing if all did, or if there were too few seeds."""
    often = OFTEN if seeds >= SEEDS_FOR_OFTEN_MIN else ()
    seldom = SELDOM if seeds >= SEEDS_FOR_ALL_MIN else ()
    absent = [name for name in (*often, *seldom) if not counts[name]]
    if not absent:
        return ""
    return f"NEVER HAPPENED in {seeds} seeds: {', '.join(absent)}"


def tell(report: Report) -> str:
    """A finding, and how to see it again."""
    return (
        f"FINDING at seed {report.seed} after {report.events} events, {report.ended_ms} ms "
        f"(digest {report.digest})\n{report.finding}\n{report.swarm}\n"
        f"to see it again: {report.command}\n"
    )
