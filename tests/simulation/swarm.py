"""What can go wrong in one run, and how often: drawn from the seed, so that runs differ in kind.

A run with a little of everything finds less than many runs with much of something (swarm testing).
"""

from __future__ import annotations

from random import Random
from typing import Any, NamedTuple

from actors.store.long_entry import ENTRY_STEPS_MAX
from actors.store.sessions import SessionLimits
from actors.store.steps import ITEMS_PER_STEP
from actors.store.writes import LATE_KEYS_MIN
from actors.watch.flow import LIVE_BYTES_MAX, TOLD_BYTES_MAX
from cluster.visitors import UNREAD_BYTES_MAX


class Swarm(NamedTuple):
    """The rates of one run; its defaults are a calm cluster. Times are in ms.

    Probabilities are per message, or per fault drawn. Those from `crash` on are the weights by
    which the next fault is chosen, or the probability that a moment is used (`at_...`). The last
    ones say how much of the data model is used, how little of it fits, whether a node's actors
    take turns by chance or in the loop's order, which of the log's syncs and of the store's commits
    end late, how little of a long entry is done in one turn, and whether half of the connections
    get batches.
    """

    nodes: int = 3
    clients: int = 1
    clients_outstanding: int = 1
    watchers: int = 0
    think_ms: int = 10
    value_bytes: int = 0
    flood_every_ms: int = 0
    unsessioned: bool = False
    leases: float = 0.0
    election_ms: int = 60
    append_bytes_max: int = 1_000_000
    segment_bytes: int = 4_096
    entries_kept: int = 50
    commit_ms: int = 100
    chunk_bytes: int = 256 * 1024
    in_order: bool = True
    loss: float = 0.0
    duplication: float = 0.0
    peer_delay_ms: int = 2
    client_delay_ms: int = 2
    sync_ms: int = 1
    hints: bool = True
    drift_ppm: int = 0
    outage_ms: int = 50
    long_outage: float = 0.0
    faults_every_ms: int = 100
    power_cuts: float = 0.5
    crash: float = 0.0
    crash_all: float = 0.0
    partition: float = 0.0
    clog: float = 0.0
    stall: float = 0.0
    stop: float = 0.0
    slow_disk: float = 0.0
    failing_disk: float = 0.0
    full_disk: float = 0.0
    bit_flip: float = 0.0
    wipe: float = 0.0
    forget: float = 0.0
    clock_jump: float = 0.0
    transfer: float = 0.0
    change: float = 0.0
    at_vote: float = 0.0
    at_victory: float = 0.0
    at_new_term: float = 0.0
    at_snapshot: float = 0.0
    at_change: float = 0.0
    at_joint: float = 0.0
    at_start: float = 0.0
    at_proof: float = 0.0
    breadth: float = 0.0
    compactions: bool = False
    alarms: bool = False
    quota_bytes: int = 0
    congestion: float = 0.0
    hang_ups: float = 0.0
    items_per_step: int = 256
    under_way_bytes: int = 128 * 1024
    publish_after_ms: int = 0
    request_timeout_ms: int = 2_000
    client_timeout_ms: int = 3_000
    late: float = 0.0
    holders: int = 0
    outsider_every_ms: int = 0
    newer: float = 0.0
    sessions_max: int = 10_000
    session_ttl_ms: int = 600_000
    session_spared_ms: int = 60_000
    results_max: int = 1_024
    results_bytes_max: int = 1 << 24
    leases_max: int = 300_000
    by_chance: bool = False
    late_syncs: float = 0.0
    late_commits: float = 0.0
    keys_per_step: int = ITEMS_PER_STEP
    steps_per_turn: int = 256
    late_keys_min: int = LATE_KEYS_MIN
    batches: bool = False

    @property
    def has_long_entries(self) -> bool:
        """Whether an entry that changes a few keys takes several turns."""
        return self.keys_per_step < ITEMS_PER_STEP

    @property
    def store_steps_per_turn(self) -> int:
        """How many steps of an entry, or of a snapshot that is installed, one turn has."""
        return self.steps_per_turn if self.has_long_entries else ENTRY_STEPS_MAX

    @property
    def told_bytes(self) -> tuple[int, int]:
        """After how many bytes Watch asks for room, and how many of live events it tells."""
        return (300, 600) if self.has_long_entries else (TOLD_BYTES_MAX, LIVE_BYTES_MAX)

    @property
    def unread_bytes(self) -> int:
        """How much may wait for clients before history waits, too."""
        return 500 if self.has_long_entries else UNREAD_BYTES_MAX

    @property
    def machine_limits(self) -> tuple[SessionLimits, int]:
        """What limits a state machine: of the cluster as a whole, in peace, too."""
        sessions = SessionLimits(
            sessions_max=self.sessions_max,
            ttl_ms=self.session_ttl_ms,
            spared_ms=self.session_spared_ms,
            results_max=self.results_max,
            results_bytes_max=self.results_bytes_max,
            result_bytes_max=self.results_bytes_max // 2,
            table_bytes_max=2 * self.results_bytes_max,
        )
        return sessions, self.leases_max

    def calm(self) -> Swarm:
        """The same cluster with nothing going wrong any more."""
        quiet: dict[str, Any] = dict.fromkeys((*FAULTS, *MOMENTS), 0.0)
        return self._replace(
            loss=0.0,
            duplication=0.0,
            late=0.0,
            outsider_every_ms=0,
            newer=0.0,
            peer_delay_ms=2,
            flood_every_ms=0,
            sync_ms=1,
            congestion=0.0,
            hang_ups=0.0,
            **quiet,
        )


FAULTS = (
    "crash",
    "crash_all",
    "partition",
    "clog",
    "stall",
    "stop",
    "slow_disk",
    "failing_disk",
    "full_disk",
    "bit_flip",
    "wipe",
    "forget",
    "clock_jump",
    "transfer",
    "change",
)
CRASHES = ("at_vote", "at_victory", "at_new_term", "at_snapshot", "at_change")
MOMENTS = (*CRASHES, "at_joint", "at_start", "at_proof")

CLASSES: dict[str, dict[str, Any]] = {
    **{name: {name: 0.0} for name in (*FAULTS, *MOMENTS)},
    "loss": {"loss": 0.0},
    "duplication": {"duplication": 0.0},
    "late": {"late": 0.0},
    "short timeouts": {"request_timeout_ms": 2_000, "client_timeout_ms": 3_000},
    "holders": {"holders": 0},
    "outsider": {"outsider_every_ms": 0},
    "newer": {"newer": 0.0},
    "reordering": {"in_order": True, "peer_delay_ms": 2},
    "drift": {"drift_ppm": 0},
    "leases": {"leases": 0.0},
    "watchers": {"watchers": 0},
    "flood": {"flood_every_ms": 0},
    "values": {"value_bytes": 0},
    "breadth": {"breadth": 0.0, "quota_bytes": 0, "items_per_step": 256},
    "admission": {"under_way_bytes": 128 * 1024},
    "compactions": {"compactions": False},
    "alarms": {"alarms": False},
    "congestion": {"congestion": 0.0},
    "hang-ups": {"hang_ups": 0.0},
    "clients": {"clients": 1, "clients_outstanding": 1},
    "power cuts": {"power_cuts": 0.0},
    "session limits": {
        "sessions_max": 10_000,
        "session_ttl_ms": 600_000,
        "results_max": 1_024,
        "results_bytes_max": 1 << 24,
    },
    "lease limits": {"leases_max": 300_000},
    "order of turns": {"by_chance": False},
    "late syncs": {"late_syncs": 0.0},
    "long entries": {"keys_per_step": ITEMS_PER_STEP, "steps_per_turn": 256},
    "late commits": {"late_commits": 0.0},
    "late deletions": {"late_keys_min": LATE_KEYS_MIN},
    "batches": {"batches": False},
}
"""What can be left out of a run as a whole, and how."""


def draw(random: Random) -> Swarm:
    """The swarm of a seed: one of several kinds of trouble, or a little of everything."""
    pick = random.choice
    swarm = _surroundings(random)
    match pick(("elections", "elections", "members", "snapshots", "disks", "any", "any")):
        case "elections":
            swarm = swarm._replace(
                nodes=pick((3, 3, 5)),
                crash=pick((0.0, 2.0, 4.0)),
                crash_all=pick((0.0, 0.0, 0.5)),
                partition=pick((2.0, 4.0)),
                clog=pick((0.0, 2.0)),
                stall=pick((0.0, 0.0, 2.0)),
                transfer=pick((0.0, 0.0, 0.5)),
                flood_every_ms=pick((3, 6)),
                append_bytes_max=pick((1, 1, 2_000)),
                entries_kept=pick((5, 50, 1_000)),
                outage_ms=50,
                faults_every_ms=pick((15, 30, 60)),
                election_ms=60,
                hints=random.random() < 0.8,
            )
        case "members":
            swarm = swarm._replace(
                nodes=pick((3, 4, 5)),
                change=6.0,
                transfer=pick((0.0, 1.0)),
                partition=pick((1.0, 3.0)),
                crash=pick((0.0, 2.0)),
                wipe=pick((0.0, 0.0, 1.0)),
                clog=pick((0.0, 1.0)),
                faults_every_ms=pick((30, 60)),
                at_change=pick((0.2, 0.5)),
            )
        case "snapshots":
            swarm = swarm._replace(
                entries_kept=pick((0, 0, 5)),
                commit_ms=pick((5, 20)),
                partition=pick((2.0, 4.0)),
                crash=pick((1.0, 3.0)),
                change=pick((0.0, 1.0)),
                bit_flip=pick((0.0, 0.5)),
                long_outage=pick((0.0, 0.5)),
                flood_every_ms=pick((4, 8)),
                faults_every_ms=pick((30, 60)),
                at_snapshot=pick((0.0, 0.3, 0.6)),
            )
        case "disks":
            swarm = swarm._replace(
                crash=4.0,
                crash_all=pick((0.0, 1.0)),
                slow_disk=pick((0.0, 1.0)),
                failing_disk=pick((0.0, 2.0)),
                full_disk=pick((0.0, 0.5)),
                bit_flip=pick((0.0, 0.5)),
                # Votes that are lost: a term then comes with its first entries, in one write.
                loss=pick((0.0, 0.15, 0.3)),
                partition=pick((0.0, 2.0)),
                at_new_term=1.0,
                power_cuts=pick((0.5, 1.0)),
                value_bytes=1_200,
                outage_ms=50,
            )
        case _:
            faults: dict[str, Any] = {}
            for name in random.sample(FAULTS, pick((2, 3, 5, 8))):
                faults[name] = pick((1.0, 2.0, 4.0))
            swarm = swarm._replace(**faults)
    if random.random() < 0.5:
        swarm = _broad(swarm, random)
    return _more(swarm, random)


def _more(swarm: Swarm, random: Random) -> Swarm:
    """Drawn last, so that what was drawn before stays the same for each seed."""
    pick = random.choice
    if random.random() < 0.3:
        swarm = swarm._replace(
            forget=pick((1.0, 2.0)), at_proof=pick((0.0, 0.7)), publish_after_ms=pick((0, 300, 900))
        )
    return swarm._replace(
        request_timeout_ms=pick((2_000, 2_000, 300)),
        client_timeout_ms=pick((3_000, 3_000, 600)),
        late=pick((0.0, 0.0, 0.05)),
        holders=pick((0, 0, 2)),
        outsider_every_ms=pick((0, 0, 4)),
        newer=pick((0.0, 0.0, 0.3)),
        at_joint=pick((0.0, 1.0)) if swarm.change else 0.0,
        at_start=pick((0.0, 0.0, 0.3)),
        sessions_max=pick((1, 2, 3, 10_000, 10_000, 10_000)),
        session_ttl_ms=pick((100, 1_000, 600_000, 600_000)),
        session_spared_ms=pick((0, 20, 300)),
        results_max=pick((1, 2, 1_024, 1_024)),
        results_bytes_max=pick((600, 3_000, 1 << 24, 1 << 24)),
        leases_max=pick((2, 300_000, 300_000)),
        by_chance=pick((False, True)),
        late_syncs=pick((0.0, 0.0, 0.3, 1.0)),
        keys_per_step=pick((1, 2, ITEMS_PER_STEP)),
        steps_per_turn=pick((1, 1, 3)),
        late_commits=pick((0.0, 0.0, 0.3, 1.0)),
        hang_ups=pick((0.0, 0.0, 0.02, 0.1)),
        late_keys_min=pick((1, 2, LATE_KEYS_MIN)),
        batches=pick((False, True)),
    )


def _broad(swarm: Swarm, random: Random) -> Swarm:
    """With the whole data model, and limits of it that are met."""
    pick = random.choice
    return swarm._replace(
        breadth=pick((0.2, 0.6)),
        compactions=random.random() < 0.5,
        alarms=random.random() < 0.3,
        quota_bytes=pick((0, 0, 4_000)),
        congestion=pick((0.0, 0.0, 0.2)),
        items_per_step=pick((2, 2, 256)),
        under_way_bytes=pick((200, 128 * 1024)),
        watchers=pick((1, 2, 3)),
        leases=pick((0.0, 0.2)),
    )


def _surroundings(random: Random) -> Swarm:
    """Everything but the faults."""
    pick = random.choice
    election_ms = pick((60, 60, 60, 60, 120, 120, 300))
    moments: dict[str, Any] = {}
    if random.random() < 0.5:
        moments = {name: pick((0.0, 0.2, 0.5)) for name in CRASHES}
    return Swarm(
        nodes=pick((3, 3, 3, 4, 5)),
        clients=pick((1, 2, 4)),
        clients_outstanding=pick((1, 1, 3)),
        watchers=pick((0, 1, 2)),
        think_ms=pick((1, 10, 60)),
        value_bytes=pick((0, 0, 1_200)),
        flood_every_ms=pick((0, 4, 8, 30)),
        unsessioned=random.random() < 0.2,
        leases=pick((0.0, 0.0, 0.3)),
        election_ms=election_ms,
        append_bytes_max=pick((1, 2_000, 1_000_000)),
        segment_bytes=pick((2_048, 4_096, 16_384)),
        entries_kept=pick((0, 5, 20, 50)),
        commit_ms=pick((5, 20, 100)),
        chunk_bytes=pick((700, 4_096, 256 * 1024)),
        in_order=random.random() < 0.75,
        loss=pick((0.0, 0.0, 0.0, 0.02, 0.15)),
        duplication=pick((0.0, 0.0, 0.1)),
        peer_delay_ms=pick((1, 3, election_ms // 8)),
        client_delay_ms=pick((1, 10)),
        sync_ms=pick((1, 1, 5, election_ms // 6)),
        hints=random.random() < 0.7,
        drift_ppm=pick((0, 0, 0, 20_000)),
        outage_ms=pick((50, 200, 600)),
        long_outage=pick((0.0, 0.0, 0.0, 0.4)),
        faults_every_ms=pick((30, 60, 150)),
        power_cuts=pick((0.2, 0.5, 1.0)),
        **moments,
    )
