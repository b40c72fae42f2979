"""The text of `/metrics`, and the board and the alerts that are made for it."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import cluster.etcd
from cluster.etcd.counters import RpcCounters
from cluster.etcd.web import metrics
from cluster.etcd.web.exchange import Exchange, HttpRequest
from cluster.etcd.web.exposition import Exposition
from cluster.etcd.web.metric_table import METRICS
from tests.cluster.etcd.web.wire import Paper

MONITORING = Path(cluster.etcd.__file__).parent / "monitoring"

HISTOGRAM = {"bounds": [0.001, 0.002], "counts": [1, 3, 4], "sum": 0.25}
HEADER = {"cluster_id": 1, "member_id": 0xAB, "revision": 9, "raft_term": 2}


class Told(NamedTuple):
    version: str = "1.2.3"
    node_pid: int = os.getpid()
    cors: tuple[str, ...] = ()
    request_bytes_max: int = 0


def reply() -> dict[str, Any]:
    """A node's answer with every field."""
    fields: dict[str, Any] = {
        metric.field: HISTOGRAM if metric.kind == "histogram" else 5 for metric in METRICS
    }
    return {
        **fields,
        "header": HEADER,
        "has_leader": True,
        "alarms": [{"memberID": 0xCD, "alarm": "NOSPACE"}],
        "peers": [{"ID": 0xEF, "is_active": True, "round_trips": HISTOGRAM}],
    }


def scrape(answer: dict[str, Any], counters: RpcCounters | None = None) -> str:
    request, paper = HttpRequest("GET", "/metrics", "1.1", {}), Paper()
    exchange = Exchange(request, paper)
    metrics.answer(exchange, answer, Told(), counters or RpcCounters())
    assert b"text/plain; version=0.0.4" in paper.head
    return paper.body.decode()


def test_values_have_etcds_names() -> None:
    lines = scrape(reply()).splitlines()
    for line in (
        "# TYPE etcd_server_has_leader gauge",
        "etcd_server_has_leader 1",
        "etcd_debugging_mvcc_current_revision 9",
        'etcd_disk_wal_fsync_duration_seconds_bucket{le="0.002"} 3',
        'etcd_disk_wal_fsync_duration_seconds_bucket{le="+Inf"} 4',
        "etcd_disk_wal_fsync_duration_seconds_sum 0.25",
        "etcd_disk_wal_fsync_duration_seconds_count 4",
        'etcd_debugging_server_alarms{server_id="cd",alarm_type="NOSPACE"} 1',
        'etcd_network_peer_round_trip_time_seconds_bucket{To="ef",le="0.001"} 1',
        'etcd_server_id{server_id="ab"} 1',
        'leasehold_version{version="1.2.3"} 1',
    ):
        assert line in lines


def test_calls_are_shown_by_method_and_status() -> None:
    counters = RpcCounters()
    put = b"/etcdserverpb.KV/Put"
    counters.started[put] += 3
    counters.handled[put, 0] += 2
    counters.handled[put, 14] += 1
    lines = scrape(reply(), counters).splitlines()
    method = 'grpc_method="Put",grpc_service="etcdserverpb.KV",grpc_type="unary"'
    assert f"grpc_server_started_total{{{method}}} 3" in lines
    assert f'grpc_server_handled_total{{grpc_code="OK",{method}}} 2' in lines
    assert f'grpc_server_handled_total{{grpc_code="Unavailable",{method}}} 1' in lines


def test_a_node_that_does_not_answer_leaves_only_its_part_out() -> None:
    text = scrape({"error": {"code": 14, "message": "etcdserver: request timed out"}})
    assert "etcd_server_has_leader" not in text
    assert "grpc_server_started_total" in text
    assert "process_resident_memory_bytes" in text


def test_the_text_is_what_a_scraper_reads() -> None:
    """Each sample follows its family's TYPE line, and no family comes twice."""
    families: list[str] = []
    for line in scrape(reply()).splitlines():
        if line.startswith("# TYPE"):
            families.append(line.split()[2])
        elif not line.startswith("#"):
            found = re.fullmatch(r'([a-z_]+)(\{([a-zA-Z_]+="[^"]*",?)+\})? [-+.0-9e]+', line)
            assert found, line
            assert found[1].startswith(families[-1])
    assert len(families) == len(set(families))


def test_texts_of_labels_are_escaped() -> None:
    out = Exposition()
    out.sample("a", 1.5, {"b": 'c"\\\n'})
    assert out.text() == b'a{b="c\\"\\\\\\n"} 1.5\n'


@pytest.mark.parametrize("name", ["grafana.json", "alerts.yml"])
def test_the_board_and_the_alerts_ask_for_what_is_exported(name: str) -> None:
    counters = RpcCounters()
    counters.handled[b"/etcdserverpb.KV/Put", 0] += 1
    exported = set(re.findall(r"^([a-z_]+)", scrape(reply(), counters), re.MULTILINE))
    text = (MONITORING / name).read_text()
    if name.endswith("json"):
        panels = json.loads(text)["panels"]
        text = "\n".join(target["expr"] for panel in panels for target in panel["targets"])
    asked = set(re.findall(r"\b((?:etcd|grpc_server|leasehold|process)_[a-z_]+)", text))
    assert len(asked) > 8
    assert asked <= exported
