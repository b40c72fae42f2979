"""What a large store costs puts: of random keys among a thousand, and among very many.

Two clusters of three nodes, each with all its keys before the first put. They are measured in
turns, in another order each round.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from cluster.bench import load, workload
from cluster.bench.wires import Wires
from cluster.launcher.local import LocalCluster
from tests.bench.filling import txns_of_puts
from tests.bench.measure import Measurement, median_of
from tests.bench.rows import Row, measure_own

KEYS: Final = 1_000_000
FEW_KEYS: Final = 1_000
ROUNDS: Final = 5
LOADS: Final = ((64, 20_000), (1_000, 40_000))
"""Puts under way, and puts of a round."""

VALUE_BYTES: Final = 256
PUTS_PER_TXN: Final = 100
CONNECTIONS: Final = 50
DIAL_SECONDS: Final = 60.0
TITLES: Final = f"{'puts under way':16}{'keys':>12}{'puts/s':>10}{'p99 ms':>10}{'ratio':>8}"


class Sized(NamedTuple):
    """A cluster and the number of its keys."""

    cluster: LocalCluster
    keys: int


def run(keys: int, rounds: int, scale: float, say: Callable[[str], None]) -> None:
    """Measure, and print a line for each load and size: medians of the rounds.

    The first round is not counted: it warms both up.
    """
    with LocalCluster(3) as few, LocalCluster(3) as many:
        sides = (Sized(few, FEW_KEYS), Sized(many, keys))
        for side in sides:
            _fill(side)
        measured = [
            _round(sides[::-1] if number % 2 else sides, scale) for number in range(rounds + 1)
        ][1:]
    say(TITLES)
    for clients, _ in LOADS:
        rates = {}
        for side in sides:
            found = median_of([each[clients, side.keys] for each in measured])
            rates[side.keys] = found.rate
            ratio = found.rate / rates[FEW_KEYS]
            say(f"{clients:<16,}{side.keys:12,}{found.rate:10,.0f}{found.p99_ms:10.1f}{ratio:8.2f}")


def _round(sides: Sequence[Sized], scale: float) -> dict[tuple[int, int], Measurement]:
    return {
        (clients, side.keys): measure_own(
            side.cluster, Row("put", clients, total, keys=side.keys).scaled(scale)
        )
        for side in sides
        for clients, total in LOADS
    }


def _fill(side: Sized) -> None:
    """Put each key once, a transaction of many at a time."""
    value = b"x" * VALUE_BYTES
    puts = ({"key": workload.key_name(number), "value": value} for number in range(side.keys))
    filling = txns_of_puts(puts, PUTS_PER_TXN)
    addresses = [f"tcp://{endpoint}" for endpoint in side.cluster.endpoints]
    with Wires(addresses, CONNECTIONS, dial_seconds=DIAL_SECONDS) as wires:
        figures = load.run("fill", wires, filling, len(filling.bodies), CONNECTIONS)
    assert not figures.errors, figures.errors
