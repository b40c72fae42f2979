"""python-etcd3's names for this client: `from cluster.compat import etcd3`, not `import etcd3`.

What is different is what was wrong there:

- Every call fails over to another endpoint and is retried; a write is still applied once. So
  `time_retry`, `failover` and `grpc_options` are taken and mean nothing.
- A watch goes on where it was when a node dies, and any number of watches share one thread.
- `with client.lock(...)` raises LockTimedOut if it does not get the lock, and an `acquire` that
  fails leaves no lease behind.
- `refresh_lease` renews when it is called, not when its result is read.
- A prefix is the prefix: `b"a\\xff"` does not match `b"b"`. `min_create_revision` and
  `max_create_revision` are what they say. A transaction may lack a branch.
- Every error of the cluster is an Etcd3Exception, and its text has the cause. Where python-etcd3
  lets a `grpc.RpcError` through, it is that as well, in a program that has imported grpc.
- Without a `timeout`, a call ends after five seconds and not never.

There is no gRPC in it: `etcdrpc` has the enumerations of etcd's messages, and answers have the
fields of etcd's, but they are plain objects.
"""

from cluster.compat.etcd3 import etcdrpc
from cluster.compat.etcd3.client import (
    Endpoint,
    Etcd3Client,
    MultiEndpointEtcd3Client,
    client,
)
from cluster.compat.etcd3.events import DeleteEvent, Event, PutEvent
from cluster.compat.etcd3.exceptions import (
    ConnectionFailedError,
    ConnectionTimeoutError,
    Etcd3Exception,
    InternalServerError,
    LockTimedOut,
    NoServerAvailableError,
    PreconditionFailedError,
    RefusedError,
    RevisionCompactedError,
    WatchTimedOut,
)
from cluster.compat.etcd3.keys import KVMetadata
from cluster.compat.etcd3.leases import Lease
from cluster.compat.etcd3.locks import Lock
from cluster.compat.etcd3.members import Alarm, Member, Status
from cluster.compat.etcd3.transactions import Transactions

__all__ = [
    "Alarm",
    "ConnectionFailedError",
    "ConnectionTimeoutError",
    "DeleteEvent",
    "Endpoint",
    "Etcd3Client",
    "Etcd3Exception",
    "Event",
    "InternalServerError",
    "KVMetadata",
    "Lease",
    "Lock",
    "LockTimedOut",
    "Member",
    "MultiEndpointEtcd3Client",
    "NoServerAvailableError",
    "PreconditionFailedError",
    "PutEvent",
    "RefusedError",
    "RevisionCompactedError",
    "Status",
    "Transactions",
    "WatchTimedOut",
    "client",
    "etcdrpc",
]
