"""Which service serves which RPC."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from cluster.etcd.rpc.schema import RPCS
from cluster.etcd.services import election, health, lock
from cluster.etcd.services.calls import Link, RpcCall, Service
from cluster.etcd.services.credentials import TokenLink, token_of
from cluster.etcd.services.lease import KeepAlive
from cluster.etcd.services.maintenance import StatusCall, downgrade
from cluster.etcd.services.recipes import Run, recipe
from cluster.etcd.services.snapshot import SnapshotCall
from cluster.etcd.services.unary import Unary
from cluster.etcd.services.watch import WatchStream

Serve = Callable[[RpcCall, Link], Service]


def _methods(service: bytes, runs: dict[str, Run]) -> dict[bytes, Serve]:
    return {service + name.encode(): recipe(run, keeps_codes=False) for name, run in runs.items()}


_OWN: Final[dict[bytes, Serve]] = {
    b"/etcdserverpb.Watch/Watch": WatchStream,
    b"/etcdserverpb.Lease/LeaseKeepAlive": KeepAlive,
    b"/etcdserverpb.Maintenance/Snapshot": SnapshotCall,
    b"/etcdserverpb.Maintenance/Status": StatusCall,
    b"/etcdserverpb.Maintenance/Downgrade": recipe(downgrade),
    b"/grpc.health.v1.Health/Check": health.HealthCheck,
    b"/grpc.health.v1.Health/Watch": health.Watch,
    **_methods(b"/v3lockpb.Lock/", lock.METHODS),
    **_methods(b"/v3electionpb.Election/", election.METHODS),
}
"""The RPCs that are more than one operation of the node."""

SERVICES: Final[dict[bytes, Serve]] = {
    path: _OWN.get(path, Unary) for path, rpc in RPCS.items() if path in _OWN or rpc.op is not None
}
"""Every RPC that is served, by its path."""


def serve(call: RpcCall, link: Link) -> Service:
    """What serves this call, in the name of whoever shows its token; its RPC is one of SERVICES."""
    token = token_of(call.metadata)
    return SERVICES[call.rpc.path](call, link if token is None else TokenLink(link, token))
