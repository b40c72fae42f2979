"""What must hold at the end of a campaign, beside linearizability: of watches, leases and copies.

Works on recorded histories only. When an entry was applied is not recorded; but what clients read
and wrote at earlier and later revisions bounds it from both sides, usually to a few milliseconds.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import accumulate, pairwise
from math import inf
from typing import Final, NamedTuple

from tests.chaos.history import LeaseStep, Stream
from tests.linearizability import Change, FindingError, Operation, Outcome, Seen

OUTAGE_SECONDS: Final = 0.05
"""A longer time without an acknowledged write counts as an outage."""

LEASE_LATE_SECONDS: Final = 2.0
"""A lease may end this much later than its TTL and all outages meanwhile; a test allows more."""

EARLY_SECONDS: Final = 0.002
"""Clocks of the cluster count whole milliseconds."""

LEASE_REASONS: Final = frozenset({"lease expired", "lease revoked"})


class Outage(NamedTuple):
    """No write was acknowledged between these times."""

    began: float
    ended: float


def outages(acknowledged_at: Iterable[float]) -> list[Outage]:
    """The gaps between acknowledgements that are long enough to count."""
    times = sorted(acknowledged_at)
    return [Outage(*pair) for pair in pairwise(times) if pair[1] - pair[0] > OUTAGE_SECONDS]


def quantile(values: Sequence[float], percent: float) -> float:
    """That quantile of the values, 0 if there are none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))] if ordered else 0.0


# --- watches ----------------------------------------------------------------------------------


def check_stream(stream: Stream, changes: Sequence[Change], last: int) -> None:
    """A watcher saw every change from its start to the end: none missing, twice or out of order."""
    if stream.last != last:
        raise FindingError(f"{stream.name} saw changes up to {stream.last}, the last is {last}")
    expected = [change for change in changes if change.revision >= stream.start]
    if not stream.tells_reasons:
        expected = [change._replace(reason="") for change in expected]
    if stream.changes == expected:
        return
    for seen, change in zip(stream.changes, expected, strict=False):
        if seen != change:
            raise FindingError(f"{stream.name} saw {seen} instead of {change}")
    raise FindingError(f"{stream.name} saw {len(stream.changes)} of {len(expected)} changes")


# --- leases -----------------------------------------------------------------------------------


class Bounds:
    """Between which times a revision was applied first, as far as what clients saw tells."""

    def __init__(self, operations: Iterable[Operation], seen: Iterable[Seen]) -> None:
        done = [op for op in operations if op.outcome is Outcome.OK]
        began = sorted((op.revision, op.began) for op in done if not op.serializable)
        ended = [(op.revision, op.ended) for op in done]
        ended = sorted([*ended, *((one.revision, one.at) for one in seen)])
        self._began = [revision for revision, _ in began]
        self._ended = [revision for revision, _ in ended]
        # Whatever began before ... and was answered from an older revision came before it.
        self._after = [-inf, *accumulate((at for _, at in began), max)]
        self._before = [*accumulate((at for _, at in reversed(ended)), min, initial=inf)][::-1]

    def of(self, revision: int) -> tuple[float, float]:
        """Not before the first, not after the second."""
        return (
            self._after[bisect_left(self._began, revision)],
            self._before[bisect_left(self._ended, revision)],
        )


def check_leases(
    steps: Sequence[LeaseStep],
    changes: Sequence[Change],
    bounds: Bounds,
    all_outages: Sequence[Outage],
    late_seconds: float = LEASE_LATE_SECONDS,
) -> int:
    """No lease ended early, nor late, nor in parts; returns how many were seen to expire."""
    by_lease: dict[int, list[LeaseStep]] = defaultdict(list)
    for step in steps:
        by_lease[step.lease].append(step)
    ends: dict[int, set[tuple[int, str]]] = defaultdict(set)
    for change in changes:
        if change.reason in LEASE_REASONS:
            ends[int(change.key.split("/")[1], 16)].add((change.revision, change.reason))
    for lease, found in ends.items():
        if len(found) != 1:
            raise FindingError(f"lease {lease:x} ended in parts: {sorted(found)}")
        ((revision, reason),) = found
        _check_lease(by_lease[lease], reason, bounds.of(revision), all_outages, late_seconds)
    return sum(reason == "lease expired" for found in ends.values() for _, reason in found)


def _check_lease(
    steps: Sequence[LeaseStep],
    reason: str,
    applied: tuple[float, float],
    all_outages: Sequence[Outage],
    late_seconds: float,
) -> None:
    not_before, not_after = applied
    lease = steps[0].lease
    if reason == "lease revoked":
        if not any(step.step == "revoke" for step in steps):
            raise FindingError(f"nobody revoked lease {lease:x}")
        return
    given = [step for step in steps if step.step != "revoke"]
    sure = [step for step in given if step.outcome is Outcome.OK]
    if not sure:
        return
    earliest = max(step.began + step.ttl for step in sure)
    if not_after < earliest - EARLY_SECONDS:
        raise FindingError(
            f"lease {lease:x} ended {1000 * (earliest - not_after):.0f} ms early, not after "
            f"{not_after:.3f} s: {steps}"
        )
    if any(step.outcome is Outcome.UNKNOWN for step in given):
        return  # it may have been renewed at any time
    renewed = max(step.ended for step in sure)
    ttl = max(step.ttl for step in sure)
    lost = sum(
        max(0.0, min(outage.ended, not_before) - max(outage.began, renewed))
        for outage in all_outages
    )
    late = not_before - (renewed + ttl + lost)
    if late > late_seconds:
        raise FindingError(
            f"lease {lease:x} ended {late:.1f} s late, not before {not_before:.3f} s, with outages "
            f"of {lost:.1f} s meanwhile: {steps}"
        )
