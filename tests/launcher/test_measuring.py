"""From a fault to its figures: what nodes tell and what the probe client sees, played by hand."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from cluster.launcher.probing.gaps import NO_GAP, longest_gap
from cluster.launcher.probing.measuring import CHECK_SECONDS, CLOSE_SECONDS, Measuring, Wish
from cluster.launcher.probing.records import (
    GRANTED,
    LOST,
    Down,
    Held,
    Late,
    LeaseNews,
    Operation,
    ProbeKind,
    ProbeOutcome,
    Row,
    Seen,
    Settled,
)
from cluster.launcher.story.failover import Failover
from cluster.launcher.story.happenings import LAUNCHER, Happening

TIMEOUT_MS = 300


class Scene:
    """A cluster led by n1, and its probe client: a write, a read and an event at each `served`."""

    def __init__(self) -> None:
        self.measuring = Measuring("n1", TIMEOUT_MS)
        self.number = 0
        self.rows: list[Row] = []

    def tell(self, at: float, kind: str, source: str = LAUNCHER, **fields: Any) -> None:
        self.measuring.hear(Happening(at, at, kind, source, fields.pop("text", kind), fields))

    def served(self, times: Iterable[float], took: float = 0.001) -> None:
        """Requests that are sent at these times, and answered."""
        for at in times:
            self.number += 1
            ended = at + took
            row = Row(self.number, self.number + 1, len(self.rows) + 1)
            self.rows.insert(0, row)
            write = Operation(
                ProbeKind.WRITE, row.number, "n2", at, ended, ProbeOutcome.DONE, row.revision
            )
            self.measuring.note(write)
            self.measuring.note(Seen(ended, row.number, row.revision, "n2", at))
            self.measuring.note(
                Operation(ProbeKind.READ, row.number, "n3", ended, ended + took, ProbeOutcome.DONE)
            )

    def refused(self, times: Iterable[float]) -> None:
        """Writes that are sent at these times, and fail soon."""
        for at in times:
            self.number += 1
            self.measuring.note(
                Operation(ProbeKind.WRITE, self.number, "n2", at, at + 0.001, ProbeOutcome.UNKNOWN)
            )

    def hold(self, at: float, rows: list[Row] | None = None) -> None:
        """The nodes tell what they hold."""
        kept = tuple(self.rows if rows is None else rows)
        self.measuring.note(Held("n2", at, at, 9_999, kept, True))

    def end(self, now: float) -> Failover:
        """The incident is over by then, and everything is read again."""
        assert self.measuring.tick(now) == []
        (order,) = [wish.order for wish in self.measuring.wishes() if wish.order]
        self.hold(now)
        self.measuring.note(Settled(order, now))
        (failover,) = self.measuring.tick(now)
        return failover


def every(step: float, began: float, until: float) -> list[float]:
    """The times between, a step apart."""
    return [began + step * n for n in range(round((until - began) / step))]


@pytest.fixture
def scene() -> Scene:
    """A second of peace, until second 10."""
    calm = Scene()
    calm.served(every(0.02, 9.0, 10.0))
    return calm


def killed(scene: Scene) -> None:
    """At second 10 the leader is killed, and n3 is elected 12 ms later."""
    scene.tell(10.001, "suspected", "n3", leader="n1", how="connection", term=4, silent_ms=3)
    scene.tell(10.0015, "suspected", "n2", leader="n1", how="connection", term=4, silent_ms=3)
    scene.measuring.note(Down(10.0, "n1"))
    scene.tell(10.004, "died", victim="n1", pid=7, how="was killed by SIGKILL", leader="n1")
    scene.refused(every(0.002, 10.002, 10.014))
    scene.tell(10.012, "elected", "n3", term=5, votes=["n3", "n2"], took_ms=9)
    scene.served(every(0.002, 10.015, 10.4))


def test_a_killed_leader_is_measured_from_its_end_to_the_first_acknowledgement(
    scene: Scene,
) -> None:
    killed(scene)
    found = scene.end(10.4)
    assert found.cause == "n1 (leader) was killed by SIGKILL"
    assert (found.began_at, found.leader_before, found.leader_after) == (10.0, "n1", "n3")
    assert (found.detected_by, found.detected_how, found.detection_ms) == ("n3", "connection", 1.0)
    assert (found.election_ms, found.term, found.votes) == (11.0, 5, ("n3", "n2"))
    assert found.write_outage_ms == pytest.approx(16.0)
    assert found.watch_gap_ms == pytest.approx(16.0)
    assert found.read_outage_ms == pytest.approx(17.0)
    assert (found.failed, found.lost, found.doubled) == (6, 0, 0)
    assert found.linearizable is True


def test_a_leader_whose_end_is_seen_after_the_next_was_elected_was_the_leader(
    scene: Scene,
) -> None:
    scene.tell(10.001, "suspected", "n3", leader="n1", how="connection", term=4, silent_ms=3)
    scene.tell(10.012, "elected", "n3", term=5, votes=["n3", "n2"], took_ms=9)
    scene.tell(10.014, "died", victim="n1", pid=7, how="was killed by SIGKILL", leader="n1")
    scene.served(every(0.002, 10.015, 10.4))
    assert scene.end(10.4).cause == "n1 (leader) was killed by SIGKILL"


def test_the_client_looks_closely_from_the_first_news_on(scene: Scene) -> None:
    scene.tell(10.001, "suspected", "n3", leader="n1", how="connection", term=4, silent_ms=3)
    assert scene.measuring.wishes() == [Wish(closely_seconds=CLOSE_SECONDS)]
    assert scene.measuring.is_measuring


def test_a_killing_command_counts_from_the_command(scene: Scene) -> None:
    scene.tell(9.997, "command", line="kill leader", via="prompt")
    killed(scene)
    assert scene.end(10.4).began_at == 9.997


def test_what_is_lost_doubled_and_not_linearizable_is_counted_once(scene: Scene) -> None:
    killed(scene)
    scene.measuring.tick(10.4)
    scene.measuring.wishes()
    lost, twice = scene.rows[3], scene.rows[5]
    rows = [row for row in scene.rows if row != lost]
    rows.insert(0, Row(twice.number, 9_000, rows[0].version))
    scene.hold(10.5, rows)
    old_read = Operation(ProbeKind.READ, 1, "n2", 10.45, 10.46, ProbeOutcome.DONE)
    scene.measuring.note(old_read)
    scene.measuring.note(Settled(1, 10.5))
    (found,) = scene.measuring.tick(10.5)
    assert (found.lost, found.linearizable) == (1, False)
    assert found.doubled >= 1
    scene.tell(11.0, "died", victim="n2", pid=8, how="was killed by SIGKILL", leader="n3")
    scene.served(every(0.002, 11.001, 11.4))
    scene.measuring.tick(11.4)
    scene.hold(11.5, [row for row in scene.rows if row != lost])
    scene.measuring.note(Settled(2, 11.5))
    (again,) = scene.measuring.tick(11.5)
    assert again.lost == 0


def test_a_follower_that_dies_costs_nothing_as_long_as_requests_are_not_slower(
    scene: Scene,
) -> None:
    scene.tell(10.0, "died", victim="n2", pid=8, how="was killed by SIGKILL", leader="n1")
    scene.tell(10.001, "peer_lost", "n1", peer="n2", how="connection")
    scene.served(every(0.002, 10.001, 10.4))
    found = scene.end(10.4)
    assert (found.cause, found.leader_after) == ("n2 was killed by SIGKILL", "n1")
    assert (found.write_outage_ms, found.read_outage_ms, found.watch_gap_ms) == (0, 0, 0)
    assert (found.detected_by, found.detection_ms, found.election_ms) == ("n1", 1.0, None)


def test_a_follower_whose_end_stops_everybody_for_a_while_is_not_flattered(scene: Scene) -> None:
    scene.tell(10.0, "died", victim="n2", pid=8, how="was killed by SIGKILL", leader="n1")
    scene.refused(every(0.002, 10.001, 10.099))
    scene.served(every(0.002, 10.1, 10.5))
    assert scene.end(10.5).write_outage_ms == pytest.approx(101.0)


def test_a_silent_leader_is_measured_from_when_it_was_last_heard(scene: Scene) -> None:
    """Nobody has told why: it was frozen from outside, or its host is slow."""
    scene.tell(10.3, "suspected", "n3", leader="n1", how="timeout", term=4, silent_ms=300)
    scene.tell(10.31, "elected", "n3", term=5, votes=["n3", "n2"], took_ms=9)
    scene.served(every(0.002, 10.32, 10.7))
    found = scene.end(10.7)
    assert found.cause == "n1 (leader) fell silent: n3 heard nothing from it"
    assert (found.began_at, found.detection_ms) == (10.0, 300.0)
    assert found.write_outage_ms == pytest.approx(321.0)


def test_a_paused_leader_is_waited_for_until_its_silence_was_noticed(scene: Scene) -> None:
    text = "n1 (leader, pid 7) is paused (SIGSTOP)"
    scene.tell(10.0, "fault", text=text, what="pause", victims=["n1"])
    scene.served([10.0001])  # what was answered just before
    assert scene.measuring.tick(10.5) == [] and scene.measuring.is_measuring
    scene.refused(every(0.002, 10.002, 10.44))
    scene.tell(10.42, "suspected", "n2", leader="n1", how="timeout", term=4, silent_ms=400)
    scene.tell(10.44, "elected", "n2", term=5, votes=["n2", "n3"], took_ms=9)
    scene.served(every(0.004, 10.45, 12.0))
    found = scene.end(12.0)
    assert (found.cause, found.leader_after) == (text, "n2")
    assert found.write_outage_ms == pytest.approx(449)


def test_a_second_death_belongs_to_the_same_fault_until_writes_are_back(scene: Scene) -> None:
    scene.tell(10.0, "died", victim="n1", pid=7, how="was killed by SIGKILL", leader="n1")
    scene.served([10.011])
    scene.tell(10.02, "died", victim="n2", pid=8, how="was killed by SIGKILL", leader=None)
    scene.refused(every(0.02, 10.03, 15.0))
    assert scene.measuring.tick(15.0) == []
    scene.tell(15.0, "elected", "n3", term=6, votes=["n3", "n2"], took_ms=9)
    scene.served(every(0.002, 15.001, 15.4))
    found = scene.end(15.4)
    assert found.cause == "n1 (leader) was killed by SIGKILL, then n2 was killed by SIGKILL"
    assert found.write_outage_ms == pytest.approx(4_972, abs=1)


def test_a_graceful_stop_counts_from_its_announcement_and_its_end_is_no_other_fault(
    scene: Scene,
) -> None:
    scene.tell(10.0, "stopping", "n1", why="SIGTERM")
    scene.tell(10.002, "suspected", "n2", leader="n1", how="transfer", term=4, silent_ms=1)
    scene.tell(10.006, "elected", "n2", term=5, votes=["n2", "n3"], took_ms=4)
    scene.served(every(0.002, 10.007, 10.4))
    found = scene.end(10.4)
    assert (found.cause, found.leader_after) == ("n1 (leader) was stopped (SIGTERM)", "n2")
    scene.tell(11.0, "died", victim="n1", pid=7, how="exited with status 0", leader="n2")
    scene.measuring.tick(11.1)
    assert not scene.measuring.is_measuring


def test_an_old_leader_that_wakes_up_and_steps_down_is_no_fault(scene: Scene) -> None:
    killed(scene)
    scene.end(10.4)
    scene.tell(11.0, "stepped_down", "n1", term=5, why="n3 leads term 5")
    scene.measuring.tick(11.1)
    assert not scene.measuring.is_measuring


def test_what_nodes_tell_is_judged_in_the_order_of_time(scene: Scene) -> None:
    """The channel of the node that won is read before that of the node that handed over."""
    scene.tell(10.006, "elected", "n2", term=5, votes=["n2", "n3"], took_ms=4)
    scene.tell(10.002, "suspected", "n2", leader="n1", how="transfer", term=4, silent_ms=1)
    scene.tell(10.0, "stopping", "n1", why="SIGTERM")
    scene.served(every(0.002, 10.007, 10.4))
    found = scene.end(10.4)
    assert (found.cause, found.leader_before) == ("n1 (leader) was stopped (SIGTERM)", "n1")


def test_it_is_not_over_while_requests_wait_again(scene: Scene) -> None:
    """The leader handed over and ended; then the rest had no majority, for another node starts."""
    scene.tell(10.0, "stopping", "n1", why="SIGTERM")
    scene.tell(10.004, "elected", "n2", term=5, votes=["n2", "n1"], took_ms=4)
    scene.served(every(0.002, 10.005, 10.08))
    scene.refused(every(0.002, 10.08, 10.9))
    assert scene.measuring.tick(10.33) == [] and scene.measuring.wishes()[-1].order == 0
    scene.served(every(0.002, 10.9, 11.3))
    assert scene.end(11.3).write_outage_ms == pytest.approx(821)


def test_a_node_that_had_to_catch_up_first_is_named(scene: Scene) -> None:
    scene.tell(9.0, "snapshot_installed", "n3", revision=7)
    killed(scene)
    scene.tell(10.2, "snapshot_installed", "n2", revision=9)
    assert scene.end(10.4).catching_up == ("n2",)


def test_a_removed_member_that_misses_its_leader_is_no_fault(scene: Scene) -> None:
    scene.tell(10.0, "member", what="removed", victim="n4")
    scene.tell(10.5, "suspected", "n4", leader="n1", how="timeout", term=4, silent_ms=500)
    scene.tell(10.6, "stopping", "n4", why="it was removed")
    scene.tell(10.7, "died", victim="n4", pid=7, how="exited with status 3", leader="n1")
    scene.measuring.tick(11.0)
    assert not scene.measuring.is_measuring


def test_many_faults_at_once_are_named_shortly(scene: Scene) -> None:
    for n in range(6):
        text = f"n{n} is slow"
        scene.tell(10.0 + n / 100, "fault", text=text, what="slow", victims=[f"n{n}"])
    scene.served(every(0.004, 10.1, 12.0))
    assert scene.end(12.0).cause == "n0 is slow, then n1 is slow, then 4 faults more"


def test_a_watch_that_has_nothing_to_tell_is_not_waited_for_without_end(scene: Scene) -> None:
    scene.tell(10.0, "died", victim="n2", pid=8, how="was killed by SIGKILL", leader="n1")
    for at in every(0.05, 10.01, 21.0):  # the store is full: only what leaves no trace is done
        for kind in ProbeKind:
            done = Operation(kind, 0, "n1", at, at + 0.001, ProbeOutcome.DONE)
            scene.measuring.note(done)
    assert scene.measuring.tick(19.0) == [] and scene.measuring.is_measuring
    assert scene.end(21.0).watch_gap_ms is None


def test_what_a_leader_finishes_before_it_hands_over_is_served(scene: Scene) -> None:
    scene.served(every(0.002, 9.99, 10.0), took=0.02)
    scene.tell(10.0, "stopping", "n1", why="SIGTERM")
    scene.tell(10.012, "elected", "n2", term=5, votes=["n2", "n3"], took_ms=4)
    scene.served(every(0.002, 10.001, 10.4), took=0.03)
    assert scene.end(10.43).write_outage_ms == pytest.approx(12)  # 10.019 is the next request


def test_what_a_dead_leader_had_answered_before_does_not_end_its_outage(scene: Scene) -> None:
    scene.served([9.999], took=0.01)
    killed(scene)
    assert scene.end(10.4).write_outage_ms == pytest.approx(16)


def test_the_sleep_of_the_client_is_told_apart(scene: Scene) -> None:
    scene.measuring.note(Late(10.003, 10.009))
    killed(scene)
    assert scene.end(10.4).late_ms == pytest.approx(6.0)


def test_leases_are_counted_as_kept_or_lost(scene: Scene) -> None:
    for name in ("kept", "short"):
        scene.measuring.note(LeaseNews(9.5, name, GRANTED))
    killed(scene)
    scene.measuring.note(LeaseNews(10.2, "short", LOST))
    found = scene.end(10.4)
    assert (found.leases_kept, found.leases_lost) == (1, 1)


def test_nodes_that_do_not_tell_what_they_hold_are_not_waited_for_without_end(
    scene: Scene,
) -> None:
    killed(scene)
    assert scene.measuring.tick(10.4) == []
    (found,) = scene.measuring.tick(10.5 + CHECK_SECONDS)
    assert found.leader_after == "n3"


def test_requests_that_took_longer_than_usual_are_delayed(scene: Scene) -> None:
    killed(scene)
    scene.served([10.1], took=0.05)
    assert scene.end(10.4).delayed == 2


# --- gaps -------------------------------------------------------------------------------------


def test_around_the_cause_a_gap_begins_with_the_cause() -> None:
    assert longest_gap([1.0, 1.2, 1.3], [0.9, 1.1], 1.05).ms == pytest.approx(150)


def test_later_a_gap_begins_when_somebody_asked() -> None:
    gap = longest_gap([1.0, 1.01, 1.5], [0.9, 1.0, 1.4], 0.99)
    assert (gap.began, gap.ended) == (1.4, 1.5)


def test_without_an_answer_after_the_cause_there_is_no_gap_yet() -> None:
    assert longest_gap([1.0], [1.0], 2.0) == NO_GAP
