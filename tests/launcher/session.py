"""A session as a journal would have it, made up: three nodes, a kill, a pause, and a partition.

Values only, for the tests of what is made of a journal.
"""

from __future__ import annotations

from typing import Any, Final

from cluster.launcher.story.failover import Failover
from cluster.launcher.story.happenings import LAUNCHER, Happening

BEGAN: Final = 1_000.0
WALL: Final = 1_700_000_000.0


def happening(
    after: float, kind: str, text: str = "", source: str = LAUNCHER, **fields: Any
) -> Happening:
    """One that happened so many seconds after the session began."""
    return Happening(BEGAN + after, WALL + after, kind, source, text, fields)


def started() -> list[Happening]:
    """Three nodes that start; n2 leads in term 2."""
    found = []
    for number, name in enumerate(("n1", "n2", "n3")):
        found += [
            happening(
                0.01 * number, "launched", f"{name} is starting", victim=name, pid=100 + number
            ),
            happening(0.3, "role", "follower", name, role="follower", term=1),
        ]
    return [
        *found,
        happening(0.5, "role", "candidate", "n2", role="candidate", term=2),
        happening(0.52, "elected", "leads in term 2, voted for by n1", "n2", term=2, votes=["n1"]),
        happening(0.53, "follows", "follows n2", "n1", leader="n2", term=2),
        happening(0.53, "follows", "follows n2", "n3", leader="n2", term=2),
        happening(0.9, "ready", "n2 leads (term 2), ready in 900 ms", leader="n2", term=2),
    ]


def killed() -> list[Happening]:
    """The leader n2 is killed after 5 s, n3 follows it in term 3, and n2 comes back."""
    failover = Failover(
        number=1,
        cause="kill n2",
        began_at=BEGAN + 5,
        leader_before="n2",
        leader_after="n3",
        term=3,
        detected_by="n3",
        detected_how="connection",
        detection_ms=1.2,
        election_ms=14.0,
        votes=("n1",),
        write_outage_ms=21.5,
        read_outage_ms=20.0,
        watch_gap_ms=24.0,
        delayed=3,
        linearizable=True,
        leases_kept=1,
    )
    return [
        happening(4.99, "command", "kill leader", line="kill leader", via="prompt"),
        happening(
            5.0,
            "died",
            "n2 (leader, pid 101) was killed by SIGKILL",
            victim="n2",
            how="killed by SIGKILL",
            leader=True,
        ),
        happening(5.001, "leader", "no leader", leader=None, term=2),
        happening(5.001, "suspected", "n2's connection is closed", "n3", how="connection"),
        happening(5.01, "elected", "leads in term 3, voted for by n1", "n3", term=3),
        happening(5.012, "follows", "follows n3", "n1", leader="n3", term=3),
        happening(5.02, "leader", "n3 leads (term 3)", leader="n3", term=3),
        happening(6.0, "failover", "writes were unavailable for 21.5 ms", **failover.document()),
        happening(8.0, "launched", "n2 is starting", victim="n2", pid=110),
        happening(8.4, "follows", "follows n3", "n2", leader="n3", term=3),
    ]


def whole() -> list[Happening]:
    """All of it, with the figures of a probe by the second."""
    probes = [
        happening(
            float(second), "probe", "", writes=100, reads=100, p50_ms=1.1, p99_ms=3.0 + second
        )
        for second in range(1, 12)
    ]
    paused = [
        happening(9.0, "fault", "n1 is paused", what="pause", victims=["n1"]),
        happening(10.0, "fault", "n1 goes on", what="resume", victims=["n1"]),
    ]
    verdict = happening(12.0, "verdict", "passed: no write was lost", passed=True, why="")
    return [*started(), *killed(), *paused, *probes, verdict]
