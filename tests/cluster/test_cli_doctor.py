"""leasectl doctor: what it makes of what members say, and a look at a node."""

from __future__ import annotations

import json
from typing import Any

import pytest

from cluster.cli.diagnosis import ClockReading, Finding, Patient, Port, Severity, findings
from cluster.client.results import HashKvResult, Header, StatusResult
from cluster.launcher.local import LocalCluster
from tests.cluster.in_process import leasectl_for

HEADER = Header(77, 1, 9, 2)
STATUS = StatusResult(HEADER, "0.1.0", 4_096, 4_096, 1, 20, 2, 20, False, ())
QUICK = {"bounds": (0.001, 0.032), "counts": (99, 100, 100), "sum": 0.1}
SLOW = {"bounds": (0.001, 0.032), "counts": (10, 100, 100), "sum": 3.0}
METRICS: dict[str, Any] = {
    "wal_syncs": QUICK,
    "peers": [{"ID": 2, "is_active": True, "round_trips": QUICK}],
    "db_size": 10,
    "db_quota": 100,
    **dict.fromkeys(("leader_changes", "near_misses", "slow_applies", "slow_read_indexes"), 0),
    **dict.fromkeys(("proposals_failed", "audit_records_lost", "slow_watchers"), 0),
}
HASH = HashKvResult(HEADER, 5, 1, 9)
WELL = Patient("a:1", STATUS, METRICS, HASH, clock=ClockReading(0.2, 0.05))
OTHER = WELL._replace(endpoint="b:2")


def found(*patients: Patient) -> dict[str, Severity]:
    """The worst severity of what was found, by what it is about."""
    order = list(Severity)
    worst: dict[str, Severity] = {}
    for finding in findings(patients):
        known = worst.get(finding.about, Severity.OK)
        worst[finding.about] = max(known, finding.severity, key=order.index)
    return worst


def changed(**fields: Any) -> Patient:
    """The other member, with another status."""
    return OTHER._replace(status=STATUS._replace(**fields))


def measured(**fields: Any) -> Patient:
    """The other member, with other figures."""
    return OTHER._replace(metrics={**METRICS, **fields})


def test_a_healthy_cluster_is_ok() -> None:
    assert set(found(WELL, OTHER).values()) == {Severity.OK}
    texts = [finding.text for finding in findings([WELL, OTHER])]
    assert "1 leads in term 2" in texts
    assert "2 members agree at revision 9" in texts
    assert "a:1: 99% of 100 syncs of its log take up to 1 ms" in texts


@pytest.mark.parametrize(
    ("patient", "about", "severity"),
    [
        (Patient("b:2", error="no endpoint answered"), "reach", Severity.FAILURE),
        (OTHER._replace(error="refused"), "reach", Severity.FAILURE),
        (changed(leader=0), "leader", Severity.FAILURE),
        (changed(leader=2), "leader", Severity.FAILURE),
        (changed(raft_term=3), "leader", Severity.FAILURE),
        (changed(version="0.2.0"), "version", Severity.WARNING),
        (changed(raft_index=9_000, raft_applied_index=9_000), "lag", Severity.WARNING),
        (changed(errors=("memberID:1 alarm:NOSPACE ",)), "alarm", Severity.FAILURE),
        (OTHER._replace(hash=HASH._replace(hash=6)), "data", Severity.FAILURE),
        (OTHER._replace(hash=HASH._replace(compact_revision=2)), "data", Severity.NOTE),
        (measured(wal_syncs=SLOW), "disk", Severity.WARNING),
        (measured(wal_syncs={**SLOW, "counts": (1, 2, 9)}), "disk", Severity.WARNING),
        (measured(wal_syncs={**SLOW, "counts": (0, 0, 0)}), "disk", Severity.NOTE),
        (measured(peers=[{"ID": 1, "is_active": False}]), "network", Severity.WARNING),
        (measured(db_size=81), "space", Severity.WARNING),
        (measured(slow_applies=1), "count", Severity.NOTE),
        (measured(near_misses=1), "count", Severity.NOTE),
        (OTHER._replace(clock=ClockReading(-0.9, 0.01)), "clock", Severity.WARNING),
        (OTHER._replace(clock=ClockReading(-0.9, 0.1)), "clock", Severity.OK),
        (OTHER._replace(clock=ClockReading(1.5, 0.1)), "clock", Severity.WARNING),
    ],
)
def test_each_thing_that_is_wrong_is_found(
    patient: Patient, about: str, severity: Severity
) -> None:
    assert found(WELL, patient)[about] is severity


def test_the_first_leader_is_no_change_of_the_leader() -> None:
    told = [each for each in findings([measured(leader_changes=1)]) if each.about == "count"]
    assert told == []
    (change,) = [each for each in findings([measured(leader_changes=2)]) if each.about == "count"]
    assert change == Finding(Severity.NOTE, "count", "b:2: changes of the leader: 1")


def test_clocks_that_differ_are_named() -> None:
    slow = OTHER._replace(clock=ClockReading(-2.0, 0.01))
    texts = [each.text for each in findings([WELL, slow]) if each.about == "clock"]
    assert texts == [
        "the clock of a:1 is ahead of that of b:2: they are 2.200 s apart, of which 0.060 s are"
        " uncertain"
    ]


def test_an_address_that_nobody_listens_at_is_named() -> None:
    ports = [Port("n1", "http://a:1"), Port("n1", "tcp://a:2", "connection refused")]
    told = [each for each in findings([WELL], ports) if each.about == "port"]
    text = "n1 advertises tcp://a:2, which cannot be reached: connection refused"
    assert told == [Finding(Severity.WARNING, "port", text)]
    (told_ok,) = [each for each in findings([WELL], ports[:1]) if each.about == "port"]
    assert told_ok.severity is Severity.OK


@pytest.mark.process
def test_doctor_looks_at_a_node_and_fails_when_an_endpoint_is_silent(
    node: LocalCluster,
    capsysbinary: pytest.CaptureFixture[bytes],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    leasectl = leasectl_for(node.endpoints[0], capsysbinary, monkeypatch)
    ended = leasectl("doctor", "-w", "jsonl")
    assert (ended.code, ended.stderr) == (0, "")
    told = [Finding(**json.loads(line)) for line in ended.stdout.splitlines()]
    looked_at = {"reach", "leader", "version", "lag", "alarm", "port", "clock", "disk", "space"}
    assert looked_at <= {finding.about for finding in told}
    whole = json.loads(leasectl("doctor", "-w", "json").stdout)
    assert whole["healthy"] is True
    assert {each["about"] for each in whole["findings"]} >= looked_at
    assert leasectl("doctor").stdout.startswith(b"ok   reach    1 of 1 endpoints answer\n")
    both = f"--endpoints={node.endpoints[0]},127.0.0.1:1"
    ended = leasectl("doctor", "--here", both, "--dial-timeout=500ms")
    assert ended.stdout.startswith(b"FAIL reach    127.0.0.1:1: ")
    assert (ended.stderr, ended.code) == ("Error: unhealthy cluster\n", 1)
    refused = leasectl("doctor", "-w", "table")
    assert refused == (b"", "Error: table not supported as output format\n", 4)
