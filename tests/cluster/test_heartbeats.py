"""A connection that is dead though nobody closed it: when a client, and leasectl, take note."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from cluster import Client, ConnectionState
from cluster.cli.global_flags import environment_settings
from cluster.client.heartbeats import MS_MAX, heartbeats
from cluster.launcher.local import LocalCluster
from tests.cluster.probe import until
from tests.limits import HANG_SECONDS

PATIENCE = f"{HANG_SECONDS:g}s"


@pytest.mark.quick
def test_seconds_become_milliseconds_of_zeromq_and_never_none() -> None:
    assert heartbeats(1.5, 3) == (1_500, 3_000)
    assert heartbeats(0.0001, 1e12) == (1, MS_MAX)


@pytest.mark.quick
def test_a_time_that_is_none_is_refused_by_its_name() -> None:
    with pytest.raises(ValueError, match=r"^keepalive_time must be a finite number of seconds"):
        Client("127.0.0.1:1", keepalive_time=0)
    with pytest.raises(ValueError, match=r"^keepalive_timeout must be a finite number of seconds"):
        Client("127.0.0.1:1", keepalive_timeout=-1.0)


@pytest.mark.process
def test_a_frozen_node_loses_its_connection_after_the_times_of_the_flags(
    node: LocalCluster,
) -> None:
    def connected(variables: Mapping[str, str]) -> Client:
        settings = environment_settings(variables)
        settings.endpoints = list(node.endpoints)
        client = settings.client()
        client.get("k")
        return client

    # A busy node may answer late, too: then a get is sent again.
    patience = dict.fromkeys(("ETCDCTL_DIAL_TIMEOUT", "ETCDCTL_COMMAND_TIMEOUT"), PATIENCE)
    brief = {"ETCDCTL_KEEPALIVE_TIME": "100ms", "ETCDCTL_KEEPALIVE_TIMEOUT": "1s", **patience}
    patient = [
        {**brief, "LEASECTL_KEEPALIVE_TIME": "1h"},
        {**brief, "LEASECTL_KEEPALIVE_TIMEOUT": "1h"},
    ]
    with connected(brief) as first, connected(patient[0]) as second, connected(patient[1]) as third:
        node.pause("all")
        try:
            until(lambda: first.state is ConnectionState.SUSPENDED)
            assert second.state is third.state is ConnectionState.CONNECTED
        finally:
            node.resume("all")
        until(lambda: first.state is ConnectionState.CONNECTED)
        first.get("k")
