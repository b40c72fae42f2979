"""Ports for tests that listen by themselves; a LocalCluster claims its own."""

from __future__ import annotations

from typing import Final

from cluster.launcher.ports import FREE_PORTS, GIVEN_AWAY, PortClaims, Ports, ports_from

CLAIMS: Final = PortClaims()
"""Held until the process of these tests ends, so that no cluster of another process gets them."""

SLOT: Final = 64
"""The distance of two base ports: a cluster's ports are near its base port, or all far away."""


def free_ports(size: int) -> tuple[Ports, ...]:
    """Ports for `size` nodes, which only this process has."""
    return CLAIMS.claim_free(size)


def free_base_port(size: int = 3) -> int:
    """A base port from which the ports of a whole cluster are free, until a launcher claims them.

    It claims them some time after it was started. Nobody chooses them meanwhile: they are not among
    FREE_PORTS, and this process has a claim on two ports that mark the base port as its own.
    """
    for base in range(FREE_PORTS.stop, GIVEN_AWAY.start - SLOT, SLOT):
        mark = Ports(base + SLOT - 2, base + SLOT - 1)
        # Another cluster's stopped node has a claim on its port.
        with PortClaims() as claims:
            if CLAIMS.maybe_claim(mark) and all(map(claims.maybe_claim, ports_from(base, size))):
                return base
    raise AssertionError("no free base port")
