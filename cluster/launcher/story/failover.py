"""Failover: one change of leaders or one fault, measured from its cause until all is as before.

Values only: who measures is the business of `cluster.launcher.probing`.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

DEATH: Final = "death"
STOP: Final = "stop"
PAUSE: Final = "pause"
HAND_OVER: Final = "hand-over"
SILENCE: Final = "silence"
UNKNOWN: Final = "unknown"
FAULTS: Final = (DEATH, STOP, PAUSE, HAND_OVER, SILENCE, UNKNOWN)
"""What a fault is of, beside harm to links: a process that ended, was stopped or paused, a leader
that handed over, or fell silent without a reason that is known, and an election without one."""


class Failover(NamedTuple):
    """One fault and what came of it. Durations are in ms; None: it did not happen, or not yet.

    `fault` is one of FAULTS, or what was done to the links; of the first, if there were several
    (`faults`) before all was as before.

    `detection_ms` is from the cause to the first follower's suspicion; `election_ms` from there
    until a leader is elected. An outage is the longest time between two acknowledged writes (or
    answered reads) after the cause, less the time until one was sent. The answer to one that was
    sent before the cause counts only where the leader hands over, which finishes what it has begun.
    It is 0 where the leader stayed and nobody waited much longer than for the slowest request of
    the second before. `watch_gap_ms` is the same for the events of writes. `late_ms` is how long of
    the write outage the client that measures did not run itself. `delayed` counts requests that
    took longer than the slowest of the second before; `failed` those that were given up or refused;
    `lost` the acknowledged writes that are not there; `doubled` those that were applied twice.
    `catching_up` are the nodes that took over another's data meanwhile: they could not help before.
    """

    number: int
    cause: str
    began_at: float
    leader_before: str | None
    leader_after: str | None = None
    term: int = 0
    detected_by: str | None = None
    detected_how: str | None = None
    detection_ms: float | None = None
    election_ms: float | None = None
    votes: tuple[str, ...] = ()
    write_outage_ms: float | None = None
    read_outage_ms: float | None = None
    watch_gap_ms: float | None = None
    late_ms: float = 0.0
    delayed: int = 0
    failed: int = 0
    lost: int = 0
    doubled: int = 0
    linearizable: bool | None = None
    leases_kept: int = 0
    leases_lost: int = 0
    fault: str = ""
    faults: int = 1
    catching_up: tuple[str, ...] = ()

    def document(self) -> dict[str, Any]:
        """It as JSON has it."""
        lists = {"votes": list(self.votes), "catching_up": list(self.catching_up)}
        return {**self._asdict(), **lists}
