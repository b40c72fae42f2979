"""What nodes say of themselves: what is asked when, and what the replies mean."""

from __future__ import annotations

from typing import Any

import pytest

from cluster.launcher.screens.vitals import (
    HASH_PACE,
    HASH_SECONDS,
    METRICS_SECONDS,
    STALE_SECONDS,
    UNKNOWN,
    NodeVitals,
    Vitals,
)

NAMES = ("n1", "n2", "n3")
IDS = {"n1": 11, "n2": 12, "n3": 13}


def histogram(counts: tuple[int, ...] = (0, 0, 0), total: float = 0.0) -> dict[str, Any]:
    """Durations up to 1 ms, up to 2 ms, and all of them."""
    return {"bounds": (0.001, 0.002), "counts": counts, "sum": total}


def metrics(name: str = "n1", **changes: Any) -> dict[str, Any]:
    """A node's reply; n1 leads, and all others answer each."""
    others = [other for other in NAMES if other != name]
    return {
        "header": {"member_id": IDS[name], "revision": 100, "raft_term": 2},
        "proposals_committed": 1_000,
        "proposals_applied": 1_000,
        "db_size": 4_096,
        "keys": 5,
        "vote": 11,
        "is_leader": name == "n1",
        "wal_syncs": histogram(),
        "peers": [
            {"ID": IDS[other], "is_active": True, "round_trips": histogram()} for other in others
        ],
        **changes,
    }


def trips(*pairs: tuple[int, int, float]) -> list[dict[str, Any]]:
    """Peers by id, with the number of round trips and their sum in seconds."""
    return [
        {"ID": peer, "is_active": True, "round_trips": histogram((count, count, count), total)}
        for peer, count, total in pairs
    ]


def told(**of_each: dict[str, Any]) -> Vitals:
    """What is known after one reply of each node, at second 10."""
    vitals = Vitals()
    vitals.questions(NAMES, 10.0)
    for name in NAMES:
        vitals.heard(name, "metrics", metrics(name, **of_each.get(name, {})), 10.0)
    return vitals


def test_each_node_is_asked_for_its_metrics_once_a_second() -> None:
    vitals = Vitals()
    assert vitals.questions(NAMES, 10.0) == [(name, {"op": "metrics"}) for name in NAMES]
    assert vitals.questions(NAMES, 10.0 + METRICS_SECONDS / 2) == []
    assert vitals.due == 10.0 + METRICS_SECONDS
    assert len(vitals.questions(NAMES, 10.0 + METRICS_SECONDS)) == 3


def test_what_nobody_has_said_is_not_known() -> None:
    vitals = Vitals()
    assert vitals.of("n1", "n1", 10.0) == UNKNOWN == NodeVitals()
    vitals.heard("n1", "metrics", {"error": {"code": 14, "message": "no"}}, 10.0)
    assert vitals.of("n1", "n1", 10.0) == UNKNOWN


def test_old_words_and_those_of_an_ended_process_are_not_of_now() -> None:
    vitals = told()
    assert vitals.of("n2", "n1", 10.0 + STALE_SECONDS / 2).commit == 1_000
    assert vitals.of("n2", "n1", 11.0 + STALE_SECONDS) == UNKNOWN
    vitals.forget("n2")
    assert vitals.of("n2", "n1", 10.0) == UNKNOWN


def test_a_reply_tells_what_a_node_holds() -> None:
    shown = told().of("n2", "n1", 10.0)
    assert (shown.commit, shown.applied, shown.lag) == (1_000, 1_000, 0)
    assert (shown.db_size, shown.keys, shown.vote) == (4_096, 5, 11)
    assert (shown.connected, shown.others) == (2, 2)


def test_the_lag_is_what_the_leader_has_committed_and_the_node_has_not_applied() -> None:
    vitals = told(n1={"proposals_committed": 1_300}, n2={"proposals_applied": 1_000})
    assert vitals.of("n2", "n1", 10.0).lag == 300
    assert vitals.of("n2", None, 10.0).lag is None
    ahead = told(n2={"proposals_applied": 1_005})
    assert ahead.of("n2", "n1", 10.0).lag == 0


def test_a_node_that_catches_up_tells_its_share_of_what_it_lacked() -> None:
    vitals = told(n1={"proposals_committed": 5_000}, n2={"proposals_applied": 1_000})
    assert vitals.of("n2", "n1", 10.0).caught_up == 0.0
    shares = []
    for applied in (3_000, 4_990, 4_000):
        more = metrics("n2", proposals_applied=applied)
        vitals.heard("n2", "metrics", more, 10.5)
        shares.append(vitals.of("n2", "n1", 10.5).caught_up)
    assert shares == [0.5, None, 0.0]


def test_a_small_lag_is_no_catching_up() -> None:
    vitals = told(n1={"proposals_committed": 1_400})
    assert vitals.of("n2", "n1", 10.0).caught_up is None


@pytest.mark.parametrize(
    ("counts", "p99_ms"),
    [
        ((10, 10, 10), None),  # none since the reply before
        ((110, 110, 110), 1.0),
        ((108, 110, 110), 2.0),
        ((10, 10, 110), None),  # all were slower than the last bound
    ],
)
def test_the_p99_of_syncs_is_a_bound_of_those_of_the_window(
    counts: tuple[int, ...], p99_ms: float | None
) -> None:
    vitals = told(n1={"wal_syncs": histogram((10, 10, 10))})
    assert vitals.of("n1", "n1", 10.0).sync_p99_ms is None
    vitals.heard("n1", "metrics", metrics("n1", wal_syncs=histogram(counts)), 11.0)
    assert vitals.of("n1", "n1", 11.0).sync_p99_ms == p99_ms


def test_a_follower_shows_its_round_trip_to_the_leader() -> None:
    vitals = told(n2={"peers": trips((11, 4, 1.0), (13, 4, 1.0))})
    assert vitals.of("n2", "n1", 10.0).round_trip_ms is None
    vitals.heard("n2", "metrics", metrics("n2", peers=trips((11, 6, 1.004), (13, 6, 1.9))), 11.0)
    assert vitals.of("n2", "n1", 11.0).round_trip_ms == pytest.approx(2.0)
    assert vitals.of("n2", None, 11.0).round_trip_ms is None


def test_a_leader_shows_the_round_trip_that_a_commit_waits_for() -> None:
    vitals = told(n1={"peers": trips((12, 0, 0.0), (13, 0, 0.0))})
    slow, quick = (12, 2, 0.1), (13, 2, 0.001)
    vitals.heard("n1", "metrics", metrics("n1", peers=trips(slow, quick)), 11.0)
    assert vitals.of("n1", "n1", 11.0).round_trip_ms == pytest.approx(0.5)
    gone = [{**peer, "is_active": False} for peer in trips((12, 2, 0.1), (13, 2, 0.001))]
    vitals.heard("n1", "metrics", metrics("n1", peers=gone), 12.0)
    assert vitals.of("n1", "n1", 12.0).round_trip_ms is None
    assert vitals.of("n1", "n1", 12.0).connected == 0


# --- hashes -----------------------------------------------------------------------------------


def hash_questions(vitals: Vitals, now: float) -> list[int]:
    """The revision of each question for a hash at `now`."""
    asked = vitals.questions(NAMES, now)
    return [request["revision"] for _, request in asked if request["op"] == "hash_kv"]


def compare(vitals: Vitals, now: float, hashes: dict[str, int], took: float = 0.01) -> None:
    """The nodes answer a question for hashes of revision 90; n3 has not answered the metrics."""
    assert hash_questions(vitals, now) == [90, 90, 90]
    for name, value in hashes.items():
        reply = {"hash": value, "hash_revision": 90, "compact_revision": -1}
        vitals.heard(name, "hash_kv", reply, now + took)
    for name in NAMES:
        vitals.heard(name, "metrics", metrics(name), now + took)


def behind() -> Vitals:
    """n2 is at revision 90, the others at 100."""
    return told(n2={"header": {"member_id": 12, "revision": 90, "raft_term": 2}})


def test_all_nodes_are_asked_for_the_hash_of_a_revision_that_all_have() -> None:
    vitals = behind()
    compare(vitals, 11.0, {"n1": 7, "n2": 7, "n3": 7})
    vitals.questions(NAMES, 13.0)
    shown = [vitals.of(name, "n1", 13.0) for name in NAMES]
    assert [(each.hash, each.agrees) for each in shown] == [(7, True)] * 3


def test_a_node_whose_data_differ_is_told_from_the_others() -> None:
    vitals = behind()
    compare(vitals, 11.0, {"n1": 7, "n2": 8, "n3": 7})
    vitals.questions(NAMES, 13.0)
    assert [vitals.of(name, "n1", 13.0).agrees for name in NAMES] == [True, False, True]


def test_of_two_nodes_that_differ_neither_is_believed() -> None:
    vitals = behind()
    compare(vitals, 11.0, {"n1": 7, "n2": 8})
    vitals.heard("n3", "hash_kv", {"error": {"code": 11, "message": "compacted"}}, 11.5)
    vitals.questions(NAMES, 13.0)
    assert [vitals.of(name, "n1", 13.0).agrees for name in NAMES] == [False, False, True]
    assert vitals.of("n3", "n1", 13.0).hash is None


def test_hashes_of_members_that_compacted_at_different_revisions_are_not_compared() -> None:
    vitals = behind()
    hash_questions(vitals, 11.0)
    for name, compacted in (("n1", 5), ("n2", 5), ("n3", 40)):
        reply = {"hash": compacted, "hash_revision": 90, "compact_revision": compacted}
        vitals.heard(name, "hash_kv", reply, 11.1)
        vitals.heard(name, "metrics", metrics(name), 11.1)
    vitals.questions(NAMES, 12.1)
    assert all(vitals.of(name, "n1", 12.1).agrees for name in NAMES)


def test_nodes_that_need_long_for_a_hash_are_asked_more_rarely() -> None:
    vitals = behind()
    compare(vitals, 11.0, {"n1": 7, "n2": 7, "n3": 7}, took=1.0)
    assert hash_questions(vitals, 13.0 + HASH_SECONDS) == []
    for name in NAMES:
        vitals.heard(name, "metrics", metrics(name), 12.0 + HASH_PACE)
    assert hash_questions(vitals, 12.0 + HASH_PACE) == [100, 100, 100]


def test_a_busy_host_does_not_make_hashes_rare() -> None:
    vitals = behind()
    hash_questions(vitals, 11.0)
    for name in NAMES:
        vitals.heard(name, "metrics", metrics(name), 12.0)
        reply = {"hash": 7, "hash_revision": 90, "compact_revision": -1}
        vitals.heard(name, "hash_kv", reply, 12.01)
        vitals.heard(name, "metrics", metrics(name), 12.0 + HASH_SECONDS)
    assert hash_questions(vitals, 12.0 + HASH_SECONDS) == [100, 100, 100]


def test_nothing_is_hashed_again_while_nothing_is_written() -> None:
    vitals = told()
    assert hash_questions(vitals, 11.0) == [100, 100, 100]
    for name in NAMES:
        reply = {"hash": 7, "hash_revision": 100, "compact_revision": -1}
        vitals.heard(name, "hash_kv", reply, 11.0)
        vitals.heard(name, "metrics", metrics(name), 12.0 + HASH_SECONDS)
    assert hash_questions(vitals, 12.0 + HASH_SECONDS) == []
    newer = {"header": {"member_id": 11, "revision": 101, "raft_term": 2}}
    for name in NAMES:
        vitals.heard(name, "metrics", metrics(name, **newer), 13.0 + 2 * HASH_SECONDS)
    assert hash_questions(vitals, 13.0 + 2 * HASH_SECONDS) == [101, 101, 101]


def test_a_hash_that_was_refused_is_asked_for_again() -> None:
    vitals = told()
    assert hash_questions(vitals, 11.0) == [100, 100, 100]
    refusal = {"error": {"code": 16, "message": "etcdserver: invalid auth token"}}
    for name in NAMES:
        vitals.heard(name, "hash_kv", refusal, 11.0)
        vitals.heard(name, "metrics", metrics(name), 12.0 + HASH_SECONDS)
    assert hash_questions(vitals, 12.0 + HASH_SECONDS) == [100, 100, 100]


def test_the_first_hashes_wait_until_all_nodes_have_told_their_revisions() -> None:
    vitals = Vitals()
    hash_questions(vitals, 10.0)
    vitals.heard("n1", "metrics", metrics("n1"), 10.1)
    assert hash_questions(vitals, 11.0) == []
    vitals.heard("n1", "metrics", metrics("n1"), 9.5 + HASH_SECONDS)
    assert hash_questions(vitals, 10.5 + HASH_SECONDS) == [100], "not for ever"


def test_counts_that_go_back_are_those_of_another_process() -> None:
    vitals = told(n1={"wal_syncs": histogram((90, 100, 100))})
    vitals.heard("n1", "metrics", metrics("n1", wal_syncs=histogram((5, 50, 50))), 11.0)
    assert vitals.of("n1", "n1", 11.0).sync_p99_ms is None
    vitals.heard("n1", "metrics", metrics("n1", wal_syncs=histogram((15, 60, 60))), 12.0)
    assert vitals.of("n1", "n1", 12.0).sync_p99_ms == 1.0


def test_a_reply_of_another_version_tells_nothing_and_does_no_harm() -> None:
    vitals = Vitals()
    lacking = metrics("n1")
    del lacking["vote"]
    vitals.heard("n1", "metrics", lacking, 10.0)
    assert vitals.of("n1", "n1", 10.0) == UNKNOWN
