"""How many connections to the node are opened at once, and what becomes of those behind."""

from __future__ import annotations

import asyncio

import pytest

from cluster.etcd.link import gate as gate_module
from cluster.etcd.link.gate import SILENT, Gate
from tests.cluster.etcd.loops import run, until


class Probe:
    """A connection that is to be opened; it notes what it is told."""

    def __init__(self, gate: Gate) -> None:
        self.told: list[str] = []
        gate.enter(self)

    def begin(self) -> None:
        self.told.append("begin")

    def refuse(self, reason: str) -> None:
        self.told.append(reason)


def told(probes: list[Probe]) -> list[list[str]]:
    return [probe.told for probe in probes]


def test_one_begins_when_another_is_open_and_one_that_is_given_up_never_does() -> None:
    async def test() -> None:
        gate = Gate(asyncio.get_running_loop(), 2)
        probes = [Probe(gate) for _ in range(5)]
        assert told(probes) == [["begin"], ["begin"], [], [], []]
        gate.leave(probes[3])  # its client has gone
        gate.leave(probes[1])
        gate.leave(probes[1])  # once more, as when an open connection ends
        assert told(probes) == [["begin"], ["begin"], ["begin"], [], []]
        gate.leave(probes[0])
        assert told(probes)[3:] == [[], ["begin"]]

    run(test)


def test_a_silent_node_is_away_for_those_that_wait_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate_module, "LOOK_SECONDS", 0.001)

    async def test() -> None:
        gate = Gate(asyncio.get_running_loop(), 1)
        probes = [Probe(gate) for _ in range(3)]
        await until(lambda: bool(probes[2].told))
        assert told(probes) == [["begin", SILENT], [SILENT], [SILENT]]
        assert Probe(gate).told == ["begin"]

    run(test)
