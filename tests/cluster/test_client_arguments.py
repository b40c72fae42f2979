"""Arguments that the client refuses before it sends anything, and what it says of right ones."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cluster import Client, LockTimeoutError
from cluster.launcher.local import LocalCluster
from tests.cluster.probe import ProbeCluster


@pytest.fixture(scope="module")
def probes() -> Iterator[ProbeCluster]:
    with ProbeCluster(size=1) as cluster:
        yield cluster


Use = Callable[[Client, Any], object]

TTLS: dict[str, Use] = {
    "grant": lambda client, ttl: client.lease.grant(ttl),
    "session": lambda client, ttl: client.session(ttl),
    "lock": lambda client, ttl: client.lock("x", ttl),
    "election": lambda client, ttl: client.election("x", ttl),
}
REVISIONS: dict[str, Use] = {
    "get": lambda client, revision: client.get("k", revision=revision),
    "get_async": lambda client, revision: client.get_async("k", revision=revision),
    "range": lambda client, revision: client.range("k", revision=revision),
    "limit": lambda client, limit: client.range("k", limit=limit),
    "scan": lambda client, revision: client.scan("k", revision=revision),
    "history": lambda client, revision: client.history("k", revision=revision),
    "history's limit": lambda client, limit: client.history("k", limit=limit),
}
WAITS: dict[str, Use] = {
    "acquire": lambda client, timeout: client.lock("x").acquire(timeout),
    "campaign": lambda client, timeout: client.election("x").campaign(timeout=timeout),
}
LIMITS: dict[str, Use] = {
    "timeout": lambda client, seconds: Client(timeout=seconds),
    "dial_timeout": lambda client, seconds: Client(dial_timeout=seconds),
}
COUNTS: dict[str, Use] = {
    "page_size": lambda client, number: client.scan("k", page_size=number),
    "attempts": lambda client, number: client.stm(lambda stm: None, attempts=number),
}

not_above_zero = st.floats(max_value=0, allow_nan=False) | st.integers(max_value=0)
negative = st.integers(max_value=-1)
odd: st.SearchStrategy[Any] = st.sampled_from(["1", b"1", [], None, True])


def refused(probes: ProbeCluster, uses: dict[str, Use], value: Any, *words: str) -> None:
    """Each of the uses refuses the value, in these words, and sends nothing."""
    with Client(probes.endpoints, timeout=5) as client:
        before = sum(len(node.requests) for node in probes.nodes)
        for name, use in uses.items():
            with pytest.raises((ValueError, TypeError)) as raised:
                use(client, value)
            if isinstance(raised.value, ValueError):
                assert all(word in str(raised.value) for word in (*words, repr(value))), name
        assert sum(len(node.requests) for node in probes.nodes) == before


@settings(max_examples=30)
@given(ttl=not_above_zero | st.just(math.nan) | odd)
def test_a_ttl_is_above_0(probes: ProbeCluster, ttl: Any) -> None:
    refused(probes, TTLS, ttl, "greater than 0", "9000000000")


@settings(max_examples=30)
@given(ttl=st.floats(max_value=-1e-9, allow_nan=False) | st.just(math.nan) | odd)
def test_the_ttl_of_a_put_is_0_or_above(probes: ProbeCluster, ttl: Any) -> None:
    refused(probes, {"put": lambda client, ttl: client.put("k", ttl=ttl)}, ttl, "greater than 0")


@settings(max_examples=30)
@given(revision=negative | st.floats() | odd)
def test_revisions_and_limits_are_not_negative(probes: ProbeCluster, revision: Any) -> None:
    refused(probes, REVISIONS, revision, "0 (none) or more")


@settings(max_examples=30)
@given(timeout=st.floats(max_value=-1e-9) | st.just(math.nan) | st.sampled_from(["1", True]))
def test_a_wait_is_not_negative(probes: ProbeCluster, timeout: Any) -> None:
    refused(probes, WAITS, timeout, "0 seconds or more")


@settings(max_examples=30)
@given(seconds=not_above_zero | st.sampled_from([math.nan, math.inf]) | odd)
def test_a_time_limit_is_above_0_and_ends(probes: ProbeCluster, seconds: Any) -> None:
    refused(probes, LIMITS, seconds, "above 0")


@settings(max_examples=30)
@given(number=st.integers(max_value=0) | st.floats() | odd)
def test_a_count_is_1_or_more(probes: ProbeCluster, number: Any) -> None:
    refused(probes, COUNTS, number, "1 or more")


def test_an_unknown_way_to_sort_is_told_the_known_ones(probes: ProbeCluster) -> None:
    orders, targets = "NONE, ASCEND, DESCEND", "KEY, VERSION, CREATE, MOD, VALUE"
    with Client(probes.endpoints) as client:
        with pytest.raises(ValueError, match=f"sort_order must be one of {orders}, not 'UP'"):
            client.range("k", sort_order="UP")  # type: ignore[arg-type]
        with pytest.raises(ValueError, match=f"sort_target must be one of {targets}, not 'MODIFY'"):
            client.range("k", sort_target="MODIFY")  # type: ignore[arg-type]


@pytest.mark.parametrize("endpoints", [("127.0.0.1", 2379), 2379, [None], b"127.0.0.1:2379"])
def test_endpoints_are_texts(endpoints: Any) -> None:
    with pytest.raises(TypeError, match=r"an endpoint is a text such as '127.0.0.1:2379', not"):
        Client(endpoints)


def test_the_wait_for_a_watch_is_not_negative(probes: ProbeCluster) -> None:
    with Client(probes.endpoints) as client, client.watch("k") as watch:
        for take in (watch.get, watch.batch):
            with pytest.raises(ValueError, match="0 seconds or more"):
                take(-1)


@pytest.mark.process
def test_who_waits_for_itself_is_told_so(client: Client, node: LocalCluster) -> None:
    lock = client.lock("job")
    lock.acquire()
    with pytest.raises(LockTimeoutError, match="this thread holds the lock"):
        lock.acquire(0.01)
    with Client(node.endpoints) as other, pytest.raises(LockTimeoutError) as raised:
        other.lock("job").acquire(0.01)
    assert str(raised.value) == f"not in time: {lock.key.decode()} comes first"
    lock.release()
