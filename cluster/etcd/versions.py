"""The versions that etcd's clients are told. Several decide by them which calls they make."""

from __future__ import annotations

from typing import Final

SERVER_VERSION: Final = "3.5.1"
"""What `/version` and the Status RPC say: the etcd whose API this is. Leasehold's own version is in
`leasehold_version` of `/metrics`, and in the protocol's own `status`."""

CLUSTER_VERSION: Final = "3.5.0"
"""The version that all members have in common."""
