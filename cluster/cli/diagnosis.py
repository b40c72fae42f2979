"""What `doctor` makes of what the members say: findings, each with its severity. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from enum import Enum
from typing import Any, Final, NamedTuple

from cluster.client.results import HashKvResult, StatusResult
from cluster.values import format_size

SYNC_SECONDS_MAX: Final = 0.016
"""99 of 100 syncs of the log should be as fast; a write waits for one on a majority of disks."""

ROUND_TRIP_SECONDS_MAX: Final = 0.064
"""99 of 100 round trips between members should be as fast: above the interval of heartbeats, a busy
moment begins an election."""

BEHIND_MAX: Final = 5_000
"""Log entries that a member may lack, or may have and not have applied."""

SPACE_USED_MAX: Final = 0.8
"""The part of the quota from which on there is a warning."""

CLOCKS_SECONDS_MAX: Final = 1.0
"""Clocks should differ by no more, as etcd's members warn of it. Leases do not depend on them, but
certificates, tokens and the times in logs do."""

OFTEN: Final = 0.99

COUNTS: Final = {
    "leader_changes": "changes of the leader",
    "near_misses": "heartbeats of the leader that came late, shortly before an election",
    "slow_applies": "applies that took too long",
    "slow_read_indexes": "linearizable reads that waited too long",
    "proposals_failed": "writes that failed",
    "audit_records_lost": "records of the audit log that were lost",
    "slow_watchers": "watches that lag behind",
}
"""Counts since the start of a node that a healthy one has few of."""

FIRST: Final = {"leader_changes": 1}
"""How much of a count says nothing: as in etcd, the first leader that a node hears of counts as a
change."""


class Severity(Enum):
    """How bad a finding is."""

    OK = "ok"
    NOTE = "note"
    WARNING = "WARN"
    FAILURE = "FAIL"


class Finding(NamedTuple):
    """What was looked at, how it is, and what was seen."""

    severity: Severity
    about: str
    text: str


class ClockReading(NamedTuple):
    """By how much a member's clock is ahead of this machine's; half of the time that the question
    took is uncertain."""

    ahead_seconds: float
    uncertain_seconds: float


class Patient(NamedTuple):
    """What a member says of itself; or the error, with which it says nothing."""

    endpoint: str
    status: StatusResult | None = None
    metrics: Mapping[str, Any] | None = None
    hash: HashKvResult | None = None
    error: str = ""
    clock: ClockReading | None = None


class Port(NamedTuple):
    """An address that a member advertises to clients; the error with which it was not reached."""

    member: str
    url: str
    error: str = ""


def findings(patients: Sequence[Patient], ports: Sequence[Port] = ()) -> Iterator[Finding]:
    """Everything that was looked at, in the order of what matters most."""
    for patient in patients:
        if patient.error:
            yield Finding(Severity.FAILURE, "reach", f"{patient.endpoint}: {patient.error}")
    told = [(patient.endpoint, patient.status) for patient in patients if patient.status]
    if not any(patient.error for patient in patients):
        count = len(patients)
        yield Finding(Severity.OK, "reach", f"{count} of {count} endpoints answer")
    if told:
        yield _leader([status for _, status in told])
        yield _versions([status for _, status in told])
        yield from _behind(told)
        yield from _alarms(told)
    yield from _hashes(patients)
    yield from _ports(ports)
    yield from _clocks([patient for patient in patients if patient.clock is not None])
    for patient in patients:
        if patient.metrics is not None:
            yield from _measured(patient.endpoint, patient.metrics)


def _leader(statuses: Sequence[StatusResult]) -> Finding:
    leaders = {(status.leader, status.raft_term) for status in statuses}
    if any(not leader for leader, _ in leaders):
        return Finding(Severity.FAILURE, "leader", "a member knows no leader")
    if len(leaders) > 1:
        seen = ", ".join(f"{leader:x} in term {term}" for leader, term in sorted(leaders))
        return Finding(Severity.FAILURE, "leader", f"members follow different leaders: {seen}")
    ((leader, term),) = leaders
    return Finding(Severity.OK, "leader", f"{leader:x} leads in term {term}")


def _versions(statuses: Sequence[StatusResult]) -> Finding:
    versions = sorted({status.version for status in statuses})
    if len(versions) > 1:
        return Finding(Severity.WARNING, "version", f"members differ: {', '.join(versions)}")
    return Finding(Severity.OK, "version", versions[0])


def _behind(told: Sequence[tuple[str, StatusResult]]) -> Iterator[Finding]:
    newest = max(status.raft_index for _, status in told)
    late = [(endpoint, newest - status.raft_applied_index) for endpoint, status in told]
    for endpoint, entries in late:
        if entries > BEHIND_MAX:
            yield Finding(Severity.WARNING, "lag", f"{endpoint} is {entries:,} log entries behind")
    if all(entries <= BEHIND_MAX for _, entries in late):
        most = max(entries for _, entries in late)
        yield Finding(Severity.OK, "lag", f"no member is more than {most:,} log entries behind")


def _alarms(told: Sequence[tuple[str, StatusResult]]) -> Iterator[Finding]:
    errors = [(endpoint, error) for endpoint, status in told for error in status.errors]
    for endpoint, error in errors:
        yield Finding(Severity.FAILURE, "alarm", f"{endpoint}: {error}")
    if not errors:
        yield Finding(Severity.OK, "alarm", "none")


def _hashes(patients: Sequence[Patient]) -> Iterator[Finding]:
    """Whether the data agree: hashes up to the same revision, from the same one on."""
    found = [patient.hash for patient in patients if patient.hash is not None]
    groups: dict[tuple[int, int], set[int]] = {}
    for each in found:
        groups.setdefault((each.compact_revision, each.hash_revision), set()).add(each.hash)
    for (_, revision), hashes in groups.items():
        if len(hashes) > 1:
            text = f"members have different data at revision {revision}"
            yield Finding(Severity.FAILURE, "data", text)
    if len(groups) > 1:
        yield Finding(
            Severity.NOTE, "data", "not compared: members compacted at different revisions"
        )
    elif groups and all(len(hashes) == 1 for hashes in groups.values()):
        ((_, revision),) = groups
        text = f"{len(found)} members agree at revision {revision}"
        yield Finding(Severity.OK, "data", text)


def _ports(ports: Sequence[Port]) -> Iterator[Finding]:
    for port in ports:
        if port.error:
            text = f"{port.member} advertises {port.url}, which cannot be reached: {port.error}"
            yield Finding(Severity.WARNING, "port", text)
    if ports and not any(port.error for port in ports):
        count = len(ports)
        text = f"{count} of {count} addresses that members advertise to clients can be reached"
        yield Finding(Severity.OK, "port", text)


def _clocks(patients: Sequence[Patient]) -> Iterator[Finding]:
    """How far the clocks of members, and this machine's, are apart at most."""
    read = [(each.clock, each.endpoint) for each in patients if each.clock is not None]
    if not read:
        return
    read.append((ClockReading(0.0, 0.0), "this machine"))
    (ahead, fast), (behind, slow) = max(read), min(read)
    apart = ahead.ahead_seconds - behind.ahead_seconds
    uncertain = ahead.uncertain_seconds + behind.uncertain_seconds
    about = f"{apart:.3f} s apart, of which {uncertain:.3f} s are uncertain"
    if apart - uncertain > CLOCKS_SECONDS_MAX:
        text = f"the clock of {fast} is ahead of that of {slow}: they are {about}"
        yield Finding(Severity.WARNING, "clock", text)
    else:
        yield Finding(Severity.OK, "clock", f"members and this machine are at most {about}")


def _measured(endpoint: str, metrics: Mapping[str, Any]) -> Iterator[Finding]:
    yield _duration(endpoint, "disk", "syncs of its log", metrics["wal_syncs"], SYNC_SECONDS_MAX)
    for peer in metrics["peers"]:
        other = f"{peer['ID']:x}"
        if not peer["is_active"]:
            yield Finding(Severity.WARNING, "network", f"{endpoint} does not reach {other}")
        else:
            what, trips = f"round trips to {other}", peer["round_trips"]
            yield _duration(endpoint, "network", what, trips, ROUND_TRIP_SECONDS_MAX)
    quota, size = metrics["db_quota"], metrics["db_size"]
    if quota:
        severity = Severity.WARNING if size > quota * SPACE_USED_MAX else Severity.OK
        text = f"{endpoint} uses {format_size(size)} of {format_size(quota)}"
        yield Finding(severity, "space", text)
    for name, text in COUNTS.items():
        count = metrics[name] - FIRST.get(name, 0)
        if count > 0:
            yield Finding(Severity.NOTE, "count", f"{endpoint}: {text}: {count:,}")


def _duration(
    endpoint: str, about: str, what: str, histogram: Mapping[str, Any], seconds_max: float
) -> Finding:
    *counts, total = histogram["counts"]
    if not total:
        return Finding(Severity.NOTE, about, f"{endpoint}: no {what} yet")
    bounds = zip(histogram["bounds"], counts, strict=True)
    bound = next((bound for bound, count in bounds if count >= total * OFTEN), None)
    if bound is None:
        text = f"more than {histogram['bounds'][-1]:g} s"
        return Finding(Severity.WARNING, about, f"{endpoint}: 99% of the {what} take up to {text}")
    severity = Severity.OK if bound <= seconds_max else Severity.WARNING
    text = f"{endpoint}: 99% of {total:,} {what} take up to {bound * 1_000:g} ms"
    return Finding(severity, about, text)
