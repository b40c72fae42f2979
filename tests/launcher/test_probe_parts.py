"""The parts of the probe client that need no socket: pace, leases, watch, records."""

from __future__ import annotations

from math import inf
from typing import Any

import pytest

from cluster.launcher.probing.leases import BY_EXPIRY, KEPT, SHORT, Hold, holds
from cluster.launcher.probing.pace import (
    CLOSE_WRITE_SECONDS,
    NUMBERED_SECONDS,
    PEACE_WRITE_SECONDS,
    SUSPECTED_AGAIN_SECONDS,
    SUSPICIOUS_SECONDS,
    TIRED_AFTER_SECONDS,
    TIRED_SECONDS,
    Pace,
    Trace,
)
from cluster.launcher.probing.records import (
    EXPIRED,
    GRANTED,
    LOST,
    PREFIX,
    REGISTER,
    RENEWED,
    Held,
    Late,
    LeaseNews,
    Operation,
    ProbeKind,
    ProbeOutcome,
    Record,
    Row,
    Seen,
    Settled,
    ShutOut,
    decode,
    encode,
)
from cluster.launcher.probing.refused import REFUSED_SECONDS, Refused
from cluster.launcher.probing.watching import SILENT_SECONDS, WatchedChange, Watching

# --- pace -------------------------------------------------------------------------------------


def written(pace: Pace, until: float, answered: bool = True) -> list[Trace]:
    """What the writes are until then, each of them sent when it is due."""
    traces = []
    while pace.write_due < until:
        now = pace.write_due
        traces.append(pace.wrote(now))
        if answered:
            pace.acknowledged(now)
    return traces


def test_in_peace_few_writes_leave_a_trace() -> None:
    traces = written(Pace(100.0), 102.0)
    assert len(traces) == pytest.approx(2.0 / PEACE_WRITE_SECONDS, abs=2)
    assert traces.count(Trace.NUMBERED) == pytest.approx(2.0 / NUMBERED_SECONDS, abs=1)


def test_around_a_fault_every_write_is_numbered_and_follows_soon() -> None:
    pace = Pace(100.0)
    written(pace, 101.0)
    pace.look_closely(101.0, 0.1)
    traces = written(pace, 101.1)
    assert len(traces) == pytest.approx(0.1 / CLOSE_WRITE_SECONDS, abs=2)
    assert set(traces) == {Trace.NUMBERED}
    assert len(written(pace, 102.1)) == pytest.approx(1 / PEACE_WRITE_SECONDS, abs=3)


def test_who_waits_for_long_writes_less_often() -> None:
    pace = Pace(100.0)
    pace.look_closely(100.0, 60.0)
    written(pace, 100.0 + 2 * TIRED_AFTER_SECONDS, answered=False)
    assert len(written(pace, 102.0, answered=False)) == pytest.approx(1 / TIRED_SECONDS, abs=2)


def test_silence_makes_it_look_closely_but_not_always() -> None:
    pace = Pace(100.0)
    now = 100.0 + SUSPECTED_AGAIN_SECONDS
    written(pace, now)
    assert not pace.maybe_suspect(now + SUSPICIOUS_SECONDS / 2)
    assert pace.maybe_suspect(now + SUSPICIOUS_SECONDS * 2)
    assert pace.is_close(now + SUSPICIOUS_SECONDS * 2)
    assert not pace.maybe_suspect(now + SUSPECTED_AGAIN_SECONDS / 2)
    assert pace.maybe_suspect(now + SUSPECTED_AGAIN_SECONDS * 2)


def test_the_first_acknowledgement_after_a_long_silence_is_looked_at_closely() -> None:
    pace = Pace(100.0)
    pace.acknowledged(160.0)
    assert pace.is_close(160.1)


# --- leases -----------------------------------------------------------------------------------


def granted(name: str, now: float) -> tuple[Hold, bytes]:
    """A lease that was asked for at this time, and its key."""
    hold = holds()[name]
    key = hold.request(now)["key"]
    told = hold.answered({"lease": 7, "TTL": 3}, now, now + 0.1)
    assert told == LeaseNews(now + 0.1, name, GRANTED)
    return hold, key


def test_a_lease_is_kept_alive_and_one_that_ended_before_its_time_is_lost() -> None:
    hold, _ = granted(KEPT, 100.0)
    assert hold.due < 103.0
    assert hold.request(101.0) == {"op": "lease_keep_alive", "ID": 7}
    assert hold.answered({"ID": 7, "TTL": 5}, 101.0, 101.1) == LeaseNews(101.1, KEPT, RENEWED)
    hold.request(102.0)
    assert hold.answered({"ID": 7, "TTL": 0}, 102.0, 102.1) == LeaseNews(102.1, KEPT, LOST)
    assert hold.request(102.0)["op"] == "put"


@pytest.mark.parametrize(("ended", "what"), [(105.9, LOST), (106.1, EXPIRED)])
def test_the_kept_lease_may_end_only_if_no_renewal_came_through(ended: float, what: str) -> None:
    hold, key = granted(KEPT, 100.0)
    hold.request(101.0)
    hold.answered({"ID": 7, "TTL": 5}, 101.0, 101.1)
    hold.request(102.0)  # it waits at a node that is frozen
    assert hold.due < 103.0
    assert hold.deleted(key, BY_EXPIRY, ended) == LeaseNews(ended, KEPT, what)


@pytest.mark.parametrize(("ended", "what"), [(102.9, LOST), (103.0, EXPIRED), (109, EXPIRED)])
def test_a_short_lease_must_last_for_its_ttl(ended: float, what: str) -> None:
    hold, key = granted(SHORT, 100.0)
    assert hold.due > 110.0
    assert hold.deleted(PREFIX + b"short/9", BY_EXPIRY, ended) is None
    assert hold.deleted(key, BY_EXPIRY, ended) == LeaseNews(ended, SHORT, what)
    assert hold.due == ended


def test_a_user_who_deletes_the_key_ends_no_lease() -> None:
    hold, key = granted(SHORT, 100.0)
    assert hold.deleted(key, "deleted", 101.0) is None
    assert hold.due == 101.0
    assert hold.request(101.0)["key"] != key


# --- watch ------------------------------------------------------------------------------------


def opened(node: str = "n1") -> Watching:
    """A watch that n1 has opened at revision 10, with id 4."""
    watching = Watching()
    assert watching.choose([node], 100.0) == node
    assert "start_revision" not in watching.request()
    created = {"watch_id": 4, "created": True, "header": {"revision": 10}}
    watching.answered(node, created, 100.0)
    assert watching.due == inf
    return watching


def events(*revisions: int, watch_id: int = 4) -> dict[str, Any]:
    told = [
        {"type": "PUT", "kv": {"key": REGISTER, "value": b"v", "mod_revision": revision}}
        for revision in revisions
    ]
    return {"watch_id": watch_id, "header": {"revision": 99}, "events": told}


def test_a_watch_goes_on_at_another_node_behind_what_it_was_told() -> None:
    watching = opened()
    changes = list(watching.told("n1", events(11, 12), 101.0))
    assert changes == [WatchedChange(REGISTER, b"v", 11, ""), WatchedChange(REGISTER, b"v", 12, "")]
    assert list(watching.told("n1", None, 102.0)) == []
    assert watching.choose(["n1", "n2"], 102.0) == "n2"
    assert watching.request()["start_revision"] == 13


def test_a_node_that_owes_an_event_for_long_is_left() -> None:
    watching = opened()
    watching.acknowledged(11, 101.0)
    assert watching.maybe_move(101.0 + SILENT_SECONDS / 2) is None
    assert watching.maybe_move(101.0 + SILENT_SECONDS) == {"op": "watch_cancel", "watch_id": 4}
    assert watching.choose(["n1", "n2"], 101.0 + SILENT_SECONDS) == "n2"


def test_a_node_that_has_told_all_is_not_left() -> None:
    watching = opened()
    watching.acknowledged(11, 101.0)
    list(watching.told("n1", events(11), 101.1))
    watching.acknowledged(10, 101.2)
    assert watching.maybe_move(160.0) is None


def test_news_of_another_watch_or_node_are_not_taken() -> None:
    watching = opened()
    assert list(watching.told("n2", events(11), 101.0)) == []
    assert list(watching.told("n1", events(11, watch_id=3), 101.0)) == []


def test_a_watch_whose_start_is_compacted_goes_on_behind() -> None:
    watching = opened()
    news = {"watch_id": 4, "header": {}, "canceled": True, "compact_revision": 50}
    assert list(watching.told("n1", news, 101.0)) == []
    assert watching.choose(["n1"], 102.0) == "n1"
    assert watching.request()["start_revision"] == 50


# --- records ----------------------------------------------------------------------------------


def test_records_are_read_as_they_were_told() -> None:
    records: list[Record] = [
        Operation(ProbeKind.WRITE, 7, "n1", 1.5, 2.5, ProbeOutcome.DONE, 9),
        Operation(ProbeKind.READ, 0, "n2", 1.5, 2.5, ProbeOutcome.UNKNOWN),
        Seen(3.5, 7, 9, "n3", 3.0),
        LeaseNews(4.5, KEPT, RENEWED),
        Held("n1", 1.0, 2.0, 9, (Row(7, 9, 2), Row(6, 8, 1)), True),
        Late(1.0, 2.0),
        Settled(3, 9.0),
        ShutOut(10.0, "etcdserver: user name is empty"),
    ]
    assert decode(encode(records)) == records


# --- refusals ---------------------------------------------------------------------------------


NOBODY: dict[str, Any] = {"error": {"code": 3, "message": "etcdserver: user name is empty"}}


def test_that_the_client_is_nobody_is_told_once_and_only_if_it_lasts() -> None:
    refused = Refused()
    assert refused.heard(NOBODY, 10.0) is None
    assert refused.heard(NOBODY, 10.0 + REFUSED_SECONDS / 2) is None
    told = refused.heard(NOBODY, 10.0 + REFUSED_SECONDS)
    assert told == ShutOut(10.0 + REFUSED_SECONDS, NOBODY["error"]["message"])
    assert refused.heard(NOBODY, 20.0) is None, "it is told already"
    assert refused.heard({"header": {}}, 21.0) is None
    assert refused.heard(NOBODY, 22.0) is None, "it begins anew"
    assert refused.heard(NOBODY, 22.0 + REFUSED_SECONDS) is not None


def test_a_node_that_refuses_for_a_moment_says_nothing_of_the_client() -> None:
    refused = Refused()
    for moment in range(10):
        assert refused.heard(NOBODY, float(moment)) is None
        assert refused.heard({"error": {"message": "etcdserver: no leader"}}, moment + 0.5) is None
