"""What a front counts of the calls that it serves, for `/metrics`.

The names and labels are those of go-grpc-prometheus, which etcd exports. Counting is a step of a
dictionary, so that the way of a request can bear it. One thread counts and reads.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field


@dataclass(slots=True)
class RpcCounters:
    """Calls and messages of gRPC and JSON together, by path: `/etcdserverpb.KV/Put`.

    `handled` is by path and gRPC status code. The bytes are those of gRPC messages, framing not
    included, as `etcd_network_client_grpc_received_bytes_total` counts them.
    """

    started: Counter[bytes] = field(default_factory=Counter)
    handled: Counter[tuple[bytes, int]] = field(default_factory=Counter)
    received: Counter[bytes] = field(default_factory=Counter)
    sent: Counter[bytes] = field(default_factory=Counter)
    received_bytes: int = 0
    sent_bytes: int = 0
    health_successes: int = 0
    health_failures: int = 0
