"""The HTTP/1.1 side of a front: what all its connections share, and which path means what."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from email.utils import formatdate
from functools import partial
from http import HTTPStatus
from typing import Any, Final, Protocol

from cluster.etcd.counters import RpcCounters
from cluster.etcd.services import calls
from cluster.etcd.services.table import serve
from cluster.etcd.versions import CLUSTER_VERSION, SERVER_VERSION
from cluster.etcd.web import metrics
from cluster.etcd.web.connection import HttpConnection
from cluster.etcd.web.cors import Cors
from cluster.etcd.web.exchange import BodySink, Exchange, HttpRequest, Whole, bodyless
from cluster.etcd.web.facts import Facts
from cluster.etcd.web.gateway import PREFIXES, Gateway
from cluster.etcd.web.health import LIVEZ, READYZ, Probes
from cluster.etcd.web.limits import LOOK_SECONDS
from cluster.etcd.web.paths import maybe_redirect

PROBE_BODY_BYTES_MAX: Final = 64 * 1024
"""The body of a request that needs none is read up to this size, and ignored."""

METRICS_SECONDS_MAX: Final = 5.0
"""The node's part of `/metrics` is left out if it takes longer."""

Handler = Callable[[Exchange], None]


class ClosableLink(calls.Link, Protocol):
    """The way to the node of one client's connection."""

    def close(self) -> None:
        """Drop the calls under way: the client has gone."""


class WebServer:
    """What the connections of one front share. Belongs to one event loop."""

    def __init__(self, facts: Facts, counters: RpcCounters) -> None:
        self.facts = facts
        self.counters = counters
        self.gateway = Gateway(counters, facts.request_bytes_max, self.unread)
        self._cors = Cors(facts.cors)
        self._connections: set[HttpConnection] = set()
        self._date = ""
        self._date_at = -1
        self._timer: asyncio.TimerHandle | None = None

    def connection(self, link: ClosableLink, *, only_metrics: bool = False) -> HttpConnection:
        """The protocol of a new connection; with `only_metrics` it has no way to the data."""
        return HttpConnection(_Visit(self, link, only_metrics=only_metrics), time.monotonic)

    def unread(self) -> int:
        """Bytes that wait for clients of HTTP/1.1."""
        return sum(connection.unread() for connection in self._connections)

    def close(self) -> None:
        """End every connection once its answer under way is written."""
        for connection in tuple(self._connections):
            connection.go_away()

    def opened(self, connection: HttpConnection) -> None:
        """A connection has opened."""
        self._connections.add(connection)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(LOOK_SECONDS, self._look)

    def closed(self, connection: HttpConnection) -> None:
        """A connection has closed."""
        self._connections.discard(connection)

    def common(self, request: HttpRequest) -> str:
        """The header lines of every answer."""
        return f"{self._cors.lines(request)}Date: {self._now()}\r\n"

    def _now(self) -> str:
        now = int(time.time())
        if now != self._date_at:
            self._date, self._date_at = formatdate(now, usegmt=True), now
        return self._date

    def _look(self) -> None:
        self._timer = None
        now = time.monotonic()
        for connection in tuple(self._connections):
            connection.look(now)
        if self._connections:
            self._timer = asyncio.get_running_loop().call_later(LOOK_SECONDS, self._look)


class _Visit:
    """The server as one connection sees it: its requests go to the node by its own link."""

    def __init__(self, server: WebServer, link: ClosableLink, *, only_metrics: bool) -> None:
        self._server = server
        self._link = link
        self.common = server.common
        self.opened = server.opened
        health = Probes(link, server.counters)
        self._handlers: dict[str, Handler] = {
            "/metrics": self._metrics,
            "/health": health.health,
            **_probes(health, "/livez", LIVEZ),
            **_probes(health, "/readyz", READYZ),
        }
        self._gateway = None if only_metrics else server.gateway
        if not only_metrics:
            self._handlers["/version"] = _version

    def closed(self, connection: HttpConnection, undoing: asyncio.Task[None] | None) -> None:
        """The connection has closed; its link is needed until what it left is undone."""
        self._server.closed(connection)
        if undoing is None:
            self._link.close()
        else:
            undoing.add_done_callback(lambda _: self._link.close())

    def route(self, exchange: Exchange) -> BodySink:
        """Begin to answer a request by its path."""
        request = exchange.request
        if request.method == "OPTIONS":
            exchange.answer(HTTPStatus.OK, b"", "")
            return bodyless(exchange)
        handler = self._handlers.get(request.path)
        if handler is None:
            return bodyless(exchange) if maybe_redirect(exchange) else self._call(exchange)
        # etcd answers every method at /metrics, and only GET elsewhere.
        if request.method != "GET" and request.path != "/metrics":
            allow = (("Allow", "GET"),)
            exchange.refuse(HTTPStatus.METHOD_NOT_ALLOWED, "Method Not Allowed\n", allow)
            return bodyless(exchange)
        return Whole(exchange, PROBE_BODY_BYTES_MAX, lambda _: handler(exchange))

    def _call(self, exchange: Exchange) -> BodySink:
        """Begin the call of the JSON gateway that the path names, if there is one."""
        if self._gateway is not None:
            sink = self._gateway.route(exchange, lambda call: serve(call, self._link))
            if sink is not None:
                return sink
            if exchange.request.path.startswith(PREFIXES):
                exchange.refuse(HTTPStatus.NOT_FOUND, "Not Found\n")
                return bodyless(exchange)
        exchange.refuse(HTTPStatus.NOT_FOUND, "404 page not found\n")
        return bodyless(exchange)

    def _metrics(self, exchange: Exchange) -> None:
        def answered(reply: dict[str, Any]) -> None:
            metrics.answer(exchange, reply, self._server.facts, self._server.counters)

        self._link.call({"op": "metrics"}, answered, METRICS_SECONDS_MAX)


def _probes(health: Probes, path: str, names: tuple[str, ...]) -> dict[str, Handler]:
    """The handlers of a probe, and of each of its checks by itself."""
    handlers: dict[str, Handler] = {path: lambda exchange: health.probe(exchange, names)}
    for name in names:
        handlers[f"{path}/{name}"] = partial(health.probe, names=(name,))
    return handlers


def _version(exchange: Exchange) -> None:
    value = {"etcdserver": SERVER_VERSION, "etcdcluster": CLUSTER_VERSION}
    exchange.answer_json(HTTPStatus.OK, value)
