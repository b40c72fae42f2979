"""`/metrics`: the node's figures, the front's, and those of the processes, as Prometheus text."""

from __future__ import annotations

import os
import resource
import time
from collections.abc import Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

from cluster.etcd.counters import RpcCounters
from cluster.etcd.rpc.schema import RPCS, RpcKind
from cluster.etcd.rpc.status import code_of
from cluster.etcd.web.exchange import Exchange
from cluster.etcd.web.exposition import CONTENT_TYPE, Exposition, MetricKind
from cluster.etcd.web.facts import Facts
from cluster.etcd.web.metric_table import METRICS

_TYPES: Final = {
    RpcKind.UNARY: "unary",
    RpcKind.SERVER_STREAM: "server_stream",
    RpcKind.BOTH_STREAM: "bidi_stream",
}

_TICKS: Final = os.sysconf("SC_CLK_TCK")
_PAGE_BYTES: Final = os.sysconf("SC_PAGE_SIZE")
_UTIME, _STIME, _START, _VSIZE, _RSS = 11, 12, 19, 20, 21
"""The fields of /proc/PID/stat after the command's name, counted from 0."""


def answer(
    exchange: Exchange, reply: Mapping[str, Any], facts: Facts, counters: RpcCounters
) -> None:
    """Answer `/metrics` from the node's reply to its `metrics` op.

    A node that does not answer leaves its part out: what the front knows is still told.
    """
    out = Exposition()
    if "error" not in reply:
        _node(out, reply)
    _identity(out, reply.get("header", {}), facts)
    _rpcs(out, counters)
    _process(out, "process", facts.node_pid)
    _process(out, "leasehold_front_process", os.getpid())
    exchange.answer(HTTPStatus.OK, out.text(), CONTENT_TYPE)


def _node(out: Exposition, reply: Mapping[str, Any]) -> None:
    values = {**reply, "revision": reply["header"]["revision"]}
    for metric in METRICS:
        value = values.get(metric.field)
        if value is None:
            continue
        out.family(metric.name, metric.kind, metric.help_text)
        if metric.kind == "histogram":
            out.histogram(metric.name, value)
        else:
            out.sample(metric.name, int(value) if isinstance(value, bool) else value)
    out.family("etcd_debugging_server_alarms", "gauge", "Alarms, by member and kind.")
    for alarm in reply.get("alarms", ()):
        labels = {"server_id": f"{alarm['memberID']:x}", "alarm_type": str(alarm["alarm"])}
        out.sample("etcd_debugging_server_alarms", 1, labels)
    _peers(out, reply)


def _peers(out: Exposition, reply: Mapping[str, Any]) -> None:
    local = f"{reply['header']['member_id']:x}"
    name = "etcd_network_peer_round_trip_time_seconds"
    out.family(name, "histogram", "The round trips to each other member.")
    for peer in reply.get("peers", ()):
        out.histogram(name, peer["round_trips"], {"To": f"{peer['ID']:x}"})
    name = "etcd_network_active_peers"
    out.family(name, "gauge", "1 for each other member that is heard.")
    for peer in reply.get("peers", ()):
        labels = {"Local": local, "Remote": f"{peer['ID']:x}"}
        out.sample(name, int(peer["is_active"]), labels)


def _identity(out: Exposition, header: Mapping[str, Any], facts: Facts) -> None:
    if header:
        out.family("etcd_server_id", "gauge", "1, with this member's id.")
        out.sample("etcd_server_id", 1, {"server_id": f"{header['member_id']:x}"})
    out.family("leasehold_version", "gauge", "1, with the version of this program.")
    out.sample("leasehold_version", 1, {"version": facts.version})


def _rpcs(out: Exposition, counters: RpcCounters) -> None:
    families = (
        ("grpc_server_started_total", "Calls that have begun.", counters.started),
        ("grpc_server_msg_received_total", "Messages received of calls.", counters.received),
        ("grpc_server_msg_sent_total", "Messages sent in calls.", counters.sent),
    )
    for name, help_text, counts in families:
        out.family(name, "counter", help_text)
        for path in RPCS:
            out.sample(name, counts[path], _method(path))
    name = "grpc_server_handled_total"
    out.family(name, "counter", "Calls that have ended, by status.")
    for (path, code), count in sorted(counters.handled.items()):
        out.sample(name, count, {"grpc_code": code_of(code).name, **_method(path)})
    singles = (
        ("etcd_network_client_grpc_received_bytes_total", counters.received_bytes),
        ("etcd_network_client_grpc_sent_bytes_total", counters.sent_bytes),
        ("etcd_server_health_success", counters.health_successes),
        ("etcd_server_health_failures", counters.health_failures),
    )
    for name, value in singles:
        out.family(name, "counter", name.removeprefix("etcd_").replace("_", " ") + ".")
        out.sample(name, value)


def _method(path: bytes) -> dict[str, str]:
    rpc = RPCS[path]
    return {
        "grpc_method": rpc.method,
        "grpc_service": rpc.service,
        "grpc_type": _TYPES[rpc.kind],
    }


def _process(out: Exposition, prefix: str, pid: int) -> None:
    """A process as the usual collectors show it; nothing if it has just ended."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
        open_files = len(os.listdir(f"/proc/{pid}/fd"))  # noqa: PTH208 - the count is enough
        up_seconds = float(Path("/proc/uptime").read_text().split()[0])
    except OSError:
        return
    fields = stat.rpartition(")")[2].split()
    boot = time.time() - up_seconds
    values: tuple[tuple[str, MetricKind, float], ...] = (
        ("cpu_seconds_total", "counter", (int(fields[_UTIME]) + int(fields[_STIME])) / _TICKS),
        ("resident_memory_bytes", "gauge", int(fields[_RSS]) * _PAGE_BYTES),
        ("virtual_memory_bytes", "gauge", int(fields[_VSIZE])),
        ("start_time_seconds", "gauge", boot + int(fields[_START]) / _TICKS),
        ("open_fds", "gauge", open_files),
        ("max_fds", "gauge", resource.prlimit(pid, resource.RLIMIT_NOFILE)[0]),
    )
    for name, kind, value in values:
        whole = f"{prefix}_{name}"
        out.family(whole, kind, name.replace("_", " ") + ".")
        out.sample(whole, value)
