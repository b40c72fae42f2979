"""`/health`, `/livez` and `/readyz`: whether the node serves, as etcd's probes ask it.

Each check is a question to the node; an answer that does not come in time is a failure.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from http import HTTPStatus
from typing import Any, Final, Protocol

from cluster.etcd.counters import RpcCounters
from cluster.etcd.rpc.status import error_in
from cluster.etcd.web.exchange import NOSNIFF, PLAIN, Exchange
from cluster.faults import FAULTS

CHECK_SECONDS_MAX: Final = 5.0
"""A check that takes longer has failed."""

PROBE_KEY: Final = b"health"
"""The key that is read to see whether reads are answered; it need not exist."""

FORBIDDEN: Final = (FAULTS["UserEmpty"].message, FAULTS["PermissionDenied"].message)
"""What a probe is told while authentication is on: by a node that could have answered."""

LIVEZ: Final = ("serializable_read",)
READYZ: Final = ("data_corruption", "serializable_read", "linearizable_read", "non_learner")
"""The checks of each probe, in the order of their lines."""

Reply = Mapping[str, Any]
Done = Callable[[str | None], None]


class Node(Protocol):
    """How a check asks the node."""

    def call(
        self,
        request: dict[str, Any],
        done: Callable[[dict[str, Any]], None],
        timeout_seconds: float | None = None,
    ) -> int:
        """Ask; `done` gets the reply."""


class Probes:
    """The probes of one node."""

    def __init__(self, node: Node, counters: RpcCounters) -> None:
        self._node = node
        self._counters = counters

    # --- /health ---

    def health(self, exchange: Exchange) -> None:
        """Answer `/health`: alarms, then the leader, then a read, as etcd orders them."""
        query = exchange.request.query()
        excluded = frozenset(query.get("exclude", ()))
        serializable = query.get("serializable", [""])[0] == "true"

        def checked_status(reply: Reply) -> None:
            reason = _trouble(reply, excluded, needs_leader=not serializable)
            if reason is not None:
                self._tell(exchange, reason)
                return
            self._read(serializable=serializable, done=checked_read)

        def checked_read(fault: str | None) -> None:
            self._tell(exchange, "" if fault is None else f"RANGE ERROR:{fault}")

        self._ask({"op": "status"}, checked_status)

    def _tell(self, exchange: Exchange, reason: str) -> None:
        if reason:
            self._counters.health_failures += 1
        else:
            self._counters.health_successes += 1
        status = HTTPStatus.SERVICE_UNAVAILABLE if reason else HTTPStatus.OK
        word = "false" if reason else "true"
        text = reason.replace("\\", "\\\\").replace('"', '\\"')
        body = f'{{"health":"{word}","reason":"{text}"}}'
        exchange.answer(status, body.encode(), PLAIN)

    # --- /livez, /readyz ---

    def probe(self, exchange: Exchange, names: Iterable[str]) -> None:
        """Answer a probe: all its checks, but those that the query excludes."""
        query = exchange.request.query()
        excluded = set(query.get("exclude", ()))
        _Probe(self, exchange, [n for n in names if n not in excluded], "verbose" in query).go_on()

    def check(self, name: str, done: Done) -> None:
        """Do one check; `done` gets None, or why it has failed."""
        if name == "serializable_read":
            self._read(serializable=True, done=done)
        elif name == "linearizable_read":
            self._read(serializable=False, done=done)
        elif name == "data_corruption":
            self._ask({"op": "status"}, lambda reply: done(_corruption(reply)))
        else:
            self._ask({"op": "status"}, lambda reply: done(_learner(reply)))

    def _read(self, *, serializable: bool, done: Done) -> None:
        request = {
            "op": "range",
            "key": PROBE_KEY,
            "serializable": serializable,
            "keys_only": True,
        }
        self._ask(request, lambda reply: done(_read_fault(reply)))

    def _ask(self, request: dict[str, Any], done: Callable[[Reply], None]) -> None:
        self._node.call(request, done, CHECK_SECONDS_MAX)


class _Probe:
    """One probe under way: a check after the other."""

    def __init__(self, health: Probes, exchange: Exchange, names: list[str], verbose: bool) -> None:
        self._health = health
        self._exchange = exchange
        self._names = names
        self._verbose = verbose
        self._lines: list[str] = []
        self._has_failed = False

    def go_on(self) -> None:
        """Do the next check, or answer."""
        if self._names:
            self._health.check(self._names[0], self._checked)
            return
        lines = "".join(self._lines)
        if self._has_failed:
            self._exchange.refuse(HTTPStatus.SERVICE_UNAVAILABLE, lines + "\n")
            return
        body = lines + "ok\n" if self._verbose else "ok\n"
        self._exchange.answer(HTTPStatus.OK, body.encode(), PLAIN, NOSNIFF)

    def _checked(self, fault: str | None) -> None:
        name = self._names.pop(0)
        self._has_failed = self._has_failed or fault is not None
        self._lines.append(f"[+]{name} ok\n" if fault is None else f"[-]{name} failed: {fault}\n")
        self.go_on()


def _trouble(reply: Reply, excluded: frozenset[str], *, needs_leader: bool) -> str | None:
    """Why a node's status says that it is not healthy; None if it does not."""
    fault = _error(reply)
    if fault is not None:
        return f"RANGE ERROR:{fault}"
    for kind in ("NOSPACE", "CORRUPT"):
        if kind not in excluded and _has_alarm(reply, kind):
            return f"ALARM {kind}"
    if needs_leader and not reply["leader"]:
        return "RAFT NO LEADER"
    return None


def _corruption(reply: Reply) -> str | None:
    fault = _error(reply)
    if fault is None and _has_alarm(reply, "CORRUPT"):
        return "alarm activated: CORRUPT"
    return fault


def _learner(reply: Reply) -> str | None:
    fault = _error(reply)
    if fault is None and reply["isLearner"]:
        return "not supported for learner"
    return fault


def _has_alarm(reply: Reply, kind: str) -> bool:
    return any(f"alarm:{kind}" in error for error in reply["errors"])


def _read_fault(reply: Reply) -> str | None:
    """Why a read was not answered. That nobody may read without a login says that it was."""
    fault = _error(reply)
    return None if fault in FORBIDDEN else fault


def _error(reply: Reply) -> str | None:
    error = error_in(reply)
    return None if error is None else error.message
