"""What can go wrong in one run, and how often: drawn from the seed, so that runs differ in kind.

A run with a little of everything finds less than many runs with much of something (swarm testing).
"""

from __future__ import annotations

from random import Random
from typing import NamedTuple


class Swarm(NamedTuple):
    """The rates of one run. Probabilities are per message, or per fault drawn; times are in ms."""

    nodes: int
    clients: int
    watchers: int
    in_order: bool
    loss: float
    duplication: float
    peer_delay_ms: int
    client_delay_ms: int
    sync_ms: int
    think_ms: int
    peers_down_hints: bool
    faults_every_ms: int
    crash: float
    crash_all: float
    crash_after_vote: float
    crash_new_leader: float
    partition: float
    stall: float
    crash_in_save: float
    crash_in_new_term: float
    outage_ms: int
    election_ms: int
    append_bytes_max: int
    value_bytes: int
    flood_every_ms: int
    unsessioned: float
    leases: float

    def calm(self) -> Swarm:
        """The same cluster with nothing going wrong any more."""
        return self._replace(
            in_order=True,
            loss=0.0,
            duplication=0.0,
            peer_delay_ms=3,
            crash_in_save=0.0,
            crash_in_new_term=0.0,
            flood_every_ms=0,
        )


def draw(random: Random) -> Swarm:
    """The swarm of a seed."""
    hostile = random.random() < 0.6
    election_ms = random.choice((60, 60, 60, 120, 300))
    return Swarm(
        nodes=random.choice((3, 3, 3, 4, 5)),
        clients=random.choice((1, 3, 5)),
        watchers=random.choice((0, 1, 2)),
        in_order=random.random() < 0.75,
        loss=random.choice((0.0, 0.0, 0.0, 0.02, 0.15)),
        duplication=random.choice((0.0, 0.0, 0.1)),
        peer_delay_ms=random.choice((1, 3, election_ms // 8)),
        client_delay_ms=random.choice((1, 10)),
        sync_ms=random.choice((1, 1, 5, election_ms // 6)),
        think_ms=random.choice((1, 10, 60)),
        peers_down_hints=random.random() < 0.7,
        faults_every_ms=random.choice((40, 80, 200)),
        crash=random.choice((0.0, 0.2, 0.6)),
        crash_all=random.choice((0.0, 0.05)),
        crash_after_vote=random.choice((0.0, 0.3)) if hostile else 0.0,
        crash_new_leader=random.choice((0.0, 0.5)) if hostile else 0.0,
        partition=random.choice((0.0, 0.3, 0.7)),
        stall=random.choice((0.0, 0.2)),
        crash_in_save=random.choice((0.0, 0.0, 0.02)) if hostile else 0.0,
        crash_in_new_term=random.choice((0.0, 0.2)) if hostile else 0.0,
        outage_ms=random.choice((50, 200, 600)),
        election_ms=election_ms,
        append_bytes_max=random.choice((1, 2_000, 1_000_000)),
        value_bytes=random.choice((0, 0, 1_200)),
        flood_every_ms=random.choice((0, 2, 8, 30)),
        unsessioned=random.choice((0.0, 0.3)),
        leases=random.choice((0.0, 0.0, 0.3)),
    )
