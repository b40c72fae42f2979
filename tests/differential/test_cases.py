"""Named programs: those that must be answered alike, and those that on purpose are not."""

from __future__ import annotations

import pytest

from tests.differential import deliberate
from tests.differential.cases import CASES
from tests.differential.language import now, op
from tests.differential.report import report
from tests.differential.runner import Pair, Server


@pytest.mark.parametrize("name", CASES)
def test_both_answer_alike(pair: Pair, name: str) -> None:
    found = pair.run(CASES[name])
    assert found is None, report(CASES[name], found)


@pytest.mark.parametrize(
    "name", [name for name, difference in deliberate.TABLE.items() if difference.etcd is not None]
)
def test_both_answer_as_the_table_of_deliberate_differences_says(pair: Pair, name: str) -> None:
    why, program, etcd, own = deliberate.TABLE[name]
    found = pair.run(program)
    assert found is not None, f"the difference has gone: {why}"
    assert (found.position, found.etcd, found.own) == (len(program) - 1, etcd, own)


@pytest.mark.parametrize(
    "name", [name for name, difference in deliberate.TABLE.items() if difference.etcd is None]
)
def test_we_answer_well_what_etcd_dies_of(pair: Pair, name: str) -> None:
    _, program, _, own = deliberate.TABLE[name]
    pair.own.empty()
    for operation in program:
        pair.own.send(operation, 0)
        answer = pair.own.receive()
    assert answer == own


def test_cancelling_a_watch_that_is_not_there_is_an_error(pair: Pair) -> None:
    stream = pair.own.side.open_stream()
    stream.send("watch_cancel", {"watch_id": 9})
    (answer,) = stream.receive(10.0)
    stream.close()
    assert answer["error"]["message"] == "leasehold: there is no watch 9 on this connection"


def test_servers_that_have_lived_differently_are_compared_all_the_same(pair: Pair) -> None:
    lonely: Server = pair.own
    for _ in range(7):
        lonely.send(op("put", key=b"a"), 0)
        lonely.receive()
    program = [op("put", key=b"a"), op("put", key=b"a"), op("range", key=b"a", revision=now(-1))]
    assert pair.run(program) is None
    assert pair.own.base != pair.etcd.base
