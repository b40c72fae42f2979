"""Users, roles and rights by gRPC: our front answers each program as etcd does, error by error."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from typing import NamedTuple

import pytest

from tests.differential.auth import deliberate
from tests.differential.auth.generator import program_of
from tests.differential.auth.language import Fields, Program, listing, step
from tests.differential.auth.programs import PROGRAMS
from tests.differential.auth.sides import AuthSide
from tests.differential.etcd import MISSING, Etcd, binaries
from tests.differential.leasehold import Leasehold
from tests.differential.test_parts import PROTOCOL_PAGE

QUICK_SEEDS = range(3)
CAMPAIGN_SEEDS = range(100, 200)


class Both(NamedTuple):
    """An etcd and a node with a front."""

    etcd: AuthSide
    own: AuthSide

    def difference(self, program: Program) -> str:
        """Where they first answer a program differently, told with the program; empty: nowhere."""
        answers = zip(self.etcd.run(program), self.own.run(program), strict=True)
        for position, (etcd, own) in enumerate(answers):
            if without_reasons(etcd) != without_reasons(own):
                return f"{listing(program[: position + 1])}\netcd: {etcd}\nours: {own}"
        return ""


def without_reasons(answer: Fields) -> Fields:
    """An answer without why a watch is forbidden, which etcd 3.5.1 does not tell."""
    if answer.get("cancel_reason", "").startswith("rpc error: "):
        return {**answer, "cancel_reason": "it is forbidden"}
    return answer


@pytest.fixture(scope="module")
def both() -> Iterator[Both]:
    if binaries() is None:
        pytest.skip(MISSING)
    with ExitStack() as stack:
        etcd = Etcd()
        theirs = AuthSide("etcd", etcd.addresses[0], etcd.stop)
        stack.callback(theirs.stop)
        node = Leasehold(front=True)
        ours = AuthSide("leasehold", node.address, node.stop)
        stack.callback(ours.stop)
        yield Both(theirs, ours)


@pytest.mark.parametrize("name", PROGRAMS)
def test_both_answer_alike(both: Both, name: str) -> None:
    difference = both.difference(PROGRAMS[name])
    assert not difference, difference


@pytest.mark.parametrize("seed", QUICK_SEEDS)
def test_both_answer_a_random_program_alike(both: Both, seed: int) -> None:
    difference = both.difference(program_of(seed))
    assert not difference, f"seed {seed}:\n{difference}"


@pytest.mark.campaign
def test_both_answer_a_hundred_random_programs_alike(both: Both) -> None:
    for seed in CAMPAIGN_SEEDS:
        difference = both.difference(program_of(seed))
        assert not difference, f"seed {seed}:\n{difference}"


@pytest.mark.parametrize("name", deliberate.TABLE)
def test_both_answer_as_the_table_of_deliberate_differences_says(both: Both, name: str) -> None:
    why, program, etcd, own = deliberate.TABLE[name]
    assert etcd != own, why
    assert both.etcd.run(program)[-1] == etcd, why
    assert both.own.run(program)[-1] == own, why


def test_the_protocol_page_tells_of_each_deliberate_difference() -> None:
    _, _, rest = PROTOCOL_PAGE.read_text().partition("\n## Differences in users' rights\n")
    section, _, _ = rest.partition("\n## ")
    told = [line[2:-1] for line in section.splitlines() if line.startswith("* ")]
    rows = [f"{name.partition(':')[0]}: {entry.why}" for name, entry in deliberate.TABLE.items()]
    assert told == [row[0].upper() + row[1:] for row in dict.fromkeys(rows)]


def test_a_program_of_a_number_is_always_the_same() -> None:
    assert program_of(7) == program_of(7) != program_of(8)


def test_a_difference_is_told_with_the_program_that_leads_to_it(both: Both) -> None:
    told = both.difference((step("auth_status"), step("range", "nobody", key=b"a")))
    assert told.startswith("[\n    step('auth_status', ''),\n    step('range', 'nobody'")
    assert "etcd: {'error'" in told
