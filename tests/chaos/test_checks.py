"""The checks of the proofs can fail: each is shown a planted fault."""

from __future__ import annotations

import pytest

from cluster import Event, KeyValue
from tests.chaos import failover, stdlib_import
from tests.chaos.writers import Acknowledged

pytestmark = pytest.mark.quick


def _event(name: str, revision: int) -> Event:
    key = (stdlib_import.PREFIX + name).encode()
    return Event("PUT", KeyValue(key, b"x", revision, revision, 1, 0), None, "")


REVISIONS = {"a.py": 5, "b.py": 6, "c.py": 7}
EVENTS = [_event("a.py", 5), _event("b.py", 6), _event("c.py", 7)]


def test_events_of_every_revision_once_and_in_order_pass() -> None:
    stdlib_import.check_events(EVENTS, REVISIONS, 5)


@pytest.mark.parametrize(
    "events",
    [
        EVENTS[:2],
        [*EVENTS[:2], EVENTS[1]],
        [EVENTS[1], EVENTS[0], EVENTS[2]],
        [EVENTS[0], _event("c.py", 6), _event("b.py", 7)],
        [_event("a.py", 4), *EVENTS],
    ],
    ids=["missing", "twice", "out of order", "of another write", "one too many"],
)
def test_wrong_events_are_found(events: list[Event]) -> None:
    with pytest.raises(AssertionError):
        stdlib_import.check_events(events, REVISIONS, 5)


@pytest.mark.parametrize(
    "revisions",
    [{"a.py": 5, "b.py": 6}, {"a.py": 5, "b.py": 6, "c.py": 8}, {"a.py": 5, "b.py": 5, "c.py": 7}],
    ids=["not acknowledged", "written twice", "the same revision for two"],
)
def test_wrong_revisions_are_found(revisions: dict[str, int]) -> None:
    files = dict.fromkeys(REVISIONS, b"x")
    stdlib_import.check_revisions(REVISIONS, files, 5)
    with pytest.raises(AssertionError):
        stdlib_import.check_revisions(revisions, files, 5)


def test_gap_is_the_longest_time_between_two_acknowledgements() -> None:
    times = [0.0, 0.9, 1.0, 1.01, 1.05, 1.06]
    acknowledged = [Acknowledged(at, b"k", 1) for at in times]
    assert failover.longest_gap_ms(acknowledged, 0.95) == pytest.approx(40)
    assert failover.longest_gap_ms(acknowledged, 0.0) == pytest.approx(900)
    assert failover.longest_gap_ms(acknowledged[:1], 0.0) == 0


def test_summary_has_median_p90_and_maximum() -> None:
    kills = [failover.Kill("n1", float(gap), 2.0 * gap, ()) for gap in range(1, 21)]
    raw, client = failover.summary(kills)
    assert raw.endswith("20 kills, writes unavailable for median 10.0 ms, p90 18.0 ms, max 20.0 ms")
    assert client.startswith("cluster.Client: ") and client.endswith("max 40.0 ms")
