"""Starts the two servers of a comparison; where one cannot start the other does not stay."""

from __future__ import annotations

from collections.abc import Callable

from tests.differential.etcd import Etcd
from tests.differential.grpc_sides import etcd_over_grpc, leasehold_over_grpc
from tests.differential.leasehold import Leasehold
from tests.differential.runner import Pair
from tests.differential.sides import Side

Start = Callable[[], Pair]


def start_pair(wrap: Callable[[Side], Side] = lambda side: side) -> Pair:
    """An etcd and a node, or what `wrap` makes of the node. Raises SideDiedError."""
    etcd = Etcd()
    try:
        return Pair(etcd, wrap(Leasehold()))
    except BaseException:
        etcd.stop()
        raise


def start_pair_over_grpc() -> Pair:
    """An etcd and a node with a front, both asked by gRPC. Raises SideDiedError."""
    etcd = etcd_over_grpc()
    try:
        return Pair(etcd, leasehold_over_grpc())
    except BaseException:
        etcd.stop()
        raise
