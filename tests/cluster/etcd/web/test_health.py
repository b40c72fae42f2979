"""The probes say what etcd's say, for each state of a node."""

from __future__ import annotations

from typing import Any

import pytest

from cluster.etcd.counters import RpcCounters
from cluster.etcd.web.exchange import Exchange, HttpRequest
from cluster.etcd.web.health import LIVEZ, READYZ, Probes
from tests.cluster.etcd.web.wire import Node, Paper

STATUS: dict[str, Any] = {"leader": 7, "errors": (), "isLearner": False}
TIMEOUT = {"error": {"code": 14, "message": "etcdserver: request timed out"}}


def answers(
    status: dict[str, Any], linearizable: dict[str, Any], serializable: dict[str, Any]
) -> Node:
    """A node with this status, and these answers to reads."""

    def answer(request: dict[str, Any]) -> dict[str, Any]:
        if request["op"] == "status":
            return status
        return serializable if request["serializable"] else linearizable

    return Node(answer)


def ask(node: Node, target: str, counters: RpcCounters | None = None) -> tuple[int, str]:
    """The status and the body of a probe's answer."""
    request, paper = HttpRequest("GET", target, "1.1", {}), Paper()
    exchange = Exchange(request, paper)
    health = Probes(node, counters or RpcCounters())
    if request.path == "/health":
        health.health(exchange)
    else:
        health.probe(exchange, {"/livez": LIVEZ, "/readyz": READYZ}[request.path])
    return int(paper.head.split()[1]), paper.body.decode()


HEALTHY = answers(STATUS, {}, {})
LEADERLESS = answers({**STATUS, "leader": 0}, TIMEOUT, {})
FULL = answers({**STATUS, "errors": ("memberID:7 alarm:NOSPACE ",)}, {}, {})
CORRUPT = answers({**STATUS, "errors": ("memberID:7 alarm:CORRUPT ",)}, {}, {})
LEARNER = answers({**STATUS, "isLearner": True}, {}, {})
AWAY = answers(TIMEOUT, TIMEOUT, TIMEOUT)
NOBODY = {"error": {"code": 3, "message": "etcdserver: user name is empty"}}
GUARDED = answers(STATUS, NOBODY, NOBODY)


@pytest.mark.parametrize(
    ("node", "target", "status", "reason"),
    [
        (HEALTHY, "/health", 200, ""),
        (GUARDED, "/health", 200, ""),
        (GUARDED, "/health?serializable=true", 200, ""),
        (LEADERLESS, "/health", 503, "RAFT NO LEADER"),
        (LEADERLESS, "/health?serializable=true", 200, ""),
        (FULL, "/health", 503, "ALARM NOSPACE"),
        (FULL, "/health?exclude=NOSPACE", 200, ""),
        (CORRUPT, "/health?exclude=NOSPACE", 503, "ALARM CORRUPT"),
        (AWAY, "/health", 503, "RANGE ERROR:etcdserver: request timed out"),
    ],
)
def test_health(node: Node, target: str, status: int, reason: str) -> None:
    word = "true" if status == 200 else "false"
    assert ask(node, target) == (status, f'{{"health":"{word}","reason":"{reason}"}}')


def test_health_is_counted() -> None:
    counters = RpcCounters()
    ask(HEALTHY, "/health", counters)
    ask(AWAY, "/health", counters)
    assert (counters.health_successes, counters.health_failures) == (1, 1)


@pytest.mark.parametrize(
    ("node", "target", "status", "body"),
    [
        (HEALTHY, "/livez", 200, "ok\n"),
        (HEALTHY, "/livez?verbose", 200, "[+]serializable_read ok\nok\n"),
        (LEADERLESS, "/livez", 200, "ok\n"),
        (AWAY, "/livez", 503, "[-]serializable_read failed: etcdserver: request timed out\n\n"),
        (
            LEADERLESS,
            "/readyz",
            503,
            "[+]data_corruption ok\n[+]serializable_read ok\n"
            "[-]linearizable_read failed: etcdserver: request timed out\n[+]non_learner ok\n\n",
        ),
        (LEADERLESS, "/readyz?exclude=linearizable_read&exclude=nothing", 200, "ok\n"),
        (
            CORRUPT,
            "/readyz",
            503,
            "[-]data_corruption failed: alarm activated: CORRUPT\n[+]serializable_read ok\n"
            "[+]linearizable_read ok\n[+]non_learner ok\n\n",
        ),
        (
            LEARNER,
            "/readyz",
            503,
            "[+]data_corruption ok\n[+]serializable_read ok\n[+]linearizable_read ok\n"
            "[-]non_learner failed: not supported for learner\n\n",
        ),
    ],
)
def test_probes(node: Node, target: str, status: int, body: str) -> None:
    assert ask(node, target) == (status, body)
