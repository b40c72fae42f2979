"""The texts of what fail-overs cost."""

from __future__ import annotations

import json

from cluster.launcher.probing.report import as_json, percentiles, summary, text_of
from cluster.launcher.story.failover import DEATH, STOP, Failover

KILLED = Failover(
    number=1,
    cause="n2 (leader) was killed by SIGKILL",
    began_at=10.0,
    leader_before="n2",
    leader_after="n3",
    term=5,
    detected_by="n1",
    detected_how="connection",
    detection_ms=1.2,
    election_ms=35.0,
    votes=("n3", "n1"),
    write_outage_ms=49.0,
    read_outage_ms=41.0,
    watch_gap_ms=53.0,
    delayed=10,
    linearizable=True,
    leases_kept=2,
    fault=DEATH,
)


def test_a_change_of_leaders_is_told_in_five_lines_with_etcd_beside_it() -> None:
    *lines, etcd = text_of(KILLED).split("\n")
    assert lines == [
        "#1 n2 (leader) was killed by SIGKILL: n3 leads now (term 5)",
        "   detected after 1.2 ms (n1, connection), elected 35 ms later by n3, n1",
        "   no writes for 49 ms, no reads for 41 ms, watch silent for 53 ms",
        "   10 requests delayed, 0 failed, 0 lost, 0 doubled; linearizable; leases: 2 kept, 0 lost",
    ]
    assert "tests.etcd failover" in etcd


def test_a_fault_without_another_leader_is_told_without_etcd() -> None:
    quiet = KILLED._replace(leader_after="n2", election_ms=None, detection_ms=None)
    lines = text_of(quiet).split("\n")
    assert lines[0].endswith(": n2 still leads")
    assert len(lines) == 3


def test_what_is_wrong_stands_out() -> None:
    wrong = text_of(KILLED._replace(linearizable=False, lost=2, late_ms=12.0))
    assert "2 lost" in wrong
    assert "NOT LINEARIZABLE" in wrong
    assert "the probe itself did not run for 12 ms of that" in wrong
    behind = text_of(KILLED._replace(catching_up=("n1",)))
    assert "; n1 had to take over another's data first" in behind
    assert "not checked" in text_of(KILLED._replace(linearizable=None))


def test_etcd_stands_beside_the_death_of_a_leader_only() -> None:
    assert "etcd" not in text_of(KILLED._replace(fault=STOP))
    assert "etcd" not in text_of(KILLED._replace(faults=2))


def test_all_fail_overs_are_a_table_with_percentiles_by_fault() -> None:
    follower = KILLED._replace(number=2, leader_after="n2", write_outage_ms=0.0)
    stopped = KILLED._replace(number=3, fault=STOP)
    lines = summary([KILLED, follower, stopped, KILLED._replace(number=4)]).split("\n")
    assert len(lines) == 1 + 4 + 4 + 1
    assert "n2 > n3" in lines[1]
    assert "p50 of 2 changes of leader by death" in lines[5]
    assert summary([]) == "no fail-over yet: kill leader"


def test_percentiles_are_of_the_values_that_there_are() -> None:
    failovers = [KILLED._replace(write_outage_ms=float(n)) for n in range(1, 101)]
    failovers.append(KILLED._replace(write_outage_ms=None))
    found = percentiles(failovers)
    assert [found[p]["write_outage_ms"] for p in (50, 90, 99, 100)] == [50.0, 90.0, 99.0, 100.0]


def test_the_json_has_everything() -> None:
    document = json.loads(as_json([KILLED]))
    assert document["failovers"][0]["votes"] == ["n3", "n1"]
    assert document["percentiles"]["death"]["p50"]["write_outage_ms"] == 49.0
    assert document["etcd"]["write_outage_ms"] > 0
    assert json.loads(as_json([]))["percentiles"] == {}
