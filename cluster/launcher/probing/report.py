"""Report: what fail-overs have cost, as text and as JSON.

Values in, texts out. It owns the one figure of etcd's that stands beside ours, and says how that is
measured.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final

from cluster.launcher.report.quantiles import FIGURES, milliseconds, percentile
from cluster.launcher.story.failover import DEATH, Failover
from cluster.launcher.story.words import all_of

ETCD_OUTAGE_MS: Final = 1_325
ETCD_COMMAND: Final = "python -m tests.etcd failover DIR"
"""How long no write was acknowledged when the leader of a real etcd 3.5.1, with its defaults, was
killed: the median, and the command that measures it."""

MEASURES: Final = {
    "detection_ms": "detected",
    "election_ms": "elected",
    "write_outage_ms": "writes",
    "read_outage_ms": "reads",
    "watch_gap_ms": "watch",
}
"""The fields of Failover that have percentiles, and their heads in the table."""

CAUSE_COLUMNS: Final = 40


def text_of(failover: Failover) -> str:
    """One fail-over in three to five lines."""
    before, after = failover.leader_before, failover.leader_after
    if after == before:
        outcome = f"{after} still leads" if after else "no leader"
    else:
        outcome = f"{after} leads now (term {failover.term})" if failover.term else f"{after} leads"
    lines = [f"#{failover.number} {failover.cause}: {outcome}"]
    if failover.detection_ms is not None:
        noticed = f"{failover.detected_by}, {failover.detected_how}"
        line = f"detected after {_ms(failover.detection_ms)} ({noticed})"
        if failover.election_ms is not None:
            line += f", elected {_ms(failover.election_ms)} later by {', '.join(failover.votes)}"
        lines.append(f"   {line}")
    line = (
        f"no writes for {_ms(failover.write_outage_ms)}, no reads for"
        f" {_ms(failover.read_outage_ms)}, watch silent for {_ms(failover.watch_gap_ms)}"
    )
    if failover.late_ms:
        line += f" (the probe itself did not run for {_ms(failover.late_ms)} of that)"
    if failover.catching_up:
        line += f"; {all_of(failover.catching_up)} had to take over another's data first"
    lines += [f"   {line}", f"   {_consequences(failover)}"]
    if is_death_of_leader(failover):
        lines.append(f"   etcd by default: no writes for {ETCD_OUTAGE_MS:,} ms ({ETCD_COMMAND})")
    return "\n".join(lines)


def is_death_of_leader(failover: Failover) -> bool:
    """Whether it can be compared with the death of etcd's leader."""
    changed = failover.leader_after != failover.leader_before
    return (failover.fault, failover.faults) == (DEATH, 1) and changed


def _consequences(failover: Failover) -> str:
    words = {True: "linearizable", False: "NOT LINEARIZABLE", None: "not checked"}
    return (
        f"{failover.delayed} requests delayed, {failover.failed} failed, {failover.lost} lost,"
        f" {failover.doubled} doubled; {words[failover.linearizable]};"
        f" leases: {failover.leases_kept} kept, {failover.leases_lost} lost"
    )


def summary(failovers: Sequence[Failover]) -> str:
    """All of them, one a line, and the percentiles of those with another leader, by the fault."""
    if not failovers:
        return "no fail-over yet: kill leader"
    width = min(CAUSE_COLUMNS, max(len(failover.cause) for failover in failovers))
    heads = "".join(f"{head:>9}" for head in MEASURES.values())
    rows = [f"{'#':>3}  {'cause':<{width}}  {'leader':<10}{heads}  lost doubled"]
    for failover in failovers:
        cause = failover.cause
        cause = cause if len(cause) <= width else cause[: width - 3] + "..."
        leader = failover.leader_after or "-"
        if leader != failover.leader_before:
            leader = f"{failover.leader_before or '-'} > {leader}"
        figures = "".join(f"{milliseconds(getattr(failover, name)):>9}" for name in MEASURES)
        wrong = f"{failover.lost:>4} {failover.doubled:>7}"
        odd = "" if failover.linearizable else "  not linearizable"
        odd = "  not checked" if failover.linearizable is None else odd
        rows.append(f"{failover.number:>3}  {cause:<{width}}  {leader:<10}{figures}  {wrong}{odd}")
    for fault, changes in changes_by_fault(failovers).items():
        found = percentiles(changes)
        for figure, percent in FIGURES.items() if len(changes) > 1 else ():
            values = found[percent]
            cells = "".join(f"{milliseconds(values.get(name)):>9}" for name in MEASURES)
            of = f"{figure} of {len(changes)} changes of leader by {fault}"
            rows.append(f"{'':>3}  {of:<{width + 12}}{cells}")
    rows.append(f"ms; etcd by default, death of the leader: {ETCD_OUTAGE_MS:,} ({ETCD_COMMAND})")
    return "\n".join(rows)


def changes_by_fault(failovers: Sequence[Failover]) -> dict[str, list[Failover]]:
    """Those with another leader, by what the fault was."""
    found: dict[str, list[Failover]] = {}
    for failover in failovers:
        if failover.leader_after != failover.leader_before:
            found.setdefault(failover.fault, []).append(failover)
    return found


def percentiles(failovers: Sequence[Failover]) -> dict[int, dict[str, float]]:
    """Each percentile of each measure, of those that have the measure; 100 is the greatest."""
    columns = {
        name: [v for each in failovers if (v := getattr(each, name)) is not None]
        for name in MEASURES
    }
    return {
        percent: {name: percentile(values, percent) for name, values in columns.items() if values}
        for percent in FIGURES.values()
        if failovers
    }


def as_json(failovers: Sequence[Failover]) -> str:
    """All of them, and the percentiles of those with another leader, as one JSON document."""
    document: dict[str, Any] = {
        "failovers": [failover.document() for failover in failovers],
        "percentiles": {
            fault: {f"p{percent}": values for percent, values in percentiles(changes).items()}
            for fault, changes in changes_by_fault(failovers).items()
        },
        "etcd": {"write_outage_ms": ETCD_OUTAGE_MS, "command": ETCD_COMMAND},
    }
    return json.dumps(document, indent=2)


def _ms(value: float | None) -> str:
    """A duration in words."""
    if value is None:
        return "an unknown time"
    if value >= 1_000:
        return f"{value / 1000:.1f} s"
    return f"{value:.0f} ms" if value >= 10 or value == 0 else f"{value:.1f} ms"
