"""A short campaign in which every kind of fault takes effect, and the checks that judge it."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from cluster import Event, KeyValue
from tests.chaos import front_faults, leader_kills
from tests.chaos.campaign import Episode, Figures
from tests.chaos.checks import (
    LEASE_LATE_SECONDS,
    Bounds,
    Outage,
    check_leases,
    check_stream,
    outages,
    quantile,
)
from tests.chaos.harm import KINDS
from tests.chaos.history import (
    History,
    LeaseStep,
    Stream,
    load_operations,
    name_in,
    padded,
)
from tests.limits import HANG_SECONDS
from tests.linearizability import Change, FindingError, Held, Operation, Outcome, Seen


@pytest.mark.campaign
def test_every_kind_of_fault_takes_effect_and_nothing_is_lost_doubled_or_out_of_order() -> None:
    kinds = [kind for kind in KINDS if kind not in front_faults.KINDS]
    figures = _of_an_episode(3, kinds, fronts=False)
    assert figures.leases_expired


@pytest.mark.campaign
def test_nothing_is_lost_doubled_or_out_of_order_through_fronts_that_end_and_stand_still() -> None:
    _of_an_episode(1, list(front_faults.KINDS), fronts=True)


def _of_an_episode(size: int, kinds: list[str], *, fronts: bool) -> Figures:
    """The figures of an episode that lasts until each of these kinds of faults took effect."""
    with Episode("pytest", size, fronts=fronts, late_seconds=HANG_SECONDS) as episode:
        effective = episode.nemesis.effective

        def left() -> list[str]:
            return [kind for kind in kinds if not effective[kind]]

        episode.scene.pace = 0.3
        # Others may be in the way of one: then it is done once more.
        episode.nemesis.run(lambda: bool(left()), left)
        figures = episode.judge()
    assert not set(kinds) & set(figures.without_effect()), "\n".join(episode.scene.log)
    assert figures.operations["put"] > 100
    return figures


def test_kind_of_fault_that_never_took_effect_is_named() -> None:
    counts = Counter(dict.fromkeys(KINDS, 1))
    figures = Figures(1, 1.0, counts, counts, counts, counts, (), 1.0, 1, 1, 1, 1, (0.0, ""))
    assert figures.without_effect() == []
    idle = figures._replace(effective=counts - Counter({"torn tail": 1}))
    assert idle.without_effect() == ["torn tail"]
    assert idle.plus(idle).without_effect() == ["torn tail"]
    assert idle.plus(figures).without_effect() == []


def test_run_that_is_stopped_early_judges_what_it_did() -> None:
    asked = iter([False, False, True])
    report = leader_kills.run(1_000, 1, lambda: next(asked, True), HANG_SECONDS)
    assert len(report.unavailable_ms) == 1
    assert report.text().startswith("1 kills of the leader in ")


# --- leases -----------------------------------------------------------------------------------

GRANT = LeaseStep(0xA, "grant", 2.0, 10.0, 10.1, Outcome.OK)
EXPIRED = Change(5, "lease/a/0", None, reason="lease expired")


def _bounds(*revisions: tuple[int, float, float]) -> Bounds:
    """Writes at these revisions, which began and ended then."""
    return Bounds(
        [Operation("c", "put", "k", b, e, Outcome.OK, revision=r) for r, b, e in revisions], []
    )


def test_lease_that_ends_within_its_time_passes() -> None:
    bounds = _bounds((4, 12.0, 12.1), (6, 12.2, 12.3))
    assert check_leases([GRANT], [EXPIRED], bounds, []) == 1


def test_lease_that_ends_early_is_found() -> None:
    with pytest.raises(FindingError, match="early"):
        check_leases([GRANT], [EXPIRED], _bounds((6, 11.0, 11.9)), [])


def test_renewal_makes_the_same_end_early() -> None:
    bounds = _bounds((4, 12.0, 12.1), (6, 12.2, 12.3))
    renewal = GRANT._replace(step="renew", began=11.0, ended=11.1)
    with pytest.raises(FindingError, match="early"):
        check_leases([GRANT, renewal], [EXPIRED], bounds, [])


def test_lease_that_ends_late_is_found_unless_nobody_was_served_meanwhile() -> None:
    late = 12.2 + LEASE_LATE_SECONDS
    bounds = _bounds((4, late, late + 0.1))
    with pytest.raises(FindingError, match="late"):
        check_leases([GRANT], [EXPIRED], bounds, [])
    assert check_leases([GRANT], [EXPIRED], bounds, [Outage(11.0, 11.5)]) == 1
    # The bound from a stale read proves nothing: it may have been answered from the past.
    stale = Operation("c", "range", "k", late, late + 1, Outcome.OK, 4, serializable=True)
    assert check_leases([GRANT], [EXPIRED], Bounds([stale], []), []) == 1


def test_lease_whose_keys_end_at_different_revisions_is_found() -> None:
    parts = [EXPIRED, EXPIRED._replace(revision=6, key="lease/a/1")]
    with pytest.raises(FindingError, match="in parts"):
        check_leases([GRANT], parts, _bounds(), [])


def test_end_that_nobody_asked_for_is_found() -> None:
    with pytest.raises(FindingError, match="nobody revoked"):
        check_leases([GRANT], [EXPIRED._replace(reason="lease revoked")], _bounds(), [])


# --- watches ----------------------------------------------------------------------------------


def _event(revision: int) -> Event:
    return Event("PUT", KeyValue(b"k", padded("v", 0), 2, revision, revision - 1, 0), None, "")


CHANGES = [Change(r, "k", "v", 2, r - 1) for r in (2, 3, 4)]


def _stream(*batches: tuple[int, ...]) -> Stream:
    stream = Stream("w", 2)
    for batch in batches:
        stream.take([_event(revision) for revision in batch], 1.0)
    return stream


def test_stream_of_all_changes_passes() -> None:
    check_stream(_stream((2, 3), (4,)), CHANGES, 4)


@pytest.mark.parametrize(
    "batches", [((2, 3),), ((2,), (4,)), ((3, 4),), ((2, 4, 3),), ((2, 3, 3, 4),)]
)
def test_stream_with_a_fault_is_found(batches: tuple[tuple[int, ...], ...]) -> None:
    with pytest.raises(FindingError):
        check_stream(_stream(*batches), CHANGES, 4)


def test_revision_that_goes_on_in_a_later_batch_is_found() -> None:
    with pytest.raises(FindingError, match="had seen 3 and is told of 3"):
        _stream((2, 3), (3, 4))


# --- records ----------------------------------------------------------------------------------


def test_history_is_the_same_when_it_is_read_back(tmp_path: Path) -> None:
    history = History(tmp_path / "history.jsonl")
    read = Operation(
        "c", "range", "k", 1, 2, Outcome.OK, 3, end="l", held=(Held("k", "v", 2, 2, 1, 7),)
    )
    lost = Operation("c", "put", "k", 1, float("inf"), Outcome.UNKNOWN, value="v")
    for operation in (read, lost):
        history.add(operation)
    history.add_lease_step(GRANT)
    history.close()
    assert load_operations(tmp_path / "history.jsonl") == [read, lost]


def test_value_that_is_not_whole_is_found() -> None:
    assert name_in(padded("r1.7", 2_000)) == "r1.7"
    with pytest.raises(FindingError):
        name_in(padded("r1.7", 2_000)[:-1])


def test_outages_are_the_long_gaps_between_acknowledgements() -> None:
    found = outages([1.0, 1.01, 2.0, 1.02, 2.01, 2.5])
    assert found == [Outage(1.02, 2.0), Outage(2.01, 2.5)]
    assert quantile([3.0, 1.0, 2.0], 50) == 2.0
    assert quantile([3.0, 1.0, 2.0], 100) == 3.0
    assert quantile([], 99) == 0.0


def test_bounds_of_a_revision_are_what_was_seen_around_it() -> None:
    bounds = Bounds([Operation("c", "put", "k", 1.0, 1.5, Outcome.OK, revision=2)], [Seen(3.0, 4)])
    assert bounds.of(3) == (1.0, 3.0)
    assert bounds.of(5) == (1.0, float("inf"))
