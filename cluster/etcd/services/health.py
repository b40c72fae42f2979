"""grpc.health.v1, as etcd 3.5 answers it: the server as a whole serves; no service has a name."""

from __future__ import annotations

from typing import Final

from cluster.etcd.rpc.status import RpcError
from cluster.etcd.services.calls import Link, Request, RpcCall
from cluster.faults import NOT_FOUND, Fault

SERVING: Final = "SERVING"
SERVICE_UNKNOWN: Final = "SERVICE_UNKNOWN"
UNKNOWN_SERVICE: Final = Fault(NOT_FOUND, "unknown service")


class HealthCheck:
    """Serves one Check. A front serves only while its node does, so there is nothing to ask."""

    def __init__(self, call: RpcCall, link: Link) -> None:
        self._call = call

    def on_request(self, request: Request) -> None:
        """Answer at once."""
        if request.get("service"):
            self._call.finish(RpcError(*UNKNOWN_SERVICE))
            return
        self._call.send({"status": SERVING})
        self._call.finish()

    def on_half_close(self) -> None:
        """Nothing: it is answered."""

    def on_cancel(self) -> None:
        """Nothing is under way."""

    def on_drained(self) -> None:
        """Nothing waits."""


class Watch(HealthCheck):
    """Serves one Watch: says the state once, and stays open, for it does not change."""

    def on_request(self, request: Request) -> None:
        """Say the state."""
        self._call.send({"status": SERVICE_UNKNOWN if request.get("service") else SERVING})
