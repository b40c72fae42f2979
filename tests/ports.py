"""Ports for tests that listen by themselves; a LocalCluster claims its own."""

from __future__ import annotations

from typing import Final

from cluster.launcher.ports import PortClaims, Ports

CLAIMS: Final = PortClaims()
"""Held until the process of these tests ends, so that no cluster of another process gets them."""


def free_ports(size: int) -> tuple[Ports, ...]:
    """Ports for `size` nodes, which only this process has."""
    return CLAIMS.claim_free(size)
